/* One pod on Podman, a chain of commands: is there an old one of that name, and is it ours -> remove it -> empty its directory -> write
 * its files -> `podman kube play`, during which the hook calls -> look where its containers are. At the end: remove it, and its
 * directory. One command at a time; whatever fails takes the pod away whole. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/live_container.h"
#include "engine/live_port.h"
#include "engine/podman.h"
#include "engine/volumes.h"

enum { REMOVE_MORE_MS = 30000, ARGS_MOST = 64 };

typedef void then(struct program_call *c, int code, const char *out, const char *errors);

static struct live_pod *of_call(struct program_call *c)
{
	return (struct live_pod *)((char *)c - offsetof(struct live_pod, podman.call));
}

static void take_away(struct live_pod *p);

/* The pod cannot go on; it is taken from Podman first. */
static void give_up(struct live_pod *p, const struct err *why)
{
	p->podman.failing = true;
	p->podman.why = *why;
	p->podman.removals = 0;
	take_away(p);
}

static void run(struct live_pod *p, const char *const *argv, unsigned limit_ms, then *next)
{
	const struct program program = podman_program(p->house, argv, limit_ms);
	struct err err = { 0 };

	if (program_start(&p->podman.call, p->house->loop, &program, next, &err) < 0)
		give_up(p, &err);
}

static void failed(struct live_pod *p, const char *what, const char *errors)
{
	struct err why = { 0 };

	(void)err_set(&why, ERR_FAULT, "%s: %.700s", what, errors[0] ? errors : "it did not end in time");
	give_up(p, &why);
}

/* --- hooks --- */

static void answer_hooks(struct live_pod *p, const struct err *why)
{
	loop_timer_cancel(p->house->loop, &p->podman.patience);
	for (size_t i = 0; i < PODMAN_WAITERS; i++) {
		if (p->podman.waiters[i])
			client_done(p->house, p->podman.waiters[i], NULL, why, NULL, 0);
		p->podman.waiters[i] = 0;
	}
}

static void attached(struct gate_pod *g)
{
	answer_hooks((struct live_pod *)((char *)g - offsetof(struct live_pod, gate)), NULL);
}

static void out_of_patience(struct timer *t)
{
	struct live_pod *p = (struct live_pod *)((char *)t - offsetof(struct live_pod, podman.patience));
	const struct err why = { .class = ERR_FAULT, .text = "the gate does not serve the pod's listeners; see supervisor.log" };

	answer_hooks(p, &why);
}

static int wait_for_gate(struct live_pod *p, uint64_t client, struct err *err)
{
	for (size_t i = 0; i < PODMAN_WAITERS; i++) {
		if (p->podman.waiters[i])
			continue;
		p->podman.waiters[i] = client;
		p->podman.patience.expired = out_of_patience;
		loop_timer_set(p->house->loop, &p->podman.patience, POD_ATTACH_MS);
		return 0;
	}
	return err_set(err, ERR_FAULT, "too many of its containers start at once");
}

