/* The pipe is empty whenever it is read into: so "would block" of the reading splice always means that `from` has nothing, and
 * bytes left in the pipe always that `to` is full. Only empty pipes go back to the pool. */
#include "net/pump.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* A user's pipes share 64 MiB (fs.pipe-user-pages-soft) before the kernel cuts new ones to two pages. */
	PIPE_BYTES = 1024 * 1024,
	ROUND_BYTES = 4 * 1024 * 1024,
	SHORT_READ = 16 * 1024, /* less than this, and the socket is most likely empty: epoll will tell if not */
	FLAGS = SPLICE_F_NONBLOCK | SPLICE_F_MOVE,
};

struct pipe_pool {
	unsigned spare_max, max, count, all; /* all: spare ones and those that pumps hold */
	int spare[][2];
};

struct pipe_pool *pipe_pool_new(unsigned spare_max, unsigned max)
{
	struct pipe_pool *p = calloc(1, sizeof *p + spare_max * sizeof p->spare[0]);

	if (!p)
		return NULL;
	p->spare_max = spare_max;
	p->max = max;
	return p;
}

static void pipe_close(struct pipe_pool *p, const int pipe[2])
{
	const int number = errno;

	p->all--;
	(void)close(pipe[0]);
	(void)close(pipe[1]);
	errno = number;
}

void pipe_pool_free(struct pipe_pool *p)
{
	if (!p)
		return;
	while (p->count)
		pipe_close(p, p->spare[--p->count]);
	free(p);
}

/* 0, or -1 and errno. */
static int pool_take(struct pipe_pool *p, int ret[2])
{
	if (p->count) {
		p->count--;
		ret[0] = p->spare[p->count][0];
		ret[1] = p->spare[p->count][1];
		return 0;
	}
	if (p->all == p->max) {
		errno = EMFILE;
		return -1;
	}
	if (pipe2(ret, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	p->all++;
	(void)fcntl(ret[1], F_SETPIPE_SZ, PIPE_BYTES); /* over the user's share: it goes with what the kernel gives */
	return 0;
}

static void pool_give(struct pipe_pool *p, const int pipe[2])
{
	if (p->count == p->spare_max) {
		pipe_close(p, pipe);
		return;
	}
	p->spare[p->count][0] = pipe[0];
	p->spare[p->count][1] = pipe[1];
	p->count++;
}

/* Bytes read, 0 at the end, -1 and errno. The pump has a pipe afterwards only if there are bytes in it. */
static ssize_t fill(struct pump *p, struct pipe_pool *pool, int from, size_t want)
{
	ssize_t n;

	if (pool_take(pool, p->pipe) < 0)
		return -1;
	do
		n = splice(from, NULL, p->pipe[1], NULL, want, FLAGS);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		p->in_pipe = (uint32_t)n;
	else
		pool_give(pool, p->pipe);
	return n;
}

/* 0: the pipe is empty and given back; -1 and errno. */
static int drain(struct pump *p, struct pipe_pool *pool, int to, uint64_t *limit)
{
	while (p->in_pipe) {
		const ssize_t n = splice(p->pipe[0], NULL, to, NULL, p->in_pipe, FLAGS);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		p->in_pipe -= (uint32_t)n;
		p->total += (uint64_t)n;
		*limit -= (uint64_t)n;
		if (p->in_pipe == 0)
			pool_give(pool, p->pipe);
	}
	return 0;
}

static enum pump_result stopped(enum pump_result waiting)
{
	return errno == EAGAIN ? waiting : PUMP_FAILED;
}

static enum pump_result ended(struct pump *p, int to, bool pass_end)
{
	if (pass_end && !p->to_shut) {
		if (shutdown(to, SHUT_WR) < 0)
			return PUMP_FAILED;
		p->to_shut = true;
	}
	return PUMP_ENDED;
}

enum pump_result pump_move(struct pump *p, struct pipe_pool *pool, int from, int to, uint64_t limit, bool pass_end)
{
	const bool endless = limit == UINT64_MAX;
	const uint64_t start = p->total;

	assert(p->in_pipe <= limit);
	for (;;) {
		if (drain(p, pool, to, &limit) < 0)
			return stopped(PUMP_WAIT_TO);
		if (limit == 0)
			return PUMP_LIMIT;
		if (p->from_ended)
			return ended(p, to, pass_end && endless);
		if (p->total - start >= ROUND_BYTES)
			return PUMP_WAIT_FROM;
		const ssize_t n = fill(p, pool, from, limit < PIPE_BYTES ? (size_t)limit : PIPE_BYTES);

		if (n < 0)
			return stopped(PUMP_WAIT_FROM);
		if (n == 0) {
			p->from_ended = true;
			continue;
		}
		if (n >= SHORT_READ)
			continue;
		if (drain(p, pool, to, &limit) < 0)
			return stopped(PUMP_WAIT_TO);
		return limit ? PUMP_WAIT_FROM : PUMP_LIMIT;
	}
}

void pump_close(struct pump *p, struct pipe_pool *pool)
{
	if (p->in_pipe)
		pipe_close(pool, p->pipe);
	p->in_pipe = 0;
}
