/* The built-in engine: walls up, the gate told, then one init container after the other, then all containers, children of this very
 * process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/live_container.h"
#include "engine/live_port.h"
#include "engine/pods.h"
#include "engine/volumes.h"

/* --- the end --- */

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
	pod_go((struct live_pod *)((char *)t - offsetof(struct live_pod, limit)));
}

static void stop(struct live_pod *p, unsigned timeout_ms, bool first)
{
	for (size_t i = 0; i < p->container_count; i++) {
		if (first)
			live_container_stop(&p->containers[i]);
	}
	p->limit.expired = stop_late;
	if (!any_runs(p))
		timeout_ms = 0;
	if (first || timeout_ms == 0 || p->limit.due_ms > loop_now_ms(p->house->loop) + timeout_ms)
		loop_timer_set(p->house->loop, &p->limit, timeout_ms);
}

static void clear(struct live_pod *p)
{
	for (size_t i = 0; i < p->container_count; i++)
		live_container_kill(&p->containers[i]);
	volumes_remove(p->volume_dir, p->planned->pod);
	fd_close(&p->log_dir);
}

/* --- the beginning --- */

static void next_step(struct live_pod *p);

static void container_ended(struct live_container *c)
{
	struct live_pod *p = c->pod;
	struct err why = { 0 };

	if (p->phase == POD_STOPPING) {
		if (!any_runs(p))
			pod_go(p);
	} else if (p->phase == POD_INIT && c->init && c->exit_code == 0) {
		p->at++;
		next_step(p);
	} else if (p->phase == POD_INIT) {
		(void)err_set(&why, ERR_FINDING, "the init container %s ended with %d; 'stockade logs %s/%s' has what it printed",
			      c->planned->name, c->exit_code, p->name, c->planned->name);
		pod_fail(p, &why);
	} else if (restart_wanted(p->planned->pod->restart_policy, c->exit_code)) {
		live_container_start_later(c);
	}
}

static bool any_starts_first(const struct live_pod *p)
{
	for (size_t i = p->init_count; i < p->container_count; i++)
		if (p->containers[i].state == CONTAINER_STARTING && !p->containers[i].started_at)
			return true;
	return false;
}

/* When the last container is up. */
static void all_up(struct live_pod *p)
{
	struct err why = { 0 };

	if (p->phase != POD_STARTING || any_starts_first(p))
		return;
	p->phase = POD_RUNNING;
	for (size_t i = 0; i < p->port_count; i++) {
		if (live_port_open(&p->ports[i], &why) < 0) {
			pod_fail(p, &why);
			return;
		}
	}
	log_info("pod %s runs", p->name);
	pod_settle(p, NULL);
}

/* Those that fail at their first start take the pod with them; a later one is tried again. */
static void container_started(struct live_container *c, const struct err *why)
{
	struct live_pod *p = c->pod;

	if (!why) {
		all_up(p);
	} else if (!c->started_at) {
		pod_fail(p, why);
	} else {
		log_error("pod %s: %s", p->name, why->text);
		live_container_start_later(c);
	}
}

static int start_container(struct live_container *c, struct err *err)
{
	c->started = container_started;
	c->ended = container_ended;
	return live_container_start(c, err);
}

/* The init container whose turn it is, or, after the last, all the others. */
static void next_step(struct live_pod *p)
{
	struct err why = { 0 };
	const bool init = p->at < p->init_count;
	int rc = 0;

	p->phase = init ? POD_INIT : POD_STARTING;
	for (size_t i = p->at; rc == 0 && i < (init ? p->at + 1 : p->container_count); i++)
		rc = start_container(&p->containers[i], &why);
	if (rc < 0)
		pod_fail(p, &why);
	else
		all_up(p);
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

	pod_fail((struct live_pod *)((char *)t - offsetof(struct live_pod, limit)), &why);
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

/* Everything before the first instruction of the pod: logs, volumes, walls. */
static int prepare(struct live_pod *p, struct err *err)
{
	char volumes[HOUSE_PATH + 16];

	if (open_logs(p, err) < 0)
		return -1;
	(void)snprintf(volumes, sizeof volumes, "%s/volumes", p->house->path);
	if (mkdir(volumes, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "%s", volumes);
	(void)snprintf(p->volume_dir, sizeof p->volume_dir, "%s/%s", volumes, p->name);
	if (volumes_make(p->volume_dir, p->planned->pod, err) < 0 || volumes_check(p->volume_dir, p->planned->pod, err) < 0)
		return -1;
	return pod_walls_raise(&p->walls, p->plan->plan, p->planned, free_uid_base(p->house, p->name), err);
}

static int begin(struct live_pod *p, struct err *err)
{
	if (prepare(p, err) < 0)
		return -1;
	p->gate.on_attached = attached;
	p->limit.expired = attach_late;
	loop_timer_set(p->house->loop, &p->limit, POD_ATTACH_MS);
	gate_link_attach(&p->house->gate, &p->gate);
	return 0;
}

const struct pod_engine engine_builtin = { .name = "builtin", .begin = begin, .stop = stop, .clear = clear };
