/* Wires: adopted, joined, cut. Every change puts up the gate's whole jail anew, in one transaction, and reads it back. */
#include "engine/bridge.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <sha256.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "jail/jail.h"
#include "pod/errand.h"
#include "pod/netns.h"
#include "pod/wire.h"

static struct bridge *bridge_of(const struct live_pod *p)
{
	return &p->house->podman.bridge;
}

bool bridge_is_gate(const struct live_pod *p)
{
	return p->podman.bridge.is_gate;
}

/* --- jails --- */

static int put_up(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_apply(arg, err) < 0 ? -1 : jail_check(arg, err);
}

static int put_up_and_listen(void *arg, int *ret_fds, struct err *err)
{
	if (put_up(arg, NULL, err) < 0)
		return -1;
	ret_fds[0] = jail_open_drops(PLAN_NFLOG_GROUP, err);
	return ret_fds[0] < 0 ? -1 : 0;
}

static int read_back(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_check(arg, err);
}

/* On the host there are other people's tables too, so it is not read back: a transaction that was taken is in force. */
static int apply_here(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_apply(arg, err);
}

static const char *gate_jail(const struct house *h, struct arena *a)
{
	struct bridge_join *joins = NULL;
	size_t count = 0;

	for (const struct live_pod *p = h->pods; p; p = p->next)
		if (p->podman.bridge.joined)
			ARENA_PUSH(a, joins, count) = p->podman.bridge.join;
	return plan_bridge_gate_jail(h->podman.bridge.outer_device, joins, count, a);
}

static int with_gate_jail(const struct house *h, int (*fn)(void *arg, int *ret_fds, struct err *err), struct err *err)
{
	struct arena a = { 0 };
	const int rc = netns_run(h->podman.bridge.gate->walls.netns, fn, (void *)gate_jail(h, &a), NULL, 0, err);

	arena_free(&a);
	return rc < 0 ? err_wrap(err, "the jail of the gate's pod") : 0;
}

static int wall_off_host(const struct bridge_wire *w, struct err *err)
{
	struct arena a = { 0 };
	const int rc = errand_run(apply_here, (void *)plan_bridge_host_wall(w, &a), NULL, 0, err);

	arena_free(&a);
	return rc < 0 ? err_wrap(err, "the wall between the host and the bridge %s", w->device) : 0;
}

static void open_host(const char *device)
{
	struct arena a = { 0 };
	struct err err = { 0 };

	if (errand_run(apply_here, (void *)plan_bridge_host_wall_gone(device, &a), NULL, 0, &err) < 0)
		log_error("table netdev %s stays: %s", device, err.text);
	arena_free(&a);
}

/* --- wires --- */

static bool gate_is_there(const struct bridge *b)
{
	return b->gate && b->gate->walls.netns >= 0;
}

static void close_listeners(struct pod_walls *w)
{
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		if (i != GATE_DROPS)
			fd_close(&w->listeners[i]);
}

/* The gate's end: its device looked up, the pod let in, the listeners made. Those that there are stay when the device is the same: the gate has
 * them too, and the port would be taken. */
static int join(struct live_pod *p, struct pod_walls *walls, struct err *err)
{
	struct bridge *b = bridge_of(p);
	struct bridge_life *life = &p->podman.bridge;
	struct bridge_join now;
	const int before = life->joined && walls->listeners[GATE_TCP4] >= 0 ? life->join.index : 0;

	if (wire_join(b->gate->walls.netns, &life->wire, &life->end, &now, err) < 0)
		return -1;
	life->join = now;
	life->joined = true;
	if (with_gate_jail(p->house, put_up, err) < 0) {
		life->joined = false;
		return -1;
	}
	if (before == now.index)
		return 0;
	const int drops = walls->listeners[GATE_DROPS];

	close_listeners(walls);
	if (netns_listeners(b->gate->walls.netns, now.device, walls->listeners, err) < 0) {
		walls->listeners[GATE_DROPS] = drops;
		return err_wrap(err, "the listeners");
	}
	walls->listeners[GATE_DROPS] = drops;
	return 0;
}

