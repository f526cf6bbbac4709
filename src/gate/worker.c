/* The life of a worker: its command slot, its pods, accepting for them.
 *
 * The slot holds one command: the control loop posts the next when every worker has done the last, so there is no queue to fill. A
 * worker touches a command's memory no more once it has counted itself out of `pending`.
 *
 * Connections are counted for struct budget by each worker in its own part, what changed being added after each batch and each
 * round of accepting, so the sums may lag by a little. When fds run out all the same, this worker stops accepting for
 * ACCEPT_AGAIN_MS. */
#include "gate/worker.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "gate/conn.h"
#include "gate/dns.h"
#include "gate/drops.h"

enum { ACCEPT_BATCH = 32, ACCEPT_AGAIN_MS = 100, PIPES_SPARE = 16, SHARES = 4 };

struct listeners {
	int fds[GATE_LISTENER_COUNT];
	_Atomic unsigned references;
	_Atomic unsigned connections; /* of the client, over all workers */
};

struct worker_queue {
	struct source wake; /* eventfd */
	struct worker *worker;
	_Atomic(struct command *) command;
	atomic_bool stop, drained;
	unsigned count;
	struct budget *budget;
	int acknowledge;
	struct timer accept_again; /* set: fds have run out, listeners are not watched */
	struct timer trim;         /* memory of a flood is to be given back later */
	struct rate pause_lines;
	pthread_t thread;
	bool started;
};

struct attachment;
struct watch {
	struct source source;
	struct attachment *attachment;
};

/* A client with its sockets. */
struct attachment {
	struct client client;
	struct worker *worker;
	struct listeners *listeners;
	unsigned published;        /* of client.connections, in listeners->connections and the budget */
	unsigned others_published; /* of others(), in the budget */
	struct watch watches[GATE_LISTENER_COUNT];
	struct deferred free;
};

static struct attachment *attachment_of(struct client *c)
{
	return (struct attachment *)((char *)c - offsetof(struct attachment, client));
}

static void signal_eventfd(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof one); /* fails only when it is set to the brim, which wakes as well */
}

/* --- listeners --- */

struct listeners *listeners_new(const int fds[static GATE_LISTENER_COUNT], unsigned references)
{
	struct listeners *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	memcpy(l->fds, fds, sizeof l->fds);
	l->references = references;
	return l;
}

static void listeners_release(struct listeners *l)
{
	if (atomic_fetch_sub(&l->references, 1) != 1)
		return;
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		if (l->fds[i] >= 0)
			(void)close(l->fds[i]);
	free(l);
}

/* --- accepting --- */

static struct ip_addr address_of(const struct sockaddr_storage *from, uint16_t *ret_port)
{
	struct ip_addr a = { 0 };

	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)from;

		a.family = 4;
		memcpy(a.bytes, &in->sin_addr, 4);
		*ret_port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)from;

		a.family = 6;
		memcpy(a.bytes, &in->sin6_addr, 16);
		*ret_port = ntohs(in->sin6_port);
	}
	return a;
}

void worker_refuse(struct worker *w, struct client *c, int fd, enum adapter adapter)
{
	const struct linger reset = { .l_onoff = 1 };
	struct sockaddr_storage asked = { 0 };
	socklen_t size = sizeof asked;
	struct decision d = {
		.event = DECISION_END,
		.client = c->name,
		.adapter = adapter,
		.reason = REASON_LIMIT,
		.detail = "too many connections",
		.rule = RULE_NONE,
	};

	if (worker_may_log(w, &c->limit_lines, CLIENT_LIMIT_LINES) && getsockname(fd, (struct sockaddr *)&asked, &size) == 0) {
		d.address = address_of(&asked, &d.port);
		audit_write(w->audit, w->index, w->generation, &d);
	}
	worker_count(&w->counters.connections, 1);
	worker_count(&w->counters.denied, 1);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	(void)close(fd);
}

static bool is_watched_by(const struct worker *w, const struct attachment *a, int which)
{
	const bool listening = which == GATE_TCP4 || which == GATE_TCP6 || which == GATE_DNS_TCP;

	if (a->listeners->fds[which] < 0 || (listening && (w->draining || w->queue->accept_again.prev)))
		return false;
	return which == GATE_TCP4 || which == GATE_TCP6 || a->client.id % w->queue->count == w->index;
}

