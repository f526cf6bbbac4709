/* The same list as a profile for OCI runtimes. Without the exceptions of ioctl (typing on somebody else's terminal): a list cannot
 * hold these, and a runtime's container never shares a terminal with the host. */
#include <stddef.h>
#include <string.h>

#include "base/arena_text.h"
#include "guard/guard.h"
#include "guard/seccomp_rules.h"

struct profile {
	struct seccomp_sink sink;
	bool gvisor;
	struct arena_text text; /* in an arena of its own: a copy for each rule would be a millisecond of every start */
};

static const char *arguments(const struct scmp_arg_cmp *args, unsigned count, struct arena *a)
{
	const char *text = "";

	/* Every condition of the list compares under a mask. */
	for (unsigned i = 0; i < count; i++)
		text = arena_printf(a, "%s%s{\"index\":%u,\"value\":%llu,\"valueTwo\":%llu,\"op\":\"SCMP_CMP_MASKED_EQ\"}", text,
				    i ? "," : "", args[i].arg, (unsigned long long)args[i].datum_a,
				    (unsigned long long)args[i].datum_b);
	return text;
}

/* Files' modes that are in memory, or calls in a ring, unseen by any filter: nobody's there, gVisor's own included. */
static bool hides_arguments(const char *name)
{
	return strcmp(name, "fchmodat2") == 0 || strcmp(name, "openat2") == 0 || strncmp(name, "io_uring_", 9) == 0;
}

static int add_rule(struct seccomp_sink *s, int error, const char *name, const struct scmp_arg_cmp *args, unsigned count,
		    struct err *err)
{
	struct profile *p = (struct profile *)s; /* its first member */

	if (error && p->gvisor && hides_arguments(name))
		return 0;
	const char *action = error && !p->gvisor ? arena_printf(p->text.arena, "\"SCMP_ACT_ERRNO\",\"errnoRet\":%d", error)
						 : "\"SCMP_ACT_ALLOW\"";

	/* gVisor has a name of its own for it; the others pass over what they do not know. */
	const char *alias = strcmp(name, "pselect6") == 0 ? "\",\"pselect" : "";

	arena_text_add(&p->text, "%s\n{\"names\":[\"%s%s\"],\"action\":%s,\"args\":[%s]}", p->text.n ? "," : "", name, alias,
		       action, arguments(args, count, p->text.arena));
	return 0;
}

static const char *write_profile(bool gvisor, struct arena *a, struct err *err)
{
	struct arena scratch = { 0 };
	struct profile p = { .sink = { add_rule }, .gvisor = gvisor, .text.arena = &scratch };
	const char *whole = NULL;

	if (seccomp_rules_walk(&p.sink, false, err) == 0)
		whole = arena_printf(a, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":[%s]}\n",
				     p.text.p);
	arena_free(&scratch);
	return whole;
}

const char *guard_seccomp_profile(struct arena *a, struct err *err)
{
	return write_profile(false, a, err);
}

const char *guard_seccomp_profile_gvisor(struct arena *a, struct err *err)
{
	return write_profile(true, a, err);
}
