/* Is an address one of this host's own? Asked of the kernel's routing each time, so that it is never stale, and without a packet: a datagram
 * socket that is connected to a local address gets that address as its own (RFC 6724 5, rule 1). */
#ifndef STOCKADE_NET_OWN_H
#define STOCKADE_NET_OWN_H

#include <stdbool.h>

#include "base/err.h"
#include "policy/address.h"

struct own {
	int v4, v6; /* datagram sockets that never send; v6 -1: the host has no IPv6 */
};

int own_open(struct own *o, struct err *err);
/* Also true when it cannot be told. An address without a route is not the host's own. */
bool own_has(const struct own *o, const struct ip_addr *a);
void own_close(struct own *o); /* twice is fine */

#endif
