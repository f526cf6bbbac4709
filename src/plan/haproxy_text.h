/* Inside this room: the lists that a configuration of HAProxy refers to. */
#ifndef STOCKADE_PLAN_HAPROXY_TEXT_H
#define STOCKADE_PLAN_HAPROXY_TEXT_H

#include "base/arena_text.h"
#include "plan/haproxy.h"

/* How a line of the decision log begins, in a log-format (and in a format of ours, so a percent sign is two). */
#define HAPROXY_LOG_TIME \
	"{\"time\":\"%%[date,utime(\"%%Y-%%m-%%dT%%H:%%M:%%S\")].%%[date(0,us),mod(1000000),add(1000000),regsub(^1,)]Z\","

/* Letters, digits, dot, dash and underscore, at least one: what stands for itself everywhere in HAProxy's files. */
bool text_is_plain(const char *s);

/* Rules that are alike but for what they name, and so share a file. */
struct haproxy_group {
	bool deny;
	enum rule_match match;
	uint8_t family; /* RULE_NETWORK: 4, 6 */
	bool single;    /* RULE_NETWORK: one address each */
	uint32_t port_set;
	const uint32_t *ports; /* each first << 16 | last */
	uint32_t port_count;
	uint64_t labels[2]; /* names: bit n of it: one of them has n labels */
	const char *file;   /* its name */
	struct arena_text text;
};

struct haproxy_lists {
	struct haproxy_group *groups;
	size_t count;
};

struct haproxy_frontend {
	struct arena_text *t;
	const struct haproxy_input *in;
	const struct haproxy_pod *pod;
	const struct haproxy_lists *lists;
};

/* The pod's whole section. */
void haproxy_frontend_put(const struct haproxy_frontend *f);

/* Refuses what an old process would still decide. */
void haproxy_put_superseded(struct arena_text *t, bool http);
/* Refuses (txn.reason) requests that a parser after HAProxy's might read otherwise. */
void haproxy_put_unambiguous(struct arena_text *t);

/* The request as it goes on, of txn.name and txn.port: origin-form, a Host of our own writing, nothing that was meant for the gate. */
void haproxy_put_rewriting(struct arena_text *t);

/* The client's rules; pod numbers its files. */
int haproxy_lists_make(const struct snapshot *s, uint32_t client, unsigned pod, struct arena *a, struct haproxy_lists *ret,
		       struct err *err);

#endif
