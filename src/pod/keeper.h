/* Containers that an OCI runtime runs (crun, runc, runsc). Each has a keeper, a child of the caller: process 1 of a pid namespace that
 * the container's own is below. The keeper builds the root file system as for any other container, in a mount namespace and below a root
 * of its own where the bundle and the runtime's state are too, enters the pod's network and user namespace, and runs the runtime in
 * there, under a filter of system calls: it has no right on the host, and sees of it what any container sees. When the keeper ends, by
 * itself or by force, all of it ends and nothing is left but the cgroup. */
#ifndef STOCKADE_POD_KEEPER_H
#define STOCKADE_POD_KEEPER_H

#include "pod/container.h"

enum { KEEPER_START_MS = 30000 };

/* As container_start, with spec->runtime, but only begun: the keeper's pid. Signals to it go to the program, and it ends as the program
 * does. *ret_answer becomes readable when the start has ended, well or not, or the keeper has: keeper_answer. How long that takes is the
 * runtime's matter and, by its cgroup's limits, the pod's: after KEEPER_START_MS it is late, and to be killed. */
pid_t keeper_begin(const struct container_spec *spec, int *ret_answer, struct err *err);
/* Does not wait. *ret_first: a pidfd of the container's first process; with runsc, which shows nobody what runs in it, of its sandbox.
 * -1: the caller kills the keeper and removes the cgroup. */
int keeper_answer(int answer, int *ret_first, struct err *err);
int keeper_late(struct err *err); /* -1: in words */
/* All of it, for who has nothing else to do meanwhile. */
pid_t keeper_start(const struct container_spec *spec, int *ret_first, struct err *err);
/* For container_enter, in the keeper's namespaces: from the host's power to that of the pod's root; then becomes the runtime's own exec of
 * spec->argv, or returns -1. */
int keeper_restrict(struct err *err);
int keeper_execute(const struct container_spec *spec, struct err *err);

/* runsc writes to a file from its beginning on, whatever is there already: a copy of the spec whose stdio, where it is a file, is opened
 * anew, to be written at its end. ret_opened: the new fds, or -1; the caller closes them. */
struct container_spec keeper_append(const struct container_spec *spec, int ret_opened[static 3]);
/* After the program has ended: who writes to the caller's own files from now on writes behind what it has written. */
void keeper_appended(const struct container_spec *spec);

/* With the host's power, in a new mount namespace: what the runtime may see, and in it the container's root, of which an fd is returned.
 * Takes over the trees. (keeper_root.c) */
int keeper_enter_root(const struct container_spec *spec, const int *trees, struct err *err);
/* The spec's program in the container's root (an fd): ERR_INPUT, in the words of container_start, when it is not there. */
int keeper_look_for_program(const struct container_spec *spec, int root, struct err *err);

/* What the runtime has made is looked at before its program starts, and once more after: the namespaces, the capabilities,
 * no_new_privs, the system-call filter. (keeper_check.c) */
int keeper_check_created(pid_t first, const struct oci_runtime *r, ino_t *ret_program, struct err *err);
/* program: what the first process executed before the start. */
int keeper_check_started(pid_t first, const struct oci_runtime *r, ino_t program, struct err *err);

#endif
