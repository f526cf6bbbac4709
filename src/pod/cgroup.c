/* Where a controller is found: for version 2 below the caller's own group, if controllers can be handed down from there, else below
 * the root of the mount; for version 1 below the caller's own group in the hierarchy of that controller. Limits that hold for the
 * caller thus hold for its containers too, where the kernel lets them. */
#include "pod/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

enum {
	DEFAULT_PIDS = 4096,
	CPU_PERIOD_US = 100000,
	REMOVE_TRIES = 100,
	REMOVE_PAUSE_NS = 10 * 1000 * 1000,
	FILE_LIMIT = 1024 * 1024,
};

enum controller { CONTROLLER_MEMORY, CONTROLLER_PIDS, CONTROLLER_CPU, CONTROLLER_COUNT };
static const char *const names[] = { "memory", "pids", "cpu" };
_Static_assert(sizeof names / sizeof *names == CONTROLLER_COUNT, "one name each");

/* Places where a group can be made, best first. */
struct place {
	char path[PATH_MAX];
	bool unified;
	bool has[CONTROLLER_COUNT];
};
enum { PLACE_MAX = 2 + CONTROLLER_COUNT };

struct places {
	struct place list[PLACE_MAX];
	size_t count;
	bool enable; /* hand controllers down */
};

static bool in_list(const char *list, const char *word)
{
	const size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',' || p[-1] == ' ') && (p[n] == '\0' || p[n] == ',' || p[n] == ' ' || p[n] == '\n'))
			return true;
	return false;
}

static char *next_line(char **p)
{
	return strsep(p, "\n");
}

/* The caller's own group for one controller of version 1, or of version 2 (NULL): "/..." in `ret`. */
static bool own_group(const char *proc_cgroup, const char *controller, char ret[static PATH_MAX])
{
	char text[PATH_MAX * 2];

	if ((size_t)snprintf(text, sizeof text, "%s", proc_cgroup) >= sizeof text)
		return false;
	for (char *p = text, *line; (line = next_line(&p));) {
		strsep(&line, ":");
		const char *list = strsep(&line, ":");

		if (!line || !(controller ? in_list(list, controller) : *list == '\0'))
			continue;
		(void)snprintf(ret, PATH_MAX, "%s", line);
		return true;
	}
	return false;
}

/* The directory of group `own`: a mount shows the hierarchy from `root` on. */
static bool join_path(const char *mount_point, const char *root, const char *own, char ret[static PATH_MAX])
{
	const size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(own, root, n) != 0 || (own[n] != '/' && own[n] != '\0'))
		own = "/"; /* the mount does not show our group; its root is the nearest to it */
	else
		own += n;
	return snprintf(ret, PATH_MAX, "%s%s", mount_point, strcmp(own, "/") == 0 ? "" : own) < PATH_MAX;
}

static bool read_text(const char *path, struct arena *a, struct span *ret)
{
	struct err ignored;

	return fd_read_file(path, FILE_LIMIT, a, ret, &ignored) == 0;
}

/* A place of version 2 with the controllers that its children get. */
static void add_unified(struct places *p, const char *path, struct arena *a)
{
	struct place *place = &p->list[p->count];
	char file[PATH_MAX + 32];
	struct span text;

	if (p->count == PLACE_MAX || (p->count && strcmp(p->list[p->count - 1].path, path) == 0))
		return;
	*place = (struct place) { .unified = true };
	(void)snprintf(place->path, sizeof place->path, "%s", path);
	(void)snprintf(file, sizeof file, "%s/cgroup.subtree_control", path);
	for (int i = 0; p->enable && i < CONTROLLER_COUNT; i++) {
		char word[16];

		(void)snprintf(word, sizeof word, "+%s", names[i]);
		(void)fd_write_file(file, word); /* what came of it is read back */
	}
	if (!read_text(file, a, &text))
		return;
	for (int i = 0; i < CONTROLLER_COUNT; i++)
		place->has[i] = in_list(text.p, names[i]);
	p->count++;
}

static void add_legacy(struct places *p, const char *path, const char *options)
{
	if (p->count == PLACE_MAX)
		return;
	struct place *place = &p->list[p->count];

	*place = (struct place) { 0 };
	(void)snprintf(place->path, sizeof place->path, "%s", path);
	bool any = false;

	for (int i = 0; i < CONTROLLER_COUNT; i++)
		any |= place->has[i] = in_list(options, names[i]);
	p->count += any;
}

