/* A worker: one thread, one loop, everything it touches its own. Others reach it by a command queue (worker.c). Listeners are
 * watched by every worker (EPOLLEXCLUSIVE); a pod's DNS and drop sockets by one of them.
 *
 * The policy: a generation is one immutable object; each worker holds one reference to the one it decides by. Adopting another
 * happens between batches of events and re-judges every open connection (conn_rejudge), so that whatever a worker does, and all
 * that is open in it, stands under its present generation; no connection holds a reference of its own. */
#ifndef STOCKADE_GATE_WORKER_H
#define STOCKADE_GATE_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "gate/audit.h"
#include "gate/flow.h"
#include "gate/protocol.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/own.h"
#include "net/pump.h"
#include "net/resolve.h"
#include "policy/snapshot.h"

/* WORKER_PIPES_MAX: beyond, tunnels go through buffers. Lines of one client about refused names, packets, requests and what is over
 * a limit: a second. */
enum {
	WORKERS_MAX = 64,
	WORKER_PIPES_MAX = 64,
	CLIENT_DNS_LINES = 200,
	CLIENT_DROP_LINES = 200,
	CLIENT_DENIED_LINES = 200,
	CLIENT_LIMIT_LINES = 1,
	SOCKETS_FREE = 16,          /* connections of a client whose sockets' buffers grow as the kernel finds right */
	SOCKETS_ROOMY = 512,        /* connections of a client after these have less room */
	SOCKET_ROOMY_BYTES = 65536, /* in each direction of a socket; the kernel counts its own needs with it and doubles it */
	SOCKET_SMALL_BYTES = 16384,
};

/* Connections over all clients and workers, bounded by the fds of the process; one to the pods' resolver and a second
 * attempt to connect to a server count as well, and a pod's listeners as BUDGET_A_POD. A client may have four times as many as are still
 * free: alone it gets four fifths of all, n that grow together 4/(4n + 1) each, so that some are left for whoever comes next. */
enum { BUDGET_A_POD = 2 };

struct budget {
	unsigned max;
	_Atomic unsigned open;
};

struct generation {
	struct snapshot snapshot;
	char project[64];
	_Atomic unsigned references;
};

/* Maps a sealed memfd read-only. NULL, with a line in the log, when it is not one, or no policy. The fd stays the caller's. */
struct generation *generation_map(int fd, uint64_t number, const char *hash, const char *project, unsigned references);
void generation_release(const struct generation *g); /* the last one unmaps it; NULL-safe */

/* How many of a kind there were in this second. Starts zeroed. */
struct rate {
	uint64_t since_ms;
	unsigned count;
};

/* Counts one more; false: it is one too many. */
static inline bool rate_take(struct rate *r, uint64_t now_ms, unsigned a_second)
{
	if (now_ms - r->since_ms >= 1000)
		*r = (struct rate) { .since_ms = now_ms };
	if (r->count >= a_second)
		return false;
	r->count++;
	return true;
}

struct conn;
struct dns_conn;
struct conn_pools; /* gate/conn.c: buffers and scratch of this worker */

/* An attached pod as one worker sees it: the identity. It outlives its connections (freed after a detach has closed them all). */
struct client {
	struct client *next;
	uint32_t id;
	char name[64];
	uint32_t number;      /* in the worker's present generation; CLIENT_NONE: everything is denied (unknown-client) */
	unsigned connections; /* open in this worker; kept by conn.c */
	int socket_buffers; /* bytes for each direction of the next socket, the less the more connections there are; 0: as the kernel
				     * finds right */
	struct dns_conn *dns_conns; /* open in this worker; kept by dns.c, as the next */
	unsigned dns_conn_count;
	struct buffer_account buffers; /* in this worker */
	struct dial_room second;       /* attempts to connect beside another, under way in this worker */
	struct rate dns_lines, drop_lines, denied_lines, limit_lines; /* in the log */
	struct rate heads;
	struct resolver_client *names;
};

struct worker {
	unsigned index;
	struct loop *loop;
	struct resolver *resolver;
	struct own own;
	struct pipe_pool *pipes;
	struct audit *audit;
	const struct generation *generation; /* NULL before the first: nothing is attached then */
	struct gate_limits limits;           /* of rates: this worker's part */
	struct gate_counters counters;       /* written by this worker only; read by others, so counted with worker_count() */
	struct client *clients;
	struct conn *conns; /* all open ones, kept by conn.c */
	struct conn_pools *pools;
	bool draining;
	struct worker_queue *queue; /* worker.c */
};

/* Adds to a counter of this worker (relaxed; single writer). */
static inline void worker_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Likewise, of what is open now. */
static inline void worker_gauge(uint32_t *gauge, int change)
{
	__atomic_store_n(gauge, *gauge + (uint32_t)change, __ATOMIC_RELAXED);
}

/* May one more line be written? If not it counts as dropped. */
static inline bool worker_may_log(struct worker *w, struct rate *r, unsigned a_second)
{
	if (rate_take(r, loop_now_ms(w->loop), a_second))
		return true;
	worker_count(&w->counters.log_dropped, 1);
	return false;
}

static inline void worker_limited(struct worker *w, enum gate_limit l)
{
	worker_count(&w->counters.limited[l], 1);
}

/* Counts a request head or TLS greeting of a client. False: it is one too many in this second. */
static inline bool worker_may_head(struct worker *w, struct client *c)
{
	if (rate_take(&c->heads, loop_now_ms(w->loop), w->limits.of[LIMIT_HEADS_PER_SECOND]))
		return true;
	worker_limited(w, LIMIT_HEADS_PER_SECOND);
	return false;
}

/* Turns an accepted connection away: reset, counted, logged with reason limit. Takes fd. */
void worker_refuse(struct worker *w, struct client *c, int fd, enum adapter adapter);

/* --- for the control loop --- */

/* A pod's listening sockets: the fds are the same in all workers, closed by the last that lets go. */
struct listeners;
struct listeners *listeners_new(const int fds[static GATE_LISTENER_COUNT],
				unsigned references); /* NULL: out of memory; takes the fds if not */

enum command_kind { COMMAND_ADOPT, COMMAND_ATTACH, COMMAND_DETACH, COMMAND_DRAIN };

/* What all workers are to do. One is under way at a time; it stays as it is until `pending` is 0. */
struct command {
	enum command_kind kind;
	uint32_t id;                         /* ATTACH, DETACH */
	char name[64];                       /* ATTACH */
	struct listeners *listeners;         /* ATTACH: a reference for each worker */
	const struct generation *generation; /* ADOPT: likewise */
	_Atomic unsigned pending;            /* workers that have not done it yet */
	_Atomic unsigned revoked;            /* ADOPT */
	atomic_bool failed;                  /* the gate cannot go on */
};

struct worker_options {
	unsigned index, count;
	const char *servers;              /* of names: resolver_new */
	const struct gate_limits *limits; /* NULL: the defaults */
	struct audit *audit;
	struct budget *budget;
	const int *host; /* a socket, as own.h says; NULL: none */
	int acknowledge; /* eventfd, written when a command is done and when a drain is */
};

/* 0 or -1; after -1 too, worker_free frees what there is. *w stays where it is until then. */
int worker_init(struct worker *w, const struct worker_options *o, struct err *err);
int worker_start(struct worker *w, struct err *err); /* its thread */
void worker_post(struct worker *w, struct command *c);
bool worker_drained(const struct worker *w); /* any thread */
void worker_join(struct worker *w);          /* closes all it has, ends the thread; not started: nothing */
void worker_free(struct worker *w);

#endif
