/* One set of HAProxy's files with the listeners that they name: written and checked by HAProxy itself in a child, which may take its
 * time over large lists; then run. HAProxy runs under ids of its own, without capabilities, under the containers' system-call filter,
 * and sees of the host's files only its programs' (/usr and the like) and its own. */
#ifndef STOCKADE_GATES_HAPROXY_STAGE_H
#define STOCKADE_GATES_HAPROXY_STAGE_H

#include "gates/haproxy_own.h"
#include "plan/haproxy.h"
#include "process/child.h"

enum { HAPROXY_ID_FIRST = 0x6fff1000, HAPROXY_ID_MASK = 0xfff, HAPROXY_PATH = 600, HAPROXY_WHY = 600 };

struct haproxy;

struct haproxy_stage {
	uint64_t change, generation;
	char dir[HAPROXY_PATH];
	uid_t id; /* user and group that HAProxy runs as */
	struct arena arena;
	int log, errors;          /* a copy; a file in memory: what the child has to say */
	struct haproxy_pod *pods; /* with copies of the listeners */
	size_t pod_count;
	ino_t *listeners; /* of all of them */
	size_t listener_count;
	struct haproxy_own_list own;
};

/* Takes copies of what is to be served now; the directory is made by the child. */
int haproxy_stage_begin(struct haproxy_stage *s, const struct haproxy *x, struct err *err);
/* In a child: writes the files and has HAProxy check them; the exit code. */
int haproxy_stage_check(const struct haproxy_stage *s, const struct haproxy *x);
/* The last words of the child, as one line. */
void haproxy_stage_why(const struct haproxy_stage *s, char ret[static HAPROXY_WHY]);
/* Starts HAProxy; what it writes to standard output can be read from *ret_out. */
pid_t haproxy_stage_run(const struct haproxy_stage *s, int *ret_out, struct err *err);
/* Whether the process still holds any of the listeners, as far as can be told. */
bool haproxy_stage_held(const struct haproxy_stage *s, pid_t pid);
void haproxy_stage_close(struct haproxy_stage *s);  /* the copies only */
void haproxy_stage_remove(struct haproxy_stage *s); /* these, and the files */

#endif
