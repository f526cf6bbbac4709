/* A span is bytes that somebody else owns: a pointer and a length, never NUL-terminated by promise. */
#ifndef STOCKADE_BASE_SPAN_H
#define STOCKADE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *p;
	size_t n;
};

#define SPAN_LITERAL(s) ((struct span) { .p = "" s, .n = sizeof(s) - 1 })

static inline struct span span_of(const char *s)
{
	return (struct span) { .p = s, .n = strlen(s) };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Equal but for the case of ASCII letters: header names, schemes. */
static inline bool span_eq_nocase(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

/* The part of s from byte `from` on; from <= s.n. */
static inline struct span span_skip(struct span s, size_t from)
{
	return (struct span) { .p = s.p + from, .n = s.n - from };
}

/* The first `n` bytes of s; n <= s.n. */
static inline struct span span_first(struct span s, size_t n)
{
	return (struct span) { .p = s.p, .n = n };
}

#endif
