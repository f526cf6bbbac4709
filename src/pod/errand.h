/* A child that does one thing, hands back its error and its fds, and ends: what must happen in other namespaces, or would change
 * the caller for good, happens there. */
#ifndef STOCKADE_POD_ERRAND_H
#define STOCKADE_POD_ERRAND_H

#include <stddef.h>

#include "base/err.h"
#include "guard/fdpass.h"

/* Runs in the child. 0, or -1 with err; what it put into ret_fds (all -1 before) goes to the caller. */
typedef int errand_fn(void *arg, int *ret_fds, struct err *err);

/* 0 and ret_fds[0..count) as the child left them, close-on-exec; or -1 and ret_fds untouched. count <= FDPASS_MAX. The child dies
 * with the calling thread. */
int errand_run(errand_fn *fn, void *arg, int *ret_fds, size_t count, struct err *err);

#endif
