/* The project as a whole on Podman: its beginning, the looks at what runs, its end. */
#include "engine/podman.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/bridge.h"
#include "engine/live_container.h"
#include "process/run_dir.h"

enum { INIT_FIXED_MAJOR = 4, INIT_FIXED_MINOR = 6 };

/* --- the beginning --- */

static int find_version(struct house *h, struct err *err)
{
	static const char *const argv[] = { "podman", "version", "--format", "{{.Client.Version}}", NULL };
	const struct program p = { .argv = argv, .mounts = h->host_mounts, .limit_ms = PODMAN_QUICK_MS };
	struct arena a = { 0 };
	const char *text = "";
	char *rest;
	const int code = program_wait(&p, &a, &text, err);
	const long major = strtol(text, &rest, 10), minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;

	arena_free(&a);
	if (code != 0)
		return err_wrap(err, "Podman cannot be used (install podman, conmon, runc or crun, catatonit)");
	if (major < 4 || (major == 4 && minor < 3))
		return err_set(err, ERR_FAULT, "Podman %ld.%ld is too old; 4.3 is the first that will do", major, minor);
	h->podman.init_restarts = major == INIT_FIXED_MAJOR && minor < INIT_FIXED_MINOR;
	return 0;
}

static int judge(struct house *h, const struct plan *p, uint64_t client, struct err *err)
{
	struct arena a = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->pod_count; i++) {
		const char *why = plan_podman_refuses(p, &p->pods[i], h->podman.dir, &a);
		const char *note = plan_podman_note(&p->pods[i], h->podman.init_restarts, &a);

		if (why)
			rc = err_set(err, ERR_INPUT, "pod %s: %s", p->pods[i].pod->name, why);
		else if (note)
			client_line(&h->clients, client, "pod %s: %s", p->pods[i].pod->name, note);
	}
	arena_free(&a);
	return rc;
}

int podman_prepare(struct house *h, const struct plan *p, uint64_t client, struct err *err)
{
	if (!h->podman.ready && (podman_dir(h->project, h->podman.dir, err) < 0 || find_version(h, err) < 0))
		return -1;
	if (judge(h, p, client, err) < 0 || podman_files_make(h->project, h->podman.dir, h->podman.bridge.on, err) < 0)
		return -1;
	(void)snprintf(h->podman.env, sizeof h->podman.env, "CONTAINERS_CONF=%s/containers.conf", h->podman.dir);
	if (!h->podman.ready)
		client_line(&h->clients, client, "engine: Podman; its settings and hook for this project are in %s", h->podman.dir);
	h->podman.ready = true;
	return h->podman.bridge.on ? bridge_prepare(h, client, err) : 0;
}

/* --- looking --- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static pid_t pid_of(const json_t *entry)
{
	return (pid_t)json_integer_value(json_object_get(entry, "Pid"));
}

static enum container_state state_of(const json_t *entry)
{
	const char *s = text_of(entry, "State");

	if (strcmp(s, "running") == 0)
		return CONTAINER_RUNNING;
	return strcmp(s, "stopped") == 0 || strcmp(s, "exited") == 0 ? CONTAINER_EXITED : CONTAINER_WAITING;
}

/* false also of one that has none any more, since it is ending. */
static bool lives_in(pid_t pid, int netns)
{
	char path[64];
	struct stat theirs, ours;

	(void)snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	return netns >= 0 && stat(path, &theirs) == 0 && fstat(netns, &ours) == 0 && theirs.st_ino == ours.st_ino &&
	       theirs.st_dev == ours.st_dev;
}

/* What Podman has told of may have ended since, or be ending: then it has no namespaces, and is in none. */
static bool is_there(pid_t pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	return stat(path, &st) == 0 || errno != ENOENT;
}

static const json_t *entry_of(const json_t *all, const struct live_pod *p, const struct live_container *c)
{
	const json_t *entry;
	size_t i;
	char name[200];

	(void)snprintf(name, sizeof name, "%s-%s", p->name, c->planned->name);
	json_array_foreach(all, i, entry)
	{
		const char *its = json_string_value(json_array_get(json_object_get(entry, "Names"), 0));

		if (its && strcmp(its, name) == 0)
			return entry;
	}
	return NULL;
}

/* Not every Podman counts them in what it tells; the hook has heard of each start. */
static unsigned restarts_of(const struct live_container *c, unsigned told)
{
	const struct podman_life *l = &c->pod->podman;

	for (size_t i = 0; i < l->started_count; i++)
		if (strcmp(l->started[i].id, c->id) == 0 && l->started[i].starts > told + 1)
			return l->started[i].starts - 1;
	return told;
}

