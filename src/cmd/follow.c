#include "cmd/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

#include "base/fd.h"
#include "cmd/say.h"
#include "cmd/target.h"
#include "engine/control.h"

/* A line longer than LINE_BYTES comes in pieces. */
enum { LINE_BYTES = 64 * 1024, ALIVE_MS = 1000, CONTAINERS_MOST = 1000 };

struct followed {
	const char *path, *label;
	char *line;
	size_t used;
	uint64_t skip; /* lines that are not shown */
	int fd;
	bool stamped; /* Podman's: "TIME STREAM F " before each line; P for a piece of one */
	bool piece;
	unsigned stamps; /* of the three that have passed */
};

/* --- lines --- */

static void print_line(const struct follow *f, const char *label, struct span line, bool ended)
{
	if (label && f->prefix)
		printf("%s%-*s |%s ", say_color(stdout, COLOR_DIM), (int)f->label_width, label, say_color(stdout, COLOR_PLAIN));
	if (f->raw)
		(void)fwrite(line.p, 1, line.n, stdout);
	else
		say_shown(stdout, line);
	if (ended || f->prefix)
		(void)putchar('\n');
}

static void pass_line(struct follow *f, struct followed *x, bool ended)
{
	const struct span line = { x->line, x->used };

	x->used = 0;
	if (x->skip) {
		x->skip -= ended;
		return;
	}
	if (f->on_line)
		f->on_line(f, line, ended);
	else
		print_line(f, x->label, line, ended);
}

/* true: the byte is no part of what the program printed. */
static bool is_stamp(struct followed *x, char byte)
{
	if (!x->stamped)
		return false;
	if (byte == '\n') {
		const bool hidden = x->stamps < 3 || x->piece;

		x->stamps = 0;
		return hidden;
	}
	if (x->stamps == 3)
		return false;
	if (byte == ' ')
		x->stamps++;
	else if (x->stamps == 2)
		x->piece = byte == 'P';
	return true;
}

static void pass_bytes(struct follow *f, struct followed *x, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_stamp(x, bytes[i]))
			continue;
		if (bytes[i] == '\n') {
			pass_line(f, x, true);
			continue;
		}
		if (x->used == LINE_BYTES)
			pass_line(f, x, false);
		x->line[x->used++] = bytes[i];
	}
}

