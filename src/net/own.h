/* Is an address one of this host's own? Asked of the kernel's routing each time, so that it is never stale, and without a packet: what
 * the route to it is, not which source it would have, since a second address of a network has the first one as its source. */
#ifndef STOCKADE_NET_OWN_H
#define STOCKADE_NET_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "policy/address.h"

struct own {
	int fd; /* asks this network namespace */
	/* The same of another network namespace whose addresses are as much one's own: the host's, of a gate in a pod. -1: none.
	 * Set after own_open; not closed here. */
	int host;
	uint32_t sequence; /* of the last question */
};

/* A socket for struct own, of the network namespace that the caller is in; works without any capability, and can change nothing then.
 * -errno. Nobody else reads from it. */
int own_socket(void);
int own_open(struct own *o, struct err *err);
/* Also true when it cannot be told. An address without a route is not the host's own. */
bool own_has(struct own *o, const struct ip_addr *a);
void own_close(struct own *o); /* twice is fine */

enum own_answer { OWN_YES, OWN_NO, OWN_OTHER /* the answer to another question */ };
/* One datagram of the kernel's. Pure. family: AF_INET or AF_INET6, as asked. */
enum own_answer own_parse(const void *bytes, size_t n, uint32_t sequence, uint8_t family);

#endif
