/* Containers that an OCI runtime runs (crun, runc, runsc). Each has a keeper, a child of the caller: process 1 of a pid namespace that
 * the container's own is below. The keeper builds the root file system as for any other container, in a mount namespace of its own
 * where the bundle and the runtime's state are too, enters the pod's network and user namespace, and runs the runtime in there: a
 * runtime has no right on the host. When the keeper ends, by itself or by force, all of it ends and nothing is left but the cgroup. */
#ifndef STOCKADE_POD_RUNTIME_H
#define STOCKADE_POD_RUNTIME_H

#include "pod/container.h"

enum { RUNTIME_START_MS = 30000 };

/* As container_start, with spec->runtime: the keeper's pid. Signals to it go to the program, and it ends as the program does.
 * *ret_first: a pidfd of the container's first process; with runsc, which shows nobody what runs in it, of its sandbox. */
pid_t runtime_start(const struct container_spec *spec, int *ret_first, struct err *err);
/* For container_enter, in the keeper's namespaces: from the host's power to that of the pod's root; then becomes the runtime's own exec of
 * spec->argv, or returns -1. */
int runtime_restrict(struct err *err);
int runtime_execute(const struct container_spec *spec, struct err *err);

/* runsc writes to a file from its beginning on, whatever is there already: a copy of the spec whose stdio, where it is a file, is opened
 * anew, to be written at its end. ret_opened: the new fds, or -1; the caller closes them. */
struct container_spec runtime_append(const struct container_spec *spec, int ret_opened[static 3]);
/* After the program has ended: who writes to the caller's own files from now on writes behind what it has written. */
void runtime_appended(const struct container_spec *spec);

/* The spec's program in the container's root (an fd): ERR_INPUT, in the words of container_start, when it is not there. */
int runtime_look_for_program(const struct container_spec *spec, int root, struct err *err);

/* What the runtime has made is looked at before its program starts, and once more after: the namespaces, the capabilities,
 * no_new_privs, the system-call filter. (runtime_check.c) */
int runtime_check_created(pid_t first, const struct oci_runtime *r, ino_t *ret_program, struct err *err);
/* program: what the first process executed before the start. */
int runtime_check_started(pid_t first, const struct oci_runtime *r, ino_t program, struct err *err);

#endif
