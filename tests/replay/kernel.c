/* Descriptors of this kernel are numbers from BASE on, an index into one table. What the real one does by and by happens here at
 * once: bytes that are sent are there, an end is seen by the next poll. The behaviour at ends, resets and errors is Linux's TCP:
 * bytes that came before a reset can still be read; a write to a peer that is gone succeeds once and breaks the socket. */
#include "kernel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BASE = 1 << 20, OBJECTS = 2048, PIPE_DEFAULT = 64 * 1024, ROOM_DEFAULT = 4 << 20 };

enum kind { FREE, SOCKET, LISTENER, PIPE_READ, PIPE_WRITE, EVENT, EPOLL, DATAGRAMS };

struct queue {
	char *bytes;
	size_t start, end, size;
};

struct object {
	enum kind kind;
	/* sockets */
	struct end *far;
	struct queue in;
	int error;
	bool ended, shut, dead, linger, connecting;
	struct ip_addr local;
	uint16_t port;
	/* listeners: sockets to be accepted; events: the count; pipes: the other side, the size */
	int waiting[64];
	unsigned waiting_count;
	uint64_t count;
	int other;
	size_t capacity;
	/* epoll */
	bool watched;
	struct epoll_event asked;
};

static struct {
	bool running, backwards;
	struct kernel_hooks hooks;
	uint64_t now_ns;
	struct object objects[OBJECTS];
	int highest; /* index above the last ever used */
	unsigned open;
	struct end *ends, *origins, **origins_end, *clients;
	struct {
		int number;
		unsigned skip, times;
		size_t limit;
	} calls[CALL_COUNT];
} k;

static const char *const call_names[] = {
#define X(word) [CALL_##word] = #word,
	KERNEL_CALLS(X)
#undef X
};

const char *kernel_call_name(enum kernel_call c)
{
	return call_names[c];
}

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
REAL(void *, malloc, size_t);
REAL(void *, calloc, size_t, size_t);

/* --- the table --- */

static struct object *object_of(int fd)
{
	if (!k.running || fd < BASE || fd >= BASE + k.highest)
		return NULL;
	assert(k.objects[fd - BASE].kind != FREE); /* a descriptor that is not open is used */
	return &k.objects[fd - BASE];
}

static int object_new(enum kind kind)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = &k.objects[i];
		const struct queue kept = { o->in.bytes, 0, 0, o->in.size };

		if (o->kind != FREE)
			continue;
		*o = (struct object) { .kind = kind, .in = kept, .other = -1 };
		if (i >= k.highest)
			k.highest = i + 1;
		k.open++;
		return BASE + i;
	}
	errno = EMFILE;
	return -1;
}

static int number_of(const struct object *o)
{
	return BASE + (int)(o - k.objects);
}

/* True: this call is to fail; errno is set. */
static bool fails(enum kernel_call c)
{
	if (!k.running || k.calls[c].times == 0)
		return false;
	if (k.calls[c].skip) {
		k.calls[c].skip--;
		return false;
	}
	k.calls[c].times--;
	errno = k.calls[c].number;
	return true;
}

static size_t limited(enum kernel_call c, size_t n)
{
	return k.calls[c].limit && n > k.calls[c].limit ? k.calls[c].limit : n;
}

static char *grow(char *bytes, size_t used, size_t *size, size_t wanted)
{
	if (wanted <= *size)
		return bytes;
	size_t n = *size ? *size : 4096;

	while (n < wanted)
		n *= 2;
	char *more = __real_malloc(n);

	assert(more);
	if (used)
		memcpy(more, bytes, used);
	free(bytes);
	*size = n;
	return more;
}

static size_t queue_used(const struct queue *q)
{
	return q->end - q->start;
}

static void queue_put(struct queue *q, struct span s)
{
	if (q->start == q->end)
		q->start = q->end = 0;
	q->bytes = grow(q->bytes, q->end, &q->size, q->end + s.n);
	if (s.n)
		memcpy(q->bytes + q->end, s.p, s.n);
	q->end += s.n;
}