static void note_container(struct live_container *c, const json_t *entry)
{
	c->pid = 0;
	c->state = CONTAINER_WAITING;
	if (!entry)
		return;
	c->state = state_of(entry);
	c->pid = c->state == CONTAINER_RUNNING ? pid_of(entry) : 0;
	c->exit_code = c->state == CONTAINER_EXITED ? (int)json_integer_value(json_object_get(entry, "ExitCode")) : -1;
	c->started_at = (time_t)json_integer_value(json_object_get(entry, "StartedAt"));
	if (c->started_at < 0)
		c->started_at = 0;
	(void)snprintf(c->id, sizeof c->id, "%s", text_of(entry, "Id"));
	c->restarts = restarts_of(c, (unsigned)json_integer_value(json_object_get(entry, "Restarts")));
}

static void note_pod(struct live_pod *p, const json_t *all)
{
	bool any = false;

	p->outside = false;
	for (size_t i = 0; i < p->container_count; i++) {
		struct live_container *c = &p->containers[i];

		const json_t *entry = entry_of(all, p, c);

		any = any || entry;
		note_container(c, entry);
		if (c->state == CONTAINER_RUNNING && is_there(c->pid) && !lives_in(c->pid, p->walls.netns))
			p->outside = true;
	}
	p->podman.lost = !any;
}

static json_t *stranger(json_t *list, const char *pod)
{
	json_t *known;
	size_t i;

	json_array_foreach(list, i, known) if (strcmp(text_of(known, "name"), pod) == 0) return known;
	known = json_pack("{ss s[] sb sb s[]}", "name", pod, "addresses", "attached", 0, "walls", 0, "containers");
	(void)json_array_append_new(list, known);
	return known;
}

static bool is_known(const struct house *h, const json_t *entry)
{
	for (const struct live_pod *p = h->pods; p; p = p->next)
		for (size_t i = 0; i < p->container_count; i++)
			if (strcmp(p->containers[i].id, text_of(entry, "Id")) == 0)
				return true;
	return false;
}

/* Whoever bears the project's label passes for one of its pods, and must not run without walls unnoticed. */
static void note_strangers(struct house *h, const json_t *all)
{
	const json_t *entry;
	json_t *list = json_array();
	size_t i;

	json_array_foreach(all, i, entry)
	{
		if (state_of(entry) != CONTAINER_RUNNING || is_known(h, entry))
			continue;
		const char *pod = text_of(json_object_get(entry, "Labels"), PODMAN_POD);
		const char *name = json_string_value(json_array_get(json_object_get(entry, "Names"), 0));
		json_t *s = stranger(list, pod[0] ? pod : "?");

		(void)json_array_append_new(json_object_get(s, "containers"),
					    json_pack("{ss ss si so si sb}", "name", name ? name : "?", "state", "running", "pid",
						      (int)pid_of(entry), "exit_code", json_null(), "restarts", 0, "init", 0));
	}
	json_decref(h->podman.strangers);
	h->podman.strangers = list;
}

static void note(struct house *h, const char *out, const char *problem)
{
	json_t *all = problem[0] ? NULL : json_loads(out, 0, NULL);

	if (!problem[0] && !all)
		problem = "its answer is not understood";
	(void)snprintf(h->podman.problem, sizeof h->podman.problem, "%.700s", problem);
	for (struct live_pod *p = h->pods; p; p = p->next)
		note_pod(p, all);
	note_strangers(h, all);
	json_decref(all);
}

static void begin_look(struct house *h);

static void on_looked(struct program_call *call, int code, const char *out, const char *errors)
{
	struct house *h = (struct house *)((char *)call - offsetof(struct house, podman.look));
	const unsigned number = h->podman.looks;

	note(h, out, code == 0 ? "" : errors[0] ? errors : "it did not end in time");
	if (h->podman.look_again)
		begin_look(h);
	h->podman.looked(h, number);
}

static void begin_look(struct house *h)
{
	char filter[120];
	const char *const argv[] = { "podman", "ps", "--all", "--no-trunc", "--filter", filter, "--format", "json", NULL };
	const struct program p = podman_program(h, argv, PODMAN_QUICK_MS);
	struct err err = { 0 };

	h->podman.look_again = false;
	h->podman.looks++;
	(void)snprintf(filter, sizeof filter, "label=" PODMAN_PROJECT "=%s", h->project);
	if (program_start(&h->podman.look, h->loop, &p, on_looked, &err) == 0)
		return;
	note(h, "", err.text);
	loop_timer_set(h->loop, &h->podman.not_looked, 0);
}

/* The look could not even begin; whoever waits for it is not told before it knows its number. */
static void not_looked(struct timer *t)
{
	struct house *h = (struct house *)((char *)t - offsetof(struct house, podman.not_looked));

	h->podman.looked(h, h->podman.looks);
}

unsigned podman_look(struct house *h)
{
	h->podman.not_looked.expired = not_looked;
	if (program_runs(&h->podman.look)) {
		h->podman.look_again = true;
		return h->podman.looks + 1;
	}
	begin_look(h);
	return h->podman.looks;
}

