/* The gate's own thread: hears the supervisor, has the workers do it, answers when all have. */
#ifndef STOCKADE_GATE_CONTROL_H
#define STOCKADE_GATE_CONTROL_H

#include "gate/worker.h"

struct control {
	/* set by the owner */
	struct loop *loop;
	struct audit *audit;
	struct worker *workers;
	unsigned count;
	struct budget budget;
	struct source channel;      /* fd: SOCK_SEQPACKET, non-blocking */
	struct source acknowledged; /* fd: an eventfd, the workers' worker_options.acknowledge */
	/* its own */
	uint64_t generation;       /* that all workers have adopted; 0: none */
	struct attached *attached; /* pods, by id */
	struct command command;
	bool busy;                 /* the command is under way: nothing is read meanwhile */
	struct gate_message reply; /* to be sent when `replying` */
	bool replying, draining;
	struct timer drain_limit;
	bool starved; /* a message waits for free descriptors */
	struct timer receive_again;
	struct err *err; /* why it ended, when `failed` */
	bool failed;
};

/* Says GATE_READY and serves. 0: the supervisor is gone, or a drain is done; -1: it was told wrong things, or cannot go on. */
int control_run(struct control *c, struct err *err);

#endif
