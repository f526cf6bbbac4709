/* One pod on Podman, a chain of commands: is there an old one of that name, and is it ours -> remove it -> empty its directory -> write
 * its files -> `podman kube play`, during which the hook calls -> look where its containers are. At the end: remove it, and its
 * directory. One command at a time; whatever fails takes the pod away whole. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/bridge.h"
#include "engine/last_words.h"
#include "engine/live_container.h"
#include "engine/live_port.h"
#include "engine/podman.h"
#include "engine/pods.h"
#include "engine/volumes.h"

enum { REMOVE_MORE_MS = 30000, ARGS_MOST = 64, PAST_LOOKS = 10 };

typedef void then(struct program_call *c, int code, const char *out, const char *errors);

static struct live_pod *of_call(struct program_call *c)
{
	return (struct live_pod *)((char *)c - offsetof(struct live_pod, podman.call));
}

static void take_away(struct live_pod *p);
static int begin(struct live_pod *p, struct err *err);

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

	if (strstr(errors, "image not known") && !bridge_is_gate(p))
		(void)err_set(&why, ERR_INPUT, "%s: %.600s; nothing is pulled here: 'podman pull' it first", what, errors);
	else
		(void)err_set(&why, ERR_FAULT, "%s: %.700s", what, errors[0] ? errors : "it did not end in time");
	give_up(p, &why);
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

/* Of one that ends and is started again all the time: the look began before it had these walls, or the hook of the next start waits. */
static bool is_past(const struct live_pod *p, unsigned look)
{
	return look <= p->podman.walled || podman_hook_waits(p);
}

static void judge_place(struct live_pod *p, unsigned look)
{
	const bool bare = (!p->gate.attached && !bridge_is_gate(p)) || p->outside || p->podman.lost;
	struct err why = { 0 };

	p->podman.look = 0;
	if (p->house->podman.problem[0]) {
		failed(p, "podman ps", p->house->podman.problem);
	} else if (bare && is_past(p, look) && ++p->podman.past < PAST_LOOKS) {
		p->podman.look = podman_look(p->house);
	} else if (bare) {
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
			judge_place(p, number);
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

static void on_started(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);
	struct arena a = { 0 };
	const char *argv[ARGS_MOST] = { "podman", "container", "inspect", "--format", "{{.HostConfig.LogConfig.Path}}" };
	size_t n = 5;

	if (code != 0) {
		failed(p, "podman pod inspect", errors);
		return;
	}
	if (bridge_is_gate(p))
		(void)snprintf(p->house->podman.bridge.infra, sizeof p->house->podman.bridge.infra, "%.*s", (int)strcspn(out, "\n"),
			       out);
	for (size_t i = 0; i < p->container_count && n + 1 < ARGS_MOST; i++)
		argv[n++] = plan_podman_name(p->planned, p->containers[i].planned, &a);
	run(p, argv, PODMAN_QUICK_MS, on_inspected);
	arena_free(&a);
}

static void begin_again(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);
	struct err err = { 0 };

	p->podman.bridge.name++;
	if (begin(p, &err) < 0)
		give_up(p, &err);
}

/* Podman's book of addresses outlives networks, and containers that ended in an odd way stand in it until the machine starts anew. It goes by the
 * network's name. */
static bool tries_another_name(struct live_pod *p, const char *errors)
{
	const char *const argv[] = {
		"podman", "network", "disconnect", "--force", bridge_wire_of(p)->network, p->house->podman.bridge.infra, NULL
	};

	if (!p->house->podman.bridge.on || !strstr(errors, "IPAM error") || p->podman.bridge.name == BRIDGE_NAMES)
		return false;
	log_info("pod %s: %s; its network gets another name", p->name, errors);
	if (bridge_is_gate(p))
		begin_again(&p->podman.call, 0, "", "");
	else
		run(p, argv, PODMAN_QUICK_MS, begin_again);
	return true;
}

/* Of the gate's pod also the container that holds its namespace is to be known: networks are joined to that. */
static void on_played(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);
	const char *const argv[] = { "podman", "pod", "inspect", "--format", "{{.InfraContainerID}}", p->name, NULL };

	if (code == 0 && bridge_is_gate(p))
		run(p, argv, PODMAN_QUICK_MS, on_started);
	else if (code == 0)
		on_started(c, code, out, errors);
	else if (!tries_another_name(p, errors))
		failed(p, "podman kube play", errors);
}

static void play(struct live_pod *p)
{
	struct house *h = p->house;
	char file[PODMAN_PATH], filters[PODMAN_PATH + 16];
	struct arena a = { 0 };
	struct err err = { 0 };
	const char **argv = NULL;
	size_t n = 0;

	/* The one socket that is mounted on purpose. */
	if ((!bridge_is_gate(p) && volumes_check("", p->planned->pod, &err) < 0) ||
	    podman_files_pod(h->podman.dir, p->plan->plan, p->planned, h->project, h->podman.init_restarts, h->podman.bridge.on,
			     file, &err) < 0) {
		give_up(p, &err);
		return;
	}
	(void)snprintf(filters, sizeof filters, "%s/seccomp", h->podman.dir);
	static const char *const first[] = { "podman", "kube", "play", "--no-hosts", "--quiet", "--log-driver", "k8s-file" };
	static const char *const none[] = { "none", NULL };
	const char *const *networks = h->podman.bridge.on ? bridge_networks(p, &a) : none;

	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		ARENA_PUSH(&a, argv, n) = first[i];
	for (; *networks; networks++) {
		ARENA_PUSH(&a, argv, n) = "--network";
		ARENA_PUSH(&a, argv, n) = *networks;
	}
	ARENA_PUSH(&a, argv, n) = "--seccomp-profile-root";
	ARENA_PUSH(&a, argv, n) = filters;
	ARENA_PUSH(&a, argv, n) = file;
	ARENA_PUSH(&a, argv, n) = NULL;
	run(p, argv, PODMAN_PLAY_MS, on_played);
	arena_free(&a);
}