static bool same_namespace(int a, int b)
{
	struct stat one, other;

	return a >= 0 && b >= 0 && fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

/* The pod has a new network namespace: walls around it, and those around the old one go. */
static int change_walls(struct live_pod *p, int netns, struct err *err)
{
	struct pod_walls walls;

	if (pod_walls_adopt(&walls, p->plan->plan, p->planned, netns, err) < 0)
		return -1;
	gate_link_detach(&p->house->gate, &p->gate);
	pod_walls_close(&p->walls);
	p->walls = walls;
	p->gate.on_attached = attached;
	gate_link_attach(&p->house->gate, &p->gate);
	/* What carried a published port goes into the old namespace. It is started anew, in the new one. */
	for (size_t i = 0; i < p->port_count; i++)
		child_signal(&p->ports[i].child, SIGKILL);
	log_info("pod %s: walls up around its network namespace", p->name);
	return 0;
}

static int attach(struct live_pod *p, uint64_t client, int netns, struct err *err)
{
	FD_CLOSE int given = netns;

	if (p->phase == POD_STOPPING || p->podman.failing || p->house->leaving)
		return err_set(err, ERR_FINDING, "it is being stopped");
	if (!same_namespace(given, p->walls.netns)) {
		if (change_walls(p, fd_steal(&given), err) < 0)
			return -1;
	} else if (pod_walls_check(&p->walls, p->plan->plan, p->planned, err) < 0) {
		return err_wrap(err, "reading its jail back");
	}
	if (wait_for_gate(p, client, err) < 0)
		return -1;
	if (p->gate.attached)
		answer_hooks(p, NULL);
	return 0;
}

void podman_attach(struct house *h, uint64_t client, const char *pod, int netns)
{
	struct live_pod *p = h->engine == &engine_podman ? pod_find(h, pod) : NULL;
	struct err err = { 0 };
	int rc;

	if (p) {
		rc = attach(p, client, netns, &err);
	} else {
		fd_close(&netns);
		rc = err_set(&err, ERR_FINDING, "project %s has no such pod on Podman", h->project);
	}
	if (rc == 0)
		return;
	(void)err_wrap(&err, "pod %.80s", pod);
	log_error("%s", err.text);
	client_done(h, client, NULL, &err, NULL, 0);
}

/* --- the beginning --- */

static void up(struct live_pod *p)
{
	struct err why = { 0 };

	for (size_t i = 0; i < p->port_count; i++)
		if (live_port_open(&p->ports[i], &why) < 0) {
			give_up(p, &why);
			return;
		}
	p->phase = POD_RUNNING;
	log_info("pod %s runs", p->name);
	pod_settle(p, NULL);
}

/* For each container: "PID LOG". */
static void note_logs(struct live_pod *p, const char *out)
{
	for (size_t i = 0; i < p->container_count && *out; i++) {
		const size_t n = strcspn(out, "\n");

		if (n < sizeof p->containers[i].log_path)
			(void)snprintf(p->containers[i].log_path, sizeof p->containers[i].log_path, "%.*s", (int)n, out);
		out += n + (out[n] == '\n');
	}
}

static void judge_place(struct live_pod *p)
{
	struct err why = { 0 };

	p->podman.look = 0;
	if (p->house->podman.problem[0]) {
		failed(p, "podman ps", p->house->podman.problem);
	} else if (!p->gate.attached || p->outside || p->podman.lost) {
		(void)err_set(&why, ERR_FAULT,
			      "Podman has started it without its hook, so no walls are around it; does another hooks_dir or "
			      "CONTAINERS_CONF count?");
		give_up(p, &why);
	} else {
		up(p);
	}
}

void podman_on_look(struct house *h, unsigned number)
{
	for (struct live_pod *p = h->pods, *next; p; p = next) {
		next = p->next;
		if (p->podman.look && p->podman.look <= number && p->phase != POD_STOPPING)
			judge_place(p);
	}
}

static void on_inspected(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);

	if (code != 0) {
		failed(p, "podman container inspect", errors);
		return;
	}
	note_logs(p, out);
	/* All of it is started. Is it where it should be? */
	p->podman.look = podman_look(p->house);
}

static void on_played(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);
	struct arena a = { 0 };
	const char *argv[ARGS_MOST] = { "podman", "container", "inspect", "--format", "{{.HostConfig.LogConfig.Path}}" };
	size_t n = 5;

	if (code != 0) {
		failed(p, "podman kube play", errors);
		return;
	}
	for (size_t i = 0; i < p->container_count && n + 1 < ARGS_MOST; i++)
		argv[n++] = plan_podman_name(p->planned, p->containers[i].planned, &a);
	run(p, argv, PODMAN_QUICK_MS, on_inspected);
	arena_free(&a);
}

static void on_emptied(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);
	struct house *h = p->house;
	char file[PODMAN_PATH], filters[PODMAN_PATH + 16];
	struct err err = { 0 };

	if (code != 0) {
		failed(p, "emptying its directory", errors);
		return;
	}
	if (volumes_check("", p->planned->pod, &err) < 0 ||
	    podman_files_pod(h->podman.dir, p->plan->plan, p->planned, h->project, h->podman.init_restarts, file, &err) < 0) {
		give_up(p, &err);
		return;
	}
	(void)snprintf(filters, sizeof filters, "%s/seccomp", h->podman.dir);
	const char *const argv[] = { "podman", "kube",         "play",     "--network",
				     "none",   "--no-hosts",   "--quiet",  "--seccomp-profile-root",
				     filters,  "--log-driver", "k8s-file", file,
				     NULL };

	run(p, argv, PODMAN_PLAY_MS, on_played);
}

static int begin(struct live_pod *p, struct err *err);

static void empty_directory(struct live_pod *p, then *next)
{
	char dir[PODMAN_PATH];
	const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", dir, NULL };

	podman_files_pod_dir(p->house->podman.dir, p->name, dir);
	run(p, argv, PODMAN_QUICK_MS, next);
}

static void check_again(struct timer *t)
{
	struct live_pod *p = (struct live_pod *)((char *)t - offsetof(struct live_pod, limit));
	struct err err = { 0 };

	if (begin(p, &err) < 0)
		give_up(p, &err);
}