/* Makes what is watched of a client be what should be, as the worker is now. */
static int watch_sockets(struct worker *w, struct attachment *a)
{
	for (int i = 0; i < GATE_LISTENER_COUNT; i++) {
		const bool shared = i == GATE_TCP4 || i == GATE_TCP6;

		if (!is_watched_by(w, a, i)) {
			loop_forget(w->loop, &a->watches[i].source);
			continue;
		}
		const int rc = loop_watch(w->loop, &a->watches[i].source, shared ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int watch_all(struct worker *w)
{
	int rc = 0;

	for (struct client *c = w->clients; c && rc == 0; c = c->next)
		rc = watch_sockets(w, attachment_of(c));
	return rc;
}

static void accept_again(struct timer *t)
{
	struct worker *w = ((struct worker_queue *)((char *)t - offsetof(struct worker_queue, accept_again)))->worker;

	if (watch_all(w) == 0)
		return;
	loop_timer_set(w->loop, t, ACCEPT_AGAIN_MS);
	(void)watch_all(w); /* which forgets the listeners again */
}

static void pause_accepting(struct worker *w, int number)
{
	worker_count(&w->counters.accept_pauses, 1);
	if (worker_may_log(w, &w->queue->pause_lines, 1))
		log_warn("no connection is accepted for %d ms: %s", ACCEPT_AGAIN_MS, strerror(number));
	loop_timer_set(w->loop, &w->queue->accept_again, ACCEPT_AGAIN_MS);
	(void)watch_all(w);
}

/* Connections of the client over all workers, as far as they are published. */
static unsigned own_connections(const struct attachment *a)
{
	return atomic_load_explicit(&a->listeners->connections, memory_order_relaxed) + a->client.connections - a->published;
}

static void set_socket_buffers(struct attachment *a)
{
	const unsigned own = own_connections(a);

	a->client.socket_buffers = own < SOCKETS_FREE ? 0 : own < SOCKETS_ROOMY ? SOCKET_ROOMY_BYTES : SOCKET_SMALL_BYTES;
}

/* What takes descriptors beside connections. */
static unsigned others(const struct attachment *a)
{
	return a->client.dns_conn_count + a->client.second.taken;
}

static void publish_connections(struct attachment *a)
{
	const unsigned change = a->client.connections - a->published; /* may be negative: it wraps, as the sums do */
	const unsigned more = others(a) - a->others_published;

	if (change)
		atomic_fetch_add_explicit(&a->listeners->connections, change, memory_order_relaxed);
	if (change + more)
		atomic_fetch_add_explicit(&a->worker->queue->budget->open, change + more, memory_order_relaxed);
	a->published = a->client.connections;
	a->others_published = others(a);
	set_socket_buffers(a);
}

/* Of the budget, one more? */
static bool is_within_share(const struct attachment *a)
{
	const struct budget *b = a->worker->queue->budget;
	const unsigned own = own_connections(a);
	const unsigned all = atomic_load_explicit(&b->open, memory_order_relaxed) + a->client.connections - a->published +
			     others(a) - a->others_published;

	return all < b->max && own / SHARES < b->max - all;
}

static bool may_attempt_twice(struct dial_room *r)
{
	return is_within_share(attachment_of((struct client *)((char *)r - offsetof(struct client, second))));
}

/* One more connection? */
static bool has_share(const struct attachment *a)
{
	struct worker *w = a->worker;

	if (own_connections(a) >= w->limits.of[LIMIT_CONNECTIONS]) {
		worker_limited(w, LIMIT_CONNECTIONS);
		return false;
	}
	if (is_within_share(a))
		return true;
	worker_count(&w->counters.shared_out, 1);
	return false;
}

/* Only that connection has failed, before it was accepted (accept(2)). Anything else, want of fds above all, may last. */
static bool is_passing(int number)
{
	return number == ECONNABORTED || number == EPROTO || number == EINTR || number == EPERM;
}

static void accept_some(struct attachment *a, struct source *s)
{
	struct worker *w = a->worker;
	const bool dns = s == &a->watches[GATE_DNS_TCP].source;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		const int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && is_passing(errno))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN)
				pause_accepting(w, errno);
			return;
		}
		if (dns ? !is_within_share(a) : !has_share(a))
			worker_refuse(w, &a->client, fd, dns ? ADAPTER_DNS : ADAPTER_CAPTURED);
		else if (dns)
			dns_tcp_accepted(w, &a->client, fd);
		else
			conn_accepted(w, &a->client, fd);
		set_socket_buffers(a);
	}
}