/* --- sockets --- */

static struct end *end_new(int near)
{
	struct end *e = __real_calloc(1, sizeof *e);

	assert(e);
	e->near = near;
	e->room = ROOM_DEFAULT;
	return e;
}

static bool is_full(const struct object *o)
{
	return o->far && !o->far->closed && o->far->count >= o->far->room;
}

static uint32_t events_of(const struct object *o)
{
	uint32_t e = 0;

	if (o->kind == LISTENER)
		return o->waiting_count ? EPOLLIN : 0;
	if (o->kind == EVENT)
		return o->count ? EPOLLIN : 0;
	if (o->kind == DATAGRAMS)
		return queue_used(&o->in) ? EPOLLIN : 0;
	if (o->kind != SOCKET || o->connecting)
		return 0;
	if (o->dead)
		return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | (o->error ? EPOLLERR : 0U);
	if (queue_used(&o->in) || o->ended || o->error)
		e |= EPOLLIN;
	if (!is_full(o) || o->shut)
		e |= EPOLLOUT;
	if (o->ended)
		e |= EPOLLRDHUP;
	if (o->ended && o->shut)
		e |= EPOLLHUP;
	if (o->error)
		e |= EPOLLERR;
	return e;
}

static void break_off(struct object *o)
{
	o->error = o->ended ? EPIPE : ECONNRESET;
	o->dead = true;
}

/* Bytes that can be read now, or -1 and errno, or 0 at the end. */
static ssize_t readable(struct object *o)
{
	if (queue_used(&o->in))
		return (ssize_t)queue_used(&o->in);
	if (o->error) {
		errno = o->error;
		o->error = 0;
		return -1;
	}
	if (o->ended || o->dead)
		return 0;
	errno = EAGAIN;
	return -1;
}

static ssize_t take(struct object *o, void *to, size_t n)
{
	const ssize_t there = readable(o);

	if (there <= 0)
		return there;
	if (n > (size_t)there)
		n = (size_t)there;
	memcpy(to, o->in.bytes + o->in.start, n);
	o->in.start += n;
	return (ssize_t)n;
}

static ssize_t give(struct object *o, const char *bytes, size_t n)
{
	struct end *far = o->far;

	if (o->error) {
		errno = o->error;
		o->error = 0;
		return -1;
	}
	if (o->dead || o->shut || !far) {
		errno = EPIPE;
		return -1;
	}
	if (far->closed) {
		break_off(o);
		return (ssize_t)n;
	}
	if (is_full(o)) {
		errno = EAGAIN;
		return -1;
	}
	if (n > far->room - far->count)
		n = far->room - far->count;
	far->bytes = grow(far->bytes, far->count, &far->size, far->count + n);
	memcpy(far->bytes + far->count, bytes, n);
	far->count += n;
	return (ssize_t)n;
}

ssize_t __wrap_recv(int fd, void *buf, size_t n, int flags)
{
	struct object *o = object_of(fd);

	if (!o)
		return __real_recv(fd, buf, n, flags);
	if (fails(CALL_recv))
		return -1;
	if (flags & MSG_PEEK) {
		const ssize_t there = readable(o);

		if (there <= 0)
			return there;
		memcpy(buf, o->in.bytes + o->in.start, n < (size_t)there ? n : (size_t)there);
		return n < (size_t)there ? (ssize_t)n : there;
	}
	return take(o, buf, limited(CALL_recv, n));
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
	if (fails(CALL_sendmsg))
		return -1;
	size_t most = limited(CALL_sendmsg, SIZE_MAX);

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
	return fails(CALL_socket) ? -1 : object_new(SOCKET);
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
	if (fails(CALL_connect))
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
	if (fails(CALL_getsockname))
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
	if (fails(CALL_accept4))
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
	if (fails(CALL_pipe2))
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
	if (fails(CALL_splice))
		return -1;
	n = limited(CALL_splice, n);
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
	if (command != EPOLL_CTL_DEL && fails(CALL_epoll_ctl))
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
	return fails(CALL_malloc) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return fails(CALL_malloc) ? NULL : __real_calloc(count, n);
}

