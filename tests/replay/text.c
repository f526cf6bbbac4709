/* Reading and showing case files. */
#include "text.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/address.h"

/* --- lines --- */

static char *trim(char *s)
{
	char *end = s + strlen(s);

	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*s))
		s++;
	return s;
}

static void add_line(struct arena *a, char *raw, unsigned number, struct line **lines, size_t *count)
{
	const bool continued = *raw == ' ' || *raw == '\t';
	char *text = trim(raw);

	if (*text == '\0' || *text == '#')
		return;
	if (continued && *count) {
		struct line *last = &(*lines)[*count - 1];

		last->rest = arena_printf(a, "%s %s", last->rest, text);
		return;
	}
	char *space = text;

	while (*space && !isspace((unsigned char)*space))
		space++;
	const bool more = *space != '\0';

	*space = '\0';
	ARENA_PUSH(a, *lines, *count) = (struct line) { number, text, more ? trim(space + 1) : space };
}

int text_read(const char *path, struct arena *a, struct line **ret, size_t *ret_count)
{
	FILE *f = fopen(path, "r");
	char *raw = NULL;
	size_t size = 0;
	ssize_t n;

	*ret = NULL;
	*ret_count = 0;
	if (!f) {
		perror(path);
		return -1;
	}
	for (unsigned number = 1; (n = getline(&raw, &size, f)) >= 0; number++)
		add_line(a, arena_strdup(a, raw), number, ret, ret_count);
	free(raw);
	(void)fclose(f);
	return 0;
}

/* --- bytes --- */

struct bytes {
	struct arena *arena;
	char *p;
	size_t n, size;
};

