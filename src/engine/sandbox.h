/* The one-shot sandbox of `stockade run`: a gate, one pod and one container that live as long as the call, without a supervisor.
 * Whatever ends the call, also SIGKILL, ends all of it. */
#ifndef STOCKADE_ENGINE_SANDBOX_H
#define STOCKADE_ENGINE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "gate/limits.h"
#include "plan/oci.h"
#include "policy/snapshot.h"

struct sandbox_volume {
	const char *path; /* on the host; the same path inside */
	bool read_only;
};

struct sandbox_options {
	const char *const *argv;  /* NULL-terminated */
	const char *const *env;   /* NULL-terminated NAME=VALUE, after PATH, HOME, TERM and the proxy variables */
	const struct rule *rules; /* what it may reach */
	size_t rule_count;
	const struct sandbox_volume *volumes;
	size_t volume_count;
	const struct oci_runtime *runtime; /* that runs it; NULL: none */
	const char *cwd;                   /* inside; it lies in a volume, or NULL: / */
	const char *const *dns;            /* NULL-terminated; NULL: the host's resolv.conf */
	const struct gate_limits *limits;  /* of the gate; NULL: the defaults */
	const char *log;                   /* a file for the decision log, or NULL: none */
	uint64_t memory_limit;             /* bytes, 0 none */
	uint32_t pids_limit;               /* 0: the default */
	uint32_t timeout_ms;               /* 0 none */
};

/* stdin, stdout and stderr of the caller are the program's (a terminal too). Returns the program's exit code (128+signal), 124
 * after the time limit (SIGTERM, then SIGKILL after 2 s), or -1 with err. SIGINT, SIGTERM, SIGHUP and SIGQUIT of the caller go to
 * the program. */
int sandbox_run(const struct sandbox_options *o, struct err *err);

#endif
