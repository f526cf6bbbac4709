/* One manifest of one pod, made in memory and planned like any other; then a gate, the pod's walls and its one container, kept by a
 * loop in the calling process. Nothing is written to disk. The gate starts while the walls are put up. */
#include "engine/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/launch.h"
#include "engine/policy_file.h"
#include "engine/runtime.h"
#include "engine/volumes.h"
#include "gate/protocol.h"
#include "gates/gate_link.h"
#include "guard/guard.h"
#include "pod/keeper.h"
#include "process/stale.h"
#include "process/terminal.h"

enum { START_MS = 10000, GRACE_MS = 2000, SWEEP_MS = 200, TIMED_OUT = 124 };
#define SANDBOX_NAME "sandbox"

struct sandbox {
	const struct sandbox_options *options;
	struct err *err;
	struct arena arena;
	struct loop *loop;
	struct plan *plan;
	struct container *container;
	struct container_spec spec;
	struct container_mount *mounts;
	size_t mount_count;
	struct gate_link gate;
	struct gate_pod pod;
	struct pod_walls walls;
	struct terminal terminal;
	struct child child;
	struct source signals;
	struct timer limit, sweep;
	int policy, log;
	bool started, timed_out;
	int code; /* -1: err */
};

/* --- what is to be done, as data --- */

static void add_env(struct sandbox *s, struct container *c, const char *name, const char *value)
{
	ARENA_PUSH(&s->arena, c->env, c->env_count) = (struct pair) { name, value };
}

static void read_env(struct sandbox *s, struct container *c)
{
	const char *term = getenv("TERM");

	if (term && strlen(term) < 128)
		add_env(s, c, "TERM", term);
	for (const char *const *e = s->options->env; e && *e; e++) {
		const char *equals = strchr(*e, '=');

		if (equals)
			add_env(s, c, arena_span(&s->arena, (struct span) { *e, (size_t)(equals - *e) }), equals + 1);
	}
}

static void make_plan(struct sandbox *s)
{
	const struct sandbox_options *o = s->options;
	struct arena *a = &s->arena;
	struct manifest *m = arena_alloc(a, sizeof *m);
	struct pod *pod = arena_alloc(a, sizeof *pod);
	struct client_rules *client = arena_alloc(a, sizeof *client);

	s->container = arena_alloc(a, sizeof *s->container);
	*s->container = (struct container) { .name = SANDBOX_NAME, .image = "host", .run_as_user = -1, .run_as_group = -1 };
	read_env(s, s->container);
	*pod = (struct pod) {
		.name = SANDBOX_NAME, .containers = s->container, .container_count = 1, .restart_policy = RESTART_NEVER
	};
	*client = (struct client_rules) { .pod = SANDBOX_NAME };
	for (size_t i = 0; i < o->rule_count; i++)
		ARENA_PUSH(a, client->rules, client->rule_count) = o->rules[i];
	*m = (struct manifest) {
		.arena = a, .path = "", .project_dir = "/", .pods = pod, .pod_count = 1, .clients = client, .client_count = 1
	};
	s->plan = plan_make(m, a);
}

static int open_volumes(struct sandbox *s, struct err *err)
{
	const struct sandbox_options *o = s->options;

	s->mounts = arena_array(&s->arena, o->volume_count + 1, sizeof *s->mounts);
	for (size_t i = 0; i < o->volume_count; i++) {
		const char *path = arena_strdup(&s->arena, o->volumes[i].path);
		const int fd = volume_open_host(path, err);

		if (fd < 0)
			return -1;
		s->mounts[s->mount_count++] = (struct container_mount) {
			.kind = MOUNT_BIND, .source_fd = fd, .source = path, .target = path, .read_only = o->volumes[i].read_only
		};
	}
	return 0;
}

/* The container's pid 1, a fork of this process, wipes the arguments that it was started with before they are used: all that comes
 * from there is copied. */
