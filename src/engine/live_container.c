#include "engine/live_container.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "pod/keeper.h"

static const char *const state_names[] = {
	[CONTAINER_WAITING] = "waiting", [CONTAINER_STARTING] = "starting", [CONTAINER_RUNNING] = "running",
	[CONTAINER_BACKOFF] = "backoff", [CONTAINER_EXITED] = "exited",
};
_Static_assert(sizeof state_names / sizeof state_names[0] == CONTAINER_STATE_COUNT, "a name for every state");

bool restart_wanted(enum restart_policy policy, int exit_code)
{
	return policy == RESTART_ALWAYS || (policy == RESTART_ON_FAILURE && exit_code != 0);
}

uint32_t restart_wait_ms(unsigned failures)
{
	uint32_t wait = RESTART_FIRST_MS;

	for (unsigned i = 1; i < failures && wait < RESTART_MAX_MS; i++)
		wait *= 2;
	return wait < RESTART_MAX_MS ? wait : RESTART_MAX_MS;
}

static void stop_listening(struct live_container *c)
{
	struct loop *l = c->pod->house->loop;

	loop_timer_cancel(l, &c->late);
	if (c->answer.fd >= 0)
		loop_forget(l, &c->answer);
	fd_close(&c->answer.fd);
}

/* What it has left outside of itself. */
static void clean(struct live_container *c)
{
	const struct container_spec spec = { .cgroup = c->cgroup };

	stop_listening(c);
	container_log_close(&c->log);
	fd_close(&c->first);
	c->pid = 0;
	if (c->cgroup[0])
		container_cleanup(&spec);
	c->cgroup[0] = '\0';
}

/* --- starts that take their time --- */

static void set_running(struct live_container *c)
{
	if (c->started_at)
		c->restarts++;
	c->state = CONTAINER_RUNNING;
	c->started_ms = loop_now_ms(c->pod->house->loop);
	c->started_at = time(NULL);
}

static void not_up(struct live_container *c, const struct err *why)
{
	struct err err = *why;

	live_container_kill(c);
	(void)err_wrap(&err, "container %s", c->planned->name);
	c->started(c, &err);
}

/* The keeper has answered, or ended. */
static void settle(struct live_container *c)
{
	struct err err = { 0 };

	if (keeper_answer(c->answer.fd, &c->first, &err) < 0) {
		not_up(c, &err);
		return;
	}
	stop_listening(c);
	c->pid = container_pid(c->first);
	set_running(c);
	c->started(c, NULL);
}

static void answered(struct source *s, uint32_t events)
{
	struct live_container *c = (struct live_container *)((char *)s - offsetof(struct live_container, answer));

	if (c->state == CONTAINER_STARTING)
		settle(c);
}

static void is_late(struct timer *t)
{
	struct live_container *c = (struct live_container *)((char *)t - offsetof(struct live_container, late));
	struct err err = { 0 };

	(void)keeper_late(&err);
	not_up(c, &err);
}

static int listen_to_keeper(struct live_container *c, struct err *err)
{
	struct loop *l = c->pod->house->loop;
	const int fd = c->answer.fd;

	c->answer = (struct source) { .fd = fd, .ready = answered };
	if (loop_watch(l, &c->answer, EPOLLIN) < 0)
		return err_errno(err, "watching a keeper");
	c->late.expired = is_late;
	loop_timer_set(l, &c->late, KEEPER_START_MS);
	c->state = CONTAINER_STARTING;
	return 0;
}

/* --- its life --- */

static void child_ended(struct child *child, int wait_status)
{
	struct live_container *c = (struct live_container *)((char *)child - offsetof(struct live_container, child));

	/* Seen before its answer was. */
	if (c->state == CONTAINER_STARTING)
		settle(c);
	if (c->state != CONTAINER_RUNNING)
		return;
	const uint64_t ran = loop_now_ms(c->pod->house->loop) - c->started_ms;

	clean(c);
	c->exit_code = child_exit_code(wait_status);
	c->state = CONTAINER_EXITED;
	if (ran >= RESTART_STEADY_MS)
		c->failures = 0;
	log_info("container %s/%s ended with %d", c->pod->name, c->planned->name, c->exit_code);
	c->ended(c);
}

