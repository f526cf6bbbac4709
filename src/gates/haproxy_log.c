#include "gates/haproxy_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

enum { LINE_MOST = 8192, READS_A_TURN = 8 };

/* The lines at the front that are decisions; what HAProxy says of itself (it begins with no brace) is in supervisor.log already. */
static size_t count_bytes(const char *lines, size_t n, bool decisions)
{
	size_t at = 0;

	while (at < n && (lines[at] == '{') == decisions)
		at = (size_t)((const char *)memchr(lines + at, '\n', n - at) - lines) + 1;
	return at;
}

/* n: of whole lines. Each run of them in one write, so that none is torn by another writer's. */
static void write_lines(struct haproxy_log *g, size_t n)
{
	for (size_t at = 0; at < n;) {
		const size_t skip = count_bytes(g->lines + at, n - at, false);
		const size_t run = count_bytes(g->lines + at + skip, n - at - skip, true);
		const int rc = run ? fd_write_all(g->file, g->lines + at + skip, run) : 0;

		if (rc < 0)
			log_error("decisions.log: %s", strerror(-rc));
		at += skip + run;
	}
	g->used -= n;
	memmove(g->lines, g->lines + n, g->used);
}

static void take(struct haproxy_log *g, size_t more)
{
	g->used += more;
	const char *last = memrchr(g->lines, '\n', g->used);

	if (last)
		write_lines(g, (size_t)(last - g->lines) + 1);
	if (g->used < LINE_MOST)
		return;
	/* No line of ours is so long. */
	log_error("HAProxy's log: a line without an end is dropped");
	g->used = 0;
}

static void ready(struct source *s, uint32_t events)
{
	struct haproxy_log *g = (struct haproxy_log *)s; /* its first member */

	for (int i = 0; i < READS_A_TURN; i++) {
		const ssize_t n = read(s->fd, g->lines + g->used, sizeof g->lines - g->used);

		if (n <= 0)
			return;
		take(g, (size_t)n);
	}
}

int haproxy_log_open(struct haproxy_log *g, struct loop *l, int file, struct err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_errno(err, "a pipe for HAProxy's log");
	g->source = (struct source) { .fd = pair[0], .ready = ready };
	g->loop = l;
	g->end = pair[1];
	g->file = file;
	g->used = 0;
	(void)fcntl(pair[0], F_SETPIPE_SZ, HAPROXY_LOG_PIPE); /* a smaller one loses lines sooner, and that is all */
	const int rc = loop_watch(l, &g->source, EPOLLIN);

	if (rc == 0)
		return 0;
	haproxy_log_close(g);
	errno = -rc;
	return err_errno(err, "HAProxy's log");
}

void haproxy_log_close(struct haproxy_log *g)
{
	if (!g->loop)
		return;
	ready(&g->source, 0);
	loop_forget(g->loop, &g->source);
	fd_close(&g->source.fd);
	fd_close(&g->end);
	g->loop = NULL;
}