/* One line of mountinfo: id parent dev root mount-point options ... - type source super-options. */
static void add_mount(struct places *p, char *line, const char *proc_cgroup, struct arena *a)
{
	char *end = strstr(line, " - "), own[PATH_MAX], path[PATH_MAX];
	const char *part[5] = { 0 };

	if (!end)
		return;
	*end = '\0';
	for (int i = 0; i < 5; i++)
		if (!(part[i] = strsep(&line, " ")))
			return;
	end += 3;
	const char *type = strsep(&end, " ");

	(void)strsep(&end, " ");
	if (strcmp(type, "cgroup2") == 0 && own_group(proc_cgroup, NULL, own) && join_path(part[4], part[3], own, path)) {
		add_unified(p, path, a);
		add_unified(p, part[4], a);
	}
	for (int i = 0; end && strcmp(type, "cgroup") == 0 && i < CONTROLLER_COUNT; i++) {
		if (!in_list(end, names[i]) || !own_group(proc_cgroup, names[i], own))
			continue;
		if (join_path(part[4], part[3], own, path))
			add_legacy(p, path, end);
		return;
	}
}

static int find_places(struct places *p, bool enable, struct err *err)
{
	struct arena a = { 0 };
	struct span mounts, groups;

	p->count = 0;
	p->enable = enable;
	if (!read_text("/proc/self/mountinfo", &a, &mounts) || !read_text("/proc/self/cgroup", &a, &groups)) {
		arena_free(&a);
		return err_set(err, ERR_FAULT, "cannot read which control groups there are; is /proc mounted?");
	}
	char *rest = arena_span(&a, mounts);

	for (char *line; (line = next_line(&rest));)
		add_mount(p, line, groups.p, &a);
	arena_free(&a);
	return 0;
}

/* --- one directory --- */

static int set_value(const char *dir, const char *file, const char *format, uint64_t value)
{
	char path[PATH_MAX * 2], text[64];

	(void)snprintf(path, sizeof path, "%s/%s", dir, file);
	(void)snprintf(text, sizeof text, "%" PRIu64 "%s", value, format);
	return fd_write_file(path, text);
}

static int set_memory(const char *dir, bool unified, uint64_t bytes)
{
	const int rc = set_value(dir, unified ? "memory.max" : "memory.limit_in_bytes", "", bytes);

	/* Swap is not a way around it. The file is not there on a kernel without swap accounting. */
	(void)(unified ? set_value(dir, "memory.swap.max", "", 0) : set_value(dir, "memory.memsw.limit_in_bytes", "", bytes));
	return rc;
}

static int set_cpu(const char *dir, bool unified, uint32_t milli)
{
	const uint64_t quota = (uint64_t)milli * CPU_PERIOD_US / 1000;
	char period[16];

	if (unified) {
		(void)snprintf(period, sizeof period, " %d", CPU_PERIOD_US);
		return set_value(dir, "cpu.max", period, quota < 1000 ? 1000 : quota);
	}
	const int rc = set_value(dir, "cpu.cfs_period_us", "", CPU_PERIOD_US);

	return rc < 0 ? rc : set_value(dir, "cpu.cfs_quota_us", "", quota < 1000 ? 1000 : quota);
}

static bool wanted(enum controller k, const struct cgroup_limits *l)
{
	return k == CONTROLLER_PIDS || (k == CONTROLLER_MEMORY ? l->memory > 0 : l->cpu_milli > 0);
}

static int set_limit(const char *dir, bool unified, enum controller k, const struct cgroup_limits *l)
{
	switch (k) {
	case CONTROLLER_MEMORY:
		return set_memory(dir, unified, l->memory);
	case CONTROLLER_CPU:
		return set_cpu(dir, unified, l->cpu_milli);
	case CONTROLLER_PIDS:
		return set_value(dir, "pids.max", "", l->pids ? l->pids : DEFAULT_PIDS);
	case CONTROLLER_COUNT:
		break;
	}
	return -EINVAL;
}

/* A process of one thread joins version 1 by `tasks`: the kernel then need not wait for all others, ten milliseconds each time. */
static int open_procs(struct cgroup *c, const struct place *p, const char *dir)
{
	char path[PATH_MAX * 2];

	(void)snprintf(path, sizeof path, "%s/%s", dir, p->unified ? "cgroup.procs" : "tasks");
	const int fd = c->count < CGROUP_MAX ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return -1;
	c->procs[c->count++] = fd;
	return 0;
}