static int raise_inside(struct live_pod *p, int netns, struct pod_walls *walls, struct err *err)
{
	struct arena a = { 0 };
	struct bridge_life *life = &p->podman.bridge;
	int drops = -1;
	int rc = wire_adopt_pod(netns, &life->wire, p->planned, &life->end, err);

	if (rc < 0)
		(void)err_wrap(err, "its network namespace");
	else if ((rc = netns_run(netns, put_up_and_listen, (void *)plan_bridge_jail(p->planned, &life->end, &a), &drops, 1, err)) <
		 0)
		(void)err_wrap(err, "its jail");
	arena_free(&a);
	if (rc == 0) {
		fd_close(&walls->listeners[GATE_DROPS]);
		walls->listeners[GATE_DROPS] = drops;
	}
	return rc;
}

/* Of what there was before, the listeners alone go on. */
static struct pod_walls begin(struct live_pod *p, int netns)
{
	struct pod_walls w = { .userns = -1, .netns = netns };

	for (int i = 0; i < GATE_LISTENER_COUNT; i++) {
		w.listeners[i] = i == GATE_DROPS ? -1 : p->walls.listeners[i];
		if (i != GATE_DROPS)
			p->walls.listeners[i] = -1;
	}
	return w;
}

/* Whatever it had: half a wire is none, and its next start begins anew. */
static void cut_off(struct live_pod *p)
{
	struct err err = { 0 };

	gate_link_detach(&p->house->gate, &p->gate);
	fd_close(&p->walls.netns);
	p->podman.bridge.joined = false;
	if (gate_is_there(bridge_of(p)) && with_gate_jail(p->house, put_up, &err) < 0)
		log_error("%s", err.text);
}

int bridge_adopt(struct live_pod *p, int netns, struct pod_walls *walls, struct err *err)
{
	*walls = begin(p, netns);
	if (!gate_is_there(bridge_of(p)))
		(void)err_set(err, ERR_FINDING, "the gate's pod does not run; 'stockade up' starts it");
	else if (wall_off_host(&p->podman.bridge.wire, err) == 0 && raise_inside(p, netns, walls, err) == 0 &&
		 join(p, walls, err) == 0)
		return 0;
	pod_walls_close(walls);
	cut_off(p);
	return -1;
}

int bridge_check(const struct live_pod *p, struct err *err)
{
	struct arena a = { 0 };
	int rc = 0;

	if (!bridge_is_gate(p))
		rc = netns_run(p->walls.netns, read_back, (void *)plan_bridge_jail(p->planned, &p->podman.bridge.end, &a), NULL, 0,
			       err);
	arena_free(&a);
	if (rc == 0 && !gate_is_there(bridge_of(p)))
		rc = err_set(err, ERR_FINDING, "the gate's pod does not run");
	return rc < 0 ? -1 : with_gate_jail(p->house, read_back, err);
}

/* The gate's pod has a new namespace, so that all wires end anew in it. Who cannot be joined is cut off until it starts again, or `up` starts it anew. */
static void join_again(struct live_pod *p)
{
	struct err err = { 0 };

	if (p->walls.netns < 0 || bridge_is_gate(p))
		return;
	gate_link_detach(&p->house->gate, &p->gate);
	p->podman.bridge.joined = false;
	close_listeners(&p->walls);
	if (join(p, &p->walls, &err) == 0) {
		gate_link_attach(&p->house->gate, &p->gate);
		return;
	}
	log_error("pod %s is cut off: %s", p->name, err.text);
	cut_off(p);
}

int bridge_adopt_gate(struct live_pod *p, int netns, struct err *err)
{
	struct bridge *b = bridge_of(p);
	struct house *h = p->house;

	fd_close(&p->walls.netns);
	for (struct live_pod *other = h->pods; other; other = other->next)
		other->podman.bridge.joined = false;
	if (wire_adopt_gate(netns, &b->outer, b->outer_device, err) < 0) {
		fd_close(&netns);
		return err_wrap(err, "its network namespace");
	}
	p->walls.netns = netns;
	if (with_gate_jail(h, put_up, err) < 0) {
		fd_close(&p->walls.netns);
		return -1;
	}
	for (struct live_pod *other = h->pods; other; other = other->next)
		join_again(other);
	log_info("pod %s: walls up around its network namespace", p->name);
	return 0;
}

