/* What container_start and container_enter share: from a process with the host's power to one that has none, and to the program. */
#ifndef STOCKADE_POD_PROCESS_H
#define STOCKADE_POD_PROCESS_H

#include "pod/container.h"

struct cgroup;
struct filter_copy;

/* First thing in a new child: default signal handlers, all signals blocked, nothing of it to be seen by others, killed before the
 * host is out of memory. */
int process_begin(struct err *err);
/* With the host's power: the container's cgroup, the pod's network namespace, the volumes' trees taken (ret_trees has room for
 * spec->mount_count), new mount, ipc, uts and cgroup namespaces, the host name. */
int process_enter_pod(const struct container_spec *spec, const struct cgroup *cgroup, int *ret_trees, struct err *err);
/* In the container's namespaces, the user namespace last: user, groups, keyring, capabilities, no_new_privs, seccomp. One-way. */
int process_restrict(uint32_t uid, uint32_t gid, const struct filter_copy *filters, struct err *err);
/* Dies when the caller of container_start or container_enter does. `parent` is a pidfd of it. */
int process_die_with(int parent, struct err *err);
/* By the caller, before it forks: anonymous pipes among stdio become the program's own, so that it may open /dev/stdout and the
 * like anew; files and terminals stay whose they are. */
void process_give_pipes(const struct container_spec *spec);
/* Session, terminal, stdio, limits, working directory, and no file but stdio and `report`. */
int process_settle(const struct container_spec *spec, int report, struct err *err);
/* Executes it, or returns -1. */
int process_execute(const struct container_spec *spec, struct err *err);

/* A pipe, close-on-exec, whose writing end is out of the way of stdio. */
int process_pipe(int ret[static 2], struct err *err);
/* Over a pipe whose writing ends close by exec: says what went wrong, and ends the process. */
_Noreturn void process_fail(int report, const struct err *err);
/* 0 when all writing ends closed without a word. */
int process_await(int report, struct err *err);
/* Until it is gone. */
void process_reap(pid_t pid);

#endif
