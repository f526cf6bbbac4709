#include "process/stale.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CGROUP_DEPTH = 6, PAUSE_MS = 20 };

struct sweep {
	const char *prefix;
	bool (*dead)(const char *rest);
	unsigned left;
};

static void sweep(struct sweep *s, int parent, const char *name, int depth)
{
	const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const size_t n = strlen(s->prefix);

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (strncmp(e->d_name, s->prefix, n) == 0 && (!s->dead || s->dead(e->d_name + n))) {
			s->left += unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT;
		} else if (depth) {
			sweep(s, dirfd(d), e->d_name, depth - 1);
		}
	}
	(void)closedir(d);
}

unsigned stale_cgroups_remove(const char *prefix, bool (*dead)(const char *rest), unsigned wait_ms)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	for (unsigned waited = 0;; waited += PAUSE_MS) {
		struct sweep s = { .prefix = prefix, .dead = dead };

		sweep(&s, AT_FDCWD, "/sys/fs/cgroup", CGROUP_DEPTH);
		if (s.left == 0 || waited >= wait_ms)
			return s.left;
		(void)nanosleep(&pause, NULL);
	}
}

static bool process_is_gone(const char *pid)
{
	char *end;
	const long number = strtol(pid, &end, 10);

	return number > 0 && *end == '\0' && kill((pid_t)number, 0) < 0 && errno == ESRCH;
}

void stale_runs_remove(void)
{
	(void)stale_cgroups_remove("stockade-run-", process_is_gone, 0);
}
