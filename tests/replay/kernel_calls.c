/* The system's calls as the gate makes them: for descriptors of ours here, for any other in the real kernel. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kernel_table.h"

/* The real ones. */
#define REAL(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)
REAL(int, clock_gettime, clockid_t, struct timespec *);
REAL(int, epoll_create1, int);
REAL(int, epoll_ctl, int, int, int, struct epoll_event *);
REAL(int, epoll_wait, int, struct epoll_event *, int, int);
REAL(int, eventfd, unsigned, int);
REAL(ssize_t, read, int, void *, size_t);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, recv, int, void *, size_t, int);
REAL(ssize_t, recvfrom, int, void *, size_t, int, struct sockaddr *, socklen_t *);
REAL(ssize_t, send, int, const void *, size_t, int);
REAL(ssize_t, sendmsg, int, const struct msghdr *, int);
REAL(ssize_t, splice, int, loff_t *, int, loff_t *, size_t, unsigned);
REAL(int, pipe2, int *, int);
REAL(int, fcntl, int, int, ...);
REAL(int, close, int);
REAL(int, shutdown, int, int);
REAL(int, socket, int, int, int);
REAL(int, connect, int, const struct sockaddr *, socklen_t);
REAL(int, getsockopt, int, int, int, void *, socklen_t *);
REAL(int, setsockopt, int, int, int, const void *, socklen_t);
REAL(int, getsockname, int, struct sockaddr *, socklen_t *);
REAL(int, accept4, int, struct sockaddr *, socklen_t *, int);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);

/* --- sockets --- */

ssize_t __wrap_recv(int fd, void *buf, size_t n, int flags)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_recv(fd, buf, n, flags);
	if (call_fails(CALL_recv))
		return -1;
	if (flags & MSG_PEEK) {
		const ssize_t there = readable(o);

		if (there <= 0)
			return there;
		memcpy(buf, o->in.bytes + o->in.start, n < (size_t)there ? n : (size_t)there);
		return n < (size_t)there ? (ssize_t)n : there;
	}
	return take(o, buf, call_limited(CALL_recv, n));
}

ssize_t __wrap_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *size)
{
	struct object *o = object_of(fd);

	return o ? take(o, buf, n) : __real_recvfrom(fd, buf, n, flags, from, size);
}

ssize_t __wrap_send(int fd, const void *buf, size_t n, int flags)
{
	struct object *o = object_of(fd);

	return o ? give(o, buf, n) : __real_send(fd, buf, n, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct object *o = object_of(fd);
	ssize_t sent = 0;

	if (!o)
		return __real_sendmsg(fd, m, flags);
	if (call_fails(CALL_sendmsg))
		return -1;
	size_t most = call_limited(CALL_sendmsg, SIZE_MAX);

	for (size_t i = 0; i < m->msg_iovlen && most; i++) {
		const size_t wanted = m->msg_iov[i].iov_len < most ? m->msg_iov[i].iov_len : most;
		const ssize_t n = give(o, m->msg_iov[i].iov_base, wanted);

		if (n < 0)
			return sent ? sent : -1;
		sent += n;
		most -= (size_t)n;
		if ((size_t)n < wanted || o->dead)
			break;
	}
	return sent;
}

int __wrap_shutdown(int fd, int how)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_shutdown(fd, how);
	assert(how == SHUT_WR);
	if (o->dead) {
		errno = ENOTCONN;
		return -1;
	}
	o->shut = true;
	if (o->far)
		o->far->saw_end = true;
	return 0;
}

int __wrap_socket(int family, int type, int protocol)
{
	if (!k.running)
		return __real_socket(family, type, protocol);
	assert((family == AF_INET || family == AF_INET6) && type == (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC));
	return call_fails(CALL_socket) ? -1 : object_new(SOCKET);
}

static void read_address(const struct sockaddr *a, struct ip_addr *ret, uint16_t *ret_port)
{
	*ret = (struct ip_addr) { 0 };
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)a;

		ret->family = 4;
		memcpy(ret->bytes, &in->sin_addr, 4);
		*ret_port = ntohs(in->sin_port);
	} else {
		const struct sockaddr_in6 *in = (const void *)a;

		ret->family = 6;
		memcpy(ret->bytes, &in->sin6_addr, 16);
		*ret_port = ntohs(in->sin6_port);
	}
}

int __wrap_connect(int fd, const struct sockaddr *a, socklen_t n)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_connect(fd, a, n);
	if (call_fails(CALL_connect))
		return -1;
	struct end *e = end_new(fd);

	read_address(a, &e->address, &e->port);
	*k.origins_end = e;
	k.origins_end = &e->next;
	o->far = e;
	o->connecting = true;
	const enum kernel_connect how = k.hooks.connecting(&e->address, e->port);

	if (how != CONNECT_HELD)
		end_establish(e, how);
	errno = EINPROGRESS;
	return -1;
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *n)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_getsockopt(fd, level, option, value, n);
	assert(level == SOL_SOCKET && option == SO_ERROR);
	*(int *)value = o->error;
	o->error = 0;
	return 0;
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t n)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_setsockopt(fd, level, option, value, n);
	if (level == SOL_SOCKET && option == SO_LINGER)
		o->linger = ((const struct linger *)value)->l_onoff && ((const struct linger *)value)->l_linger == 0;
	return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *a, socklen_t *n)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_getsockname(fd, a, n);
	if (call_fails(CALL_getsockname))
		return -1;
	if (o->local.family == 4) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(o->port) };

		memcpy(&in.sin_addr, o->local.bytes, 4);
		memcpy(a, &in, sizeof in);
		*n = sizeof in;
	} else {
		struct sockaddr_in6 in = { .sin6_family = AF_INET6, .sin6_port = htons(o->port) };

		memcpy(&in.sin6_addr, o->local.bytes, 16);
		memcpy(a, &in, sizeof in);
		*n = sizeof in;
	}
	return 0;
}

