/* The handshake message may be cut anywhere by records, and records anywhere by segments. When the message lies in one record,
 * which is the rule, it is read where it is; else its pieces are put together on the stack first. Then a cursor walks over it
 * that knows two ends: where the enclosing structure ends by its own length (past it: BAD) and where the bytes end (past it:
 * MORE). So a wrong byte is refused as soon as it is there, and no verdict on a prefix is taken back by what follows. */
#include "wire/tls_hello.h"

#include <stdint.h>

enum { RECORD_HEADER = 5, MESSAGE_HEADER = 4, RECORD_HANDSHAKE = 22, CLIENT_HELLO = 1, RECORD_MAX = 16384 };
enum { EXTENSION_SERVER_NAME = 0, EXTENSION_ECH = 0xfe0d };

struct cursor {
	const uint8_t *p;
	size_t at, have; /* have: bytes that are there */
	size_t end;      /* of the structure; may be beyond have */
};

struct found {
	struct span name;
	bool has_name, has_ech;
};

/* Room for n more bytes in the structure, and are they there? */
static enum wire_result need(const struct cursor *c, size_t n)
{
	if (n > c->end - c->at)
		return WIRE_BAD;
	return c->at + n > c->have ? WIRE_MORE : WIRE_DONE;
}

/* A big-endian number of `bytes` bytes. */
static enum wire_result take(struct cursor *c, unsigned bytes, size_t *ret)
{
	const enum wire_result r = need(c, bytes);

	if (r != WIRE_DONE)
		return r;
	*ret = 0;
	for (unsigned i = 0; i < bytes; i++)
		*ret = *ret << 8 | c->p[c->at++];
	return WIRE_DONE;
}

/* The structure behind a length of `bytes` bytes; c goes past it, if need be past what is there: then any further step says
 * MORE, and BAD only when lengths already disagree. */
static enum wire_result enter(struct cursor *c, unsigned bytes, struct cursor *ret)
{
	size_t n;
	const enum wire_result r = take(c, bytes, &n);

	if (r != WIRE_DONE)
		return r;
	if (n > c->end - c->at)
		return WIRE_BAD;
	*ret = (struct cursor) { .p = c->p, .at = c->at, .have = c->have, .end = c->at + n };
	c->at += n;
	return WIRE_DONE;
}

static bool is_whole(const struct cursor *c)
{
	return c->end <= c->have;
}

/* RFC 6066 3, with exactly one entry, a host_name. */
static enum wire_result read_server_name(struct cursor body, struct found *f)
{
	struct cursor list, name;
	size_t type;
	enum wire_result r;

	if (f->has_name)
		return WIRE_BAD;
	f->has_name = true;
	if ((r = enter(&body, 2, &list)) != WIRE_DONE)
		return r;
	if (body.at != body.end)
		return WIRE_BAD;
	if ((r = take(&list, 1, &type)) != WIRE_DONE)
		return r;
	if (type != 0)
		return WIRE_BAD;
	if ((r = enter(&list, 2, &name)) != WIRE_DONE)
		return r;
	if (list.at != list.end || name.at == name.end || name.end - name.at >= sizeof((struct tls_hello *)0)->name)
		return WIRE_BAD;
	f->name = (struct span) { (const char *)name.p + name.at, (is_whole(&name) ? name.end : name.have) - name.at };
	if (memchr(f->name.p, '\0', f->name.n))
		return WIRE_BAD;
	return is_whole(&name) ? WIRE_DONE : WIRE_MORE;
}

static enum wire_result read_extensions(struct cursor c, struct found *f)
{
	while (c.at < c.end) {
		struct cursor body;
		size_t type;
		enum wire_result r;

		if ((r = take(&c, 2, &type)) != WIRE_DONE || (r = enter(&c, 2, &body)) != WIRE_DONE)
			return r;
		if (type == EXTENSION_SERVER_NAME && (r = read_server_name(body, f)) != WIRE_DONE)
			return r;
		if (type == EXTENSION_ECH) {
			if (f->has_ech)
				return WIRE_BAD;
			f->has_ech = true;
		}
		if (!is_whole(&body))
			return WIRE_MORE;
	}
	return WIRE_DONE;
}

/* cipher_suites and legacy_compression_methods, of which "null" must be one. */
static enum wire_result read_choices(struct cursor *c)
{
	struct cursor suites, methods;
	enum wire_result r;

	if ((r = enter(c, 2, &suites)) != WIRE_DONE)
		return r;
	if (suites.end - suites.at < 2 || (suites.end - suites.at) % 2 != 0)
		return WIRE_BAD;
	if ((r = enter(c, 1, &methods)) != WIRE_DONE)
		return r;
	if (methods.at == methods.end)
		return WIRE_BAD;
	if (!is_whole(&methods))
		return WIRE_MORE;
	return memchr(methods.p + methods.at, 0, methods.end - methods.at) ? WIRE_DONE : WIRE_BAD;
}

/* ClientHello, RFC 8446 4.1.2. Without extensions at all, as before TLS 1.2, there is no name. */
static enum wire_result read_hello(struct cursor c, struct found *f)
{
	struct cursor session, extensions;
	size_t major, minor;
	enum wire_result r;

