/* What pods of every engine have in common. A pod goes through ATTACHING, INIT, STARTING, RUNNING, and at its end STOPPING. Only dismantle()
 * takes things away, always all of them. */
#include "engine/pods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/bridge.h"
#include "engine/live_container.h"
#include "engine/live_port.h"

/* --- the end --- */

static void release(struct deferred *d)
{
	struct live_pod *p = (struct live_pod *)((char *)d - offsetof(struct live_pod, end));

	plan_ref_drop(p->plan);
	free(p->containers);
	free(p->ports);
	free(p);
}

static void unlink_pod(struct live_pod *p)
{
	for (struct live_pod **at = &p->house->pods; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			return;
		}
	}
}

/* Everything of the pod, whatever there is of it; the memory goes after this batch of events. */
static void dismantle(struct live_pod *p)
{
	loop_timer_cancel(p->house->loop, &p->limit);
	for (size_t i = 0; i < p->port_count; i++)
		live_port_close(&p->ports[i]);
	p->house->engine->clear(p);
	gate_link_detach(&p->house->gate, &p->gate);
	pod_walls_close(&p->walls);
	unlink_pod(p);
	p->end.run = release;
	loop_defer(p->house->loop, &p->end);
}

void pod_settle(struct live_pod *p, const struct err *why)
{
	void (*settled)(void *arg, const struct err *why) = p->settled;

	p->settled = NULL;
	if (settled)
		settled(p->settled_arg, why);
}

void pod_fail(struct live_pod *p, const struct err *why)
{
	log_error("pod %s: %s", p->name, why->text);
	dismantle(p);
	pod_settle(p, why);
}

void pod_go(struct live_pod *p)
{
	log_info("pod %s has stopped", p->name);
	dismantle(p);
	if (p->gone)
		p->gone(p->gone_arg);
	house_pod_gone(p->house);
}

void pod_stop(struct live_pod *p, unsigned timeout_ms, void (*gone)(void *arg), void *arg)
{
	const struct err stopped = { .class = ERR_FAULT, .text = "it was stopped before it was up" };
	const bool first = p->phase != POD_STOPPING;

	if (first) {
		p->phase = POD_STOPPING;
		p->gone = gone;
		p->gone_arg = arg;
		pod_settle(p, &stopped);
	}
	p->house->engine->stop(p, timeout_ms, first);
}

/* --- the beginning --- */

static size_t add_containers(struct live_pod *p, const struct container *list, size_t count, bool init)
{
	const size_t before = p->container_count;

	for (size_t i = 0; i < count; i++)
		if (!list[i].jailer)
			p->containers[p->container_count++] = (struct live_container) {
				.pod = p, .planned = &list[i], .init = init, .exit_code = -1, .answer.fd = -1, .first = -1
			};
	return p->container_count - before;
}

static void add_ports(struct live_pod *p, const struct container *c)
{
	for (size_t i = 0; !c->jailer && i < c->port_count; i++)
		if (c->ports[i].host_port)
			p->ports[p->port_count++] = (struct live_port) { .pod = p, .planned = &c->ports[i], .listener = -1 };
}

static int fill(struct live_pod *p, struct err *err)
{
	const struct pod *pod = p->planned->pod;
	size_t ports = 0;

	for (size_t i = 0; i < pod->container_count; i++)
		ports += pod->containers[i].port_count;
	p->containers = calloc(pod->init_container_count + pod->container_count + 1, sizeof *p->containers);
	p->ports = calloc(ports + 1, sizeof *p->ports);
	if (!p->containers || !p->ports)
		return err_set(err, ERR_FAULT, "out of memory");
	p->init_count = add_containers(p, pod->init_containers, pod->init_container_count, true);
	(void)add_containers(p, pod->containers, pod->container_count, false);
	for (size_t i = 0; i < pod->container_count; i++)
		add_ports(p, &pod->containers[i]);
	return 0;
}

int pod_start(struct house *h, struct plan_ref *plan, const struct plan_pod *planned,
	      void (*settled)(void *arg, const struct err *why), void *arg, struct err *err)
{
	struct live_pod *p = calloc(1, sizeof *p);

	if (!p)
		return err_set(err, ERR_FAULT, "out of memory");
	*p = (struct live_pod) { .house = h,
				 .plan = plan_ref_take(plan),
				 .planned = planned,
				 .log_dir = -1,
				 .podman.bridge.is_gate = planned->pod->gate,
				 .walls = { -1, -1, { -1, -1, -1, -1, -1 }, 0 } };
	(void)snprintf(p->name, sizeof p->name, "%s", planned->pod->name);
	(void)snprintf(p->gate.name, sizeof p->gate.name, "%s", p->name);
	p->gate.listeners = p->walls.listeners;
	if (fill(p, err) < 0 || h->engine->begin(p, err) < 0) {
		dismantle(p);
		return -1;
	}
	p->next = h->pods;
	h->pods = p;
	p->settled = settled;
	p->settled_arg = arg;
	return 0;
}

/* --- what others ask --- */

struct live_pod *pod_find(struct house *h, const char *name)
{
	for (struct live_pod *p = h->pods; p; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* The same configuration has the same containers and ports in the same order. */
void pod_keep(struct live_pod *p, struct plan_ref *plan, const struct plan_pod *planned)
{
	const struct pod *pod = planned->pod;
	struct live_container *c = p->containers;
	struct live_port *port = p->ports;

	for (size_t i = 0; i < pod->init_container_count; i++)
		if (!pod->init_containers[i].jailer)
			c++->planned = &pod->init_containers[i];
	for (size_t i = 0; i < pod->container_count; i++) {
		if (pod->containers[i].jailer)
			continue;
		c++->planned = &pod->containers[i];
		for (size_t k = 0; k < pod->containers[i].port_count; k++)
			if (pod->containers[i].ports[k].host_port)
				port++->planned = &pod->containers[i].ports[k];
	}
	(void)plan_ref_take(plan);
	plan_ref_drop(p->plan);
	p->plan = plan;
	p->planned = planned;
}

struct live_container *pod_running(struct live_pod *p, const char *container, struct err *err)
{
	for (size_t i = 0; i < p->container_count; i++) {
		struct live_container *c = &p->containers[i];
		const bool meant = container ? strcmp(c->planned->name, container) == 0 : !c->init;

		if (meant && c->state == CONTAINER_RUNNING && live_container_pid(c) > 0)
			return c;
		if (meant && container) {
			(void)err_set(err, ERR_FINDING, "container %s/%s does not run now", p->name, container);
			return NULL;
		}
	}
	(void)(container ? err_set(err, ERR_INPUT, "pod %s has no container '%.100s'", p->name, container)
			 : err_set(err, ERR_FINDING, "no container of pod %s runs now", p->name));
	return NULL;
}

static bool is_attached(const struct live_pod *p)
{
	return bridge_is_gate(p) ? p->house->gate.state == GATE_SERVING : p->gate.attached;
}

json_t *pod_describe(const struct live_pod *p)
{
	char v4[IP_TEXT_MAX], v6[IP_TEXT_MAX];
	json_t *containers = json_array();

	for (size_t i = 0; i < p->container_count; i++)
		(void)json_array_append_new(containers, live_container_describe(&p->containers[i]));
	return json_pack("{ss s[ss] sb sb so* so}", "name", p->name, "addresses", ip_format(&p->planned->v4, v4),
			 ip_format(&p->planned->v6, v6), "attached", (int)(is_attached(p) && !p->outside), "walls",
			 (int)!p->outside, "wire", bridge_describe(p), "containers", containers);
}