int __wrap_accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_accept4(fd, a, n, flags);
	if (call_fails(CALL_accept4))
		return -1;
	if (o->waiting_count == 0) {
		errno = EAGAIN;
		return -1;
	}
	const int first = o->waiting[0];

	o->waiting_count--;
	memmove(o->waiting, o->waiting + 1, o->waiting_count * sizeof *o->waiting);
	k.open++; /* not before: it was the kernel's own */
	return first;
}

/* --- pipes --- */

int __wrap_pipe2(int *fds, int flags)
{
	if (!k.running)
		return __real_pipe2(fds, flags);
	if (call_fails(CALL_pipe2))
		return -1;
	fds[0] = object_new(PIPE_READ);
	fds[1] = object_new(PIPE_WRITE);
	assert(fds[0] >= 0 && fds[1] >= 0);
	object_of(fds[0])->other = fds[1];
	object_of(fds[1])->other = fds[0];
	object_of(fds[0])->capacity = PIPE_DEFAULT;
	return 0;
}

int __wrap_fcntl(int fd, int command, ...)
{
	struct object *o = object_of(fd);
	va_list ap;

	va_start(ap, command);
	const long value = va_arg(ap, long);

	va_end(ap);
	if (!o)
		return __real_fcntl(fd, command, value);
	if (command == F_SETPIPE_SZ && o->other >= 0)
		object_of(o->other)->capacity = (size_t)(int)value;
	return 0;
}

static ssize_t fill_pipe(struct object *from, struct object *pipe, size_t n)
{
	const ssize_t there = readable(from);
	const size_t room = pipe->capacity - queue_used(&pipe->in);

	if (there <= 0)
		return there;
	if (n > (size_t)there)
		n = (size_t)there;
	if (n > room)
		n = room;
	if (n == 0) {
		errno = EAGAIN;
		return -1;
	}
	queue_put(&pipe->in, (struct span) { from->in.bytes + from->in.start, n });
	from->in.start += n;
	return (ssize_t)n;
}

ssize_t __wrap_splice(int from, loff_t *from_at, int to, loff_t *to_at, size_t n, unsigned flags)
{
	struct object *a = object_of(from), *b = object_of(to);

	if (!a || !b)
		return __real_splice(from, from_at, to, to_at, n, flags);
	if (call_fails(CALL_splice))
		return -1;
	n = call_limited(CALL_splice, n);
	if (a->kind == SOCKET)
		return fill_pipe(a, object_of(b->other), n);
	if (n > queue_used(&a->in))
		n = queue_used(&a->in);
	const ssize_t moved = give(b, a->in.bytes + a->in.start, n);

	if (moved > 0)
		a->in.start += (size_t)moved;
	return moved;
}

/* --- the rest --- */

int __wrap_close(int fd)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_close(fd);
	assert(!o->watched); /* forgotten first, or its owner hears from the dead */
	for (int i = 0; o->kind == EPOLL && i < k.highest; i++)
		k.objects[i].watched = false;
	if (o->kind == SOCKET && o->far) {
		if (o->linger || queue_used(&o->in))
			o->far->saw_reset = true;
		else
			o->far->saw_end = true;
		o->far->near = -1;
	}
	o->kind = FREE;
	k.open--;
	return 0;
}

int __wrap_eventfd(unsigned count, int flags)
{
	if (!k.running)
		return __real_eventfd(count, flags);
	const int fd = object_new(EVENT);

	if (fd >= 0)
		object_of(fd)->count = count;
	return fd;
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_read(fd, buf, n);
	assert(o->kind == EVENT && n == sizeof o->count);
	memcpy(buf, &o->count, sizeof o->count);
	o->count = 0;
	return sizeof o->count;
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_write(fd, buf, n);
	assert(o->kind == EVENT);
	o->count++;
	return (ssize_t)n;
}

int __wrap_epoll_create1(int flags)
{
	return k.running ? object_new(EPOLL) : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int command, int fd, struct epoll_event *e)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_epoll_ctl(epoll, command, fd, e);
	if (command != EPOLL_CTL_DEL && call_fails(CALL_epoll_ctl))
		return -1;
	assert(o->watched == (command != EPOLL_CTL_ADD));
	o->watched = command != EPOLL_CTL_DEL;
	if (e)
		o->asked = *e;
	return 0;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
	int n = 0;

	if (!object_of(epoll))
		return __real_epoll_wait(epoll, events, most, timeout);
	for (int i = 0; i < k.highest && n < most; i++) {
		struct object *o = &k.objects[k.backwards ? k.highest - 1 - i : i];

		if (o->kind == FREE || !o->watched)
			continue;
		const uint32_t now = events_of(o) & (o->asked.events | EPOLLERR | EPOLLHUP);

		if (now)
			events[n++] = (struct epoll_event) { .events = now, .data = o->asked.data };
	}
	if (n == 0)
		k.hooks.idle();
	return n;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (!k.running)
		return __real_clock_gettime(clock, t);
	t->tv_sec = (time_t)(k.now_ns / 1000000000);
	t->tv_nsec = (long)(k.now_ns % 1000000000);
	return 0;
}

void *__wrap_malloc(size_t n)
{
	return k.inside && call_fails(CALL_malloc) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return k.inside && call_fails(CALL_malloc) ? NULL : __real_calloc(count, n);
}
