/* Two slots for attempts under way, the second only while there is room for it. A new attempt starts when one fails, when the pace timer
 * says so and a slot is free, or, once all have been silent for DIAL_SILENT_MS and addresses are left, in the place of the older. */
#include "net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd.h"

enum { ATTEMPTS = 2, DIAL_SILENT_MS = 2000 };

struct attempt {
	struct source source; /* fd -1: the slot is free */
	struct dial *dial;
	uint8_t address; /* later ones have higher numbers */
};

struct dial {
	struct loop *loop;
	void (*done)(void *arg, int fd, const struct ip_addr *connected);
	void *arg;
	struct dial_options options;
	bool has_second; /* counted in options.room */
	bool is_hurried; /* the pace timer waits for DIAL_NEXT_MS */
	struct attempt attempts[ATTEMPTS];
	struct timer pace, limit;
	int failure; /* -errno of the last attempt that failed */
	uint16_t port;
	uint8_t next; /* the first address that was not tried yet */

	/* An outcome that was there before dial_start returned is told after the batch. */
	struct deferred tell;
	bool telling, cancelled;
	int outcome;
	struct ip_addr winner;

	struct addresses addresses;
};

/* --- the end --- */

static void count_second(struct dial *d)
{
	const bool both = d->attempts[0].source.fd >= 0 && d->attempts[1].source.fd >= 0;

	if (both && !d->has_second)
		d->options.room->taken++;
	else if (!both && d->has_second)
		d->options.room->taken--;
	d->has_second = both;
}

static void close_attempt(struct attempt *a)
{
	if (a->source.fd < 0)
		return;
	loop_forget(a->dial->loop, &a->source);
	fd_close(&a->source.fd);
	count_second(a->dial);
}

static void close_all(struct dial *d)
{
	for (size_t i = 0; i < ATTEMPTS; i++)
		close_attempt(&d->attempts[i]);
	loop_timer_cancel(d->loop, &d->pace);
	loop_timer_cancel(d->loop, &d->limit);
}

/* outcome: a socket, or -errno. Nothing of d may be touched afterwards. */
static void finish(struct dial *d, int outcome)
{
	void (*const done)(void *arg, int fd, const struct ip_addr *connected) = d->done;
	void *const arg = d->arg;
	const struct ip_addr winner = d->winner;

	close_all(d);
	free(d);
	done(arg, outcome, &winner);
}

static void tell_outcome(struct deferred *t)
{
	struct dial *d = (struct dial *)((char *)t - offsetof(struct dial, tell));

	if (!d->cancelled) {
		finish(d, d->outcome);
		return;
	}
	fd_close(&d->outcome);
	free(d);
}

/* --- attempts --- */

static socklen_t socket_address(const struct ip_addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof *ret);
	if (a->family == 4) {
		struct sockaddr_in *sin = (struct sockaddr_in *)ret;

		sin->sin_family = AF_INET;
		sin->sin_port = htons(port);
		memcpy(&sin->sin_addr, a->bytes, 4);
		return sizeof *sin;
	}
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)ret;

	sin6->sin6_family = AF_INET6;
	sin6->sin6_port = htons(port);
	memcpy(&sin6->sin6_addr, a->bytes, 16);
	return sizeof *sin6;
}

static int take_socket(struct attempt *a)
{
	struct dial *d = a->dial;

	d->winner = d->addresses.list[a->address];
	loop_forget(d->loop, &a->source);
	const int fd = fd_steal(&a->source.fd);

	count_second(d);
	return fd;
}

/* Before it connects, so that no more is ever promised to the far end. */
static int bound_buffers(int fd, int bytes)
{
	return setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) < 0 ||
			       setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) < 0
		       ? -errno
		       : 0;
}

/* 1: connected at once, 0: under way, -errno: failed, the slot is free again. */
static int start_attempt(struct attempt *a, uint8_t address)
{
	struct dial *d = a->dial;
	struct sockaddr_storage to;
	const socklen_t n = socket_address(&d->addresses.list[address], d->port, &to);
	const int one = 1;

	a->address = address;
	a->source.fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->source.fd < 0)
		return -errno;
	int rc = setsockopt(a->source.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ? -errno : 0;

	if (rc == 0 && d->options.buffers)
		rc = bound_buffers(a->source.fd, d->options.buffers);
	if (rc == 0 && connect(a->source.fd, (const struct sockaddr *)&to, n) == 0)
		return 1;
	if (rc == 0 && errno != EINPROGRESS)
		rc = -errno;
	if (rc == 0)
		rc = loop_watch(d->loop, &a->source, EPOLLOUT);
	if (rc < 0)
		fd_close(&a->source.fd);
	count_second(d);
	return rc;
}

