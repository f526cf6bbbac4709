/* Limits of a container: control groups, version 2 where its controllers are at hand, else version 1. */
#ifndef STOCKADE_POD_CGROUP_H
#define STOCKADE_POD_CGROUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { CGROUP_MAX = 5 }; /* directories that one container can have: two of version 2, one for each controller of version 1 */

struct cgroup_limits {
	uint64_t memory;    /* bytes, 0 none */
	uint32_t cpu_milli; /* 0 none */
	uint32_t pids;      /* 0: the default, where it can be had */
};

/* Open files: whoever writes "0" there is in. */
struct cgroup {
	int procs[CGROUP_MAX];
	size_t count;
};

/* Makes the directories `name` and sets the limits; a leftover of that name is removed first, with what runs in it. A limit that
 * was asked for and cannot be set is an error, with nothing left behind. */
int cgroup_make(struct cgroup *c, const char *name, const struct cgroup_limits *limits, struct err *err);
/* Those that are there. */
int cgroup_open(struct cgroup *c, const char *name, struct err *err);
void cgroup_close(struct cgroup *c);
/* The calling process, of one thread, joins. */
int cgroup_join(const struct cgroup *c, struct err *err);
/* Kills what is left in them and removes them; waits for a second at most. */
void cgroup_remove(const char *name);

#endif