/* --- a container's process --- */

static int read_ids(pid_t pid, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	char path[64];
	struct arena a = { 0 };
	struct span text = { "", 0 };
	const char *uid, *gid;
	int rc = -1;

	(void)snprintf(path, sizeof path, "/proc/%d/status", pid);
	if (fd_read_file(path, 64 * 1024, &a, &text, err) == 0) {
		uid = strstr(text.p, "\nUid:\t");
		gid = strstr(text.p, "\nGid:\t");
		if (uid && gid) {
			*ret_uid = (uid_t)strtoul(uid + 6, NULL, 10);
			*ret_gid = (gid_t)strtoul(gid + 6, NULL, 10);
			rc = 0;
		} else {
			rc = err_set(err, ERR_FAULT, "%s is not understood", path);
		}
	}
	arena_free(&a);
	return rc;
}

/* Its number may have become another's since Podman told it: the namespace says whether it is still one of the pod. */
int podman_pidfd(const struct live_container *c, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	FD_CLOSE int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);

	if (fd < 0)
		return err_errno(err, "container %s/%s", c->pod->name, c->planned->name);
	if (!lives_in(c->pid, c->pod->walls.netns))
		return err_set(err, ERR_FINDING,
			       "container %s/%s is not in the network namespace that the walls are in; "
			       "see 'stockade ps'",
			       c->pod->name, c->planned->name);
	return read_ids(c->pid, ret_uid, ret_gid, err) < 0 ? -1 : fd_steal(&fd);
}

/* --- the end --- */

static int remove_pod(const char *name, const struct program *like, struct arena *a, struct err *err)
{
	const char *const argv[] = { "podman", "pod", "rm", "--force", "--time", "0", name, NULL };
	const struct timespec pause = { .tv_nsec = PODMAN_AGAIN_MS * 1000000L };
	struct program p = *like;

	p.argv = argv;
	for (unsigned i = 0; i < PODMAN_REMOVALS; i++) {
		if (program_wait(&p, a, NULL, err) == 0 || strstr(err->text, "no such pod"))
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return err_wrap(err, "podman pod rm");
}

/* Names of pods that bear the project's label, one a line. */
static int remove_pods(const char *names, const struct program *like, struct arena *a, struct err *err)
{
	int rc = 0;

	for (const char *at = names; *at;) {
		const size_t n = strcspn(at, "\n");

		if (n && remove_pod(arena_span(a, (struct span) { at, n }), like, a, err) < 0)
			rc = -1;
		at += n + (at[n] == '\n');
	}
	return rc;
}

static int remove_dir(const char *dir, struct arena *a, struct err *err)
{
	char *parent = arena_strdup(a, dir);
	const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", dir, NULL };
	const struct program p = { .argv = argv, .mounts = -1, .limit_ms = PODMAN_QUICK_MS };

	if (program_wait(&p, a, NULL, err) != 0)
		return err_wrap(err, "%s cannot be removed", dir);
	*strrchr(parent, '/') = '\0';
	(void)rmdir(parent); /* when nothing else of the project is there */
	return 0;
}

static int sweep(const char *project, const char *dir, int mounts, struct err *err)
{
	struct arena a = { 0 };
	const char *names = "";
	const char *const argv[] = {
		"podman",   "pod",       "ps", "--filter", arena_printf(&a, "label=" PODMAN_PROJECT "=%s", project),
		"--format", "{{.Name}}", NULL
	};
	/* It is not there where making or removing the directory was cut short; Podman does nothing with settings that are missing. */
	const char *settings = arena_printf(&a, "CONTAINERS_CONF=%s/containers.conf", dir);
	const struct program p = { .argv = argv,
				   .env = access(strchr(settings, '/'), F_OK) == 0 ? settings : NULL,
				   .mounts = mounts,
				   .limit_ms = PODMAN_QUICK_MS };
	int rc = program_wait(&p, &a, &names, err) == 0 ? remove_pods(names, &p, &a, err) : err_wrap(err, "podman pod ps");

	bridge_sweep(dir, &p);
	if (rc == 0)
		rc = remove_dir(dir, &a, err);
	arena_free(&a);
	return rc;
}

int podman_sweep(const char *project, struct err *err)
{
	char dir[PODMAN_PATH];

	if (podman_dir(project, dir, err) < 0)
		return -1;
	if (access(dir, F_OK) < 0)
		return 0;
	return sweep(project, dir, -1, err);
}

void podman_end(struct house *h)
{
	struct err err = { 0 };

	program_kill(&h->podman.look);
	loop_timer_cancel(h->loop, &h->podman.not_looked);
	json_decref(h->podman.strangers);
	bridge_end(h);
	if (h->podman.ready && sweep(h->project, h->podman.dir, h->host_mounts, &err) < 0)
		log_error("%s", err.text);
}
