/* The gate as its keeper sees it: a process that is started, told the policy and every pod's listeners, and started anew at once
 * when it ends. What it was told is kept here, so that a new one is told the same; the listeners stay open meanwhile, so that
 * clients wait instead of being refused. Nothing is attached before the policy was adopted. */
#ifndef STOCKADE_GATES_GATE_LINK_H
#define STOCKADE_GATES_GATE_LINK_H

#include "gate/protocol.h"
#include "gates/haproxy.h"
#include "process/child.h"

enum gate_state { GATE_DOWN, GATE_STARTING, GATE_SERVING, GATE_STOPPING };
/* A gate that has not adopted a policy after GATE_ANSWER_MS is killed and started anew. */
enum { GATE_ANSWER_MS = 10000, GATE_BACKOFF_MS = 50, GATE_BACKOFF_MAX_MS = 5000, GATE_DETACH_MAX = 64 };

struct gate_pod { /* embedded in its owner */
	struct gate_pod *next;
	uint32_t id;
	char name[64];
	const int *listeners; /* GATE_LISTENER_COUNT fds */
	bool sent, attached;
	bool answered, served; /* by the gate; its TCP by HAProxy: both make it attached */
	uint64_t change;       /* of HAProxy's, that brings it */
	void (*on_attached)(struct gate_pod *p);
};

struct gate_link {
	/* set by the owner before gate_link_start */
	struct loop *loop;
	const char *project;
	const char *const *dns; /* NULL-terminated; NULL: the host's resolv.conf */
	unsigned workers;
	const struct gate_limits *limits; /* NULL: the defaults */
	bool outside;                     /* somebody else starts it, and starts it anew; it comes by gate_link_connected */
	struct haproxy *haproxy;          /* it serves the pods' TCP, the gate the rest; NULL: the gate serves all */
	bool quiet;                       /* its diagnostics go nowhere, not to the owner's stderr */
	void (*on_adopted)(struct gate_link *g, uint64_t generation, bool refused, uint32_t revoked);
	void (*on_serves)(struct gate_link *g); /* gate_link_serves() has come true */
	void (*on_status)(struct gate_link *g, const struct gate_counters *c);
	/* read by the owner */
	enum gate_state state;
	unsigned restarts;
	struct child child;
	uint64_t adopted;          /* generation that the present gate serves; 0: none yet */
	char refusal[HAPROXY_WHY]; /* why the last generation was refused; "" when the gate itself did */
	/* its own */
	struct source channel;
	struct timer restart, answer;
	unsigned failures;
	uint64_t started_ms;
	int policy, log;
	uint64_t generation;
	char hash[65];
	bool policy_sent, log_sent, status_wanted;
	struct gate_pod *pods;
	uint32_t next_id;
	uint32_t detached[GATE_DETACH_MAX];
	unsigned detached_count;
};

void gate_link_start(struct gate_link *g);
/* One that runs with other options is to be another; from now on nothing is believed of the present one. */
void gate_link_restart(struct gate_link *g);
/* It serves the policy it was told last, and every pod, as far as that is its own work. */
bool gate_link_serves(const struct gate_link *g);
/* How long one that ended soon, again and again, should wait before it is started anew. */
unsigned gate_link_backoff_ms(const struct gate_link *g);
/* One that runs outside has connected. fd: taken. false: there is one already, or it has gone. */
bool gate_link_connected(struct gate_link *g, int fd, pid_t pid);
/* Limits that are not as usual, as arguments; returns how many words. text: where the words are. */
size_t gate_link_limits(const struct gate_limits *limits, char text[static LIMIT_COUNT][LIMIT_TEXT_MAX], const char **args);
/* Each keeps what it is given by fd number: the fd must stay open until it is replaced. */
void gate_link_publish(struct gate_link *g, int policy, uint64_t generation, const char *hash);
void gate_link_log(struct gate_link *g, int log);
/* From HAProxy (its on_adopted, on_served). */
void gate_link_haproxy_adopted(struct gate_link *g, uint64_t generation, const char *why);
void gate_link_haproxy_served(struct gate_link *g, uint64_t change);
void gate_link_attach(struct gate_link *g, struct gate_pod *p);
void gate_link_detach(struct gate_link *g, struct gate_pod *p); /* idle ones too */
void gate_link_status(struct gate_link *g);
/* Ends it for good; one with a log gets a moment to finish it. */
void gate_link_stop(struct gate_link *g);

#endif