	if ((r = take(&c, 1, &major)) != WIRE_DONE)
		return r;
	if (major != 3)
		return WIRE_BAD;
	if ((r = take(&c, 1, &minor)) != WIRE_DONE)
		return r;
	if (minor < 1 || minor > 4)
		return WIRE_BAD;
	if ((r = need(&c, 32)) != WIRE_DONE)
		return r;
	c.at += 32; /* random */
	if ((r = enter(&c, 1, &session)) != WIRE_DONE)
		return r;
	if (session.end - session.at > 32)
		return WIRE_BAD;
	if ((r = read_choices(&c)) != WIRE_DONE || c.at == c.end)
		return r;
	if ((r = enter(&c, 2, &extensions)) != WIRE_DONE)
		return r;
	return c.at != c.end ? WIRE_BAD : read_extensions(extensions, f);
}

/* A record's header, as far as it is there. The version in it means nothing (RFC 8446 5.1) but that it is TLS. */
static enum wire_result read_record(struct span in, size_t *ret_size)
{
	const uint8_t *p = (const uint8_t *)in.p;
	size_t n;

	if ((in.n > 0 && p[0] != RECORD_HANDSHAKE) || (in.n > 1 && p[1] != 3) || (in.n > 2 && p[2] > 4))
		return WIRE_BAD;
	if (in.n > 3 && p[3] > RECORD_MAX >> 8)
		return WIRE_BAD;
	if (in.n < RECORD_HEADER)
		return WIRE_MORE;
	n = (size_t)p[3] << 8 | p[4];
	*ret_size = n;
	return n == 0 || n > RECORD_MAX ? WIRE_BAD : WIRE_DONE;
}

/* The message's first bytes: its type, and with its length whether we would wait for it. *ret_end: where it ends. */
static enum wire_result read_message_header(const uint8_t *p, size_t have, size_t *ret_end)
{
	if (have > 0 && p[0] != CLIENT_HELLO)
		return WIRE_BAD;
	if (have > 1 && p[1] != 0)
		return WIRE_BAD;
	if (have < MESSAGE_HEADER)
		return WIRE_MORE;
	*ret_end = MESSAGE_HEADER + ((size_t)p[2] << 8 | p[3]);
	return *ret_end > TLS_HELLO_MAX - RECORD_HEADER ? WIRE_BAD : WIRE_DONE;
}

/* have bytes of the message are at p; `promised` bytes are in the records begun so far, the message may not end before them. */
static enum wire_result read_message(const uint8_t *p, size_t have, size_t promised, struct found *f)
{
	size_t end;
	const enum wire_result r = read_message_header(p, have, &end);

	if (r != WIRE_DONE)
		return r;
	if (promised > end)
		return WIRE_BAD; /* something follows in the same record: no client does that */
	return read_hello((struct cursor) { .p = p, .at = MESSAGE_HEADER, .have = have < end ? have : end, .end = end }, f);
}

/* The message in several records: put together, as far as it is there. f->name then lies in `message`. */
static enum wire_result read_pieces(struct span in, uint8_t message[static TLS_HELLO_MAX], struct found *f, size_t *ret_size)
{
	const size_t all = in.n;
	size_t have = 0, promised = 0;

	while (in.n > 0) {
		size_t size, n, end;
		enum wire_result r = read_record(in, &size);

		if (r == WIRE_BAD)
			return r;
		if (r == WIRE_MORE)
			break;
		in = span_skip(in, RECORD_HEADER);
		n = size < in.n ? size : in.n;
		memcpy(message + have, in.p, n);
		have += n;
		promised += size;
		in = span_skip(in, n);
		r = read_message_header(message, have, &end);
		if (r == WIRE_BAD)
			return r;
		if (r == WIRE_DONE && promised >= end)
			break; /* what follows is not the greeting's */
	}
	*ret_size = all - in.n;
	return read_message(message, have, promised, f);
}

static enum wire_result finish(const struct found *f, size_t size, struct tls_hello *ret)
{
	if (f->name.n > 0)
		memcpy(ret->name, f->name.p, f->name.n);
	ret->name[f->name.n] = '\0';
	ret->name_length = f->name.n;
	ret->size = size;
	ret->has_ech = f->has_ech;
	return WIRE_DONE;
}

static __attribute__((noinline)) enum wire_result parse_pieces(struct span in, struct tls_hello *ret)
{
	uint8_t message[TLS_HELLO_MAX];
	struct found f = { 0 };
	size_t size = 0;
	const enum wire_result r = read_pieces(in, message, &f, &size);

	return r == WIRE_DONE ? finish(&f, size, ret) : r;
}

enum wire_result tls_hello_parse(struct span in, struct tls_hello *ret)
{
	const bool full = in.n >= TLS_HELLO_MAX;
	struct found f = { 0 };
	size_t size = 0, have;
	enum wire_result r;

	if (full)
		in.n = TLS_HELLO_MAX;
	if ((r = read_record(in, &size)) != WIRE_DONE)
		return r;
	have = in.n - RECORD_HEADER;
	if (have > size) {
		/* More than one record is there, which is the greeting in pieces or what a client sends right after it. */
		r = read_message((const uint8_t *)in.p + RECORD_HEADER, size, size, &f);
		if (r == WIRE_MORE)
			r = parse_pieces(in, ret);
		else if (r == WIRE_DONE)
			r = finish(&f, RECORD_HEADER + size, ret);
	} else {
		r = read_message((const uint8_t *)in.p + RECORD_HEADER, have, size, &f);
		if (r == WIRE_DONE)
			r = finish(&f, RECORD_HEADER + size, ret);
	}
	return r == WIRE_MORE && full ? WIRE_BAD : r;
}
