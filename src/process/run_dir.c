/* The lock is a record lock: it belongs to the process, so no child can keep it by accident. */
#include "process/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

enum { DEPTH = 16 };

static int make_parents(char *path, struct err *err)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		const int rc = mkdir(path, 0755);

		if (rc < 0 && errno != EEXIST)
			return err_errno(err, "%s", path);
		*p = '/';
	}
	return 0;
}

int run_dir_make(const char *path, struct err *err)
{
	char copy[512];
	struct stat st;
	const int n = snprintf(copy, sizeof copy, "%s", path);

	if (path[0] != '/' || n < 0 || (size_t)n >= sizeof copy)
		return err_set(err, ERR_INPUT, "the run directory must be an absolute path of less than %zu bytes: %.200s",
			       sizeof copy, path);
	if (make_parents(copy, err) < 0)
		return -1;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "%s", path);
	FD_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0 || fstat(dir, &st) < 0)
		return err_errno(err, "%s", path);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(err, ERR_FAULT, "%s belongs to somebody else, or others may use it; remove it", path);
	return fd_steal(&dir);
}

int run_dir_lock(int dir, const char *path, struct err *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat held, named;
	FD_CLOSE int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 && errno == ENOENT)
		return err_set(err, ERR_FINDING, "%s was removed just now", path);
	if (fd < 0)
		return err_errno(err, "%s/lock", path);
	if (fcntl(fd, F_SETLK, &whole) < 0)
		return errno == EAGAIN || errno == EACCES ? err_set(err, ERR_FINDING, "%s is in use by a live supervisor", path)
							  : err_errno(err, "%s/lock", path);
	/* One that was on its way out may have removed the directory in between. */
	if (fstat(dir, &held) < 0 || stat(path, &named) < 0 || held.st_ino != named.st_ino || held.st_dev != named.st_dev)
		return err_set(err, ERR_FINDING, "%s was removed just now", path);
	return fd_steal(&fd);
}

/* Depth is bounded by what we put there ourselves; links are removed, never followed. */
static int remove_below(int parent, const char *name, int depth)
{
	const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int rc = 0;

	if (!d)
		return errno == ENOTDIR || errno == ELOOP ? unlinkat(parent, name, 0) : -1;
	for (struct dirent *e; rc == 0 && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (e->d_type != DT_DIR)
			rc = unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT ? -1 : 0;
		else
			rc = depth ? remove_below(dirfd(d), e->d_name, depth - 1) : -1;
	}
	(void)closedir(d);
	return rc < 0 ? -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

/* Out of the way first, in one step: who begins meanwhile makes a new one, and no lock is taken in one that goes. Only whoever holds the
 * lock is here. */
int run_dir_remove(const char *path, struct err *err)
{
	char aside[PATH_MAX];
	const char *slash = strrchr(path, '/');
	const int n = snprintf(aside, sizeof aside, "%.*s/.%s.gone", (int)(slash - path), path, slash + 1);

	if (n < 0 || (size_t)n >= sizeof aside)
		return err_set(err, ERR_INPUT, "the path is too long: %.200s", path);
	(void)remove_below(AT_FDCWD, aside, DEPTH); /* of one that was killed here */
	if (rename(path, aside) == 0)
		path = aside;
	if (remove_below(AT_FDCWD, path, DEPTH) < 0 && errno != ENOENT)
		return err_errno(err, "%s cannot be removed", path);
	return 0;
}
