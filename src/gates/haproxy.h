/* HAProxy in the gate's place for the pods' TCP (stockade up --gate haproxy); the gate itself goes on answering DNS and writing down
 * refused packets. HAProxy cannot be told anything while it runs, so each change - lists, pods - is a new process, started
 * from newly written files that it has checked itself, with the same listeners. The old one lets go of them and ends with its last
 * connection. The listeners are held here and not by a master of HAProxy's: they are the pods' identity and must outlive every process
 * of HAProxy's, and no process that parses what a pod sends can be the one that holds them. */
#ifndef STOCKADE_GATES_HAPROXY_H
#define STOCKADE_GATES_HAPROXY_H

#include <limits.h>

#include "gate/protocol.h"
#include "gates/haproxy_log.h"
#include "gates/haproxy_own.h"
#include "gates/haproxy_stage.h"
#include "process/child.h"

struct gate_pod;

/* A process that does not serve after HAPROXY_READY_MS is ended; an old one that has not let go of the listeners after HAPROXY_YIELD_MS
 * too. Connections of an older generation of the policy end at the latest HAPROXY_REVOKE_MS after a newer one is in force: HAProxy does
 * not judge them again. At most HAPROXY_OLD_MAX old ones are waited for. */
enum {
	HAPROXY_STAGE_MS = 20000,
	HAPROXY_READY_MS = 20000,
	HAPROXY_YIELD_MS = 2000,
	HAPROXY_REVOKE_MS = 30000,
	HAPROXY_OLD_MAX = 16,
};

enum haproxy_state { HAPROXY_DOWN, HAPROXY_CHECKING, HAPROXY_STARTING, HAPROXY_CHANGING, HAPROXY_SERVING };

struct haproxy_process {
	struct child child;
	struct haproxy_process *next;
	struct haproxy *owner;
	struct source ready;
	struct timer limit;
	struct haproxy_stage stage; /* what it was started from */
	uint64_t since_ms;
	struct deferred end;
};

struct haproxy {
	/* set by the owner before haproxy_start */
	struct loop *loop;
	const char *project, *path; /* the project's run directory */
	struct gate_pod *const *pods;
	/* and from then on; each change is told by haproxy_change */
	const char *const *dns; /* NULL-terminated; NULL: the host's resolv.conf */
	unsigned workers;
	const struct gate_limits *limits;
	int log; /* where decisions are written: haproxy_log */
	/* The generation is in force, or (why) it cannot be. */
	void (*on_adopted)(struct haproxy *x, uint64_t generation, const char *why);
	/* Every change up to this one is served; 0: nothing is served any more. */
	void (*on_served)(struct haproxy *x, uint64_t change);
	/* read by the owner */
	unsigned restarts;
	uint64_t adopted;
	/* its own */
	bool started;
	int policy;
	uint64_t generation;
	char hash[65];
	uint64_t change;
	struct haproxy_stage stage;
	struct child checker;
	struct timer limit, again;
	struct haproxy_process *next, *current, *old; /* starting; serving; on their way out */
	struct haproxy_process *yielding;             /* of the old: not yet without the listeners */
	struct haproxy_own own;
	struct haproxy_log lines;
	unsigned failures;
	struct deferred begin;
};

/* Whether there is one to be run: -1 says what to install. */
int haproxy_find(char path[static PATH_MAX], struct err *err);
int haproxy_start(struct haproxy *x, struct err *err);
/* policy: by fd number, open until it is replaced. -1: none. */
void haproxy_publish(struct haproxy *x, int policy, uint64_t generation, const char *hash);
/* Something else is to be served; its number. */
uint64_t haproxy_change(struct haproxy *x);
void haproxy_log(struct haproxy *x, int log);
enum haproxy_state haproxy_state(const struct haproxy *x);
const char *haproxy_state_word(enum haproxy_state s);
unsigned haproxy_old(const struct haproxy *x); /* how many old ones still carry connections */
void haproxy_stop(struct haproxy *x);

#endif
