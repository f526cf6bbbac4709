/* A ServerHello begins with type, length, version and a random number, which for a HelloRetryRequest is always the same. Records may
 * cut even these 38 bytes anywhere, so they are put together first. */
#include "wire/tls_server_hello.h"

#include <stdint.h>

enum { RECORD_HEADER = 5, RECORD_MAX = 16384, SEALED_MAX = RECORD_MAX + 256 };
enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23 };
enum { SERVER_HELLO = 2, MESSAGE_HEADER = 4, VERSION_AT = 4, RANDOM_AT = 6, START = 38, BODY_MIN = 38 };

/* SHA-256 of "HelloRetryRequest", RFC 8446 4.1.3 */
static const uint8_t retry_random[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

/* How large the content of a record of this type may be. False: no such type. */
static bool sizes_of(uint8_t type, bool early_data, size_t *ret_least, size_t *ret_most)
{
	*ret_least = 1;
	switch (type) {
	case CHANGE_CIPHER_SPEC:
		*ret_most = 1;
		return true;
	case ALERT:
		*ret_least = *ret_most = 2;
		return true;
	case HANDSHAKE:
		*ret_most = RECORD_MAX;
		return true;
	case APPLICATION_DATA:
		*ret_most = SEALED_MAX;
		return early_data;
	default:
		return false;
	}
}

/* A record's header. *ret_size: of its content. */
static enum wire_result read_header(struct span in, bool early_data, size_t *ret_size)
{
	const uint8_t *p = (const uint8_t *)in.p;
	size_t least, most;

	if (in.n > 0 && !sizes_of(p[0], early_data, &least, &most))
		return WIRE_BAD;
	if ((in.n > 1 && p[1] != 3) || (in.n > 2 && p[2] > 4))
		return WIRE_BAD;
	if (in.n < RECORD_HEADER)
		return WIRE_MORE;
	*ret_size = (size_t)p[3] << 8 | p[4];
	return *ret_size < least || *ret_size > most ? WIRE_BAD : WIRE_DONE;
}

enum wire_result tls_between_parse(struct span in, bool early_data, size_t *ret_size)
{
	*ret_size = 0;
	for (;;) {
		const struct span rest = span_skip(in, *ret_size);
		size_t size = 0;

		if (rest.n && (uint8_t)rest.p[0] == HANDSHAKE)
			return WIRE_DONE;
		const enum wire_result r = read_header(rest, early_data, &size);

		if (r != WIRE_DONE)
			return r;
		if (rest.n - RECORD_HEADER < size)
			return WIRE_MORE;
		*ret_size += RECORD_HEADER + size;
	}
}

struct message {
	uint8_t start[START];
	size_t have;     /* bytes of the message that are there */
	size_t promised; /* bytes of it in the records begun so far */
};

static enum wire_result check_start(const struct message *m, struct tls_server_hello *ret, size_t *ret_end)
{
	const uint8_t *p = m->start;

	if (m->have > 0 && p[0] != SERVER_HELLO)
		return WIRE_BAD;
	if (m->have > 1 && p[1] != 0)
		return WIRE_BAD;
	if (m->have >= MESSAGE_HEADER) {
		*ret_end = MESSAGE_HEADER + ((size_t)p[2] << 8 | p[3]);
		if (*ret_end < MESSAGE_HEADER + BODY_MIN || *ret_end > TLS_RETRY_MAX)
			return WIRE_BAD;
	}
	if (m->have > VERSION_AT && p[VERSION_AT] != 3)
		return WIRE_BAD;
	if (m->have < START)
		return WIRE_MORE;
	ret->retry = memcmp(p + RANDOM_AT, retry_random, sizeof retry_random) == 0;
	return WIRE_DONE;
}

static void add(struct message *m, struct span part)
{
	if (m->have < START)
		memcpy(m->start + m->have, part.p, part.n < START - m->have ? part.n : START - m->have);
	m->have += part.n;
}

static enum wire_result read_records(struct span in, struct tls_server_hello *ret)
{
	struct message m = { .have = 0 };
	size_t at = 0, size = 0, end = 0;

	for (;;) {
		const struct span rest = span_skip(in, at);
		enum wire_result r = rest.n && (uint8_t)rest.p[0] != HANDSHAKE ? WIRE_BAD : read_header(rest, false, &size);

		if (r != WIRE_DONE)
			return r;
		const struct span content = span_skip(rest, RECORD_HEADER);

		m.promised += size;
		add(&m, span_first(content, content.n < size ? content.n : size));
		r = check_start(&m, ret, &end);
		if (r == WIRE_BAD || (r == WIRE_DONE && !ret->retry))
			return r;
		/* A server that asks for another greeting waits for it: nothing follows in the same record. */
		if (r == WIRE_DONE && m.promised > end)
			return WIRE_BAD;
		if (content.n < size)
			return WIRE_MORE;
		at += RECORD_HEADER + size;
		if (r == WIRE_DONE && m.promised == end) {
			ret->size = at;
			return WIRE_DONE;
		}
	}
}

enum wire_result tls_server_hello_parse(struct span in, struct tls_server_hello *ret)
{
	const bool full = in.n >= TLS_RETRY_MAX;

	*ret = (struct tls_server_hello) { .retry = false };
	if (full)
		in.n = TLS_RETRY_MAX;
	const enum wire_result r = read_records(in, ret);

	return r == WIRE_MORE && full ? WIRE_BAD : r;
}
