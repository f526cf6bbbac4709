/* Where connections live: slabs of SLAB_CONNS, each a block of its own from the kernel, given back when none of it is in use. So many
 * connections cost what they are and no more, they do not scatter the heap, and after a flood the memory is as it was before. */
#include "gate/conn_state.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)
#define ASAN_UNPOISON_MEMORY_REGION(p, n)
#endif

enum { SLAB_CONNS = 200, MMAP_FROM = 128 * 1024, TRIM_BYTES = 1 << 20 };

/* Free connections are linked by `next`; those from `touched` on were never used, so that their pages are not there yet. */
struct conn_slab {
	struct conn_slab *next, **prev; /* among those with room; prev NULL: full */
	struct conn *free;
	uint8_t used, touched;
	struct conn conns[SLAB_CONNS];
};
_Static_assert(SLAB_CONNS <= UINT8_MAX, "a slot's number is a byte");
_Static_assert(sizeof(struct conn_slab) > MMAP_FROM, "a slab is big enough for a mapping of its own");

static void link_roomy(struct conn_pools *p, struct conn_slab *s)
{
	s->next = p->roomy;
	s->prev = &p->roomy;
	if (s->next)
		s->next->prev = &s->next;
	p->roomy = s;
}

static void unlink_roomy(struct conn_slab *s)
{
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	s->prev = NULL;
}

struct conn_pools *conn_pools_new(void)
{
	/* Set, it no longer grows with what is freed. */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
	return calloc(1, sizeof(struct conn_pools));
}

/* All connections are closed by then, so that every slab has room. */
void conn_pools_free(struct conn_pools *p)
{
	if (!p)
		return;
	while (p->roomy) {
		struct conn_slab *s = p->roomy;

		assert(s->used == 0);
		p->roomy = s->next;
		ASAN_UNPOISON_MEMORY_REGION(s->conns, sizeof s->conns);
		free(s);
	}
	buffer_pool_free(&p->buffers);
	free(p);
}

/* What a flood of buffers leaves in the heap. */
bool conn_pools_trim(struct conn_pools *p, uint64_t now_ms)
{
	if (p->buffers.freed < TRIM_BYTES)
		return true;
	if (now_ms - p->trimmed_ms < CONN_TRIM_MS)
		return false;
	p->buffers.freed = 0;
	p->trimmed_ms = now_ms;
	(void)malloc_trim(0);
	return true;
}

struct conn *conn_take(struct conn_pools *p)
{
	struct conn_slab *s = p->roomy;

	if (!s) {
		s = calloc(1, sizeof *s);
		if (!s)
			return NULL;
		link_roomy(p, s);
	}
	struct conn *c = s->free ? s->free : &s->conns[s->touched++];

	ASAN_UNPOISON_MEMORY_REGION(c, sizeof *c);
	if (c == s->free)
		s->free = c->next;
	s->used++;
	if (s->used == SLAB_CONNS)
		unlink_roomy(s);
	*c = (struct conn) { .slot = (uint8_t)(c - s->conns) };
	return c;
}

void conn_give(struct conn_pools *p, struct conn *c)
{
	struct conn_slab *s = (struct conn_slab *)(void *)((char *)(c - c->slot) - offsetof(struct conn_slab, conns));

	c->next = s->free;
	s->free = c;
	s->used--;
	ASAN_POISON_MEMORY_REGION(c, sizeof *c);
	if (!s->prev)
		link_roomy(p, s);
	/* One empty slab stays for the next connection. */
	if (s->used == 0 && (s->next || p->roomy != s)) {
		unlink_roomy(s);
		ASAN_UNPOISON_MEMORY_REGION(s->conns, sizeof s->conns);
		free(s);
	}
}
