/* IP addresses and networks: strict parsing, canonical text, and the table of special-purpose addresses (IANA's IPv4 and
 * IPv6 special-purpose registries, multicast, and IPv4 embedded in IPv6). Pure. */
#ifndef STOCKADE_POLICY_ADDRESS_H
#define STOCKADE_POLICY_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct ip_addr {
	uint8_t family;    /* 4 or 6; 0 is no address */
	uint8_t bytes[16]; /* network order; IPv4 in the first four, the rest zero */
};

struct ip_net {
	struct ip_addr addr; /* host bits are zero */
	uint8_t prefix;
};

enum { IP_TEXT_MAX = 46 }; /* with the NUL */

/* Strict: IPv4 is exactly four decimal parts 0-255 without leading zeros; IPv6 as RFC 4291 2.2 in any case and any
 * compression, no zone, no brackets. */
bool ip_parse(struct span text, struct ip_addr *ret);
/* "a.b.c.d", "a.b.c.d/n", IPv6 likewise; host bits set are refused. */
bool ip_net_parse(struct span text, struct ip_net *ret);
/* Canonical text (RFC 5952), NUL-terminated; returns ret. */
char *ip_format(const struct ip_addr *a, char ret[static IP_TEXT_MAX]);
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_in_net(const struct ip_addr *a, const struct ip_net *net);

/* NULL for an ordinary global unicast address; else the registry's short name of what it is ("private-use", "loopback",
 * "link-local", "ipv4-mapped", "nat64", "6to4", "teredo", "documentation", ...). An IPv6 form that embeds an IPv4 address
 * (mapped, compatible, 6to4, NAT64 64:ff9b::/96 and 64:ff9b:1::/48, Teredo) is always special: it is another spelling. */
const char *ip_special(const struct ip_addr *a);
/* The same as networks, one after the other, for those who hand the table on: every special address is in one of them, and no other
 * address. false: there are no more. */
bool ip_special_net(size_t index, struct ip_net *ret);
/* The forms' blocks, likewise. */
bool ip_embedded_net(size_t index, struct ip_net *ret);
/* The IPv4 address inside such a form, and the form's whole block (::ffff:0:0/96, 2002::/16, ...). false: no such form. */
bool ip_embedded(const struct ip_addr *a, struct ip_addr *ret_v4, struct ip_net *ret_form);

#endif
