#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SETTLE_STEP_MS = 5 };

void fd_close(int *fd)
{
	const int number = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = number;
}

void fd_cleanup(int *fd)
{
	fd_close(fd);
}

int fd_steal(int *fd)
{
	const int taken = *fd;

	*fd = -1;
	return taken;
}

int fd_write_all(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int fd_write_file(const char *path, const char *text)
{
	FD_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	const ssize_t n = write(fd, text, strlen(text));

	return n < 0 ? -errno : (size_t)n == strlen(text) ? 0 : -EIO;
}

static int open_to_read(const char *path, struct err *err)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno)) : fd;
}

static int read_whole(int fd, const char *path, size_t limit, struct arena *a, struct span *ret, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return err_set(err, ERR_INPUT, "%s: is a directory, not a file", path);
	/* Kernel files say that they have no size. */
	size_t size = st.st_size > 4096 ? (size_t)st.st_size : 4096;

	if (size > limit && (size_t)st.st_size > limit)
		return err_set(err, ERR_INPUT, "%s: larger than the limit of %zu bytes", path, limit);
	/* One byte more than promised, to see a file that grew. */
	char *p = arena_alloc(a, size + 2);
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, p + have, size + 1 - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "%s", path);
		if (n == 0)
			break;
		have += (size_t)n;
		if (have > limit)
			return err_set(err, ERR_INPUT, "%s: larger than the limit of %zu bytes", path, limit);
		if (have <= size)
			continue;
		char *more = arena_alloc(a, size * 2 + 2);

		memcpy(more, p, have);
		p = more;
		size *= 2;
	}
	p[have] = '\0';
	*ret = (struct span) { p, have };
	return 0;
}

int fd_read_file(const char *path, size_t limit, struct arena *a, struct span *ret, struct err *err)
{
	FD_CLOSE int fd = open_to_read(path, err);

	return fd < 0 ? -1 : read_whole(fd, path, limit, a, ret, err);
}

/* A read lease is not given while the file is open for writing, and whoever wants to open it so then waits for its end. 1: leased, 0: there
 * are no leases here, -1: it is being written all the time. */
static int lease(int fd)
{
	const struct timespec pause = { .tv_nsec = SETTLE_STEP_MS * 1000000L };

	for (int waited = 0; waited < FD_SETTLE_MS; waited += SETTLE_STEP_MS) {
		if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
			return 1;
		if (errno != EAGAIN)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return -1;
}

int fd_read_settled(const char *path, size_t limit, struct arena *a, struct span *ret, struct err *err)
{
	const struct timespec now = { 0 };
	sigset_t broken, before;
	FD_CLOSE int fd = open_to_read(path, err);

	if (fd < 0)
		return -1;
	/* The kernel tells the holder of a lease by SIGIO that somebody waits: no need, it is short. */
	(void)sigemptyset(&broken);
	(void)sigaddset(&broken, SIGIO);
	(void)sigprocmask(SIG_BLOCK, &broken, &before);
	const int leased = lease(fd);
	const int rc = leased < 0 ? err_set(err, ERR_INPUT, "%s: is being written to; try again", path)
				  : read_whole(fd, path, limit, a, ret, err);

	if (leased > 0)
		(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	(void)sigtimedwait(&broken, NULL, &now);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int fd_set_nonblock(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}
