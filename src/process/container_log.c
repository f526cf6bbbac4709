#include "process/container_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

enum { CHUNK = 64 * 1024, LAST_CHUNKS = 16 };

static int open_file(struct container_log *l)
{
	struct stat st;

	l->file = openat(l->dir, l->name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	l->size = l->file >= 0 && fstat(l->file, &st) == 0 ? (uint64_t)st.st_size : 0;
	return l->file;
}

static void rotate(struct container_log *l)
{
	char old[sizeof l->name + 2];

	(void)snprintf(old, sizeof old, "%s.1", l->name);
	fd_close(&l->file);
	(void)renameat(l->dir, l->name, l->dir, old);
	(void)open_file(l);
}

/* One piece. false: nothing there now, or never again. */
static bool copy(struct container_log *l)
{
	static char chunk[CHUNK];
	const ssize_t n = read(l->source.fd, chunk, sizeof chunk);

	if (n < 0 && errno == EINTR)
		return true;
	if (n == 0 || (n < 0 && errno != EAGAIN))
		loop_forget(l->loop, &l->source);
	if (n <= 0)
		return false;
	if (l->size >= LOG_ROTATE_BYTES)
		rotate(l);
	/* A full disk loses the log's lines, it does not stop the container. */
	if (l->file >= 0 && fd_write_all(l->file, chunk, (size_t)n) == 0)
		l->size += (uint64_t)n;
	return true;
}

static void ready(struct source *s, uint32_t events)
{
	struct container_log *l = (struct container_log *)s; /* its first member */

	if (l->open)
		(void)copy(l);
}

int container_log_open(struct container_log *l, struct loop *loop, int dir, const char *container, uid_t uid, struct err *err)
{
	int ends[2];

	*l = (struct container_log) { .loop = loop, .dir = dir };
	(void)snprintf(l->name, sizeof l->name, "%.70s.log", container);
	if (open_file(l) < 0)
		return err_errno(err, "the log %s", l->name);
	if (pipe2(ends, O_CLOEXEC) < 0) {
		fd_close(&l->file);
		return err_errno(err, "the pipe to the log");
	}
	l->source = (struct source) { .fd = ends[0], .ready = ready };
	l->open = true;
	const int rc =
		fd_set_nonblock(ends[0]) < 0 || fchown(ends[1], uid, uid) < 0 ? -errno : loop_watch(loop, &l->source, EPOLLIN);

	if (rc == 0)
		return ends[1];
	container_log_close(l);
	(void)close(ends[1]);
	errno = -rc;
	return err_errno(err, "the pipe to the log");
}

void container_log_close(struct container_log *l)
{
	if (!l->open)
		return;
	for (int i = 0; i < LAST_CHUNKS && copy(l); i++)
		;
	loop_forget(l->loop, &l->source);
	fd_close(&l->source.fd);
	fd_close(&l->file);
	l->open = false;
}
