/* The text of a problem has to fit into struct err: the excerpts are left out first, then whole problems, which are counted. */
#include "config/report.h"

#include <stdio.h>

#include "config/utf8.h"

enum { EXCERPT_COLUMNS = 96, TAIL_RESERVE = 48 };

static struct problem *add(struct report *r)
{
	return r->count++ < REPORT_KEPT ? &r->problems[r->count - 1] : NULL;
}

/* Texts quote what files say, and a terminal obeys what it is sent. */
static const char *harmless(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return text;
}

bool report_error(struct report *r, const struct source *s, unsigned line, unsigned column, const char *fmt, ...)
{
	struct problem *p = add(r);
	va_list ap;

	if (!p)
		return false;
	va_start(ap, fmt);
	*p = (struct problem) { s, line, column, harmless(arena_vprintf(r->arena, fmt, ap)) };
	va_end(ap);
	return false;
}

void report_warning(struct report *r, const struct source *s, unsigned line, unsigned column, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *text = harmless(arena_vprintf(r->arena, fmt, ap));

	va_end(ap);
	ARENA_PUSH(r->arena, r->warnings.items, r->warnings.count) =
		arena_printf(r->arena, "%s:%u:%u: warning: %s", s->file, line, column, text);
}

const char *report_note(struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *text = harmless(arena_vprintf(r->arena, fmt, ap));

	va_end(ap);
	ARENA_PUSH(r->arena, r->notes.items, r->notes.count) = text;
	return text;
}

static struct span source_line(const struct source *s, unsigned line)
{
	struct span rest = s->text;

	for (unsigned i = 1; i < line; i++) {
		const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

		if (!end)
			return (struct span) { NULL, 0 };
		rest = span_skip(rest, (size_t)(end - rest.p) + 1);
	}
	const char *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

	return end ? span_first(rest, (size_t)(end - rest.p)) : rest;
}

static bool starts_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

/* The bytes of line that are its characters from `first` on, at most EXCERPT_COLUMNS of them. */
static struct span window(struct span line, unsigned first)
{
	size_t from = 0, to;
	unsigned seen = 0;

	while (from < line.n && seen < first)
		if (++from == line.n || starts_character(line.p[from]))
			seen++;
	for (to = from, seen = 0; to < line.n && seen < EXCERPT_COLUMNS;)
		if (++to == line.n || starts_character(line.p[to]))
			seen++;
	return (struct span) { line.p + from, to - from };
}

/* "   12 | text" and the caret below, into buf; nothing when the place has no line. */
static void excerpt(const struct problem *p, char *buf, size_t size)
{
	const struct span line = source_line(p->source, p->line);

	buf[0] = '\0';
	if (p->line == 0 || !line.n || p->column == 0)
		return;
	const unsigned skip = p->column > EXCERPT_COLUMNS - 16 ? p->column - 32 : 0;
	const struct span shown = window(line, skip);
	char text[EXCERPT_COLUMNS * 4 + 1], blank[EXCERPT_COLUMNS + 1];
	const bool utf8 = utf8_valid(line);
	size_t n = 0, column = 0;

	for (size_t i = 0; i < shown.n && n < sizeof text - 1; i++) {
		const unsigned char c = (unsigned char)shown.p[i];

		text[n++] = c == '\t' ? '\t' : c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c;
		if (column + skip + 1 < p->column && starts_character((char)c) && column < sizeof blank - 1)
			blank[column++] = c == '\t' ? '\t' : ' ';
	}
	while (n && text[n - 1] == '?' && shown.p[shown.n - 1] == '\r' && n == shown.n)
		n--;
	text[n] = blank[column] = '\0';
	(void)snprintf(buf, size, "\n%5u | %s%s\n      | %s%s^", p->line, skip ? "..." : "", text, skip ? "   " : "", blank);
}

/* Without its excerpt; returns its length. */
static size_t sentence(const struct problem *p, char *buf, size_t size)
{
	char place[32] = "";

	if (p->line)
		(void)snprintf(place, sizeof place, ":%u:%u", p->line, p->column);
	const int n = snprintf(buf, size, "%s%s: error: %s", p->source->file, place, p->text);

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static bool before(const struct problem *a, const struct problem *b)
{
	return a->source == b->source && (a->line < b->line || (a->line == b->line && a->column < b->column));
}

/* Within a file by place; files stay in the order in which they were first wrong. Insertion keeps equals in order. */
static void sort(struct problem *p, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t k = i; k && before(&p[k], &p[k - 1]); k--) {
			const struct problem swap = p[k];

			p[k] = p[k - 1];
			p[k - 1] = swap;
		}
}

int report_finish(struct report *r, struct err *err)
{
	const size_t kept = r->count < REPORT_KEPT ? r->count : REPORT_KEPT;
	const size_t most = kept < REPORT_SHOWN ? kept : REPORT_SHOWN;
	char text[sizeof err->text] = "", one[sizeof err->text - TAIL_RESERVE], lines[EXCERPT_COLUMNS * 6 + 64];
	size_t n = 0, shown = 0, bare = 0;

	if (r->count == 0)
		return 0;
	sort(r->problems, kept);
	for (size_t i = 0; i < most; i++)
		bare += sentence(&r->problems[i], one, sizeof one) + 1;
	for (; shown < most; shown++) {
		const size_t size = sentence(&r->problems[shown], one, sizeof one);

		if (n + size + 1 > sizeof one)
			break;
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? "\n" : "", one);
		excerpt(&r->problems[shown], lines, sizeof lines);
		if (bare + strlen(lines) > sizeof one)
			continue;
		bare += strlen(lines);
		n += (size_t)snprintf(text + n, sizeof text - n, "%s", lines);
	}
	if (shown < r->count)
		(void)snprintf(text + n, sizeof text - n, "\n%zu more error%s", r->count - shown, r->count - shown == 1 ? "" : "s");
	return err_set(err, ERR_INPUT, "%s", text);
}
