/* The egress gate as a process: runs until its channel closes. Started re-executed (`stockade gate-role`) by the supervisor. */
#ifndef STOCKADE_GATE_GATE_H
#define STOCKADE_GATE_GATE_H

#include <stdbool.h>

#include "base/err.h"
#include "gate/limits.h"

struct gate_options {
	int channel;                      /* SOCK_SEQPACKET to the supervisor (gate/protocol.h) */
	unsigned workers;                 /* threads with an epoll loop each; 0: one a core */
	const char *const *dns;           /* "ADDR" or "[ADDR]:PORT", NULL-terminated; empty: the host's resolv.conf */
	const struct gate_limits *limits; /* NULL: the defaults */
	/* It runs in a container that has given up everything for it: own uid, no capabilities, no new privileges, a read-only root with nothing but
	 * this program. That is checked instead of done, and what only the host knows is asked of the supervisor (GATE_HOST). */
	bool contained;
};

/* Reads resolv.conf, then locks itself down (uid, capabilities, no_new_privs, seccomp, no files), says GATE_READY, serves.
 * Returns 0 after a drain or when the supervisor is gone. */
int gate_run(const struct gate_options *o, struct err *err);

#endif
