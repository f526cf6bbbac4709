/* The sentences of enum http_bad. */
#include "wire/wire.h"

const char *http_bad_text(enum http_bad b)
{
	static const char *const texts[] = {
#define X(constant, text) [HTTP_BAD_##constant] = (text),
		HTTP_BADS(X)
#undef X
	};

	_Static_assert(sizeof texts / sizeof *texts == HTTP_BAD_COUNT, "a sentence for each");
	return (unsigned)b < HTTP_BAD_COUNT ? texts[b] : "";
}
