/* A child process, watched by the loop through its pidfd: told once when it has ended. */
#ifndef STOCKADE_PROCESS_CHILD_H
#define STOCKADE_PROCESS_CHILD_H

#include <sys/types.h>

#include "base/err.h"
#include "net/loop.h"

struct child { /* starts zeroed; embedded in its owner */
	struct source source;
	struct loop *loop;
	pid_t pid;                                       /* 0: none */
	void (*ended)(struct child *c, int wait_status); /* the child is reaped; c may be used again or freed in it */
};

/* pid: a child of this process that nobody else waits for. On failure it is killed and reaped. */
int child_watch(struct child *c, struct loop *l, pid_t pid, void (*ended)(struct child *c, int wait_status), struct err *err);
void child_signal(struct child *c, int number); /* nothing to do when there is none */
/* Ends it now: killed, reaped (if that takes no longer than CHILD_END_MS), forgotten; ended() is not called. */
enum { CHILD_END_MS = 2000 };
void child_kill(struct child *c);

/* Forks. In the child (0): dies with the parent, default signals, nothing blocked. -1: err. */
pid_t child_fork(struct err *err);
/* As exit codes go: 0-255, 128 + signal. */
int child_exit_code(int wait_status);

#endif