static const char *const *copy_argv(struct sandbox *s)
{
	const char **argv = NULL;
	size_t count = 0;

	for (const char *const *p = s->options->argv; *p; p++)
		ARENA_PUSH(&s->arena, argv, count) = arena_strdup(&s->arena, *p);
	ARENA_PUSH(&s->arena, argv, count) = NULL;
	return argv;
}

static void make_spec(struct sandbox *s)
{
	const struct sandbox_options *o = s->options;
	const struct plan_pod *pod = &s->plan->pods[0];
	const struct launch_pod launch = { .project = "run", .plan = s->plan, .pod = pod, .walls = &s->walls };

	s->spec = (struct container_spec) {
		.hostname = SANDBOX_NAME,
		.hosts = pod->hosts,
		.resolv_conf = pod->resolv_conf,
		.argv = copy_argv(s),
		.envp = launch_env(&launch, s->container, &s->arena),
		.cwd = o->cwd ? arena_strdup(&s->arena, o->cwd) : NULL,
		.mounts = s->mounts,
		.mount_count = s->mount_count,
		.memory_limit = o->memory_limit,
		.pids_limit = o->pids_limit,
		.cgroup = arena_printf(&s->arena, "stockade-run-%d", (int)getpid()),
		.uid_base = s->walls.uid_base,
		.stdio = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO },
		.netns = s->walls.netns,
		.userns = s->walls.userns,
		.runtime = o->runtime,
		.die_with_parent = true,
	};
}

/* --- its life --- */

static void end(struct sandbox *s, int code)
{
	s->code = code;
	loop_stop(s->loop);
}

static void child_ended(struct child *c, int wait_status)
{
	struct sandbox *s = (struct sandbox *)((char *)c - offsetof(struct sandbox, child));

	end(s, s->timed_out ? TIMED_OUT : child_exit_code(wait_status));
}

static void too_long(struct timer *t)
{
	struct sandbox *s = (struct sandbox *)((char *)t - offsetof(struct sandbox, limit));

	child_signal(&s->child, s->timed_out ? SIGKILL : SIGTERM);
	s->timed_out = true;
	loop_timer_set(s->loop, t, GRACE_MS);
}

static void sweep_due(struct timer *t)
{
	stale_runs_remove();
}

static int start(struct sandbox *s, struct err *err)
{
	const int stdio[3] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };

	FD_CLOSE int first = -1;

	if (terminal_open(&s->terminal, stdio, &s->spec, err) < 0)
		return -1;
	const pid_t pid = s->spec.runtime ? keeper_start(&s->spec, &first, err) : container_start(&s->spec, err);

	if (pid < 0 || child_watch(&s->child, s->loop, pid, child_ended, err) < 0)
		return -1;
	return terminal_join(&s->terminal, s->loop, err);
}

/* The gate serves the pod, with its policy. Called again for a gate that was started anew. */
static void attached(struct gate_pod *p)
{
	struct sandbox *s = (struct sandbox *)((char *)p - offsetof(struct sandbox, pod));

	if (s->started)
		return;
	s->started = true;
	loop_timer_cancel(s->loop, &s->limit);
	if (start(s, s->err) < 0) {
		end(s, -1);
		return;
	}
	s->limit.expired = too_long;
	if (s->options->timeout_ms)
		loop_timer_set(s->loop, &s->limit, s->options->timeout_ms);
	loop_timer_set(s->loop, &s->sweep, SWEEP_MS);
}

static void not_attached(struct timer *t)
{
	struct sandbox *s = (struct sandbox *)((char *)t - offsetof(struct sandbox, limit));

	(void)err_set(s->err, ERR_FAULT, "the gate does not come up");
	end(s, -1);
}

static void on_adopted(struct gate_link *g, uint64_t generation, bool refused, uint32_t revoked)
{
	struct sandbox *s = (struct sandbox *)((char *)g - offsetof(struct sandbox, gate));

	if (!refused)
		return;
	(void)err_set(s->err, ERR_FAULT, "the gate refused the policy");
	end(s, -1);
}

static void on_status(struct gate_link *g, const struct gate_counters *c)
{
}

