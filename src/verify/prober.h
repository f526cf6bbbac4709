/* The processes of a run. Each works through probes in some place and tells its findings, one fixed record each, through a pipe; it
 * ends by itself, is ended when its time is over, and ends with this process. What it says is data: a container's own code may sit
 * next to it. */
#ifndef STOCKADE_VERIFY_PROBER_H
#define STOCKADE_VERIFY_PROBER_H

#include <sys/types.h>

#include "base/err.h"
#include "verify/probe.h"

enum { PROBER_SECONDS = 25 }; /* where no name resolves, each that is asked for takes its time */

struct prober {
	pid_t pid; /* a child; 0: none */
	int pipe;
	bool inside; /* it works next to a container's own code: what it says is taken for its own probes only */
	uint16_t pod;
	struct finding got;
	size_t got_bytes;
};

/* work(arg, out) in a child, in a network namespace unless netns is -1. */
int prober_start(struct prober *p, int netns, void (*work)(void *arg, int out), void *arg, struct err *err);
/* The same inside a container, as its program would be. */
int prober_enter(struct prober *p, const struct subject *s, uint16_t pod, void (*work)(void *arg, int out), void *arg,
		 struct err *err);
void prober_tell(int out, const struct finding *f);
/* Until all have ended, or PROBER_SECONDS from now. */
void prober_collect(struct prober *list, size_t count, void (*found)(void *arg, const struct finding *f), void *arg);
void prober_end(struct prober *p); /* kills it if it is still there */

/* Runs attempt in a child of its own, so that what it does to the process does no harm: its result (0, or an errno up to 200), or
 * -signal. Bounded in time. */
int prober_attempt(int (*attempt)(void *arg), void *arg);

#endif
