/* The gate's pod: what it is made of, its life, and its socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/bridge.h"
#include "engine/podman.h"
#include "engine/pods.h"
#include "guard/fdpass.h"
#include "net/own.h"
#include "net/resolve.h"
#include "pod/bridge_ends.h"

enum { CHANNEL_BACKLOG = 4, GATE_STOP_MS = 2000, SERVERS_TEXT = 1024, WORKERS_DEFAULT_MAX = 64 };

/* --- the socket --- */

static bool in_gates_namespace(const struct house *h, pid_t pid)
{
	const struct live_pod *gate = h->podman.bridge.gate;
	struct stat theirs, ours;
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	return gate && gate->walls.netns >= 0 && stat(path, &theirs) == 0 && fstat(gate->walls.netns, &ours) == 0 &&
	       theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

/* A socket for each worker. */
static int tell_host(int fd, unsigned workers)
{
	const struct gate_message m = { .kind = GATE_HOST };
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < workers; i++) {
		FD_CLOSE int own = own_socket();

		rc = own < 0 ? own : fdpass_send(fd, &m, sizeof m, &own, 1);
	}
	return rc;
}

static void welcome(struct house *h, int fd)
{
	struct ucred who;
	socklen_t size = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != BRIDGE_GATE_ID || who.pid <= 0 ||
	    !in_gates_namespace(h, who.pid)) {
		log_error("somebody at the gate's socket is not the gate");
		(void)close(fd);
		return;
	}
	const int rc = tell_host(fd, h->podman.bridge.workers);

	if (rc < 0) {
		log_error("the gate cannot be told which addresses are the host's: %s", strerror(-rc));
		(void)close(fd);
		return;
	}
	if (gate_link_connected(&h->gate, fd, who.pid))
		h->podman.bridge.tried = false;
}

static void channel_ready(struct source *s, uint32_t events)
{
	struct house *h = (struct house *)((char *)s - offsetof(struct house, podman.bridge.listener));

	(void)events;
	for (int i = 0; i < CHANNEL_BACKLOG; i++) {
		const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		welcome(h, fd);
	}
}

static int open_channel(struct house *h, struct err *err)
{
	struct bridge *b = &h->podman.bridge;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char path[PODMAN_PATH + 32];

	(void)snprintf(b->channel, sizeof b->channel, "%.480s/gate", h->podman.dir);
	(void)snprintf(path, sizeof path, "%s/" BRIDGE_CHANNEL, b->channel);
	if (strlen(path) >= sizeof at.sun_path)
		return err_set(err, ERR_INPUT, "the path is too long for a socket: %s; another STOCKADE_STATE_DIR helps", path);
	(void)snprintf(at.sun_path, sizeof at.sun_path, "%.107s", path);
	if ((mkdir(b->channel, 0700) < 0 && errno != EEXIST) || chmod(b->channel, 0711) < 0)
		return err_errno(err, "%s", b->channel);
	(void)unlink(path);
	b->listener =
		(struct source) { .fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .ready = channel_ready };
	/* The umask lets nobody in before it is the gate's. */
	if (b->listener.fd < 0 || bind(b->listener.fd, (const struct sockaddr *)&at, sizeof at) < 0 ||
	    chown(path, BRIDGE_GATE_ID, BRIDGE_GATE_ID) < 0 || chmod(path, 0600) < 0 ||
	    listen(b->listener.fd, CHANNEL_BACKLOG) < 0 || loop_watch(h->loop, &b->listener, EPOLLIN) < 0)
		return err_errno(err, "%s", path);
	return 0;
}

/* --- the beginning --- */

int bridge_prepare(struct house *h, uint64_t client, struct err *err)
{
	static const char *const podman[] = { "podman", NULL };
	struct bridge *b = &h->podman.bridge;
	const struct program like = podman_program(h, podman, PODMAN_QUICK_MS);

	if (bridge_networks_read(h, err) < 0)
		return -1;
	if (b->ready)
		return 0;
	plan_bridge_wire(h->podman.dir, h->project, NULL, 0, 0, &b->outer);
	if (bridge_is_free(h, &b->outer, err) < 0 || podman_files_network(h->podman.dir, &b->outer, h->project, err) < 0 ||
	    gate_image_ensure(&like, h->podman.dir, &b->image, err) < 0 || open_channel(h, err) < 0)
		return -1;
	if (b->image.built)
		client_line(&h->clients, client, "gate: image %s built here, %llu bytes in %u ms", b->image.name, b->image.bytes,
			    b->image.ms);
	b->ready = true;
	return 0;
}

/* --- its pod --- */

static unsigned count_workers(const struct house *h)
{
	cpu_set_t set;
	const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return h->gate.workers ? h->gate.workers : count < WORKERS_DEFAULT_MAX ? (unsigned)count : WORKERS_DEFAULT_MAX;
}

static bool is_loopback(const char *server)
{
	return strncmp(server, "127.", 4) == 0 || strncmp(server, "::1", 3) == 0 || strncmp(server, "[::1]", 5) == 0;
}

/* The host's resolvers, or those that were asked for: the container has no resolv.conf of the host's. */
static int add_dns(const struct house *h, struct strings *args, struct arena *a, struct err *err)
{
	char *text = arena_alloc(a, SERVERS_TEXT), *at;
	const struct strings before = *args;

	for (size_t i = 0; h->gate.dns && h->gate.dns[i]; i++) {
		ARENA_PUSH(a, args->items, args->count) = "--dns";
		ARENA_PUSH(a, args->items, args->count) = h->gate.dns[i];
	}
	if (args->count > before.count)
		return 0;
	resolver_read_resolv_conf("/etc/resolv.conf", text, SERVERS_TEXT);
	for (at = strtok_r(text, ",", &text); at; at = strtok_r(NULL, ",", &text)) {
		if (is_loopback(at))
			return err_set(
				err, ERR_INPUT,
				"the host's resolver, %.60s in /etc/resolv.conf, is at an address that the gate's container does "
				"not reach; name another with --dns",
				at);
		ARENA_PUSH(a, args->items, args->count) = "--dns";
		ARENA_PUSH(a, args->items, args->count) = at;
	}
	return 0;
}

