/* Text put together by hand, in memory that the caller has: printf would take longer than all else that a denial does. What does not
 * fit is cut off, and said to be. */
#ifndef STOCKADE_GATE_TEXT_H
#define STOCKADE_GATE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/span.h"

struct text {
	char *p;
	size_t size, n;
	bool cut;
};

static inline void text_put_span(struct text *t, struct span s)
{
	const size_t room = t->size - t->n;

	if (s.n <= room) {
		memcpy(t->p + t->n, s.p, s.n);
		t->n += s.n;
		return;
	}
	memcpy(t->p + t->n, s.p, room);
	t->n += room;
	t->cut = true;
}

/* At most `shown` bytes of it. */
static inline void text_put_first(struct text *t, struct span s, size_t shown)
{
	text_put_span(t, span_first(s, s.n < shown ? s.n : shown));
}

/* Inlined, so that the lengths of literals are known. */
static inline __attribute__((always_inline)) void text_put(struct text *t, const char *s)
{
	text_put_span(t, (struct span) { s, strlen(s) });
}

/* At least `digits` of them. */
static inline void text_put_number(struct text *t, uint64_t v, int digits)
{
	char buf[20], *end = buf + sizeof buf, *p = end;

	for (; v > 0 || (digits > 0 && p > buf); digits--, v /= 10)
		*--p = (char)('0' + v % 10);
	text_put_span(t, (struct span) { p, (size_t)(end - p) });
}

#endif
