/* The program's terminal, from the container's side. */
#ifndef STOCKADE_POD_TERMINAL_H
#define STOCKADE_POD_TERMINAL_H

#include "pod/container.h"

/* In the container, restricted: makes the pair, sends the master away, gives the other end (close-on-exec), or -1. What is at /dev/pts may have
 * been put there by the pod: it is held to be a devpts, and a fresh terminal of it. */
int terminal_make(const struct container_terminal *t, struct err *err);
/* Sets up the pair of which the caller has the master end, and sends that away. */
int terminal_give(const struct container_terminal *t, int master, struct err *err);

#endif
