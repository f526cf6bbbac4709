/* An arena owns many small allocations that end together: a plan, a manifest, a policy under construction.
 * Running out of memory ends the process: set-up code has no use for half a plan. Not for the hot path. */
#ifndef STOCKADE_BASE_ARENA_H
#define STOCKADE_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/span.h"

struct arena_block;
struct arena {
	struct arena_block *blocks;
	size_t used; /* bytes handed out in all */
};

/* An arena starts as a zeroed struct. Memory handed out is zeroed and aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t count, size_t size); /* refuses overflow by ending the process */
char *arena_strdup(struct arena *a, const char *s);
char *arena_span(struct arena *a, struct span s); /* a NUL-terminated copy */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Grows the array at *items (of elements `size` bytes) so that one more fits; amortised doubling. The old copy stays in
 * the arena. Use: ARENA_PUSH(a, list->items, list->count) = item; */
void *arena_grow(struct arena *a, void *items, size_t count, size_t size);
#define ARENA_PUSH(a, items, count) (*((items) = arena_grow((a), (items), (count), sizeof *(items)), &(items)[(count)++]))
/* Frees everything; the arena may be used again. */
void arena_free(struct arena *a);

#endif