static void signals_ready(struct source *source, uint32_t events)
{
	struct sandbox *s = (struct sandbox *)((char *)source - offsetof(struct sandbox, signals));
	struct signalfd_siginfo info;

	while (read(source->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGWINCH)
			terminal_resize(&s->terminal);
		else if (s->child.pid > 0)
			child_signal(&s->child, (int)info.ssi_signo);
		else
			end(s, 128 + (int)info.ssi_signo);
	}
}

static int take_signals(struct sandbox *s, const sigset_t *set, struct err *err)
{
	s->signals = (struct source) { .fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signals_ready };
	return s->signals.fd < 0 || loop_watch(s->loop, &s->signals, EPOLLIN) < 0 ? err_errno(err, "signals") : 0;
}

static int start_gate(struct sandbox *s, struct err *err)
{
	char hash[65];

	s->policy = policy_file_make(s->plan->policy, hash, err);
	if (s->policy < 0)
		return -1;
	if (s->options->log) {
		s->log = open(s->options->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
		if (s->log < 0)
			return err_errno(err, "%s", s->options->log);
	}
	s->gate = (struct gate_link) { .loop = s->loop,
				       .project = GATE_RUN_PROJECT,
				       .dns = s->options->dns,
				       .workers = 1,
				       .limits = s->options->limits,
				       .quiet = true,
				       .on_adopted = on_adopted,
				       .on_status = on_status };
	gate_link_start(&s->gate);
	if (s->log >= 0)
		gate_link_log(&s->gate, s->log);
	gate_link_publish(&s->gate, s->policy, 1, hash);
	return 0;
}

static int begin(struct sandbox *s, const sigset_t *set, struct err *err)
{
	char unique[32];

	(void)snprintf(unique, sizeof unique, "%d", (int)getpid());
	make_plan(s);
	s->loop = loop_new();
	if (!s->loop)
		return err_errno(err, "the loop");
	if (take_signals(s, set, err) < 0 || open_volumes(s, err) < 0 || start_gate(s, err) < 0 ||
	    pod_walls_raise(&s->walls, s->plan, &s->plan->pods[0], pod_uid_base("run", unique), err) < 0 ||
	    guard_seccomp_prepare(false, err) < 0)
		return -1;
	make_spec(s);
	if (s->options->runtime &&
	    (runtime_check_text("an argument", s->spec.argv, err) < 0 || runtime_check_text("a variable", s->spec.envp, err) < 0))
		return -1;
	(void)snprintf(s->pod.name, sizeof s->pod.name, SANDBOX_NAME);
	s->pod.listeners = s->walls.listeners;
	s->pod.on_attached = attached;
	s->sweep.expired = sweep_due;
	s->limit.expired = not_attached;
	loop_timer_set(s->loop, &s->limit, START_MS);
	gate_link_attach(&s->gate, &s->pod);
	return 0;
}

static void finish(struct sandbox *s)
{
	terminal_leave(&s->terminal);
	child_kill(&s->child);
	keeper_appended(&s->spec);
	if (s->spec.cgroup)
		container_cleanup(&s->spec);
	if (s->gate.loop)
		gate_link_stop(&s->gate);
	pod_walls_close(&s->walls);
	for (size_t i = 0; i < s->mount_count; i++)
		fd_close(&s->mounts[i].source_fd);
	if (s->loop)
		loop_forget(s->loop, &s->signals);
	fd_close(&s->signals.fd);
	fd_close(&s->policy);
	fd_close(&s->log);
	loop_free(s->loop);
	arena_free(&s->arena);
}

int sandbox_run(const struct sandbox_options *o, struct err *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	struct sandbox s = { .options = o,
			     .err = err,
			     .signals.fd = -1,
			     .policy = -1,
			     .log = -1,
			     .code = -1,
			     .walls = { -1, -1, { -1, -1, -1, -1, -1 }, 0 } };
	sigset_t set, before;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		(void)sigaddset(&set, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	if (begin(&s, &set, err) == 0)
		loop_run(s.loop, NULL, NULL);
	finish(&s);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return s.code;
}
