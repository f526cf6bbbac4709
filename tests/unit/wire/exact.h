/* Input in memory of exactly its size, so that the sanitizer sees a read past its end. */
#ifndef STOCKADE_TESTS_EXACT_H
#define STOCKADE_TESTS_EXACT_H

#include <stdlib.h>
#include <string.h>

#include "base/span.h"

/* Free .p afterwards. */
static inline struct span exact(const void *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	memcpy(copy, p, n);
	return (struct span) { copy, n };
}

static inline void exact_free(struct span s)
{
	free((void *)s.p);
}

#endif
