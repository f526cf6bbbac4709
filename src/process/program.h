/* A program of the host that is run for its effect and its words: argv, no shell, a time limit, its output kept. */
#ifndef STOCKADE_PROCESS_PROGRAM_H
#define STOCKADE_PROCESS_PROGRAM_H

#include "base/arena.h"
#include "process/child.h"

struct program {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *env;         /* one variable more, NAME=VALUE; may be NULL */
	int mounts;              /* the mount namespace to run it in; -1: the caller's */
	unsigned limit_ms;       /* then it is killed */
};

enum { PROGRAM_OUTPUT = 4 * 1024 * 1024, PROGRAM_NOT_RUN = 127, PROGRAM_KILLED = 137 };

struct program_call { /* starts zeroed; embedded in its owner */
	struct child child;
	struct timer limit;
	struct loop *loop;
	int out, errors;
	/* code: its exit status. out: what it wrote to standard output. errors: to standard error, made one line, at most a few hundred
	 * bytes. The call may be used again in it. */
	void (*done)(struct program_call *c, int code, const char *out, const char *errors);
};

int program_start(struct program_call *c, struct loop *l, const struct program *p,
		  void (*done)(struct program_call *c, int code, const char *out, const char *errors), struct err *err);
/* Ends it now; done is not called. Idle ones too. */
void program_kill(struct program_call *c);
bool program_runs(const struct program_call *c);

/* The same without a loop: waits. Returns the exit status, or -1; *ret_out, in the arena, is as above; err has what it said when the
 * status is not 0. */
int program_wait(const struct program *p, struct arena *a, const char **ret_out, struct err *err);

#endif