/* Kills what runs in it. Ids of processes that this one cannot see are 0. */
static void kill_all(const char *dir)
{
	char path[PATH_MAX * 2];
	struct arena a = { 0 };
	struct span text;

	(void)snprintf(path, sizeof path, "%s/cgroup.procs", dir);
	if (read_text(path, &a, &text)) {
		for (char *p = arena_span(&a, text), *line; (line = next_line(&p));) {
			const long pid = strtol(line, NULL, 10);

			if (pid > 1 && pid != getpid())
				(void)kill((pid_t)pid, SIGKILL);
		}
	}
	arena_free(&a);
}

static void remove_dir(const char *dir)
{
	const struct timespec pause = { .tv_nsec = REMOVE_PAUSE_NS };

	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (rmdir(dir) == 0 || errno != EBUSY)
			return;
		kill_all(dir);
		(void)nanosleep(&pause, NULL);
	}
}

static int dir_of(const struct place *p, const char *name, char ret[static PATH_MAX])
{
	return snprintf(ret, PATH_MAX, "%s/%s", p->path, name) < PATH_MAX ? 0 : -1;
}

/* --- all of them --- */

static int make_one(struct cgroup *c, const struct place *p, const char *name, const struct cgroup_limits *l,
		    bool done[CONTROLLER_COUNT])
{
	char dir[PATH_MAX];
	bool any = false;

	for (int k = 0; k < CONTROLLER_COUNT; k++)
		any |= p->has[k] && !done[k] && wanted(k, l);
	if (!any || dir_of(p, name, dir) < 0)
		return 0;
	if (mkdir(dir, 0755) < 0 && (errno != EEXIST || (remove_dir(dir), mkdir(dir, 0755)) < 0))
		return 0;
	for (int k = 0; k < CONTROLLER_COUNT; k++)
		if (p->has[k] && !done[k] && wanted(k, l))
			done[k] = set_limit(dir, p->unified, k, l) == 0;
	return open_procs(c, p, dir);
}

static bool name_is_good(const char *name)
{
	const size_t n = name ? strlen(name) : 0;

	return n > 0 && n <= NAME_MAX && name[0] != '.' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

int cgroup_make(struct cgroup *c, const char *name, const struct cgroup_limits *limits, struct err *err)
{
	const bool asked[] = { limits->memory > 0, limits->pids > 0, limits->cpu_milli > 0 };
	bool done[CONTROLLER_COUNT] = { false };
	struct places p;

	c->count = 0;
	if (!name_is_good(name))
		return err_set(err, ERR_FAULT, "'%s' cannot be a control group's name", name ? name : "");
	if (find_places(&p, true, err) < 0)
		return -1;
	for (size_t i = 0; i < p.count; i++) {
		if (make_one(c, &p.list[i], name, limits, done) == 0)
			continue;
		(void)err_errno(err, "cannot open the control group %s in %s", name, p.list[i].path);
		goto undo;
	}
	for (int k = 0; k < CONTROLLER_COUNT; k++) {
		if (!asked[k] || done[k])
			continue;
		(void)err_set(err, ERR_FAULT, "a %s limit was asked for, and no control group on this machine can set it",
			      names[k]);
		goto undo;
	}
	return 0;
undo:
	cgroup_close(c);
	cgroup_remove(name);
	return -1;
}

int cgroup_open(struct cgroup *c, const char *name, struct err *err)
{
	struct places p;
	char dir[PATH_MAX];

	c->count = 0;
	if (!name_is_good(name))
		return err_set(err, ERR_FAULT, "'%s' cannot be a control group's name", name ? name : "");
	if (find_places(&p, false, err) < 0)
		return -1;
	for (size_t i = 0; i < p.count; i++)
		if (dir_of(&p.list[i], name, dir) == 0 && access(dir, F_OK) == 0 && open_procs(c, &p.list[i], dir) < 0) {
			(void)err_errno(err, "cannot open the control group %s", dir);
			cgroup_close(c);
			return -1;
		}
	return 0;
}

void cgroup_close(struct cgroup *c)
{
	while (c->count)
		(void)close(c->procs[--c->count]);
}

int cgroup_join(const struct cgroup *c, struct err *err)
{
	for (size_t i = 0; i < c->count; i++)
		if (fd_write_all(c->procs[i], "0", 1) < 0)
			return err_errno(err, "cannot join the container's control group");
	return 0;
}

void cgroup_remove(const char *name)
{
	struct places p;
	struct err ignored;
	char dir[PATH_MAX];

	if (!name_is_good(name) || find_places(&p, false, &ignored) < 0)
		return;
	for (size_t i = 0; i < p.count; i++)
		if (dir_of(&p.list[i], name, dir) == 0)
			remove_dir(dir);
}