static void put(struct bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->size) {
		const size_t size = (b->n + n) * 2;
		char *more = arena_alloc(b->arena, size);

		if (b->n)
			memcpy(more, b->p, b->n);
		b->p = more;
		b->size = size;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_byte(struct bytes *b, unsigned value)
{
	const char c = (char)value;

	put(b, &c, 1);
}

static int hex_of(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

static const char *read_escape(const char *s, struct bytes *b)
{
	switch (*s) {
	case 'r':
		put_byte(b, '\r');
		return s + 1;
	case 'n':
		put_byte(b, '\n');
		return s + 1;
	case 't':
		put_byte(b, '\t');
		return s + 1;
	case '0':
		put_byte(b, 0);
		return s + 1;
	case '"':
	case '\\':
		put_byte(b, (unsigned char)*s);
		return s + 1;
	case 'x':
		if (hex_of(s[1]) < 0 || hex_of(s[2]) < 0)
			return NULL;
		put_byte(b, (unsigned)(hex_of(s[1]) << 4 | hex_of(s[2])));
		return s + 3;
	default:
		return NULL;
	}
}

static const char *read_quoted(const char *s, struct bytes *b)
{
	for (s++; *s && *s != '"';) {
		if (*s == '\\') {
			s = read_escape(s + 1, b);
			if (!s)
				return NULL;
		} else {
			put(b, s++, 1);
		}
	}
	return *s ? s + 1 : NULL;
}

static const char *read_hex(const char *s, struct bytes *b)
{
	while (*s && *s != ')') {
		if (*s == ' ') {
			s++;
			continue;
		}
		if (hex_of(s[0]) < 0 || hex_of(s[1]) < 0)
			return NULL;
		put_byte(b, (unsigned)(hex_of(s[0]) << 4 | hex_of(s[1])));
		s += 2;
	}
	return *s ? s + 1 : NULL;
}

/* hello(NAME) or hello(NAME ech) */
static const char *read_hello(const char *s, struct bytes *b)
{
	const char *end = strchr(s, ')');

	if (!end)
		return NULL;
	char *name = arena_span(b->arena, (struct span) { s, (size_t)(end - s) });
	char *ech = strstr(name, " ech");

	if (ech)
		*ech = '\0';
	const struct span hello = text_hello(b->arena, name, ech != NULL);

	put(b, hello.p, hello.n);
	return end + 1;
}

/* socks(HOST:PORT): a CONNECT; HOST is a name, an IPv4 address, or an IPv6 address in brackets. */
static const char *read_socks(const char *s, struct bytes *b)
{
	const char *end = strchr(s, ')'), *colon = end ? memrchr(s, ':', (size_t)(end - s)) : NULL;

	if (!colon)
		return NULL;
	const struct span host = { s, (size_t)(colon - s) };
	const bool v6 = host.n > 2 && host.p[0] == '[';
	const unsigned long port = strtoul(colon + 1, NULL, 10);
	struct ip_addr a = { 0 };

	put(b, "\5\1", 3);
	if (ip_parse(v6 ? (struct span) { s + 1, host.n - 2 } : host, &a)) {
		put_byte(b, a.family == 4 ? 1 : 4);
		put(b, a.bytes, a.family == 4 ? 4 : 16);
	} else {
		put_byte(b, 3);
		put_byte(b, (unsigned)host.n);
		put(b, host.p, host.n);
	}
	put_byte(b, (unsigned)(port >> 8));
	put_byte(b, (unsigned)port);
	return end + 1;
}

/* socks-reply(CODE) */
static const char *read_socks_reply(const char *s, struct bytes *b)
{
	char *end;

	put_byte(b, 5);
	put_byte(b, (unsigned)strtoul(s, &end, 10));
	put(b, "\0\1\0\0\0\0\0", 8);
	return *end == ')' ? end + 1 : NULL;
}

/* server-hello(), or with `retry` a HelloRetryRequest that asks for another key share. */
static const char *read_server_hello(const char *s, struct bytes *b, bool retry)
{
	const struct span hello = text_server_hello(b->arena, retry);

	put(b, hello.p, hello.n);
	return *s == ')' ? s + 1 : NULL;
}

static const char *read_piece(const char *s, struct bytes *b)
{
	if (*s == '"')
		return read_quoted(s, b);
	if (strncmp(s, "hex(", 4) == 0)
		return read_hex(s + 4, b);
	if (strncmp(s, "hello(", 6) == 0)
		return read_hello(s + 6, b);
	if (strncmp(s, "server-hello(", 13) == 0)
		return read_server_hello(s + 13, b, false);
	if (strncmp(s, "retry(", 6) == 0)
		return read_server_hello(s + 6, b, true);
	if (strncmp(s, "socks(", 6) == 0)
		return read_socks(s + 6, b);
	if (strncmp(s, "socks-reply(", 12) == 0)
		return read_socks_reply(s + 12, b);
	return NULL;
}

struct span text_bytes(struct arena *a, const char *s, const char **ret_why)
{
	struct bytes all = { .arena = a };

	put(&all, "", 1);
	all.n = 0;
	while (*s) {
		struct bytes piece = { .arena = a };
		unsigned long times = 1;
		char *end;

		if (isspace((unsigned char)*s)) {
			s++;
			continue;
		}
		s = read_piece(s, &piece);
		if (!s) {
			*ret_why = "not \"text\", hex(..), hello(..), server-hello(), retry(), socks(..) or socks-reply(..)";
			return (struct span) { 0 };
		}
		if (*s == '*') {
			times = strtoul(s + 1, &end, 10);
			s = end;
		}
		while (times--)
			put(&all, piece.p, piece.n);
	}
	return (struct span) { all.p, all.n };
}

const char *text_show(struct arena *a, struct span bytes)
{
	struct bytes b = { .arena = a };
	char hex[5];

	put(&b, "\"", 1);
	for (size_t i = 0; i < bytes.n && i < 6000; i++) {
		const unsigned char c = (unsigned char)bytes.p[i];

		if (c == '\r')
			put(&b, "\\r", 2);
		else if (c == '\n')
			put(&b, "\\n", 2);
		else if (c == '"' || c == '\\')
			put(&b, c == '"' ? "\\\"" : "\\\\", 2);
		else if (c >= ' ' && c < 0x7f)
			put(&b, &c, 1);
		else
			put(&b, hex, (size_t)snprintf(hex, sizeof hex, "\\x%02x", c));
	}
	put(&b, "\"", 2); /* with the NUL */
	return b.p;
}

/* --- greetings --- */

static void put16(struct bytes *b, size_t n)
{
	put_byte(b, (unsigned)(n >> 8));
	put_byte(b, (unsigned)n & 0xff);
}

static void put_extension(struct bytes *b, unsigned type, const void *p, size_t n)
{
	put16(b, type);
	put16(b, n);
	put(b, p, n);
}

static void put_server_name(struct bytes *b, const char *name)
{
	struct bytes list = { .arena = b->arena };

	put16(&list, strlen(name) + 3);
	put_byte(&list, 0);
	put16(&list, strlen(name));
	put(&list, name, strlen(name));
	put_extension(b, 0, list.p, list.n);
}

static struct span in_record(struct arena *a, unsigned type, const struct bytes *body)
{
	struct bytes record = { .arena = a };

	put(&record, "\x16\x03\x01", 3);
	put16(&record, body->n + 4);
	put_byte(&record, type);
	put_byte(&record, 0);
	put16(&record, body->n);
	put(&record, body->p, body->n);
	return (struct span) { record.p, record.n };
}

struct span text_hello(struct arena *a, const char *name, bool ech)
{
	static const unsigned char versions[] = { 4, 3, 4, 3, 3 }, ech_payload[] = { 0, 0, 1, 0, 1, 9, 0, 1, 'e', 0, 1, 'p' },
				   start[] = { 3, 3 }, choices[] = { 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0 };
	struct bytes extensions = { .arena = a }, hello = { .arena = a };

	if (*name)
		put_server_name(&extensions, name);
	put_extension(&extensions, 43, versions, sizeof versions);
	if (ech)
		put_extension(&extensions, 0xfe0d, ech_payload, sizeof ech_payload);
	put(&hello, start, sizeof start);
	for (unsigned i = 0; i < 32; i++)
		put_byte(&hello, i);
	put_byte(&hello, 0);
	put(&hello, choices, sizeof choices);
	put16(&hello, extensions.n);
	put(&hello, extensions.p, extensions.n);
	return in_record(a, 1, &hello);
}

struct span text_server_hello(struct arena *a, bool retry)
{
	/* RFC 8446 4.1.3 */
	static const unsigned char retry_random[] = { 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
						      0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
						      0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c },
				   version[] = { 3, 4 }, group[] = { 0, 0x17 };
	struct bytes hello = { .arena = a }, extensions = { .arena = a };

	put_extension(&extensions, 43, version, sizeof version);
	put_extension(&extensions, 51, group, sizeof group);
	put(&hello, "\3\3", 2);
	for (unsigned i = 0; i < 32; i++)
		put_byte(&hello, retry ? retry_random[i] : 0x40 + i);
	put(&hello, "\0\x13\1\0", 4);
	put16(&hello, extensions.n);
	put(&hello, extensions.p, extensions.n);
	return in_record(a, 2, &hello);
}
