/* The jail read back, and who has power over it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/jail.h"
#include "pod/netns.h"
#include "verify/probe_state.h"
#include "verify/prober.h"
#include "verify/proc.h"

static int check(void *arg, int *ret_fds, struct err *err)
{
	return jail_check(arg, err);
}

static const char *ruleset(struct view *v)
{
	return plan_ruleset(v->scene->plan, v->subject->plan, &v->scene->arena);
}

static bool has_plan(const struct view *v, struct finding *f)
{
	if (v->subject->plan && v->subject->netns >= 0)
		return true;
	finding_set(f, v->subject->plan ? SIGHT_UNCLEAR : SIGHT_THROUGH, "%s",
		    v->subject->plan ? v->subject->why
		    : v->scene->plan ? "the manifest on disk does not have this pod any more"
				     : v->scene->why_manifest);
	return false;
}

void jail_in_force(struct view *v, const struct probe *p, struct finding *f)
{
	struct err err = { 0 };

	if (!has_plan(v, f))
		return;
	char *text = arena_strdup(&v->scene->arena, ruleset(v));
	const int rc = netns_run(v->subject->netns, check, text, NULL, 0, &err);

	finding_set(f, rc < 0 ? SIGHT_THROUGH : SIGHT_HELD, "%.180s",
		    rc < 0 ? err.text : "read back, and equal to what the manifest asks for");
}

/* In a namespace of its own: put up, found equal; taken down, found missing. */
static int check_twice(void *arg, int *ret_fds, struct err *err)
{
	if (jail_apply(arg, err) < 0 || jail_check(arg, err) < 0)
		return -1;
	if (jail_apply("delete table inet stockade\n", err) < 0)
		return -1;
	return jail_check(arg, err) < 0 ? 0 : err_set(err, ERR_FINDING, "a jail that was taken down is not missed");
}

void jail_in_force_control(struct view *v, const struct probe *p, struct finding *f)
{
	struct err err = { 0 };

	if (!has_plan(v, f))
		return;
	FD_CLOSE int netns = netns_create(&v->subject->plan->v4, &v->subject->plan->v6, &err);
	char *text = arena_strdup(&v->scene->arena, ruleset(v));
	const int rc = netns < 0 ? -1 : netns_run(netns, check_twice, text, NULL, 0, &err);

	finding_set(f, rc < 0 ? SIGHT_UNCLEAR : SIGHT_THROUGH, "%.180s",
		    rc < 0 ? err.text : "the same rules put up apart are found equal, and missed when they are taken down");
}

/* --- whose the namespace is --- */

static ino_t owner_of(int netns)
{
	FD_CLOSE int owner = ioctl(netns, NS_GET_USERNS);
	struct stat st;

	return owner < 0 || fstat(owner, &st) < 0 ? 0 : st.st_ino;
}

/* No capability, and none to be had: then nobody's namespace is in its power. */
static bool is_powerless(pid_t pid)
{
	struct proc_status s;

	return proc_status(pid, 0, &s) && !s.capabilities && !s.bounding && s.no_new_privs == 1;
}

void jail_owner(struct view *v, const struct probe *p, struct finding *f)
{
	const struct subject *s = v->subject;

	if (s->netns < 0) {
		finding_set(f, SIGHT_UNCLEAR, "%s", s->why);
		return;
	}
	const ino_t owner = owner_of(s->netns);

	if (owner == 0 || s->pid_count == 0) {
		finding_set(f, owner ? SIGHT_ABSENT : SIGHT_UNCLEAR, "%s",
			    owner ? "no container of it runs" : "its owner cannot be told");
		return;
	}
	for (size_t i = 0; i < s->pid_count; i++)
		if (proc_namespace(s->pids[i], "user") == owner && !(v->scene->podman && is_powerless(s->pids[i]))) {
			finding_set(f, SIGHT_THROUGH, "it belongs to the user namespace of process %d, in the container",
				    s->pids[i]);
			return;
		}
	finding_set(f, SIGHT_HELD, "%s",
		    v->scene->podman ? "no process of its containers can have a capability, whoever owns it"
				     : "its owner is a user namespace outside every container");
}

static int own_both(void *arg)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return errno;
	FD_CLOSE int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return netns >= 0 && owner_of(netns) == proc_namespace(getpid(), "user") ? 0 : EINVAL;
}

void jail_owner_control(struct view *v, const struct probe *p, struct finding *f)
{
	const int rc = prober_attempt(own_both, NULL);

	finding_set(f, rc ? SIGHT_UNCLEAR : SIGHT_THROUGH, "a namespace made inside its own user namespace: %s",
		    rc ? "not noticed" : "noticed");
}

/* --- who lives in it --- */

static bool lives_in(pid_t pid, int netns)
{
	struct stat st;

	return fstat(netns, &st) == 0 && proc_namespace(pid, "net") == st.st_ino;
}

void jail_joined(struct view *v, const struct probe *p, struct finding *f)
{
	const struct subject *s = v->subject;

	if (s->bare) {
		finding_set(f, SIGHT_THROUGH, "a container of it runs without walls around it");
		return;
	}
	if (s->netns < 0 || s->pid_count == 0) {
		finding_set(f, s->netns < 0 ? SIGHT_UNCLEAR : SIGHT_ABSENT, "%s",
			    s->netns < 0 ? s->why : "no container of it runs");
		return;
	}
	for (size_t i = 0; i < s->pid_count; i++)
		if (!lives_in(s->pids[i], s->netns)) {
			finding_set(f, SIGHT_THROUGH, "process %d is in another network namespace", s->pids[i]);
			return;
		}
	finding_set(f, SIGHT_HELD, "%zu container%s, all in the jailed namespace", s->pid_count, s->pid_count == 1 ? "" : "s");
}

void jail_joined_control(struct view *v, const struct probe *p, struct finding *f)
{
	const bool inside = v->subject->netns >= 0 && lives_in(getpid(), v->subject->netns);

	finding_set(f, v->subject->netns < 0 || inside ? SIGHT_UNCLEAR : SIGHT_THROUGH, "this process, on the host, is %s",
		    inside ? "taken for one of the pod" : "told apart");
}

/* --- the host's wall --- */

void jail_host_wall(struct view *v, const struct probe *p, struct finding *f)
{
	finding_set(f, SIGHT_ABSENT, "a pod has no bridge of the host's in this form");
}
