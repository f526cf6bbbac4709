/* The policy as a configuration of HAProxy (2.6 or later, with Lua): one frontend a pod, on listeners that it inherits, so that the
 * socket a connection came in on is the identity, here too. Every byte that is written is one of ours or was checked against an
 * alphabet that means nothing to HAProxy; what is not refuses the whole. Pure. */
#ifndef STOCKADE_PLAN_HAPROXY_H
#define STOCKADE_PLAN_HAPROXY_H

#include "base/err.h"
#include "policy/snapshot.h"

/* Where HAProxy finds its files and keeps its own sockets; nobody else sees either. */
#define HAPROXY_DIR    "/gate"
#define HAPROXY_RUN    "/run"
#define HAPROXY_CONFIG "haproxy.cfg"
/* What its ready.lua writes to standard output, a line a thread, once it serves. */
#define HAPROXY_READY "ready\n"

/* A pod whose list has more kinds of entries (allow or deny, how it matches, its set of ports) than this is refused: each kind costs
 * every request a look-up. */
enum { HAPROXY_GROUPS_MAX = 128 };

struct haproxy_pod {
	const char *name;
	int tcp4, tcp6; /* fds of the listeners, as the process inherits them */
};

struct haproxy_server {
	struct ip_addr address;
	uint16_t port;
};

/* In ms. */
struct haproxy_times {
	uint32_t first_byte, head, idle, reach, exchange, tunnel;
};

struct haproxy_input {
	const char *project;
	const struct snapshot *policy;
	struct ip_addr gate_v4, gate_v6; /* a connection to these is explicit proxy use */
	const struct haproxy_pod *pods;
	size_t pod_count;
	const struct haproxy_server *servers; /* of names */
	size_t server_count;
	const struct ip_net *own; /* what is delivered to the host itself */
	size_t own_count;
	struct haproxy_times times;
	unsigned threads;     /* 0: one */
	unsigned connections; /* of a pod */
	int log;              /* fd of a pipe: no line is longer than what goes into one at once */
};

struct haproxy_file {
	const char *name;
	struct span text;
};

struct haproxy_files {
	struct haproxy_file *items; /* HAPROXY_CONFIG is one of them */
	size_t count;
};

/* All in the arena. -1: why it cannot be. */
int plan_haproxy(const struct haproxy_input *in, struct arena *a, struct haproxy_files *ret, struct err *err);

/* The Lua that answers CONNECT; how a configuration uses it is told in its head. */
struct span plan_haproxy_connect_lua(void);

#endif
