/* HTTP/1.x message heads (RFC 9112), strictly: whatever a second parser might read differently is refused. Pure; no copies:
 * every span points into the bytes given. Call again with more bytes after WIRE_MORE (the parser keeps no state): a head that
 * is not whole costs a search for line ends and a look at its first bytes, so garbage is refused before it ends. */
#ifndef STOCKADE_WIRE_HTTP_HEAD_H
#define STOCKADE_WIRE_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/wire.h"

enum {
	HTTP_HEAD_MAX = 64 * 1024,
	HTTP_FIELDS_MAX = 256,
	HTTP_METHOD_MAX = 32,
	HTTP_CONNECTION_OPTIONS_MAX = 32,
	HTTP_MAX_FORWARDS_MOST = 100
};

struct http_field {
	struct span name, value; /* value without surrounding OWS */
};

enum http_framing { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_CLOSE /* replies only */ };

struct http_head {
	/* request */
	struct span method, target;
	/* reply */
	uint16_t status;
	struct span reason;
	/* both */
	uint8_t minor; /* HTTP/1.minor: 0 or 1 */
	struct http_field fields[HTTP_FIELDS_MAX];
	uint16_t field_count;
	size_t size; /* bytes of the head with its empty line */
	enum http_framing framing;
	uint64_t length;      /* when HTTP_BODY_LENGTH */
	bool persistent;      /* by version and Connection */
	bool expect_continue; /* request: HTTP/1.1 with a body to come */
	struct span host;     /* request: the one Host field; p NULL if absent (1.0) */
	struct span upgrade;  /* p NULL if absent, not named by Connection, there twice or in HTTP/1.0: then it is no wish */
	uint64_t hop_by_hop[HTTP_FIELDS_MAX / 64]; /* a bit a field; see http_field_is_hop_by_hop */
};

/* WIRE_DONE with *ret filled, WIRE_MORE, or WIRE_BAD with *ret_bad = what was odd (http_bad_text). *ret is scratch until
 * WIRE_DONE. Both empty-line-before-request tolerance and bare LF are refused. */
enum wire_result http_request_parse(struct span in, struct http_head *ret, enum http_bad *ret_bad);
/* for_head: the request was HEAD; for_connect: CONNECT (decides framing, RFC 9112 6.3). 1xx heads are parsed as any other.
 * A 204 that announces a body is read without one, and its connection is not persistent. */
enum wire_result http_reply_parse(struct span in, bool for_head, bool for_connect, struct http_head *ret, enum http_bad *ret_bad);
/* True when field i must not be forwarded: Connection, what Connection names, Keep-Alive, Proxy-*, TE, Transfer-Encoding,
 * Upgrade; for requests Host (written anew) and the Expect of HTTP/1.0; for 1xx and 204 Content-Length. */
bool http_field_is_hop_by_hop(const struct http_head *h, size_t i);
/* Max-Forwards of a TRACE or OPTIONS, which alone heed it (RFC 9110 7.6.2), HTTP_MAX_FORWARDS_MOST at most. -1: not there; -2: no number,
 * or there twice. */
int http_max_forwards(const struct http_head *h);
const struct http_field *http_field_find(const struct http_head *h, struct span name); /* the first; NULL */

#endif