static const struct plan_pod *plan_gate(struct house *h, struct plan_ref *plan, struct err *err)
{
	struct bridge *b = &h->podman.bridge;
	struct arena *a = &plan->arena;
	char limits[LIMIT_COUNT][LIMIT_TEXT_MAX];
	const char *words[2 * LIMIT_COUNT];
	struct strings args = { 0 };

	b->workers = count_workers(h);
	ARENA_PUSH(a, args.items, args.count) = "gate-role";
	ARENA_PUSH(a, args.items, args.count) = "--connect";
	ARENA_PUSH(a, args.items, args.count) = BRIDGE_CHANNEL_DIR "/" BRIDGE_CHANNEL;
	ARENA_PUSH(a, args.items, args.count) = "--workers";
	ARENA_PUSH(a, args.items, args.count) = arena_printf(a, "%u", b->workers);
	const size_t n = gate_link_limits(&h->options.limits, limits, words);

	for (size_t i = 0; i < n; i++)
		ARENA_PUSH(a, args.items, args.count) = arena_strdup(a, words[i]);
	if (add_dns(h, &args, a, err) < 0)
		return NULL;
	const struct bridge_gate how = { .image = b->image.name, .channel = b->channel, .args = args };

	return plan_bridge_gate(plan->plan, &how, a);
}

static void settled(void *arg, const struct err *why)
{
	struct house *h = arg;
	struct err shown = { 0 };

	if (why) {
		shown = *why;
		(void)err_wrap(&shown, "the gate's pod");
	}
	h->podman.bridge.gate_settled(h, why ? &shown : NULL);
}

static int start(struct house *h, struct plan_ref *plan, const struct plan_pod *planned, struct err *err)
{
	if (pod_find(h, planned->pod->name))
		return err_set(err, ERR_INPUT, "a pod has the gate's name, %s", planned->pod->name);
	if (pod_start(h, plan, planned, settled, h, err) < 0)
		return err_wrap(err, "the gate's pod");
	h->podman.bridge.gate = pod_find(h, planned->pod->name);
	return 0;
}

static void old_gone(void *arg)
{
	struct house *h = arg;
	struct bridge *b = &h->podman.bridge;
	struct plan_ref *plan = b->wants_plan;
	const struct plan_pod *planned = b->wants;
	struct err err = { 0 };

	b->wants_plan = NULL;
	b->wants = NULL;
	if (h->leaving)
		(void)err_set(&err, ERR_FAULT, "the project is being taken down");
	if (err.class || start(h, plan, planned, &err) < 0)
		settled(h, &err);
	plan_ref_drop(plan);
}

static bool is_as_wanted(const struct live_pod *p, const struct plan_pod *planned)
{
	return p->phase != POD_STOPPING && !p->podman.failing && !p->outside && !p->podman.lost &&
	       strcmp(p->planned->config_hash, planned->config_hash) == 0;
}

int bridge_gate_start(struct house *h, struct plan_ref *plan, uint64_t client, bool *ret_begun, struct err *err)
{
	struct bridge *b = &h->podman.bridge;
	const struct plan_pod *planned = plan_gate(h, plan, err);

	*ret_begun = false;
	if (!planned)
		return -1;
	if (b->gate && !b->wants && is_as_wanted(b->gate, planned))
		return 0;
	*ret_begun = true;
	if (!b->gate)
		return start(h, plan, planned, err);
	client_line(&h->clients, client, "gate: its pod is started anew");
	plan_ref_drop(b->wants_plan);
	b->wants = planned;
	b->wants_plan = plan_ref_take(plan);
	pod_stop(b->gate, GATE_STOP_MS, old_gone, h);
	return 0;
}

static void let_go(struct house *h)
{
	struct bridge *b = &h->podman.bridge;

	loop_timer_cancel(h->loop, &b->hold);
	if (b->held)
		client_done(&h->clients, b->held, NULL, NULL, NULL, 0);
	b->held = 0;
}

static void held_enough(struct timer *t)
{
	let_go((struct house *)((char *)t - offsetof(struct house, podman.bridge.hold)));
}

void bridge_hold_gate(struct house *h, uint64_t client)
{
	struct bridge *b = &h->podman.bridge;

	/* Of one that ends before it connects nobody else hears. */
	if (b->tried && h->gate.state == GATE_DOWN)
		h->gate.failures++;
	const unsigned wait = gate_link_backoff_ms(&h->gate);

	b->tried = true;
	let_go(h);
	b->held = client;
	b->hold.expired = held_enough;
	if (wait)
		loop_timer_set(h->loop, &b->hold, wait);
	else
		let_go(h);
}

bool bridge_gate_runs(const struct house *h)
{
	const struct live_pod *gate = h->podman.bridge.gate;

	return gate && gate->phase == POD_RUNNING && h->podman.bridge.infra[0];
}

void bridge_end(struct house *h)
{
	struct bridge *b = &h->podman.bridge;

	if (!b->on)
		return;
	let_go(h);
	loop_forget(h->loop, &b->listener);
	json_decref(b->others);
	b->others = NULL;
	if (b->ready)
		fd_close(&b->listener.fd);
	plan_ref_drop(b->wants_plan);
	b->wants_plan = NULL;
}