/* All that is there. 0, or -errno. */
static int read_on(struct follow *f, struct followed *x)
{
	char bytes[16 * 1024];
	ssize_t n;

	while (x->fd >= 0 && (n = read(x->fd, bytes, sizeof bytes)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			pass_bytes(f, x, bytes, (size_t)n);
	}
	return 0;
}

static int open_log(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Has the path another file now? Then that one is read from its start. */
static int catch_up(struct follow *f, struct followed *x)
{
	struct stat there, here;
	int error = read_on(f, x);

	if (error < 0 || stat(x->path, &there) < 0)
		return error;
	if (x->fd >= 0 && fstat(x->fd, &here) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev)
		return 0;
	fd_close(&x->fd);
	x->fd = open_log(x->path);
	return read_on(f, x);
}

/* --- which files --- */

void follow_file(struct follow *f, const char *path, const char *label, struct arena *a)
{
	f->arena = a;
	if (label && strlen(label) > f->label_width)
		f->label_width = strlen(label);
	ARENA_PUSH(a, f->files, f->count) =
		(struct followed) { .path = path, .label = label, .line = arena_alloc(a, LINE_BYTES), .fd = -1 };
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_log(const struct dirent *e)
{
	const size_t n = strlen(e->d_name);

	return n > 4 && strcmp(e->d_name + n - 4, ".log") == 0;
}

static int is_name(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void scan_pod(const char *logs, const char *pod, struct arena *a, struct targets *all)
{
	struct dirent **entries;
	const int n = scandir(arena_printf(a, "%s/%s", logs, pod), &entries, is_log, by_name);

	for (int i = 0; i < n; i++) {
		const struct span name = { entries[i]->d_name, strlen(entries[i]->d_name) - 4 };

		if (all->count < CONTAINERS_MOST)
			ARENA_PUSH(a, all->items, all->count) =
				(struct target) { arena_strdup(a, pod), arena_span(a, name), false };
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static int scan_logs(const char *project, const char *logs, struct arena *a, struct targets *all, struct err *err)
{
	struct dirent **entries;
	const int n = scandir(logs, &entries, is_name, by_name);

	if (n < 0 && errno == ENOENT)
		return err_set(err, ERR_FINDING, "project '%s' has no logs: it is not up; 'stockade up' starts it", project);
	if (n < 0)
		return err_errno(err, "%s", logs);
	for (int i = 0; i < n; i++) {
		scan_pod(logs, entries[i]->d_name, a, all);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static void add_podman(struct follow *f, const json_t *ps, const struct target *t, struct arena *a)
{
	const json_t *pods = json_object_get(ps, "pods"), *pod, *c;
	size_t i, k;

	json_array_foreach(pods, i, pod)
	{
		const char *its = json_string_value(json_object_get(pod, "name"));

		if (!its || strcmp(its, t->pod) != 0)
			continue;
		json_array_foreach(json_object_get(pod, "containers"), k, c)
		{
			const char *container = json_string_value(json_object_get(c, "name"));
			const char *path = json_string_value(json_object_get(c, "log"));

			if (!container || !path || strcmp(container, t->container) != 0)
				continue;
			follow_file(f, arena_strdup(a, path), arena_printf(a, "%s/%s", its, container), a);
			f->files[f->count - 1].stamped = true;
		}
	}
}

/* Podman keeps the logs of its containers; the supervisor knows where. */
static int follow_podman(struct follow *f, const char *project, const char *name, struct arena *a, struct err *err)
{
	json_t *ps = control_call(project, json_pack("{s:s}", "verb", "ps"), NULL, NULL, 0, NULL, err);

	if (!ps)
		return -1;
	const struct targets all = targets_of_ps(ps, a);
	struct targets chosen = all;
	const int rc = name ? target_select(&all, name, a, &chosen, err) : 0;

	for (size_t i = 0; rc == 0 && i < chosen.count; i++)
		add_podman(f, ps, &chosen.items[i], a);
	json_decref(ps);
	return rc;
}

int follow_containers(struct follow *f, const char *project, const char *name, struct arena *a, struct err *err)
{
	char dir[PATH_MAX];
	struct targets all = { 0 }, chosen;

	if (control_run_dir(project, dir, sizeof dir, err) < 0)
		return -1;
	const char *logs = arena_printf(a, "%s/logs", dir);

	if (access(dir, F_OK) == 0 && access(logs, F_OK) < 0)
		return follow_podman(f, project, name, a, err);
	if (scan_logs(project, logs, a, &all, err) < 0)
		return -1;
	chosen = all;
	if (name && target_select(&all, name, a, &chosen, err) < 0)
		return -1;
	for (size_t i = 0; i < chosen.count; i++) {
		const struct target *t = &chosen.items[i];

		follow_file(f, arena_printf(a, "%s/%s/%s.log", logs, t->pod, t->container),
			    arena_printf(a, "%s/%s", t->pod, t->container), a);
	}
	return 0;
}

/* --- history --- */

static uint64_t count_lines(const char *path)
{
	FD_CLOSE int fd = open_log(path);
	char bytes[16 * 1024];
	uint64_t lines = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += bytes[i] == '\n';
	return lines;
}

/* Older files first: PATH.1 is the youngest of them, and a container's log has only that one. */
static int history_of(struct follow *f, struct followed *x, unsigned tail, struct err *err)
{
	const char *older[DECISIONS_KEPT];
	uint64_t lines = 0;
	int error = 0;

	for (int i = 0; i < DECISIONS_KEPT; i++)
		older[i] = arena_printf(f->arena, "%s.%d", x->path, DECISIONS_KEPT - i);
	if (tail != FOLLOW_ALL) {
		for (int i = 0; i < DECISIONS_KEPT; i++)
			lines += count_lines(older[i]);
		lines += count_lines(x->path);
		x->skip = lines > tail ? lines - tail : 0;
	}
	for (int i = 0; i < DECISIONS_KEPT && error == 0; i++) {
		x->fd = open_log(older[i]);
		error = read_on(f, x);
		fd_close(&x->fd);
	}
	x->fd = open_log(x->path);
	if (x->fd < 0 && errno != ENOENT)
		return err_errno(err, "%s", x->path);
	error = error < 0 ? error : read_on(f, x);
	if (f->once && x->used)
		pass_line(f, x, false);
	x->skip = 0;
	if (error < 0) {
		errno = -error;
		return err_errno(err, "%s", x->path);
	}
	return 0;
}

int follow_history(struct follow *f, unsigned tail, struct err *err)
{
	for (size_t i = 0; i < f->count; i++)
		if (history_of(f, &f->files[i], tail, err) < 0)
			return -1;
	(void)fflush(stdout);
	return 0;
}

/* --- from now on --- */

static int watch(struct follow *f, struct err *err)
{
	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (f->inotify < 0)
		return err_errno(err, "inotify");
	f->watching = true;
	for (size_t i = 0; i < f->count; i++) {
		const char *path = f->files[i].path;
		const char *dir = arena_span(f->arena, (struct span) { path, (size_t)(strrchr(path, '/') - path) });

		if (inotify_add_watch(f->inotify, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR) < 0)
			return err_errno(err, "%s", dir);
	}
	return 0;
}

/* Empties the queue: what happened does not matter, every file is looked at. Gone when a directory is. */
static void drain(struct follow *f)
{
	_Alignas(struct inotify_event) char events[4096];
	ssize_t n;

	while ((n = read(f->inotify, events, sizeof events)) > 0)
		for (const char *p = events; p < events + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)p;

			f->gone = f->gone || (e->mask & (IN_DELETE_SELF | IN_IGNORED));
			p += sizeof *e + e->len;
		}
}

static void check_alive(struct follow *f)
{
	struct err err = { 0 };
	FD_CLOSE int sock = f->project ? control_connect(f->project, &err) : -1;

	if (f->project && sock < 0)
		f->gone = true;
}

/* An fd that is readable when it is time to end; -1 when signals simply end the process, or -2 with err. */
static int signal_fd(const struct follow *f, struct err *err)
{
	sigset_t set;

	if (!f->until_signal)
		return -1;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	const int fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;

	if (fd >= 0)
		return fd;
	(void)err_errno(err, "signals");
	return -2;
}

static int show_new(struct follow *f, struct err *err)
{
	for (size_t i = 0; i < f->count; i++) {
		const int error = catch_up(f, &f->files[i]);

		if (error < 0) {
			errno = -error;
			return err_errno(err, "%s", f->files[i].path);
		}
	}
	return fflush(stdout) == 0 ? 0 : err_errno(err, "standard output");
}

int follow_run(struct follow *f, struct err *err)
{
	if (watch(f, err) < 0)
		return -1;
	FD_CLOSE int signals = signal_fd(f, err);

	if (signals == -2)
		return -1;
	struct pollfd waits[] = { { .fd = f->inotify, .events = POLLIN }, { .fd = signals, .events = POLLIN } };

	while (!f->gone) {
		if (show_new(f, err) < 0)
			return -1;
		const int ready = poll(waits, 2, ALIVE_MS);

		if (ready < 0 && errno != EINTR)
			return err_errno(err, "poll");
		if (ready > 0 && waits[1].revents)
			break;
		if (ready > 0)
			drain(f);
		else
			check_alive(f);
	}
	return show_new(f, err);
}

void follow_end(struct follow *f)
{
	for (size_t i = 0; i < f->count; i++) {
		if (f->files[i].used)
			pass_line(f, &f->files[i], false);
		fd_close(&f->files[i].fd);
	}
	if (f->watching)
		fd_close(&f->inotify);
	f->watching = false;
	(void)fflush(stdout);
}
