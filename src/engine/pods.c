/* A pod goes through ATTACHING (walls up, the gate told), INIT (one container after the other), RUNNING, and at its end STOPPING.
 * Only dismantle() takes things away, always all of them. */
#include "engine/pods.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/live_container.h"
#include "engine/live_port.h"
#include "engine/volumes.h"

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
	for (size_t i = 0; i < p->container_count; i++)
		live_container_kill(&p->containers[i]);
	gate_link_detach(&p->house->gate, &p->gate);
	pod_walls_close(&p->walls);
	volumes_remove(p->volume_dir, p->planned->pod);
	fd_close(&p->log_dir);
	unlink_pod(p);
	p->end.run = release;
	loop_defer(p->house->loop, &p->end);
}

static void settle(struct live_pod *p, const struct err *why)
{
	void (*settled)(void *arg, const struct err *why) = p->settled;

	p->settled = NULL;
	if (settled)
		settled(p->settled_arg, why);
}

static void fail(struct live_pod *p, const struct err *why)
{
	log_error("pod %s: %s", p->name, why->text);
	dismantle(p);
	settle(p, why);
}

static void go(struct live_pod *p)
{
	log_info("pod %s has stopped", p->name);
	dismantle(p);
	if (p->gone)
		p->gone(p->gone_arg);
	house_pod_gone(p->house);
}

static bool any_runs(const struct live_pod *p)
{
	for (size_t i = 0; i < p->container_count; i++)
		if (p->containers[i].child.pid > 0)
			return true;
	return false;
}

/* Their patience is over. dismantle() kills what still runs. */
static void stop_late(struct timer *t)
{
	go((struct live_pod *)((char *)t - offsetof(struct live_pod, limit)));
}

void pod_stop(struct live_pod *p, unsigned timeout_ms, void (*gone)(void *arg), void *arg)
{
	const struct err stopped = { .class = ERR_FAULT, .text = "it was stopped before it was up" };
	const bool first = p->phase != POD_STOPPING;

	if (first) {
		p->phase = POD_STOPPING;
		p->gone = gone;
		p->gone_arg = arg;
		settle(p, &stopped);
	}
	for (size_t i = 0; i < p->container_count; i++) {
		loop_timer_cancel(p->house->loop, &p->containers[i].again);
		if (first)
			child_signal(&p->containers[i].child, SIGTERM);
	}
	p->limit.expired = stop_late;
	if (!any_runs(p))
		timeout_ms = 0;
	if (first || timeout_ms == 0 || p->limit.due_ms > loop_now_ms(p->house->loop) + timeout_ms)
		loop_timer_set(p->house->loop, &p->limit, timeout_ms);
}

/* --- the beginning --- */

static void next_step(struct live_pod *p);

static void container_ended(struct live_container *c)
{
	struct live_pod *p = c->pod;
	struct err why = { 0 };

	if (p->phase == POD_STOPPING) {
		if (!any_runs(p))
			go(p);
	} else if (p->phase == POD_INIT && c->init && c->exit_code == 0) {
		p->at++;
		next_step(p);
	} else if (p->phase == POD_INIT) {
		(void)err_set(&why, ERR_FAULT, "the init container %s ended with %d; see its log", c->planned->name, c->exit_code);
		fail(p, &why);
	} else if (restart_wanted(p->planned->pod->restart_policy, c->exit_code)) {
		live_container_start_later(c);
	}
}

static int start_containers(struct live_pod *p, struct err *err)
{
	for (size_t i = p->init_count; i < p->container_count; i++)
		if (live_container_start(&p->containers[i], container_ended, err) < 0)
			return -1;
	for (size_t i = 0; i < p->port_count; i++)
		if (live_port_open(&p->ports[i], err) < 0)
			return -1;
	return 0;
}

/* The init container whose turn it is, or, after the last, all the others. */
static void next_step(struct live_pod *p)
{
	struct err why = { 0 };

	p->phase = p->at < p->init_count ? POD_INIT : POD_RUNNING;
	if ((p->phase == POD_INIT ? live_container_start(&p->containers[p->at], container_ended, &why)
				  : start_containers(p, &why)) < 0) {
		fail(p, &why);
	} else if (p->phase == POD_RUNNING) {
		log_info("pod %s runs", p->name);
		settle(p, NULL);
	}
}