static void accept_ready(struct source *s, uint32_t events)
{
	struct attachment *a = ((struct watch *)((char *)s - offsetof(struct watch, source)))->attachment;

	(void)events;
	accept_some(a, s);
	publish_connections(a);
}

static void dns_ready(struct source *s, uint32_t events)
{
	struct attachment *a = ((struct watch *)((char *)s - offsetof(struct watch, source)))->attachment;

	(void)events;
	dns_udp_ready(a->worker, &a->client, s->fd);
}

static void drop_ready(struct source *s, uint32_t events)
{
	struct attachment *a = ((struct watch *)((char *)s - offsetof(struct watch, source)))->attachment;

	(void)events;
	drops_ready(a->worker, &a->client, s->fd);
}

/* --- commands --- */

static void set_number(const struct worker *w, struct client *c)
{
	c->number = snapshot_client(&w->generation->snapshot, span_of(c->name));
}

static void adopt(struct worker *w, struct command *c)
{
	const struct generation *old = w->generation;

	w->generation = c->generation;
	for (struct client *client = w->clients; client; client = client->next)
		set_number(w, client);
	atomic_fetch_add(&c->revoked, conn_rejudge(w));
	generation_release(old);
}

static void attach(struct worker *w, struct command *c)
{
	static void (*const ready[GATE_LISTENER_COUNT])(struct source *, uint32_t) = {
		[GATE_TCP4] = accept_ready, [GATE_TCP6] = accept_ready, [GATE_DNS_TCP] = accept_ready,
		[GATE_DNS_UDP] = dns_ready, [GATE_DROPS] = drop_ready,
	};
	struct attachment *a = calloc(1, sizeof *a);
	struct resolver_client *names = resolver_client_new();

	if (!a || !names) {
		free(a);
		resolver_client_free(names);
		listeners_release(c->listeners);
		c->failed = true;
		return;
	}
	a->worker = w;
	a->listeners = c->listeners;
	a->client.id = c->id;
	a->client.second.may = may_attempt_twice;
	a->client.buffers.most = w->limits.of[LIMIT_BUFFER_MEMORY];
	a->client.buffers.met = &w->counters.limited[LIMIT_BUFFER_MEMORY];
	a->client.names = names;
	memcpy(a->client.name, c->name, sizeof a->client.name);
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		a->watches[i] = (struct watch) { .source = { .fd = c->listeners->fds[i], .ready = ready[i] }, .attachment = a };
	set_number(w, &a->client);
	a->client.next = w->clients;
	w->clients = &a->client;
	if (watch_sockets(w, a) < 0)
		c->failed = true;
}

static void attachment_free(struct deferred *d)
{
	free((char *)d - offsetof(struct attachment, free));
}

static void detach(struct worker *w, struct client **at)
{
	struct attachment *a = attachment_of(*at);

	conn_close_client(w, &a->client);
	dns_close_client(w, &a->client);
	resolver_client_free(a->client.names);
	publish_connections(a);
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		loop_forget(w->loop, &a->watches[i].source);
	listeners_release(a->listeners);
	*at = a->client.next;
	a->free.run = attachment_free;
	loop_defer(w->loop, &a->free);
}

static void detach_id(struct worker *w, uint32_t id)
{
	for (struct client **at = &w->clients; *at; at = &(*at)->next) {
		if ((*at)->id != id)
			continue;
		detach(w, at);
		return;
	}
}

static void drain(struct worker *w)
{
	w->draining = true;
	(void)watch_all(w);
	conn_drain(w);
}

static void obey(struct worker *w, struct command *c)
{
	switch (c->kind) {
	case COMMAND_ADOPT:
		adopt(w, c);
		break;
	case COMMAND_ATTACH:
		attach(w, c);
		break;
	case COMMAND_DETACH:
		detach_id(w, c->id);
		break;
	case COMMAND_DRAIN:
		drain(w);
		break;
	}
	if (atomic_fetch_sub(&c->pending, 1) == 1)
		signal_eventfd(w->queue->acknowledge);
}

static void woken(struct source *s, uint32_t events)
{
	struct worker_queue *q = (struct worker_queue *)((char *)s - offsetof(struct worker_queue, wake));
	struct worker *w = q->worker;
	uint64_t times;

	(void)events;
	(void)!read(s->fd, &times, sizeof times);
	struct command *c = atomic_exchange(&q->command, NULL);

	if (c)
		obey(w, c);
	if (!q->stop)
		return;
	while (w->clients)
		detach(w, &w->clients);
	loop_timer_cancel(w->loop, &q->accept_again);
	loop_timer_cancel(w->loop, &q->trim);
	loop_stop(w->loop);
}

