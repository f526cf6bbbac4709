/* The process itself: its directory, its signals, its loop, and its orderly end. */
#include "engine/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/apply.h"
#include "engine/control.h"
#include "engine/house.h"
#include "engine/launch.h"
#include "engine/podman.h"
#include "engine/pods.h"
#include "engine/reload.h"
#include "engine/serve.h"
#include "guard/guard.h"
#include "process/run_dir.h"
#include "process/stale.h"

enum { SIGNAL_STOP_MS = 10000, LOG_CHECK_MS = 5000, FIRST_APPLY_MS = 30000, FILES_WANTED = 65536 };
enum { DECISIONS_BYTES = 64 * 1024 * 1024, DIAGNOSTICS_BYTES = 16 * 1024 * 1024, EMPTY_MS = 3000 };

struct supervisor {
	struct house house;
	struct source signals;
	struct timer logs, unused;
	int lock;
};

/* --- logs --- */

static int open_log(int dir, const char *name, struct err *err)
{
	const int fd = openat(dir, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? err_errno(err, "%s", name) : fd;
}

/* decisions.log becomes decisions.log.1, and so on; the oldest is no more. */
static int shift_decisions(int dir)
{
	char from[32], to[32];

	for (int n = DECISIONS_KEPT; n > 1; n--) {
		(void)snprintf(from, sizeof from, "decisions.log.%d", n - 1);
		(void)snprintf(to, sizeof to, "decisions.log.%d", n);
		if (renameat(dir, from, dir, to) < 0 && errno != ENOENT)
			return -1;
	}
	return renameat(dir, "decisions.log", dir, "decisions.log.1");
}

/* The decision log goes on in a new file; the gate is given it. */
static void rotate_decisions(struct house *h)
{
	struct err err;
	struct stat st;
	int old = h->decisions;

	if (fstat(old, &st) < 0 || st.st_size < DECISIONS_BYTES)
		return;
	if (shift_decisions(h->dir) < 0) {
		log_error("decisions.log cannot be rotated: %s", strerror(errno));
		return;
	}
	const int fd = open_log(h->dir, "decisions.log", &err);

	if (fd < 0) {
		log_error("%s", err.text);
		return;
	}
	h->decisions = fd;
	if (h->gate_started)
		gate_link_log(&h->gate, fd);
	fd_close(&old);
}

static void check_logs(struct timer *t)
{
	struct supervisor *s = (struct supervisor *)((char *)t - offsetof(struct supervisor, logs));
	struct stat st;

	rotate_decisions(&s->house);
	/* All who write diagnostics append to this one file. */
	if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > DIAGNOSTICS_BYTES)
		(void)!ftruncate(STDERR_FILENO, 0);
	loop_timer_set(s->house.loop, t, LOG_CHECK_MS);
}

/* --- the end --- */

static void leave(struct house *h, unsigned timeout_ms)
{
	struct live_pod *next;

	if (!h->leaving) {
		h->leaving = true;
		log_info("taking the project down");
		apply_cancel(h);
		reload_cancel(h);
	}
	for (struct live_pod *p = h->pods; p; p = next) {
		next = p->next;
		pod_stop(p, timeout_ms, NULL, NULL);
	}
	house_pod_gone(h);
}

static void unused(struct timer *t)
{
	struct house *h = &((struct supervisor *)((char *)t - offsetof(struct supervisor, unused)))->house;

	if (!h->applies && h->reload.generation == 0)
		leave(h, 0);
}

/* Everything outside of this process that bears the project's name. */
static void clear(struct house *h)
{
	char prefix[LAUNCH_CGROUP_PREFIX];
	struct err err;

	if (h->gate_started)
		gate_link_stop(&h->gate);
	haproxy_stop(&h->haproxy);
	apply_end(h);
	reload_free(h);
	podman_end(h);
	json_decref(h->not_started);
	launch_cgroup_prefix(h->project, prefix);
	const unsigned left = stale_cgroups_remove(prefix, NULL, EMPTY_MS);

	if (left)
		log_error("%u cgroups named %s... still have processes", left, prefix);
	if (run_dir_remove(h->path, &err) < 0)
		log_error("%s", err.text);
}

/* --- the gate and the lists --- */

static void on_adopted(struct gate_link *g, uint64_t generation, bool refused, uint32_t revoked)
{
	reload_on_adopted((struct house *)((char *)g - offsetof(struct house, gate)), generation, refused, revoked);
}

static void on_serves(struct gate_link *g)
{
	apply_on_serves((struct house *)((char *)g - offsetof(struct house, gate)));
}

static void on_status(struct gate_link *g, const struct gate_counters *c)
{
	struct house *h = (struct house *)((char *)g - offsetof(struct house, gate));

	h->counters = *c;
	serve_on_status(h);
}

static void on_haproxy_adopted(struct haproxy *x, uint64_t generation, const char *why)
{
	gate_link_haproxy_adopted(&((struct house *)((char *)x - offsetof(struct house, haproxy)))->gate, generation, why);
}

static void on_haproxy_served(struct haproxy *x, uint64_t change)
{
	struct house *h = (struct house *)((char *)x - offsetof(struct house, haproxy));

	gate_link_haproxy_served(&h->gate, change);
	apply_on_haproxy(h, change);
}

