/* The one canonical form of a destination host (DESIGN 4, "Host canonicalisation"). Every adapter turns what the client
 * sent into a struct host here, and nothing else is ever compared, logged, resolved or dialled. Pure. */
#ifndef STOCKADE_POLICY_HOST_H
#define STOCKADE_POLICY_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "policy/address.h"

enum host_kind { HOST_NAME, HOST_ADDRESS };

struct host {
	enum host_kind kind;
	uint8_t length;      /* of text */
	char text[254];      /* lower case, no trailing dot, NUL-terminated; an address in ip_format's text, no brackets */
	struct ip_addr addr; /* when HOST_ADDRESS */
};

enum host_result {
	HOST_OK,
	HOST_MALFORMED,   /* not a name by our alphabet and lengths -> REASON_MALFORMED_HOST */
	HOST_ODD_ADDRESS, /* an address in a spelling that is not canonical (0x7f.1, 127.1, 2130706433, 0177.0.0.1)
			     -> REASON_ADDRESS_LITERAL, always denied */
};

/* raw: a name, an IPv4 literal, or an IPv6 literal in brackets. *ret is written only on HOST_OK. */
enum host_result host_parse(struct span raw, struct host *ret);
/* An address as host, e.g. the original destination of a captured connection. */
void host_from_address(const struct ip_addr *a, struct host *ret);
bool host_equal(const struct host *a, const struct host *b);
/* "host:port" -> both; port decimal 1-65535, no sign, no leading zero. If no port is there, *ret_port = default_port (0: a
 * port is required, its lack is HOST_MALFORMED). */
enum host_result host_port_parse(struct span raw, uint16_t default_port, struct host *ret, uint16_t *ret_port);
bool port_parse(struct span raw, uint16_t *ret);

#endif
