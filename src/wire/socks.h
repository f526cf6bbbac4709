/* SOCKS 5 (RFC 1928) as far as a proxy for TCP speaks it: read what a client says, write what it is told. Pure; spans point into the
 * bytes given. Call again with more bytes after WIRE_MORE: the parsers keep no state, and refuse at the first byte that is wrong. */
#ifndef STOCKADE_WIRE_SOCKS_H
#define STOCKADE_WIRE_SOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/wire.h"

enum { SOCKS_VERSION = 5, SOCKS_NAME_MAX = 253, SOCKS_METHOD_SIZE = 2, SOCKS_REPLY_SIZE = 10 };
enum socks_method { SOCKS_METHOD_NONE = 0, SOCKS_METHOD_REFUSED = 0xff };               /* section 3 */
enum socks_command { SOCKS_CONNECT = 1, SOCKS_BIND = 2, SOCKS_UDP_ASSOCIATE = 3 };      /* section 4 */
enum socks_address_type { SOCKS_ADDRESS_V4 = 1, SOCKS_NAME = 3, SOCKS_ADDRESS_V6 = 4 }; /* section 5 */

enum socks_reply { /* section 6 */
		   SOCKS_SUCCEEDED,
		   SOCKS_GENERAL_FAILURE,
		   SOCKS_NOT_ALLOWED,
		   SOCKS_NETWORK_UNREACHABLE,
		   SOCKS_HOST_UNREACHABLE,
		   SOCKS_CONNECTION_REFUSED,
		   SOCKS_TTL_EXPIRED,
		   SOCKS_COMMAND_NOT_SUPPORTED,
		   SOCKS_ADDRESS_TYPE_NOT_SUPPORTED,
};

/* X(constant, what is wrong, for the log) */
#define SOCKS_BADS(X)                                                              \
	X(NONE, "")                                                                \
	X(VERSION, "the SOCKS version is not 5")                                   \
	X(METHODS, "the SOCKS greeting offers no way to authenticate")             \
	X(RESERVED, "the reserved byte of the SOCKS request is not 0")             \
	X(ADDRESS_TYPE, "the SOCKS address type is neither IPv4, a name nor IPv6") \
	X(NAME_LENGTH, "the name in the SOCKS request has no bytes or over 253")

enum socks_bad {
#define X(constant, text) SOCKS_BAD_##constant,
	SOCKS_BADS(X)
#undef X
		SOCKS_BAD_COUNT
};

struct socks_greeting {
	bool offers_none; /* "no authentication required" is among the methods */
	size_t size;      /* bytes of it */
};

struct socks_request {
	uint8_t command; /* any: the parser judges the form only */
	enum socks_address_type type;
	struct span address; /* 4 bytes, 16 bytes, or a name of 1 to SOCKS_NAME_MAX bytes of any kind */
	uint16_t port;       /* any */
	size_t size;
};

const char *socks_bad_text(enum socks_bad b);
/* WIRE_DONE with *ret filled, WIRE_MORE, or WIRE_BAD with *ret_bad. What follows the `size` bytes is the caller's. */
enum wire_result socks_greeting_parse(struct span in, struct socks_greeting *ret, enum socks_bad *ret_bad);
enum wire_result socks_request_parse(struct span in, struct socks_request *ret, enum socks_bad *ret_bad);
/* The answer to a greeting, and to a request: its bound address is all zeros, for where a connection leaves is not the client's
 * business. */
void socks_method_write(enum socks_method m, char ret[static SOCKS_METHOD_SIZE]);
void socks_reply_write(enum socks_reply r, char ret[static SOCKS_REPLY_SIZE]);

#endif
