/* Starting a process in a pod: the walls around it are all up, in this order, before its first instruction (docs/architecture.md).
 * Used by the supervisor for containers, by `exec` and by `verify` for code inside a container. */
#ifndef STOCKADE_POD_CONTAINER_H
#define STOCKADE_POD_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <termios.h>

#include "base/err.h"
#include "plan/manifest.h"
#include "plan/oci.h"

/* A bind mount, an empty tmpfs or given files, at `target` in the container. */
struct container_mount {
	enum { MOUNT_BIND, MOUNT_TMPFS, MOUNT_FILES } kind;
	const char *source; /* MOUNT_BIND: host path, already resolved and checked by the caller; files of host uid 0.. appear as
			       container uid 0.. (idmapped mount); what is mounted below it is not shown */
	int source_fd;      /* MOUNT_BIND: an O_PATH fd to use instead of source, or -1 */
	const char *target;
	bool read_only;
	uint64_t size;            /* MOUNT_TMPFS: bytes; 0: 64 MiB */
	const struct pair *files; /* MOUNT_FILES: name and content, read-only */
	size_t file_count;
};

/* A terminal made from the container's own devpts when the program starts, so that it has a name there. */
enum { CONTAINER_TERMINAL = -2 };
struct container_terminal {
	int channel; /* a SOCK_SEQPACKET socket: the master end comes here (guard/fdpass.h) before the program runs */
	const struct termios *mode; /* NULL: the bytes pass as they are, neither edited nor echoed */
	struct winsize size;
};

struct container_spec {
	const char *hostname;
	const char *hosts, *resolv_conf; /* contents of /etc/hosts and /etc/resolv.conf */
	const char *const *argv;         /* NULL-terminated; argv[0] is looked up in the container's PATH */
	const char *const *envp;
	const char *cwd;     /* NULL: / */
	uint32_t uid, gid;   /* inside, 0-65535 */
	bool read_only_root; /* else / /etc /var /home /root /opt /srv are a writable tmpfs layer; /usr is always read-only */
	const struct container_mount *mounts;
	size_t mount_count;
	uint64_t memory_limit; /* bytes, 0 none */
	uint32_t cpu_limit_milli;
	uint32_t pids_limit; /* 0: 4096 */
	const char *cgroup;  /* unique name, [A-Za-z0-9_.-]+, e.g. "stockade-PROJECT-POD-CONTAINER" */
	uint32_t uid_base;   /* host uid that container uid 0 is; a multiple of 65536 */
	int stdio[3];        /* the process's stdin, stdout, stderr; -1: /dev/null; CONTAINER_TERMINAL: `terminal` */
	const struct container_terminal *terminal; /* NULL: none. When stdin is it, it is the controlling terminal */
	int netns;
	int userns;   /* the pod's user namespace (container_userns), shared by its containers */
	bool foreign; /* container_enter: another runtime has made the container. The process has that one's filters, not ours, is in
				 a cgroup of it only when one is named, and in a user namespace only where it has one */
	const struct oci_runtime
		*runtime;     /* what runs it (pod/keeper.h); NULL: we ourselves. container_enter: whose own exec is the only
					      way in (runsc), pidfd is of the keeper then */
	bool die_with_parent; /* run: PDEATHSIG chain, so that SIGKILL of the parent takes everything down */
};

/* The pod's user namespace: uids and gids 0-65535 inside are uid_base.. outside. An fd, or -1. */
int container_userns(uint32_t uid_base, struct err *err);
/* Starts it. Returns the pid (in the caller's pid namespace) of the container's pid 1, a direct child of the caller: a tiny init
 * that reaps, forwards SIGTERM and friends to the program, and exits with its status (128+signal for a death by signal). Does not
 * return before the program was executed: a program that is not found or not executable is an error here (ERR_INPUT), nothing left
 * behind. */
pid_t container_start(const struct container_spec *spec, struct err *err);
/* Its first part, for pod/keeper.h: looks at the spec, and makes the cgroup. */
struct cgroup;
int container_begin(const struct container_spec *spec, struct cgroup *ret, struct err *err);
/* Frees the cgroup after the container has ended. */
void container_cleanup(const struct container_spec *spec);

/* Of a pidfd, as this process counts; 0, which is nobody, when it has ended. */
pid_t container_pid(int pidfd);
/* More code in a running container (pidfd of its pid 1): joins all its namespaces and cgroup, takes on the same identity and
 * restrictions, then runs fn(arg) and exits with its result, or, if fn is NULL, executes spec->argv. Only argv, envp, cwd, uid,
 * gid, stdio, terminal and cgroup of the spec are used. fn finds no file open but 0, 1 and 2; what runs inside dies with the caller.
 * Returns the pid of a direct child that ends with the status of what ran inside. */
pid_t container_enter(int pidfd, const struct container_spec *spec, int (*fn)(void *arg), void *arg, struct err *err);

#endif