/* --- for the test --- */

void kernel_start(const struct kernel_hooks *hooks)
{
	assert(!k.running);
	k.running = true;
	k.hooks = *hooks;
	k.now_ns = 1000000000ULL * 1000;
	k.origins_end = &k.origins;
	k.backwards = false;
	memset(k.calls, 0, sizeof k.calls);
}

static void free_ends(struct end *e)
{
	while (e) {
		struct end *next = e->next;

		free(e->bytes);
		free(e);
		e = next;
	}
}

unsigned kernel_stop(void)
{
	const unsigned left = k.open;

	for (int i = 0; i < k.highest; i++) {
		free(k.objects[i].in.bytes);
		k.objects[i] = (struct object) { .kind = FREE };
	}
	free_ends(k.origins);
	free_ends(k.clients);
	k.origins = k.clients = NULL;
	k.running = false;
	k.highest = 0;
	k.open = 0;
	return left;
}

unsigned kernel_descriptors(void)
{
	return k.open;
}

void kernel_advance_ms(uint64_t ms)
{
	k.now_ns += ms * 1000000;
}

void kernel_turn_order(bool backwards)
{
	k.backwards = backwards;
}

void kernel_fail(enum kernel_call c, int number, unsigned skip, unsigned times)
{
	k.calls[c].number = number;
	k.calls[c].skip = skip;
	k.calls[c].times = times;
}

void kernel_limit(enum kernel_call c, size_t n)
{
	k.calls[c].limit = n;
}

int kernel_listener(void)
{
	return object_new(LISTENER);
}

int kernel_datagrams(void)
{
	return object_new(DATAGRAMS);
}

void kernel_datagram(int fd, struct span bytes)
{
	queue_put(&object_of(fd)->in, bytes);
}

struct end *kernel_client(int listener, const struct ip_addr *to, uint16_t port)
{
	struct object *l = object_of(listener);
	const int fd = object_new(SOCKET);

	assert(fd >= 0 && l->waiting_count < sizeof l->waiting / sizeof *l->waiting);
	k.open--;
	struct object *o = object_of(fd);
	struct end *e = end_new(fd);

	e->next = k.clients;
	k.clients = e;
	e->address = *to;
	e->port = port;
	o->far = e;
	o->local = *to;
	o->port = port;
	l->waiting[l->waiting_count++] = number_of(o);
	return e;
}

struct end *kernel_origins(void)
{
	return k.origins;
}

static struct object *near_of(const struct end *e)
{
	return e->near >= 0 && !e->closed ? object_of(e->near) : NULL;
}

void end_send(struct end *e, struct span bytes)
{
	struct object *o = near_of(e);

	if (o && !o->dead && !o->ended)
		queue_put(&o->in, bytes);
}

void end_take(struct end *e, size_t n)
{
	assert(n <= e->count);
	e->count -= n;
	memmove(e->bytes, e->bytes + n, e->count);
}

void end_shut(struct end *e)
{
	struct object *o = near_of(e);

	if (o)
		o->ended = true;
}

void end_close(struct end *e)
{
	struct object *o = near_of(e);

	/* What was not read here makes an end into a reset. */
	if (o && e->count)
		break_off(o);
	else if (o)
		o->ended = true;
	e->closed = true;
}

void end_reset(struct end *e)
{
	struct object *o = near_of(e);

	if (o && !o->dead)
		break_off(o);
	e->closed = true;
}

void end_establish(struct end *e, enum kernel_connect how)
{
	struct object *o = near_of(e);

	if (!o || !o->connecting)
		return;
	o->connecting = false;
	if (how == CONNECT_OK) {
		e->established = true;
		return;
	}
	o->error = how == CONNECT_REFUSED ? ECONNREFUSED : ENETUNREACH;
	o->dead = true;
	e->closed = true;
}

size_t end_unread(const struct end *e)
{
	const struct object *o = near_of(e);

	return o ? queue_used(&o->in) : 0;
}