/* Called again for every new gate. */
static void attached(struct gate_pod *g)
{
	struct live_pod *p = (struct live_pod *)((char *)g - offsetof(struct live_pod, gate));

	if (p->phase != POD_ATTACHING)
		return;
	loop_timer_cancel(p->house->loop, &p->limit);
	next_step(p);
}

static void attach_late(struct timer *t)
{
	const struct err why = { .class = ERR_FAULT, .text = "the gate does not serve its listeners; see supervisor.log" };

	fail((struct live_pod *)((char *)t - offsetof(struct live_pod, limit)), &why);
}

/* Two pods of a project never have the same host uids, though their hashes may be alike. */
static bool uid_base_taken(const struct house *h, uint32_t base)
{
	for (const struct live_pod *p = h->pods; p; p = p->next)
		if (p->walls.uid_base == base)
			return true;
	return false;
}

static uint32_t free_uid_base(const struct house *h, const char *pod)
{
	uint32_t base = pod_uid_base(h->project, pod);

	while (uid_base_taken(h, base))
		base = pod_uid_base_next(base);
	return base;
}

static int open_logs(struct live_pod *p, struct err *err)
{
	if (mkdirat(p->house->dir, "logs", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "the directory of the logs");
	FD_CLOSE int logs = openat(p->house->dir, "logs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (logs < 0 || (mkdirat(logs, p->name, 0700) < 0 && errno != EEXIST))
		return err_errno(err, "the directory of the logs");
	p->log_dir = openat(logs, p->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return p->log_dir < 0 ? err_errno(err, "the directory of the logs") : 0;
}

static size_t add_containers(struct live_pod *p, const struct container *list, size_t count, bool init)
{
	const size_t before = p->container_count;

	for (size_t i = 0; i < count; i++)
		if (!list[i].jailer)
			p->containers[p->container_count++] =
				(struct live_container) { .pod = p, .planned = &list[i], .init = init, .exit_code = -1 };
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

/* Everything before the first instruction of the pod: memory, logs, volumes, walls. */
static int prepare(struct live_pod *p, struct err *err)
{
	char volumes[HOUSE_PATH + 16];

	if (fill(p, err) < 0 || open_logs(p, err) < 0)
		return -1;
	(void)snprintf(volumes, sizeof volumes, "%s/volumes", p->house->path);
	if (mkdir(volumes, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "%s", volumes);
	(void)snprintf(p->volume_dir, sizeof p->volume_dir, "%s/%s", volumes, p->name);
	if (volumes_make(p->volume_dir, p->planned->pod, err) < 0)
		return -1;
	return pod_walls_raise(&p->walls, p->plan->plan, p->planned, free_uid_base(p->house, p->name), err);
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
				 .walls = { -1, -1, { -1, -1, -1, -1, -1 }, 0 } };
	(void)snprintf(p->name, sizeof p->name, "%s", planned->pod->name);
	(void)snprintf(p->gate.name, sizeof p->gate.name, "%s", p->name);
	if (prepare(p, err) < 0) {
		dismantle(p);
		return -1;
	}
	p->next = h->pods;
	h->pods = p;
	p->settled = settled;
	p->settled_arg = arg;
	p->gate.listeners = p->walls.listeners;
	p->gate.on_attached = attached;
	p->limit.expired = attach_late;
	loop_timer_set(h->loop, &p->limit, POD_ATTACH_MS);
	gate_link_attach(&h->gate, &p->gate);
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

		if (meant && c->state == CONTAINER_RUNNING && c->child.pid > 0)
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

json_t *pod_describe(const struct live_pod *p)
{
	char v4[IP_TEXT_MAX], v6[IP_TEXT_MAX];
	json_t *containers = json_array();

	for (size_t i = 0; i < p->container_count; i++)
		(void)json_array_append_new(containers, live_container_describe(&p->containers[i]));
	return json_pack("{ss s[ss] sb so}", "name", p->name, "addresses", ip_format(&p->planned->v4, v4),
			 ip_format(&p->planned->v6, v6), "attached", (int)p->gate.attached, "containers", containers);
}

void pod_launch(const struct live_pod *p, struct launch_pod *ret)
{
	*ret = (struct launch_pod) { .project = p->house->project,
				     .volume_dir = p->volume_dir,
				     .plan = p->plan->plan,
				     .pod = p->planned,
				     .walls = &p->walls };
}
