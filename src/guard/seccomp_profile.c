/* The same list as a profile for OCI runtimes. Without the exceptions of ioctl (typing on somebody else's terminal): a list cannot
 * hold these, and a runtime's container never shares a terminal with the host. */
#include <stddef.h>

#include "guard/guard.h"
#include "guard/seccomp_rules.h"

struct profile {
	struct seccomp_sink sink;
	struct arena *arena;
	const char *text;
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

static int add_rule(struct seccomp_sink *s, int error, const char *name, const struct scmp_arg_cmp *args, unsigned count,
		    struct err *err)
{
	struct profile *p = (struct profile *)s; /* its first member */
	const char *action = error ? arena_printf(p->arena, "\"SCMP_ACT_ERRNO\",\"errnoRet\":%d", error) : "\"SCMP_ACT_ALLOW\"";

	p->text = arena_printf(p->arena, "%s%s\n{\"names\":[\"%s\"],\"action\":%s,\"args\":[%s]}", p->text, p->text[0] ? "," : "",
			       name, action, arguments(args, count, p->arena));
	return 0;
}

const char *guard_seccomp_profile(struct arena *a, struct err *err)
{
	struct arena scratch = { 0 };
	struct profile p = { { add_rule }, &scratch, "" };
	const char *whole = NULL;

	if (seccomp_rules_walk(&p.sink, false, err) == 0)
		whole = arena_printf(a, "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,\"syscalls\":[%s]}\n", p.text);
	arena_free(&scratch);
	return whole;
}
