/* Names to addresses: c-ares, one channel a loop, with a bounded cache by TTL for each who asks, so that nobody is kept from asking by
 * another, nor learns from the time of an answer what another asked. The caller decides first; this room knows no policy.
 * No /etc/hosts, no search domains, no files opened after resolver_new (servers are given). */
#ifndef STOCKADE_NET_RESOLVE_H
#define STOCKADE_NET_RESOLVE_H

#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"
#include "policy/address.h"

enum {
	RESOLVE_ADDRESSES_MAX = 32,
	RESOLVE_CACHE_ENTRIES = 1024, /* of one who asks */
	RESOLVE_TTL_MAX_S = 300,
	RESOLVE_TTL_MIN_S = 1,
	RESOLVE_NEGATIVE_S = 2,
	RESOLVE_TIMEOUT_MS = 5000,
	RESOLVE_IN_FLIGHT_MAX = 1024, /* of all */
	RESOLVE_SHARES = 4            /* one may have so many times as many as are still free: alone 820 */
};

struct resolver;
/* servers: "1.2.3.4", "1.2.3.4:5353", "[::1]:53", comma-separated. */
struct resolver *resolver_new(struct loop *l, const char *servers, struct err *err);
void resolver_free(struct resolver *r); /* outstanding queries are dropped without a callback */
/* The nameserver lines of a resolv.conf as such a list, into ret (ENOENT or none: "127.0.0.1"). */
void resolver_read_resolv_conf(const char *path, char *ret, size_t size);

/* One who asks, e.g. a pod. Its queries are cancelled before it is freed; what is outstanding at the servers then ends unheard. */
struct resolver_client;
struct resolver_client *resolver_client_new(void);    /* NULL: out of memory */
void resolver_client_free(struct resolver_client *c); /* NULL-safe; before resolver_free or after */

struct addresses {
	uint8_t count;
	struct ip_addr list[RESOLVE_ADDRESSES_MAX]; /* in order of RFC 8305: IPv6 first, families alternating */
};

struct query { /* embedded in its owner */
	struct query *next, **prev;
	void *pending;
	void (*done)(struct query *q, const struct addresses *found); /* found NULL: failed or no address; valid during the call */
};

/* A and AAAA of name, asked at once; answers when both are known, or 50 ms after the A answer when AAAA is late (RFC 8305 3).
 * From the cache, done() is called before this returns. Equal questions of one client in flight share one. Over its share of
 * RESOLVE_IN_FLIGHT_MAX: done(NULL). */
void resolve_start(struct resolver *r, struct resolver_client *c, struct query *q, const char *name);
void resolve_cancel(struct resolver *r, struct query *q); /* idle queries too */

#endif