/* A batch is all that is needed. */
static void trim_due(struct timer *t)
{
	(void)t;
}

static void after_batch(void *arg)
{
	struct worker *w = arg;

	for (struct client *c = w->clients; c; c = c->next)
		publish_connections(attachment_of(c));
	if (!conn_pools_trim(w->pools, loop_now_ms(w->loop)) && !w->queue->trim.prev && !w->queue->stop)
		loop_timer_set(w->loop, &w->queue->trim, CONN_TRIM_MS);
	if (!w->draining || w->conns || atomic_exchange(&w->queue->drained, true))
		return;
	signal_eventfd(w->queue->acknowledge);
}

/* --- its life --- */

static int init_parts(struct worker *w, const char *servers, struct err *err)
{
	w->loop = loop_new();
	if (!w->loop)
		return err_errno(err, "cannot make a worker's loop");
	w->pipes = pipe_pool_new(PIPES_SPARE, WORKER_PIPES_MAX);
	w->pools = conn_pools_new();
	if (!w->pipes || !w->pools)
		return err_set(err, ERR_FAULT, "out of memory for a worker");
	w->resolver = resolver_new(w->loop, servers, err);
	if (!w->resolver || own_open(&w->own, err) < 0)
		return -1;
	const int rc = loop_watch(w->loop, &w->queue->wake, EPOLLIN);

	errno = -rc;
	return rc < 0 ? err_errno(err, "cannot watch a worker's commands") : 0;
}

/* A client's connections go to all workers, so each has its part of what is allowed in a second, and of memory. */
static void set_limits(struct worker *w, const struct worker_options *o)
{
	uint32_t *heads = &w->limits.of[LIMIT_HEADS_PER_SECOND], *bytes = &w->limits.of[LIMIT_BUFFER_MEMORY];

	if (o->limits)
		w->limits = *o->limits;
	else
		limits_default(&w->limits);
	*heads = *heads > o->count ? *heads / o->count : 1;
	*bytes = *bytes / o->count > BUFFER_LARGE ? *bytes / o->count : BUFFER_LARGE;
}

int worker_init(struct worker *w, const struct worker_options *o, struct err *err)
{
	struct worker_queue *q = calloc(1, sizeof *q);

	*w = (struct worker) { .own = { .fd = -1, .host = -1 }, .index = o->index, .audit = o->audit, .queue = q };
	set_limits(w, o);
	if (!q)
		return err_set(err, ERR_FAULT, "out of memory for a worker");
	*q = (struct worker_queue) {
		.wake = { .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .ready = woken },
		.worker = w,
		.count = o->count,
		.budget = o->budget,
		.acknowledge = o->acknowledge,
		.accept_again = { .expired = accept_again },
		.trim = { .expired = trim_due },
	};
	if (q->wake.fd < 0)
		return err_errno(err, "cannot make a worker's eventfd");
	if (init_parts(w, o->servers, err) < 0)
		return -1;
	if (o->host)
		w->own.host = *o->host;
	return 0;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop, after_batch, w);
	return NULL;
}

int worker_start(struct worker *w, struct err *err)
{
	const int rc = pthread_create(&w->queue->thread, NULL, run, w);

	errno = rc;
	w->queue->started = rc == 0;
	return rc ? err_errno(err, "cannot start a worker") : 0;
}

void worker_post(struct worker *w, struct command *c)
{
	struct command *last = atomic_exchange(&w->queue->command, c);

	assert(!last);
	signal_eventfd(w->queue->wake.fd);
}

bool worker_drained(const struct worker *w)
{
	return w->queue->drained;
}

void worker_join(struct worker *w)
{
	if (!w->queue || !w->queue->started)
		return;
	w->queue->stop = true;
	signal_eventfd(w->queue->wake.fd);
	(void)pthread_join(w->queue->thread, NULL);
	w->queue->started = false;
}

void worker_free(struct worker *w)
{
	if (!w->queue)
		return;
	conn_pools_free(w->pools);
	resolver_free(w->resolver);
	own_close(&w->own);
	pipe_pool_free(w->pipes);
	loop_free(w->loop);
	generation_release(w->generation);
	fd_close(&w->queue->wake.fd);
	free(w->queue);
	w->queue = NULL;
}
