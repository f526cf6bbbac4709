/* One state a kind of byte that may come next. Data is skipped in one stride, all else is looked at byte by byte.
 *
 *   SIZE -> [EXTENSIONS] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE
 *                                 \-> (size 0) TRAILER -> TRAILER_NAME -> TRAILER_VALUE -> TRAILER_LF -> TRAILER
 *                                                     \-> END_LF -> END
 *
 * An extension is read by its whole grammar, without blanks: a reader that knows of quotes would go past the line's end in a quote
 * that is left open, and one that does not would stop there.
 *
 *   EXTENSIONS: NAME_START -> NAME -> [VALUE_START -> VALUE or QUOTED <-> ESCAPED, QUOTED -> QUOTED_END] -> (';') NAME_START
 *
 * END and BAD are for ever. A trailer that says how a message is framed, sent on or read is refused (RFC 9110 6.5.1): a receiver
 * that merges trailers into the head would believe it. Of a name only a hash is kept, in `left`, which no data needs by then. */
#include "wire/http_chunked.h"

#include "wire/byte_class.h"

enum { DIGITS_MAX = 15 };

enum state {
	SIZE,       /* also the start: digits counts what came of the number */
	NAME_START, /* these seven: extensions */
	NAME,
	VALUE_START,
	VALUE,
	QUOTED,
	ESCAPED,
	QUOTED_END,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER, /* at the start of a trailer line */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	END,
	BAD,
};

static unsigned hex_value(char c)
{
	return byte_is(c, BYTE_DIGIT) ? (unsigned)(c - '0') : (unsigned)(ascii_lower(c) - 'a') + 10;
}

static enum state step_size(struct http_chunked *c, char b)
{
	if (byte_is(b, BYTE_HEX)) {
		if (c->digits == DIGITS_MAX)
			return BAD;
		c->digits++;
		c->left = c->left << 4 | hex_value(b);
		return SIZE;
	}
	if (c->digits == 0)
		return BAD;
	return b == ';' ? NAME_START : b == '\r' ? SIZE_LF : BAD;
}

/* RFC 9112 7.1.1. Bytes above 0x7f are in no quote. */
static enum state step_extension(enum state s, char b)
{
	const bool token = byte_is(b, BYTE_TOKEN), text = byte_is(b, BYTE_VALUE) && !((uint8_t)b & 0x80);

	switch ((unsigned)s) {
	case NAME_START:
		return token ? NAME : BAD;
	case VALUE_START:
		return token ? VALUE : b == '"' ? QUOTED : BAD;
	case QUOTED:
		return b == '"' ? QUOTED_END : b == '\\' ? ESCAPED : text ? QUOTED : BAD;
	case ESCAPED:
		return text ? QUOTED : BAD;
	case NAME:
	case VALUE:
		if (token)
			return s;
		break;
	default:
		break; /* QUOTED_END */
	}
	return b == ';' ? NAME_START : b == '\r' ? SIZE_LF : s == NAME && b == '=' ? VALUE_START : BAD;
}

/* FNV-1a of the name in lower case. */
static uint64_t hash_step(uint64_t hash, char b)
{
	return (hash ^ (uint8_t)ascii_lower(b)) * UINT64_C(0x100000001b3);
}

static bool is_forbidden(uint64_t hash)
{
	static const char *const names[] = {
		"host",       "content-length", "content_length",    "content-type",      "content-encoding", "content-range",
		"connection", "keep-alive",     "transfer-encoding", "transfer_encoding", "upgrade",          "expect",
		"te",         "trailer",        "proxy-connection",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		uint64_t h = 0;

		for (const char *p = names[i]; *p; p++)
			h = hash_step(h, *p);
		if (h == hash)
			return true;
	}
	return false;
}

static enum state step_trailer_name(struct http_chunked *c, char b)
{
	if (byte_is(b, BYTE_TOKEN)) {
		c->left = hash_step(c->left, b);
		return TRAILER_NAME;
	}
	if (b != ':' || is_forbidden(c->left))
		return BAD;
	c->left = 0;
	return TRAILER_VALUE;
}

static enum state step_trailer(struct http_chunked *c, enum state s, char b)
{
	switch ((unsigned)s) {
	case TRAILER:
		return b == '\r' ? END_LF : byte_is(b, BYTE_TOKEN) ? step_trailer_name(c, b) : BAD;
	case TRAILER_NAME:
		return step_trailer_name(c, b);
	case TRAILER_VALUE:
		return b == '\r' ? TRAILER_LF : byte_is(b, BYTE_VALUE) ? TRAILER_VALUE : BAD;
	case TRAILER_LF:
		return b == '\n' ? TRAILER : BAD;
	default:
		return b == '\n' ? END : BAD; /* END_LF */
	}
}

/* The state after byte b, which is not data. */
static enum state step(struct http_chunked *c, char b)
{
	const enum state s = (enum state)c->state;

	switch (s) {
	case SIZE:
	case NAME_START:
	case NAME:
	case VALUE_START:
	case VALUE:
	case QUOTED:
	case ESCAPED:
	case QUOTED_END:
	case SIZE_LF:
		if (++c->line > HTTP_CHUNK_LINE_MAX)
			return BAD;
		if (s == SIZE)
			return step_size(c, b);
		if (s != SIZE_LF)
			return step_extension(s, b);
		if (b != '\n')
			return BAD;
		c->digits = 0;
		c->line = 0;
		return c->left > 0 ? DATA : TRAILER;
	case DATA_CR:
		return b == '\r' ? DATA_LF : BAD;
	case DATA_LF:
		return b == '\n' ? SIZE : BAD;
	case TRAILER:
	case TRAILER_NAME:
	case TRAILER_VALUE:
	case TRAILER_LF:
	case END_LF:
		return ++c->trailer > HTTP_TRAILERS_MAX ? BAD : step_trailer(c, s, b);
	case DATA:
	case END:
	case BAD:
		break;
	}
	return BAD;
}

enum wire_result http_chunked_feed(struct http_chunked *c, struct span in, size_t *ret_used)
{
	size_t at = 0;

	while (at < in.n && c->state < END) {
		if (c->state == DATA) {
			const size_t n = c->left < in.n - at ? (size_t)c->left : in.n - at;

			at += n;
			c->left -= n;
			if (c->left == 0)
				c->state = DATA_CR;
			continue;
		}
		c->state = (uint8_t)step(c, in.p[at]);
		if (c->state != BAD)
			at++;
	}
	*ret_used = at;
	return c->state == END ? WIRE_DONE : c->state == BAD ? WIRE_BAD : WIRE_MORE;
}
