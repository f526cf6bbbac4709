/* The err says whether it is about the program only by its words, which are those of pod/process.c. */
#include "cmd/exit_status.h"

#include <errno.h>
#include <string.h>

#include "cmd/say.h"

int exit_status_of(const char *verb, const struct err *err)
{
	const int status = say_err(verb, err);

	if (err->class != ERR_INPUT)
		return status;
	if (strstr(err->text, "the program '"))
		return EXIT_NOT_FOUND;
	if (strstr(err->text, "cannot run '"))
		return strstr(err->text, strerror(ENOENT)) ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	return status;
}
