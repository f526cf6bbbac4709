/* Paths as text; nothing is looked up. */
#ifndef STOCKADE_BASE_PATH_H
#define STOCKADE_BASE_PATH_H

#include <stdbool.h>
#include <string.h>

/* Is path the directory itself, or in it? Both absolute, without "..", "." or "//", and without a slash at their end. */
static inline bool path_within(const char *path, const char *dir)
{
	const size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

#endif
