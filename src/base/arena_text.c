#include "base/arena_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void reserve(struct arena_text *t, size_t n)
{
	if (t->n + n + 1 <= t->room)
		return;
	const size_t room = 2 * (t->n + n + 1);
	char *more = arena_alloc(t->arena, room);

	if (t->n)
		memcpy(more, t->p, t->n);
	t->p = more;
	t->room = room;
}

void arena_text_put(struct arena_text *t, struct span s)
{
	reserve(t, s.n);
	if (s.n)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
	t->p[t->n] = '\0';
}

void arena_text_add(struct arena_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const int n = vsnprintf(NULL, 0, fmt, ap);

	va_end(ap);
	if (n <= 0)
		return;
	reserve(t, (size_t)n);
	va_start(ap, fmt);
	(void)vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->n += (size_t)n;
}
