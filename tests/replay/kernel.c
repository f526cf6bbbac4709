/* Descriptors of this kernel are numbers from BASE on, an index into one table. What the real one does by and by happens here at
 * once: bytes that are sent are there, an end is seen by the next poll. The behaviour at ends, resets and errors is Linux's TCP:
 * bytes that came before a reset can still be read; a write to a peer that is gone succeeds once and breaks the socket. */
#include "kernel_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct kernel k;

static const char *const call_names[] = {
#define X(word) [CALL_##word] = #word,
	KERNEL_CALLS(X)
#undef X
};

const char *kernel_call_name(enum kernel_call c)
{
	return call_names[c];
}

/* --- the table --- */

struct object *object_of(int fd)
{
	if (!k.running || fd < BASE || fd >= BASE + k.highest)
		return NULL;
	assert(k.objects[fd - BASE].kind != FREE); /* a descriptor that is not open is used */
	return &k.objects[fd - BASE];
}

int object_new(enum kind kind)
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

bool call_fails(enum kernel_call c)
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

size_t call_limited(enum kernel_call c, size_t n)
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

void queue_put(struct queue *q, struct span s)
{
	if (q->start == q->end)
		q->start = q->end = 0;
	q->bytes = grow(q->bytes, q->end, &q->size, q->end + s.n);
	if (s.n)
		memcpy(q->bytes + q->end, s.p, s.n);
	q->end += s.n;
}

/* --- sockets --- */

static bool is_full(const struct object *o)
{
	return o->far && !o->far->closed && o->far->count >= o->far->room;
}

uint32_t events_of(const struct object *o)
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

void break_off(struct object *o)
{
	o->error = o->ended ? EPIPE : ECONNRESET;
	o->dead = true;
}

ssize_t readable(struct object *o)
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

ssize_t take(struct object *o, void *to, size_t n)
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

ssize_t give(struct object *o, const char *bytes, size_t n)
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

struct end *end_new(int near)
{
	struct end *e = __real_calloc(1, sizeof *e);

	assert(e);
	e->near = near;
	e->room = ROOM_DEFAULT;
	return e;
}

/* --- for the test --- */

void kernel_start(const struct kernel_hooks *hooks)
{
	assert(!k.running);
	k.running = true;
	k.hooks = *hooks;
	k.now_ns = 1000000000ULL * 1000;
	k.origins_end = &k.origins;
	k.backwards = k.inside = false;
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

void kernel_inside(bool gate)
{
	k.inside = gate;
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
	l->waiting[l->waiting_count++] = fd;
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
