/* Wires: adopted, joined, cut. Every change puts up the gate's whole jail anew, in one transaction, and reads it back. */
#include "engine/bridge.h"

#include <jansson.h>

#include "base/fd.h"
#include "base/log.h"
#include "jail/jail.h"
#include "pod/bridge_ends.h"
#include "pod/errand.h"
#include "pod/netns.h"

static struct bridge *bridge_of(const struct live_pod *p)
{
	return &p->house->podman.bridge;
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

	if (bridge_ends_join(b->gate->walls.netns, &life->wire, &life->end, &now, err) < 0)
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
	int rc = bridge_ends_adopt_pod(netns, &life->wire, p->planned, &life->end, err);

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
	else if (bridge_wall_up(&p->podman.bridge.wire, err) == 0 &&
		 bridge_ends_hush_host(p->podman.bridge.wire.device, err) == 0 && raise_inside(p, netns, walls, err) == 0 &&
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
	if (rc == 0 && !bridge_is_gate(p))
		rc = bridge_wall_check(&p->podman.bridge.wire, err);
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
	if (bridge_ends_adopt_gate(netns, &b->outer, b->outer_device, err) < 0) {
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
	if (p->podman.bridge.joined)
		cut_off(p);
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