/* The program's standard files: nothing to read, one pipe into the log. */
static pid_t start_program(struct live_container *c, struct launch *l, struct err *err)
{
	const uid_t owner = l->spec.uid_base + l->spec.uid;
	FD_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0)
		return (pid_t)err_errno(err, "/dev/null");
	FD_CLOSE int out = container_log_open(&c->log, c->pod->house->loop, c->pod->log_dir, c->planned->name, owner, err);

	if (out < 0)
		return -1;
	l->spec.stdio[0] = null;
	l->spec.stdio[1] = l->spec.stdio[2] = out;
	(void)snprintf(c->cgroup, sizeof c->cgroup, "%s", l->spec.cgroup);
	const pid_t pid = l->spec.runtime ? keeper_begin(&l->spec, &c->answer.fd, err) : container_start(&l->spec, err);

	if (pid < 0)
		c->cgroup[0] = '\0'; /* nothing is left of it */
	return pid;
}

void live_container_launch(const struct live_pod *p, struct launch_pod *ret)
{
	*ret = (struct launch_pod) { .project = p->house->project,
				     .volume_dir = p->volume_dir,
				     .plan = p->plan->plan,
				     .pod = p->planned,
				     .walls = &p->walls,
				     .runtime = p->house->runtime.path[0] ? &p->house->runtime : NULL };
}

int live_container_start(struct live_container *c, struct err *err)
{
	struct launch_pod pod;
	struct launch l;

	live_container_launch(c->pod, &pod);
	if (launch_prepare(&l, &pod, c->planned, err) < 0)
		return -1;
	const pid_t pid = start_program(c, &l, err);

	launch_end(&l);
	if (pid < 0 || child_watch(&c->child, c->pod->house->loop, pid, child_ended, err) < 0 ||
	    (c->answer.fd >= 0 && listen_to_keeper(c, err) < 0)) {
		live_container_kill(c);
		return err_wrap(err, "container %s", c->planned->name);
	}
	if (c->state != CONTAINER_STARTING)
		set_running(c);
	return 0;
}

static void again_due(struct timer *t)
{
	struct live_container *c = (struct live_container *)((char *)t - offsetof(struct live_container, again));
	struct err err = { 0 };

	if (live_container_start(c, &err) < 0)
		c->started(c, &err);
}

void live_container_start_later(struct live_container *c)
{
	c->state = CONTAINER_BACKOFF;
	c->again.expired = again_due;
	loop_timer_set(c->pod->house->loop, &c->again, restart_wait_ms(++c->failures));
}

void live_container_stop(struct live_container *c)
{
	loop_timer_cancel(c->pod->house->loop, &c->again);
	if (c->state == CONTAINER_STARTING)
		live_container_kill(c);
	else
		child_signal(&c->child, SIGTERM);
}

void live_container_kill(struct live_container *c)
{
	loop_timer_cancel(c->pod->house->loop, &c->again);
	if (c->child.pid > 0)
		child_kill(&c->child);
	clean(c);
	c->state = CONTAINER_EXITED;
}

pid_t live_container_pid(const struct live_container *c)
{
	return c->pid > 0 ? c->pid : c->child.pid;
}

json_t *live_container_describe(const struct live_container *c)
{
	char when[32] = "";
	struct tm tm;
	const bool runs = c->state == CONTAINER_RUNNING;

	if (c->started_at && gmtime_r(&c->started_at, &tm))
		(void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{ss ss so so si ss* sb ss* ss*}", "name", c->planned->name, "state", state_names[c->state], "pid",
			 runs ? json_integer(live_container_pid(c)) : json_null(), "exit_code",
			 c->exit_code < 0 ? json_null() : json_integer(c->exit_code), "restarts", (int)c->restarts, "started_at",
			 when[0] ? when : NULL, "init", (int)c->init, "id", c->id[0] ? c->id : NULL, "log",
			 c->log_path[0] ? c->log_path : NULL);
}
