/* The host's own addresses, for a list of HAProxy's, and word of their change. */
#ifndef STOCKADE_ENGINE_HAPROXY_OWN_H
#define STOCKADE_ENGINE_HAPROXY_OWN_H

#include "base/err.h"
#include "net/loop.h"
#include "policy/address.h"
#include "base/arena.h"

enum { HAPROXY_OWN_SETTLE_MS = 500 };

struct haproxy_own { /* starts zeroed */
	struct source source;
	struct timer settle;
	struct loop *loop;
	uint64_t known;
	void (*changed)(struct haproxy_own *o);
};

int haproxy_own_find(struct arena *a, const struct ip_addr **ret, size_t *ret_count, struct err *err);
int haproxy_own_watch(struct haproxy_own *o, struct loop *l, void (*changed)(struct haproxy_own *o), struct err *err);
void haproxy_own_end(struct haproxy_own *o); /* twice is fine */

#endif