/* --- Podman --- */

/* Pods first: what they find is shown then. */
static void on_looked(struct house *h, unsigned number)
{
	podman_on_look(h, number);
	apply_on_look(h, number);
	serve_on_look(h, number);
}

static void on_gate_settled(struct house *h, const struct err *why)
{
	if (why)
		reload_give_up(h, why);
	podman_gate_settled(h, why);
	apply_on_gate(h, why);
}

static void lists_changed(struct watch *w)
{
	reload_automatic((struct house *)((char *)w - offsetof(struct house, watch)));
}

/* --- the beginning --- */

static void signals_ready(struct source *s, uint32_t events)
{
	struct supervisor *v = (struct supervisor *)((char *)s - offsetof(struct supervisor, signals));
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGHUP)
			reload_automatic(&v->house);
		else
			leave(&v->house, SIGNAL_STOP_MS);
	}
}

static int take_signals(struct supervisor *s, struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(err, "signals");
	s->signals = (struct source) { .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = signals_ready };
	if (s->signals.fd < 0 || loop_watch(s->house.loop, &s->signals, EPOLLIN) < 0)
		return err_errno(err, "signals");
	return 0;
}

/* Its own mount namespace: what it mounts for pods ends with it. What the host mounts later is still seen. */
static int settle_process(struct house *h, struct err *err)
{
	struct rlimit files;

	h->host_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (h->host_mounts < 0)
		return err_errno(err, "/proc/self/ns/mnt");
	(void)prctl(PR_SET_NAME, "stockade"); /* it was executed as /proc/self/exe */
	(void)umask(077);
	if (chdir("/") < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_errno(err, "the supervisor's mount namespace");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_WANTED) {
		files.rlim_cur = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	return guard_seccomp_prepare(false, err);
}

/* For who keeps it running (systemd's PIDFile=). */
static int write_pid(int dir, struct err *err)
{
	FD_CLOSE int fd = openat(dir, "pid", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0 ? err_errno(err, "the file 'pid' of the run directory") : 0;
}

static int take_directory(struct supervisor *s, struct err *err)
{
	struct house *h = &s->house;

	if (control_run_dir(h->project, h->path, sizeof h->path, err) < 0)
		return -1;
	h->dir = run_dir_make(h->path, err);
	if (h->dir < 0)
		return -1;
	s->lock = run_dir_lock(h->dir, h->path, err);
	if (s->lock < 0 || write_pid(h->dir, err) < 0)
		return -1;
	FD_CLOSE int diagnostics = open_log(h->dir, "supervisor.log", err);

	if (diagnostics < 0 || dup2(diagnostics, STDOUT_FILENO) < 0 || dup2(diagnostics, STDERR_FILENO) < 0)
		return err_errno(err, "supervisor.log");
	log_set_role("supervisor");
	h->decisions = open_log(h->dir, "decisions.log", err);
	return h->decisions < 0 ? -1 : 0;
}

static int begin(struct supervisor *s, struct err *err)
{
	struct house *h = &s->house;

	if (settle_process(h, err) < 0 || take_directory(s, err) < 0)
		return -1;
	h->loop = loop_new();
	if (!h->loop)
		return err_errno(err, "the loop");
	h->gate = (struct gate_link) {
		.loop = h->loop, .project = h->project, .on_adopted = on_adopted, .on_serves = on_serves, .on_status = on_status
	};
	h->haproxy = (struct haproxy) { .loop = h->loop,
					.project = h->project,
					.path = h->path,
					.on_adopted = on_haproxy_adopted,
					.on_served = on_haproxy_served };
	h->leave = leave;
	h->podman.looked = on_looked;
	h->podman.bridge.gate_settled = on_gate_settled;
	reload_init(h);
	if (take_signals(s, err) < 0 || watch_init(&h->watch, h->loop, lists_changed, err) < 0)
		return -1;
	stale_runs_remove();
	s->logs.expired = check_logs;
	loop_timer_set(h->loop, &s->logs, LOG_CHECK_MS);
	s->unused.expired = unused;
	loop_timer_set(h->loop, &s->unused, FIRST_APPLY_MS);
	return serve_start(h, err);
}

static void say_ready(int fd, const struct err *why)
{
	char text[sizeof(struct err) + 16] = "\n";

	if (why)
		(void)snprintf(text, sizeof text, "!%u%s", (unsigned)why->class, why->text);
	(void)fd_write_all(fd, text, strlen(text));
	fd_close(&fd);
}

int supervisor_run(const struct supervisor_options *o, struct err *err)
{
	struct supervisor s = { .house = { .project = o->project, .dir = -1, .decisions = -1, .host_mounts = -1 }, .lock = -1 };

	if (begin(&s, err) < 0) {
		say_ready(o->ready_fd, err);
		return -1;
	}
	say_ready(o->ready_fd, NULL);
	log_info("ready");
	loop_run(s.house.loop, NULL, NULL);
	serve_stop(&s.house);
	watch_free(&s.house.watch);
	clear(&s.house);
	serve_end(&s.house);
	loop_timer_cancel(s.house.loop, &s.logs);
	loop_timer_cancel(s.house.loop, &s.unused);
	loop_forget(s.house.loop, &s.signals);
	loop_free(s.house.loop);
	return 0;
}
