/* The host's own addresses: whatever its routes deliver to itself. For a list of HAProxy's, and word of their change. */
#ifndef STOCKADE_GATES_HAPROXY_OWN_H
#define STOCKADE_GATES_HAPROXY_OWN_H

#include "base/arena.h"
#include "base/err.h"
#include "net/loop.h"
#include "policy/address.h"

enum { HAPROXY_OWN_SETTLE_MS = 100 };

struct haproxy_own { /* starts zeroed */
	struct source source;
	struct timer settle;
	struct loop *loop;
	void (*changed)(struct haproxy_own *o);
};

struct haproxy_own_list {
	const struct ip_net *nets;
	size_t count;
	uint64_t print; /* the same while the list is, but for link-local addresses of IPv6 */
};

int haproxy_own_find(struct arena *a, struct haproxy_own_list *ret, struct err *err);
/* False also where they cannot be found. */
bool haproxy_own_is(uint64_t print);
/* changed: routes or addresses have; perhaps none of the host's own. */
int haproxy_own_watch(struct haproxy_own *o, struct loop *l, void (*changed)(struct haproxy_own *o), struct err *err);
void haproxy_own_end(struct haproxy_own *o); /* twice is fine */

#endif