void bridge_leave(struct live_pod *p)
{
	struct bridge *b = bridge_of(p);

	if (bridge_is_gate(p)) {
		if (b->gate == p)
			b->gate = NULL;
		b->infra[0] = '\0';
		return;
	}
	if (p->podman.bridge.wire.device[0])
		open_host(p->podman.bridge.wire.device);
	if (p->podman.bridge.joined)
		cut_off(p);
}

/* --- places --- */

static bool is_taken(const struct live_pod *p, const struct bridge_wire *w)
{
	if (plan_bridge_overlaps(w, &bridge_of(p)->outer.net))
		return true;
	for (const struct live_pod *other = p->house->pods; other; other = other->next)
		if (other != p && other->podman.bridge.wire.network[0] && plan_bridge_overlaps(w, &other->podman.bridge.wire.net))
			return true;
	return false;
}

const struct bridge_wire *bridge_wire_of(const struct live_pod *p)
{
	return bridge_is_gate(p) ? &bridge_of(p)->outer : &p->podman.bridge.wire;
}

int bridge_place(struct live_pod *p, struct err *err)
{
	struct house *h = p->house;
	struct bridge_wire *w = &p->podman.bridge.wire;
	unsigned place = 0;

	if (bridge_is_gate(p)) {
		plan_bridge_wire(h->podman.dir, h->project, NULL, 0, p->podman.bridge.name, &bridge_of(p)->outer);
		return 0;
	}

	do
		plan_bridge_wire(h->podman.dir, h->project, p->name, place, p->podman.bridge.name, w);
	while (is_taken(p, w) && ++place < BRIDGE_PLACES);
	return wire_check_routes(w, err);
}

const char *const *bridge_networks(const struct live_pod *p, struct arena *a)
{
	const char **list = NULL;
	size_t count = 0;

	ARENA_PUSH(a, list, count) =
		plan_bridge_end(bridge_is_gate(p) ? &bridge_of(p)->outer : &p->podman.bridge.wire, bridge_is_gate(p), a);
	/* Those that are there already; another is joined to it later. */
	for (const struct live_pod *other = p->house->pods; bridge_is_gate(p) && other; other = other->next)
		if (other->walls.netns >= 0 && other != p)
			ARENA_PUSH(a, list, count) = plan_bridge_end(&other->podman.bridge.wire, true, a);
	ARENA_PUSH(a, list, count) = NULL;
	return list;
}

json_t *bridge_describe(const struct live_pod *p)
{
	const struct bridge_life *life = &p->podman.bridge;
	char ip[IP_TEXT_MAX], mac[BRIDGE_MAC_TEXT];

	if (bridge_is_gate(p))
		return json_pack("{ss ss}", "network", bridge_of(p)->outer.network, "device", bridge_of(p)->outer_device);
	if (!p->house->podman.bridge.on || p->walls.netns < 0)
		return NULL;
	return json_pack("{ss ss ss ss ss ss*}", "network", life->wire.network, "bridge", life->wire.device, "device",
			 life->end.device, "address", ip_format(&life->end.address, ip), "mac", bridge_mac_text(life->end.mac, mac),
			 "gate_device", life->joined ? life->join.device : NULL);
}

/* --- the end --- */

static void sweep_network(const char *file, const struct program *like)
{
	json_t *network = json_load_file(file, 0, NULL);
	const char *device = json_string_value(json_object_get(network, "network_interface"));
	const char *name = json_string_value(json_object_get(network, "name"));
	const char *const argv[] = { "podman", "network", "rm", name, NULL };
	struct arena a = { 0 };
	struct program p = *like;
	struct err err = { 0 };

	p.argv = argv;
	if (device && json_is_true(json_object_get(network, "internal")))
		open_host(device);
	if (name && program_wait(&p, &a, NULL, &err) != 0)
		log_error("podman network rm: %s", err.text);
	json_decref(network);
	arena_free(&a);
}

void bridge_sweep(const char *dir, const struct program *like)
{
	char path[PODMAN_PATH], file[PODMAN_PATH + 256];
	const struct dirent *entry;

	(void)snprintf(path, sizeof path, "%.490s/networks", dir);
	DIR *list = opendir(path);

	while (list && (entry = readdir(list))) {
		const size_t n = strlen(entry->d_name);

		(void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0)
			sweep_network(file, like);
	}
	if (list)
		(void)closedir(list);
}