static bool any_under_way(const struct dial *d)
{
	return d->attempts[0].source.fd >= 0 || d->attempts[1].source.fd >= 0;
}

static struct attempt *free_slot(struct dial *d)
{
	if (any_under_way(d) && !d->options.room->may(d->options.room))
		return NULL;
	for (size_t i = 0; i < ATTEMPTS; i++)
		if (d->attempts[i].source.fd < 0)
			return &d->attempts[i];
	return NULL;
}

/* Starts the next attempt that does not fail at once. True: there is an outcome, in d->outcome. */
static bool try_addresses(struct dial *d)
{
	struct attempt *a = free_slot(d);

	while (a && d->next < d->addresses.count) {
		const int rc = start_attempt(a, d->next++);

		if (rc > 0) {
			d->outcome = take_socket(a);
			return true;
		}
		if (rc == 0)
			break;
		d->failure = rc;
	}
	if (!any_under_way(d)) {
		d->outcome = d->failure;
		return true;
	}
	loop_timer_cancel(d->loop, &d->pace);
	if (d->next < d->addresses.count) {
		d->is_hurried = free_slot(d) != NULL;
		loop_timer_set(d->loop, &d->pace, d->is_hurried ? DIAL_NEXT_MS : DIAL_SILENT_MS);
	}
	return false;
}

static void go_on(struct dial *d)
{
	if (try_addresses(d))
		finish(d, d->outcome);
}

static void attempt_ready(struct source *s, uint32_t events)
{
	struct attempt *a = (struct attempt *)((char *)s - offsetof(struct attempt, source));
	struct dial *d = a->dial;
	int error = 0;
	socklen_t n = sizeof error;

	/* Without either of these there is no error to ask for. */
	if ((events & (EPOLLERR | EPOLLHUP)) && getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	if (error == 0 && (events & EPOLLOUT)) {
		finish(d, take_socket(a));
		return;
	}
	d->failure = error ? -error : -ECONNRESET;
	close_attempt(a);
	go_on(d);
}

static struct attempt *older_attempt(struct dial *d)
{
	struct attempt *a = &d->attempts[0], *b = &d->attempts[1];

	if (a->source.fd < 0 || b->source.fd < 0)
		return a->source.fd < 0 ? b : a;
	return a->address < b->address ? a : b;
}

static void pace_due(struct timer *t)
{
	struct dial *d = (struct dial *)((char *)t - offsetof(struct dial, pace));

	if (!free_slot(d) && d->is_hurried) {
		/* There was room when it was set. */
		d->is_hurried = false;
		loop_timer_set(d->loop, &d->pace, DIAL_SILENT_MS - DIAL_NEXT_MS);
		return;
	}
	if (!free_slot(d)) {
		close_attempt(older_attempt(d));
		d->failure = -ETIMEDOUT;
	}
	go_on(d);
}

static void limit_due(struct timer *t)
{
	finish((struct dial *)((char *)t - offsetof(struct dial, limit)), -ETIMEDOUT);
}

struct dial *dial_start(struct loop *l, const struct addresses *a, uint16_t port, const struct dial_options *o,
			void (*done)(void *arg, int fd, const struct ip_addr *connected), void *arg)
{
	struct dial *d = malloc(sizeof *d);

	if (!d)
		return NULL;
	*d = (struct dial) {
		.loop = l, .done = done, .arg = arg, .port = port, .options = *o, .failure = -EHOSTUNREACH, .addresses = *a
	};
	d->pace.expired = pace_due;
	d->limit.expired = limit_due;
	d->tell.run = tell_outcome;
	for (size_t i = 0; i < ATTEMPTS; i++)
		d->attempts[i] = (struct attempt) { .source = { .fd = -1, .ready = attempt_ready }, .dial = d };
	if (!try_addresses(d)) {
		loop_timer_set(l, &d->limit, DIAL_TIMEOUT_MS);
		return d;
	}
	if (d->outcome == -EMFILE || d->outcome == -ENFILE || d->outcome == -ENOMEM || d->outcome == -ENOBUFS) {
		const int number = -d->outcome;

		free(d);
		errno = number;
		return NULL;
	}
	d->telling = true;
	loop_defer(l, &d->tell);
	return d;
}

void dial_cancel(struct dial *d)
{
	if (!d)
		return;
	d->cancelled = true;
	close_all(d);
	if (!d->telling)
		free(d);
}
