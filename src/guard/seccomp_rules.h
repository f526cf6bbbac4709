/* The container's allow-list, rule by rule; what no rule names is EPERM. */
#ifndef STOCKADE_GUARD_SECCOMP_RULES_H
#define STOCKADE_GUARD_SECCOMP_RULES_H

#include <seccomp.h>
#include <stdbool.h>

#include "base/err.h"

struct seccomp_sink { /* embedded in its owner */
	/* error 0: the call is allowed when all args hold; else it is answered with that errno. 0, or -1 with err. */
	int (*rule)(struct seccomp_sink *s, int error, const char *name, const struct scmp_arg_cmp *args, unsigned count,
		    struct err *err);
};
int seccomp_rules_walk(struct seccomp_sink *s, bool allow_ptrace, struct err *err);

#endif
