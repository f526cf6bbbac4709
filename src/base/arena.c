/* Bump allocation from a chain of blocks; the newest block is first and the only one that still has room. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 16 * 1024 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	alignas(max_align_t) char bytes[];
};

static void die_of_memory(void)
{
	fputs("stockade: out of memory\n", stderr);
	abort();
}

static struct arena_block *block_new(size_t size)
{
	struct arena_block *b = calloc(1, sizeof *b + size);

	if (!b)
		die_of_memory();
	b->size = size;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);

	if (size > SIZE_MAX / 4)
		die_of_memory();
	size = (size + align - 1) / align * align;
	if (!a->blocks || a->blocks->size - a->blocks->used < size) {
		struct arena_block *b = block_new(size > BLOCK_BYTES ? size : BLOCK_BYTES);

		b->next = a->blocks;
		a->blocks = b;
	}
	void *p = a->blocks->bytes + a->blocks->used;

	a->blocks->used += size;
	a->used += size;
	return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		die_of_memory();
	return arena_alloc(a, bytes);
}

char *arena_span(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_span(a, span_of(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);

	va_end(again);
	if (n < 0)
		die_of_memory();
	char *p = arena_alloc(a, (size_t)n + 1);

	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *p = arena_vprintf(a, fmt, ap);

	va_end(ap);
	return p;
}

/* Capacities are 4, 8, 16, ...: a full array is one whose count is such a power, so no capacity need be kept. */
void *arena_grow(struct arena *a, void *items, size_t count, size_t size)
{
	if (count >= 4 ? (count & (count - 1)) != 0 : count != 0)
		return items;
	void *p = arena_array(a, count ? count * 2 : 4, size);

	if (count)
		memcpy(p, items, count * size);
	return p;
}

void arena_free(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}
