/* A program on a terminal of its own, joined to the caller's by copying bytes: the program never holds the caller's terminal, so it
 * can neither read ahead there nor leave it in a strange mode. The caller's terminal is raw while joined, and is put back in any
 * case. */
#ifndef STOCKADE_PROCESS_TERMINAL_H
#define STOCKADE_PROCESS_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

#include "base/err.h"
#include "net/loop.h"
#include "pod/container.h"

enum { TERMINAL_PENDING = 4096 };

struct terminal {             /* starts zeroed: no terminal, everything below does nothing */
	struct source keys;   /* the caller's terminal, read */
	struct source screen; /* the other end of the program's terminal */
	struct loop *loop;
	int channel[2]; /* the program's end comes by it */
	int shown;      /* where the program's output goes */
	struct container_terminal wanted;
	bool open, raw;
	struct termios before;          /* the caller's mode, to be put back */
	char pending[TERMINAL_PENDING]; /* keys that the program's terminal has no room for yet */
	size_t pending_count;
};

/* Which of stdio[] are terminals become one new terminal of the program, made in its container, of the size of the caller's; the others stay
 * what they are. Fills in stdio and terminal of the spec, which is good until terminal_leave. 0, or -1: err. */
int terminal_open(struct terminal *t, const int stdio[static 3], struct container_spec *spec, struct err *err);
/* After the program was started: from now on the loop moves the bytes. */
int terminal_join(struct terminal *t, struct loop *l, struct err *err);
void terminal_resize(struct terminal *t); /* on SIGWINCH */
/* Shows what the program has still written, puts the caller's terminal back, closes. Twice is fine. */
void terminal_leave(struct terminal *t);

/* All of it for a caller without a loop (exec): joins (if there is a terminal), passes SIGINT, SIGTERM, SIGHUP and SIGQUIT on to
 * `child`, a direct child of this process, until it ends, and leaves. Its exit code as child_exit_code has it, or -1 with err. */
int terminal_run(struct terminal *t, pid_t child, struct err *err);

#endif