static void on_old_removed(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);

	if (code == 0) {
		empty_directory(p, on_emptied);
	} else if (++p->podman.removals < PODMAN_REMOVALS) {
		p->limit.expired = check_again;
		loop_timer_set(p->house->loop, &p->limit, PODMAN_AGAIN_MS);
	} else {
		failed(p, "removing what is left of it in Podman", errors);
	}
}

/* A pod of that name that is there already is removed only when it is ours. */
static void on_checked(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);
	const char *const argv[] = { "podman", "pod", "rm", "--force", "--time", "1", p->name, NULL };
	struct err why = { 0 };
	const size_t n = strlen(p->house->project);

	if (code != 0) {
		empty_directory(p, on_emptied);
	} else if (strncmp(out, p->house->project, n) == 0 && out[n] == '\n') {
		run(p, argv, REMOVE_MORE_MS, on_old_removed);
	} else {
		(void)err_set(&why, ERR_INPUT,
			      "Podman has a pod of that name already that is not of project %s; rename one of them",
			      p->house->project);
		pod_fail(p, &why);
	}
}

static int begin(struct live_pod *p, struct err *err)
{
	static const char whose[] = "{{index .Labels \"" PODMAN_PROJECT "\"}}";
	const char *const argv[] = { "podman", "pod", "inspect", "--format", whose, p->name, NULL };
	const struct program program = podman_program(p->house, argv, PODMAN_QUICK_MS);

	if (p->container_count + 8 > ARGS_MOST)
		return err_set(err, ERR_INPUT, "a pod has at most %d containers on Podman", ARGS_MOST - 8);
	return program_start(&p->podman.call, p->house->loop, &program, on_checked, err);
}

/* --- the end --- */

static void on_gone(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);

	if (code != 0)
		log_error("pod %s: its directory cannot be removed: %s", p->name, errors);

	const struct err why = p->podman.why;

	/* Stopped meanwhile: then nobody waits any more to hear why. */
	if (p->phase == POD_STOPPING)
		pod_go(p);
	else
		pod_fail(p, &why);
}

static void take_away_again(struct timer *t)
{
	take_away((struct live_pod *)((char *)t - offsetof(struct live_pod, limit)));
}

/* In the end it goes without its walls, and has no way out any more, whatever Podman says. */
static void on_removed(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);
	char dir[PODMAN_PATH];
	const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", dir, NULL };
	const struct program program = podman_program(p->house, argv, PODMAN_QUICK_MS);
	struct err err = { 0 };

	if (code != 0 && !strstr(errors, "no such pod")) {
		log_error("pod %s: podman pod rm: %s", p->name, errors);
		if (++p->podman.removals < PODMAN_REMOVALS) {
			p->limit.expired = take_away_again;
			loop_timer_set(p->house->loop, &p->limit, PODMAN_AGAIN_MS);
			return;
		}
	}
	podman_files_pod_dir(p->house->podman.dir, p->name, dir);
	if (program_start(c, p->house->loop, &program, on_gone, &err) < 0)
		on_gone(c, -1, "", err.text);
}

static void take_away(struct live_pod *p)
{
	char seconds[16];
	const char *const argv[] = { "podman", "pod", "rm", "--force", "--time", seconds, p->name, NULL };
	const struct program program = podman_program(p->house, argv, p->podman.stop_ms + REMOVE_MORE_MS);
	const struct err stopped = { .class = ERR_FINDING, .text = "the pod is being stopped" };
	struct err err = { 0 };

	answer_hooks(p, &stopped);
	loop_timer_cancel(p->house->loop, &p->limit);
	(void)snprintf(seconds, sizeof seconds, "%u", (p->podman.stop_ms + 999) / 1000);
	program_kill(&p->podman.call);
	if (program_start(&p->podman.call, p->house->loop, &program, on_removed, &err) < 0)
		on_removed(&p->podman.call, -1, "", err.text);
}

static void stop(struct live_pod *p, unsigned timeout_ms, bool first)
{
	if (!first && timeout_ms >= p->podman.stop_ms)
		return;
	p->podman.stop_ms = timeout_ms;
	p->podman.removals = 0;
	take_away(p);
}

static void clear(struct live_pod *p)
{
	const struct err why = { .class = ERR_FINDING, .text = "the pod is gone" };

	answer_hooks(p, &why);
	program_kill(&p->podman.call);
}

const struct pod_engine engine_podman = { .name = "podman", .begin = begin, .stop = stop, .clear = clear };
