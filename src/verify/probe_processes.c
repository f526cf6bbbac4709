/* What the pod's processes and the gate still may do, as the kernel tells. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "verify/probe_state.h"
#include "verify/proc.h"

enum { LOOKS = 6, LOOK_AGAIN_US = 60000, FIRST_POD_UID = 0x70000000, SECCOMP_FILTER = 2, SYS_PTRACE = 1 << 19 };

/* --- capabilities of everybody in the pod's network --- */

struct search {
	ino_t netns;
	uint64_t excused; /* capabilities */
	pid_t capable;
	size_t seen;
	struct proc_status status;
};

static bool check_process(void *arg, pid_t pid)
{
	struct search *s = arg;

	if (proc_namespace(pid, "net") != s->netns || !proc_status(pid, 0, &s->status))
		return true;
	s->seen++;
	if (s->status.capabilities & ~(s->status.uid >= FIRST_POD_UID ? s->excused : 0))
		s->capable = pid;
	return s->capable == 0;
}

/* A container that is just being started still has its capabilities: who has them is one who keeps them. */
static void find_capable(struct search *s)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		s->capable = 0;
		s->seen = 0;
		proc_each(check_process, s);
		if (!s->capable)
			return;
		(void)usleep(LOOK_AGAIN_US);
	}
}

void processes_capabilities(struct view *v, const struct probe *p, struct finding *f)
{
	struct stat st;
	/* gVisor traces the program in its sandbox; the pod's user namespace is all that this counts in. */
	struct search s = { .excused = v->scene->sandbox ? SYS_PTRACE : 0 };

	if (v->subject->netns < 0 || fstat(v->subject->netns, &st) < 0) {
		finding_set(f, SIGHT_UNCLEAR, "%s", v->subject->why);
		return;
	}
	s.netns = st.st_ino;
	find_capable(&s);
	if (s.capable)
		finding_set(f, SIGHT_THROUGH, "process %d has capabilities %llx", s.capable,
			    (unsigned long long)s.status.capabilities);
	else
		finding_set(f, SIGHT_HELD, "%zu processes, none with a capability%s", s.seen,
			    s.excused ? ", but gVisor's own, to trace what it runs" : "");
}

void processes_capabilities_control(struct view *v, const struct probe *p, struct finding *f)
{
	struct search s = { .netns = proc_namespace(getpid(), "net") };

	proc_each(check_process, &s);
	finding_set(f, s.capable ? SIGHT_THROUGH : SIGHT_UNCLEAR, "the same search on the host's own network %s",
		    s.capable ? "finds processes with capabilities" : "finds nobody");
}

/* --- judgements of one process: NULL, or what is wrong --- */

static const char *shared_namespace(const struct scene *s, pid_t pid)
{
	/* The first two not in Podman's containers: of these, processes_ids tells what keeps their root powerless. */
	static const char *const names[] = { "user", "cgroup", "pid", "mnt", "ipc", "uts", "net" };

	for (size_t i = s->podman && pid != getpid() ? 2 : 0; i < sizeof names / sizeof *names; i++) {
		const ino_t one = proc_namespace(pid, names[i]);

		if (one == 0 || one == proc_namespace(s->supervisor, names[i]) || one == proc_namespace(getpid(), names[i]))
			return names[i];
	}
	return NULL;
}

static const char *host_id(const struct scene *s, pid_t pid)
{
	struct proc_status status;

	if (!proc_status(pid, 0, &status))
		return "it is gone";
	if (status.uid < FIRST_POD_UID && (!s->podman || status.capabilities || status.bounding))
		return "its uid is one of the host's";
	return status.no_new_privs == 1 && status.seccomp == SECCOMP_FILTER ? NULL : "it has no system-call filter";
}

struct tasks {
	pid_t pid;
	const char *wrong;
	size_t count;
};

