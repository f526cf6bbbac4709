/* Text that grows in an arena, in a place of double the size now and then; always ended by a NUL. */
#ifndef STOCKADE_BASE_ARENA_TEXT_H
#define STOCKADE_BASE_ARENA_TEXT_H

#include "base/arena.h"
#include "base/span.h"

struct arena_text {
	struct arena *arena;
	char *p; /* NULL: nothing was added yet */
	size_t n, room;
};

void arena_text_put(struct arena_text *t, struct span s);
void arena_text_add(struct arena_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
