/* Both messages are a few fixed bytes that say how long the rest is. Each byte is judged as soon as it is there. */
#include "wire/socks.h"

/* Where the bytes of a request stand (RFC 1928 section 4). */
enum { AT_VERSION, AT_COMMAND, AT_RESERVED, AT_TYPE, AT_ADDRESS, PORT_SIZE = 2 };

const char *socks_bad_text(enum socks_bad b)
{
	static const char *const texts[] = {
#define X(constant, text) [SOCKS_BAD_##constant] = (text),
		SOCKS_BADS(X)
#undef X
	};

	_Static_assert(sizeof texts / sizeof *texts == SOCKS_BAD_COUNT, "a text for each");
	return (unsigned)b < SOCKS_BAD_COUNT ? texts[b] : "";
}

static enum wire_result bad(enum socks_bad b, enum socks_bad *ret_bad)
{
	*ret_bad = b;
	return WIRE_BAD;
}

/* VER, NMETHODS, METHODS (section 3). */
enum wire_result socks_greeting_parse(struct span in, struct socks_greeting *ret, enum socks_bad *ret_bad)
{
	const uint8_t *p = (const uint8_t *)in.p;

	if (in.n > 0 && p[0] != SOCKS_VERSION)
		return bad(SOCKS_BAD_VERSION, ret_bad);
	if (in.n > 1 && p[1] == 0)
		return bad(SOCKS_BAD_METHODS, ret_bad);
	if (in.n < 2 || in.n < 2U + p[1])
		return WIRE_MORE;
	*ret = (struct socks_greeting) { memchr(p + 2, SOCKS_METHOD_NONE, p[1]) != NULL, 2U + p[1] };
	return WIRE_DONE;
}

/* From the type on (section 5). *ret_at: where the address begins; *ret_size: its bytes. */
static enum wire_result read_address(struct span in, size_t *ret_at, size_t *ret_size, enum socks_bad *ret_bad)
{
	const uint8_t *p = (const uint8_t *)in.p;

	*ret_at = AT_ADDRESS;
	if (in.n <= AT_TYPE)
		return WIRE_MORE;
	switch (p[AT_TYPE]) {
	case SOCKS_ADDRESS_V4:
		*ret_size = 4;
		return WIRE_DONE;
	case SOCKS_ADDRESS_V6:
		*ret_size = 16;
		return WIRE_DONE;
	case SOCKS_NAME:
		if (in.n <= AT_ADDRESS)
			return WIRE_MORE;
		*ret_at = AT_ADDRESS + 1;
		*ret_size = p[AT_ADDRESS];
		return *ret_size == 0 || *ret_size > SOCKS_NAME_MAX ? bad(SOCKS_BAD_NAME_LENGTH, ret_bad) : WIRE_DONE;
	default:
		return bad(SOCKS_BAD_ADDRESS_TYPE, ret_bad);
	}
}

enum wire_result socks_request_parse(struct span in, struct socks_request *ret, enum socks_bad *ret_bad)
{
	const uint8_t *p = (const uint8_t *)in.p;
	size_t at, size;

	if (in.n > AT_VERSION && p[AT_VERSION] != SOCKS_VERSION)
		return bad(SOCKS_BAD_VERSION, ret_bad);
	if (in.n > AT_RESERVED && p[AT_RESERVED] != 0)
		return bad(SOCKS_BAD_RESERVED, ret_bad);
	const enum wire_result r = read_address(in, &at, &size, ret_bad);

	if (r != WIRE_DONE)
		return r;
	if (in.n < at + size + PORT_SIZE)
		return WIRE_MORE;
	*ret = (struct socks_request) {
		.command = p[AT_COMMAND],
		.type = (enum socks_address_type)p[AT_TYPE],
		.address = { in.p + at, size },
		.port = (uint16_t)(p[at + size] << 8 | p[at + size + 1]),
		.size = at + size + PORT_SIZE,
	};
	return WIRE_DONE;
}

void socks_method_write(enum socks_method m, char ret[static SOCKS_METHOD_SIZE])
{
	ret[0] = SOCKS_VERSION;
	ret[1] = (char)m;
}

/* VER, REP, RSV, ATYP, BND.ADDR, BND.PORT (section 6). */
void socks_reply_write(enum socks_reply r, char ret[static SOCKS_REPLY_SIZE])
{
	memset(ret, 0, SOCKS_REPLY_SIZE);
	ret[0] = SOCKS_VERSION;
	ret[1] = (char)r;
	ret[3] = SOCKS_ADDRESS_V4;
}