static bool check_task(void *arg, pid_t task)
{
	struct tasks *t = arg;
	struct proc_status s;

	t->count++;
	if (!proc_status(t->pid, task, &s))
		t->wrong = "a thread of it cannot be read";
	else if (s.capabilities || s.bounding)
		t->wrong = "it has capabilities";
	else if (s.uid == 0)
		t->wrong = "it runs as root";
	else if (s.no_new_privs != 1)
		t->wrong = "no_new_privs is not set";
	else if (s.seccomp != SECCOMP_FILTER)
		t->wrong = "it has no system-call filter";
	return !t->wrong;
}

static const char *privileged(const struct scene *s, pid_t pid)
{
	struct tasks t = { .pid = pid };

	if (proc_each_task(pid, check_task, &t) < 0 || t.count == 0)
		return "it is gone";
	return t.wrong;
}

static const char *sees_files(const struct scene *s, pid_t pid)
{
	char path[64];
	const struct dirent *entry;
	unsigned entries = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/root", pid);
	DIR *dir = opendir(path);

	if (!dir)
		return "its root cannot be read";
	while ((entry = readdir(dir)))
		entries += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	(void)closedir(dir);
	return entries ? "its root directory is not empty" : NULL;
}

typedef const char *judgement(const struct scene *s, pid_t pid);

/* podman: what is said instead of good where containers have the host's user namespace, as they have with Podman. */
static void judge_pod(struct view *v, judgement *wrong, const char *good, const char *podman, struct finding *f)
{
	const struct subject *s = v->subject;

	if (s->pid_count == 0)
		finding_set(f, SIGHT_ABSENT, "no container of it runs");
	for (size_t i = 0; i < s->pid_count; i++) {
		const char *what = wrong(v->scene, s->pids[i]);

		if (what) {
			finding_set(f, SIGHT_THROUGH, "process %d: %s", s->pids[i], what);
			return;
		}
		finding_set(f, v->scene->podman ? SIGHT_ABSENT : SIGHT_HELD, "%s", v->scene->podman ? podman : good);
	}
}

void processes_namespaces(struct view *v, const struct probe *p, struct finding *f)
{
	judge_pod(v, shared_namespace, "user, pid, mnt, ipc, uts, cgroup and net are its own",
		  "pid, mnt, ipc, uts and net are its own; Podman gives it no user namespace, and cgroup as it likes", f);
}

void processes_ids(struct view *v, const struct probe *p, struct finding *f)
{
	judge_pod(v, host_id, "uids of the pod's own range, no_new_privs, seccomp",
		  "its ids are the host's, as Podman has it; no capability to be had, no_new_privs, seccomp", f);
}

static void judge_gate(struct view *v, judgement *wrong, const char *good, struct finding *f)
{
	if (v->scene->gate <= 0) {
		finding_set(f, SIGHT_UNCLEAR, "the gate does not run");
		return;
	}
	const char *what = wrong(v->scene, v->scene->gate);

	finding_set(f, what ? SIGHT_THROUGH : SIGHT_HELD, "process %d: %s", v->scene->gate, what ? what : good);
	if (what || !v->scene->on_haproxy)
		return;
	what = v->scene->haproxy > 0 ? wrong(v->scene, v->scene->haproxy) : "it does not run";
	finding_set(f, what ? SIGHT_THROUGH : SIGHT_HELD, "processes %d and, HAProxy, %d: %s%s", v->scene->gate, v->scene->haproxy,
		    what ? "of HAProxy: " : "", what ? what : good);
}

void processes_gate(struct view *v, const struct probe *p, struct finding *f)
{
	judge_gate(v, privileged, "uid of its own, no capability, no_new_privs, seccomp, in every thread", f);
}

void processes_gate_root(struct view *v, const struct probe *p, struct finding *f)
{
	judge_gate(v, sees_files, "its root directory is empty", f);
}

/* This process has what the others must not have. */
void processes_own_control(struct view *v, const struct probe *p, struct finding *f)
{
	judgement *const wrong = p->look == processes_gate        ? privileged
				 : p->look == processes_gate_root ? sees_files
				 : p->look == processes_ids       ? host_id
								  : shared_namespace;
	const char *what = wrong(v->scene, getpid());

	finding_set(f, what ? SIGHT_THROUGH : SIGHT_UNCLEAR, "the same look at this process, as root on the host: %s",
		    what ? what : "nothing noticed");
}
