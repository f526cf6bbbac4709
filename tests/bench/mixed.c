/* stockade, but for the gate, which is another program: the file named like this one with ".gate" behind. So a gate built with the
 * thread sanitizer runs under a supervisor that is not: the sanitizer's own thread would keep that from making user namespaces. */
int stockade_main(int argc, char **argv);
#define main stockade_main
#include "../../src/main.c"
#undef main

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[4096];

	if (argc < 2 || strcmp(argv[1], "gate-role") != 0)
		return stockade_main(argc, argv);
	const ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof ".gate");

	if (n < 0)
		return 3;
	strcpy(path + n, ".gate");
	(void)execv(path, argv);
	perror(path);
	return 3;
}
