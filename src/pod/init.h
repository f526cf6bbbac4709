/* The first process of a container. */
#ifndef STOCKADE_POD_INIT_H
#define STOCKADE_POD_INIT_H

#include <sys/types.h>

/* As early as /proc is at hand: what the command line said is not for the container's eyes. */
void init_hide_arguments(void);
/* Reaps, forwards signals to the program, and ends as it ended. All signals are blocked. */
_Noreturn void init_run(pid_t program);
/* The same where the program is process 1 of a pid namespace below, from which the kernel keeps every signal that it has no handler
 * for: what would end any other program ends it, too. */
_Noreturn void init_run_below(pid_t program);

#endif
