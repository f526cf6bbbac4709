/* What a process may still do: capabilities, ids, seccomp, Landlock. Each function is one-way and fails closed: on -1 the caller
 * must not go on. */
#ifndef STOCKADE_GUARD_GUARD_H
#define STOCKADE_GUARD_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

/* No capability in any set, bounding and ambient included, uid 0 special no more (securebits); no_new_privs; read back. Of the
 * calling thread: before any other is started. After guard_set_ids. */
int guard_drop_capabilities(struct err *err);
/* No capability in any set, and no_new_privs: read, whoever has seen to it. The second also: these ids and no group. */
int guard_check_capabilities(struct err *err);
int guard_check_powerless(uid_t uid, gid_t gid, struct err *err);
/* Groups emptied, then gid and uid for good; verified by reading them back. What is permitted stays so, until
 * guard_drop_capabilities has emptied the bounding set with it. */
int guard_set_ids(uid_t uid, gid_t gid, struct err *err);
/* The container's system-call filter (DESIGN 6): an allow-list; sockets only AF_UNIX, AF_INET, AF_INET6 and NETLINK_ROUTE, no
 * SOCK_RAW or SOCK_PACKET; io_uring, clone3, mount API, bpf, keyctl, ... refused; new user namespaces refused; chmod with set-id
 * bits refused; TIOCSTI and TIOCLINUX refused; other architectures killed. Needs no_new_privs. allow_ptrace: for debuggers. */
int guard_seccomp_container(bool allow_ptrace, struct err *err);
/* Compiles that filter now, so that children forked later need not: a millisecond of every start. Single-threaded callers only. */
int guard_seccomp_prepare(bool allow_ptrace, struct err *err);
/* For an OCI runtime and all that it starts, below the filter that it makes of the profile: everything is allowed but a few arguments that
 * a profile cannot say, and what could leave a set-uid file on a volume, go around filters, or leave the pod's network namespace by a
 * socket. Needs no_new_privs, or CAP_SYS_ADMIN. Prepared as above. */
int guard_seccomp_prepare_runtime(struct err *err);
int guard_seccomp_runtime(struct err *err);
/* The same allow-list as a JSON profile for OCI runtimes, in the arena; NULL with err. */
const char *guard_seccomp_profile(struct arena *a, struct err *err);
/* For gVisor, which has only one answer to what is not allowed: what should be told that there is no such call (a thread's start asks
 * for clone3 first) is left to gVisor's own kernel, which has most of these not at all, and the others for nobody but itself; but what
 * hides its arguments from a filter is refused. */
const char *guard_seccomp_profile_gvisor(struct arena *a, struct err *err);
/* The filters of another process, to be put on as they are: to stand where it stands. Needs CAP_SYS_ADMIN and no filter of one's own
 * until then; the process is stopped for a moment. NULL with err; guard_seccomp_free. */
enum { GUARD_FILTERS_MAX = 16 };
struct filter_copy;
struct filter_copy *guard_seccomp_copy(pid_t pid, struct err *err);
int guard_seccomp_put(const struct filter_copy *c, struct err *err);
void guard_seccomp_free(struct filter_copy *c); /* NULL-safe */
/* The gate's filter, on all threads at once: what its loop calls and nothing else. Calls with a file's name answer EACCES
 * (libraries look for their files when they please); any other forbidden call kills the process. Needs no_new_privs. */
int guard_seccomp_gate(struct err *err);
/* Closes every fd except the sorted list `keep`. */
int guard_close_fds_except(const int *keep, size_t count, struct err *err);
/* An empty directory as root and working directory: no file can be opened by name any more. Needs CAP_SYS_ADMIN. */
int guard_empty_root(struct err *err);
/* Makes the mount `root` (attached, in the caller's own mount namespace) the root and working directory; all else is detached. */
int guard_pivot_root(int root, struct err *err);

#endif
