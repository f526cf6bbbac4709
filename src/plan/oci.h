/* A container as OCI runtimes are told of it: the bundle's config.json, their command lines, and what they say when it goes wrong.
 * The runtime runs inside the pod's user namespace, in its network namespace and with the container's root file system made already
 * (pod/keeper.h), so that none of these is its business. Pure. */
#ifndef STOCKADE_PLAN_OCI_H
#define STOCKADE_PLAN_OCI_H

#include "plan/manifest.h"

/* By what it says of itself; OTHER knows the command line that all are agreed on. */
enum oci_kind { OCI_CRUN, OCI_RUNC, OCI_RUNSC, OCI_OTHER, OCI_KIND_COUNT };

enum { OCI_PATH_MAX = 256 };
struct oci_runtime {
	enum oci_kind kind;
	char path[OCI_PATH_MAX];
	bool overlays; /* runsc: keeps writes to the root to itself unless told otherwise (2023 and later) */
};

/* Where things are in the mount namespace that the runtime runs in. */
#define OCI_DIR     "/run"
#define OCI_BUNDLE  OCI_DIR "/bundle"
#define OCI_ROOTFS  OCI_BUNDLE "/rootfs"
#define OCI_CONFIG  OCI_BUNDLE "/config.json"
#define OCI_STATE   OCI_DIR "/state"
#define OCI_LOG     OCI_DIR "/log"
#define OCI_PID     OCI_DIR "/pid"
#define OCI_CONSOLE OCI_DIR "/console"

struct oci_process {
	const char *const *argv, *const *envp; /* NULL-terminated */
	const char *cwd;                       /* NULL: / */
	uint32_t uid, gid;
	bool terminal;
	uint64_t files_soft, files_hard; /* RLIMIT_NOFILE */
};

struct oci_container {
	struct oci_process process;
	const char *hostname;
	const char *seccomp; /* the profile, JSON */
};

const char *plan_oci_config(const struct oci_container *c, struct arena *a);
/* Of one more process in it: what `exec --process` reads. */
const char *plan_oci_process(const struct oci_process *p, struct arena *a);

enum oci_verb { OCI_CREATE, OCI_START, OCI_EXEC, OCI_VERB_COUNT };
/* A name that no other container of its pod has: runsc has sockets by it in the pod's network namespace. cgroup: the container's. */
const char *plan_oci_id(const char *cgroup, struct arena *a);
/* NULL-terminated. process: of OCI_EXEC, the file with it. */
const char *const *plan_oci_argv(const struct oci_runtime *r, enum oci_verb verb, const char *id, bool terminal,
				 const char *process, struct arena *a);

/* "runc version 1.1.5+ds1": whose words these are. */
enum oci_kind plan_oci_kind(const char *version);
const char *plan_oci_kind_name(enum oci_kind k);
/* What a runtime's log gives as reason: its last words, nothing that a terminal would obey; "" when there are none. */
const char *plan_oci_reason(struct span log, struct arena *a);

#endif