/* --- its network, when it has one --- */

static void on_connected(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);

	if (code == 0 || strstr(errors, "already connected"))
		play(p);
	else if (!tries_another_name(p, errors))
		failed(p, "podman network connect", errors);
}

static void connect_network(struct live_pod *p)
{
	const struct bridge_wire *w = &p->podman.bridge.wire;
	char ip[IP_TEXT_MAX], mac[BRIDGE_MAC_TEXT];
	const char *const argv[] = { "podman",
				     "network",
				     "connect",
				     "--ip",
				     ip_format(&w->gate, ip),
				     "--mac-address",
				     bridge_mac_text(w->gate_mac, mac),
				     w->network,
				     p->house->podman.bridge.infra,
				     NULL };

	p->podman.bridge.waits = false;
	run(p, argv, PODMAN_QUICK_MS, on_connected);
}

void podman_gate_settled(struct house *h, const struct err *why)
{
	for (struct live_pod *p = h->pods, *next; p; p = next) {
		next = p->next;
		if (!p->podman.bridge.waits || p->phase == POD_STOPPING)
			continue;
		p->podman.bridge.waits = false;
		if (why)
			give_up(p, why);
		else
			connect_network(p);
	}
}

static void make_network(struct live_pod *p)
{
	struct err err = { 0 };

	if (bridge_network_make(p, &err) < 0)
		give_up(p, &err);
	else if (bridge_is_gate(p))
		play(p);
	else if (bridge_gate_runs(p->house))
		connect_network(p);
	else
		p->podman.bridge.waits = true;
}

static void on_emptied(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);

	if (code != 0) {
		failed(p, "emptying its directory", errors);
		return;
	}
	if (!p->house->podman.bridge.on)
		play(p);
	else
		make_network(p);
}

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
	if (p->house->podman.bridge.on && bridge_place(p, err) < 0)
		return -1;
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

static void disconnect(struct live_pod *p);

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
	if (p->house->podman.bridge.on && !bridge_is_gate(p) && !p->podman.bridge.disconnected) {
		disconnect(p);
		return;
	}
	podman_files_pod_dir(p->house->podman.dir, p->name, dir);
	if (program_start(c, p->house->loop, &program, on_gone, &err) < 0)
		on_gone(c, -1, "", err.text);
}

/* It stays where another container is on it, or the gate's pod still is; then the project's end takes it. */
static void on_network_gone(struct program_call *c, int code, const char *out, const char *errors)
{
	if (code == 0)
		bridge_network_gone(of_call(c));
	on_removed(c, 0, "", "");
}

/* The gate's pod may have gone meanwhile. */
static void on_disconnected(struct program_call *c, int code, const char *out, const char *errors)
{
	struct live_pod *p = of_call(c);

	const char *const argv[] = { "podman", "network", "rm", bridge_wire_of(p)->network, NULL };
	const struct program program = podman_program(p->house, argv, PODMAN_QUICK_MS);
	struct err err = { 0 };

	if (program_start(c, p->house->loop, &program, on_network_gone, &err) < 0)
		on_removed(c, 0, "", "");
}

static void disconnect(struct live_pod *p)
{
	const char *const argv[] = {
		"podman", "network", "disconnect", "--force", p->podman.bridge.wire.network, p->house->podman.bridge.infra, NULL
	};
	const struct program program = podman_program(p->house, argv, PODMAN_QUICK_MS);
	struct err err = { 0 };

	p->podman.bridge.disconnected = true;
	if (!p->house->podman.bridge.infra[0] ||
	    program_start(&p->podman.call, p->house->loop, &program, on_disconnected, &err) < 0)
		on_removed(&p->podman.call, 0, "", "");
}

static void take_away(struct live_pod *p)
{
	char seconds[16];
	const char *const argv[] = { "podman", "pod", "rm", "--force", "--time", seconds, p->name, NULL };
	const struct program program = podman_program(p->house, argv, p->podman.stop_ms + REMOVE_MORE_MS);
	const struct err stopped = { .class = ERR_FINDING, .text = "the pod is being stopped" };
	struct err err = { 0 };
	char words[LAST_WORDS] = "";

	if (bridge_is_gate(p))
		last_words_of_gate(p->house, words);
	if (words[0])
		log_error("the gate's container said at last: %s", words);
	podman_answer_hooks(p, &stopped);
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

	podman_answer_hooks(p, &why);
	program_kill(&p->podman.call);
	if (p->house->podman.bridge.on)
		bridge_leave(p);
}

const struct pod_engine engine_podman = { .name = "podman", .begin = begin, .stop = stop, .clear = clear };
