/* A connection's life: accepted, watched, limited, closed. conn_set_state is the only writer of the state; conn_run goes on from
 * it; what epoll is asked for follows from what is not known to be there (`readable`) and what is full (`write_blocked`). */
#include "gate/conn_state.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum { STEPS_MAX = 64 };

#define BIT(state) (1U << CONN_##state)

/* From each state, those that may follow. */
static const uint16_t may_follow[] = {
	[CONN_HEAD] = BIT(RESOLVE) | BIT(CONNECT) | BIT(EXCHANGE) | BIT(HELLO) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_RESOLVE] = BIT(CONNECT) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_CONNECT] = BIT(EXCHANGE) | BIT(HELLO) | BIT(HANDSHAKE) | BIT(TUNNEL) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_EXCHANGE] = BIT(HEAD) | BIT(CONNECT) | BIT(TUNNEL) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_HELLO] = BIT(HEAD) | BIT(HANDSHAKE) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_HANDSHAKE] = BIT(TUNNEL) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_TUNNEL] = BIT(CLOSED),
	[CONN_ANSWER] = BIT(HEAD) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_DRAIN] = BIT(CLOSED),
	[CONN_CLOSED] = 0,
};
_Static_assert(sizeof may_follow / sizeof *may_follow == CONN_STATE_COUNT, "a line a state");

/* --- time --- */

void conn_limit(struct conn *c, enum gate_limit l, bool lazy)
{
	c->limit = (uint8_t)l;
	c->limit_ms = c->w->limits.of[l];
	c->lazy = lazy;
	c->active_ms = (uint32_t)loop_now_ms(c->w->loop);
	loop_timer_set(c->w->loop, &c->timer, c->limit_ms);
}

static void limit_over(struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_HEAD:
		if (c->mode == MODE_CAPTURED)
			tunnel_captured_step(c);
		else if (c->mode == MODE_SOCKS)
			socks_late(c);
		else if (!buffer_used(&c->up.in) || c->down.head.data)
			conn_close(c, false);
		else
			http_late(c);
		break;
	case CONN_EXCHANGE:
		if (c->reply_over) {
			/* An early reply, all of it: what the client owes of its request is forgone. */
			c->up_over = true;
			break;
		}
		__attribute__((fallthrough));
	case CONN_RESOLVE:
	case CONN_CONNECT:
		answer_failed(c, REASON_TIMEOUT, c->rule, NULL);
		break;
	case CONN_HELLO:
	case CONN_HANDSHAKE:
	case CONN_TUNNEL:
		conn_log_end(c, true, REASON_TIMEOUT, NULL, c->status);
		conn_close(c, true);
		break;
	case CONN_DRAIN:
		/* What the client has not read yet goes on to it. */
		conn_close(c, false);
		break;
	case CONN_ANSWER:
	case CONN_CLOSED:
	case CONN_STATE_COUNT:
		conn_close(c, true);
		break;
	}
}

static void timer_expired(struct timer *t)
{
	struct conn *c = (struct conn *)((char *)t - offsetof(struct conn, timer));
	const uint32_t idle = (uint32_t)loop_now_ms(c->w->loop) - c->active_ms;

	if (c->state == CONN_CLOSED)
		return;
	if (c->lazy && idle < c->limit_ms) {
		loop_timer_set(c->w->loop, t, c->limit_ms - idle);
		return;
	}
	c->limit_ms = 0;
	worker_limited(c->w, (enum gate_limit)c->limit);
	limit_over(c);
	conn_run(c);
}

/* --- states --- */

static void begin_head(struct conn *c)
{
	c->fresh = true;
	conn_limit(c, c->mode == MODE_CAPTURED ? LIMIT_FIRST_BYTE_TIME : LIMIT_IDLE_TIME, false);
}

void conn_set_state(struct conn *c, enum conn_state s)
{
	assert(may_follow[c->state] >> s & 1);
	c->state = (uint8_t)s;
	switch (s) {
	case CONN_HEAD:
		begin_head(c);
		break;
	case CONN_RESOLVE:
	case CONN_CONNECT:
		conn_limit(c, LIMIT_REACH_TIME, false);
		break;
	case CONN_EXCHANGE:
	case CONN_HANDSHAKE:
		conn_limit(c, LIMIT_EXCHANGE_TIME, true);
		break;
	case CONN_HELLO:
		conn_limit(c, LIMIT_HEAD_TIME, false);
		break;
	case CONN_TUNNEL:
		conn_limit(c, LIMIT_TUNNEL_TIME, true);
		break;
	case CONN_ANSWER:
		conn_limit(c, LIMIT_ANSWER_TIME, false);
		break;
	case CONN_DRAIN:
		(void)shutdown(c->client.fd, SHUT_WR);
		conn_limit(c, LIMIT_DRAIN_TIME, false);
		break;
	case CONN_CLOSED:
	case CONN_STATE_COUNT:
		break;
	}
}

static void head_step(struct conn *c)
{
	switch ((enum conn_mode)c->mode) {
	case MODE_FIRST:
		socks_first_step(c);
		break;
	case MODE_SOCKS:
		socks_head_step(c);
		break;
	case MODE_CAPTURED:
		tunnel_captured_step(c);
		break;
	case MODE_PROXY:
	case MODE_ORIGIN:
		http_head_step(c);
		break;
	}
}

static void step(struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_HEAD:
		head_step(c);
		break;
	case CONN_EXCHANGE:
		http_exchange_step(c);
		break;
	case CONN_HELLO:
		tunnel_hello_step(c);
		break;
	case CONN_HANDSHAKE:
		handshake_step(c);
		break;
	case CONN_TUNNEL:
		tunnel_step(c);
		break;
	case CONN_ANSWER:
		answer_step(c);
		break;
	case CONN_DRAIN:
		answer_drain_step(c);
		break;
	case CONN_RESOLVE:
	case CONN_CONNECT:
	case CONN_CLOSED:
	case CONN_STATE_COUNT:
		break;
	}
}

static int watch(struct conn *c, struct source *s, uint32_t events, bool hup)
{
	if (events || !hup)
		return loop_watch(c->w->loop, s, events);
	loop_forget(c->w->loop, s);
	return 0;
}

/* What is asked of epoll: what is known to be there need not be told again, what is full must be. */
static void rearm(struct conn *c)
{
	const uint32_t client = (c->up.readable || c->up.ended ? 0U : EPOLLIN) | (c->down.write_blocked ? EPOLLOUT : 0U);
	const uint32_t server = (c->down.readable || c->down.ended ? 0U : EPOLLIN) | (c->up.write_blocked ? EPOLLOUT : 0U);

	if (watch(c, &c->client, client, c->client_hup) < 0 ||
	    (c->server.fd >= 0 && watch(c, &c->server, server, c->server_hup) < 0)) {
		if (c->decided)
			conn_log_end(c, false, REASON_LIMIT, "it cannot be watched", c->status);
		conn_close(c, true);
	}
}

void conn_run(struct conn *c)
{
	uint8_t before, requests = 0;

	if (c->running)
		return;
	c->running = true;
	do {
		before = c->state;
		step(c);
	} while (c->state != before && c->state != CONN_CLOSED && ++requests < STEPS_MAX);
	c->running = false;
	/* Many pipelined requests in one go: let the others in, and come back at once. */
	if (requests == STEPS_MAX)
		c->down.write_blocked = true;
	if (c->state != CONN_CLOSED)
		rearm(c);
}

/* --- events --- */

static void client_ready(struct source *s, uint32_t events)
{
	struct conn *c = (struct conn *)((char *)s - offsetof(struct conn, client));

	if (c->state == CONN_CLOSED)
		return;
	if (events & EPOLLERR) {
		if (c->decided)
			conn_log_end(c, true, REASON_ALLOWED, "the client broke off", c->status);
		conn_close(c, true);
		return;
	}
	if (events & EPOLLOUT)
		c->down.write_blocked = false;
	if (events & EPOLLHUP)
		c->client_hup = true;
	if (events & (EPOLLIN | EPOLLHUP))
		c->up.readable = !c->up.ended;
	c->active_ms = (uint32_t)loop_now_ms(c->w->loop);
	conn_run(c);
}

static void server_ready(struct source *s, uint32_t events)
{
	struct conn *c = (struct conn *)((char *)s - offsetof(struct conn, server));

	if (c->state == CONN_CLOSED || s->fd < 0)
		return;
	/* A kept connection has nothing to say but its end. */
	if (c->state != CONN_EXCHANGE && c->state != CONN_HANDSHAKE && c->state != CONN_TUNNEL && c->state != CONN_HELLO) {
		reach_drop_server(c);
		if (c->pinned && c->state == CONN_HEAD && !buffer_used(&c->up.in))
			conn_close(c, false);
		return;
	}
	/* After an error a write tells it, and a read what came before it. */
	if (events & (EPOLLOUT | EPOLLERR))
		c->up.write_blocked = false;
	if (events & (EPOLLERR | EPOLLHUP))
		c->server_hup = true;
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		c->down.readable = !c->down.ended;
	c->active_ms = (uint32_t)loop_now_ms(c->w->loop);
	conn_run(c);
}

/* --- accepted --- */

static bool address_of(int fd, struct ip_addr *ret, uint16_t *ret_port)
{
	struct sockaddr_storage s = { 0 };
	socklen_t size = sizeof s;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&s;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&s;

	*ret = (struct ip_addr) { 0 };
	if (getsockname(fd, (struct sockaddr *)&s, &size) < 0)
		return false;
	if (s.ss_family == AF_INET) {
		ret->family = 4;
		memcpy(ret->bytes, &v4->sin_addr, 4);
		*ret_port = ntohs(v4->sin_port);
	} else if (s.ss_family == AF_INET6) {
		ret->family = 6;
		memcpy(ret->bytes, &v6->sin6_addr, 16);
		*ret_port = ntohs(v6->sin6_port);
	}
	return ret->family != 0;
}

static struct conn *conn_new(struct worker *w, struct client *who, int fd)
{
	struct conn *c = conn_take(w->pools);

	if (!c)
		return NULL;
	c->w = w;
	c->who = who;
	c->client = (struct source) { .fd = fd, .ready = client_ready };
	c->server = (struct source) { .fd = -1, .ready = server_ready };
	c->timer.expired = timer_expired;
	c->rule = RULE_NONE;
	c->next = w->conns;
	c->prev = &w->conns;
	if (c->next)
		c->next->prev = &c->next;
	w->conns = c;
	who->connections++;
	worker_count(&w->counters.connections, 1);
	worker_gauge(&w->counters.connections_open, 1);
	return c;
}

/* An address that a rule lists is reached as it is; for any other the first bytes must tell a name. */
static void begin_captured(struct conn *c)
{
	struct host literal;
	struct verdict v;

	c->mode = MODE_CAPTURED;
	c->adapter = ADAPTER_CAPTURED;
	host_from_address(&c->original, &literal);
	if (reach_decide(c, HOST_OK, &literal, c->original_port, &v)) {
		worker_count(&c->w->counters.requests, 1);
		reach_server(c);
	} else if (c->original_port != 80 && c->original_port != 443 &&
		   !snapshot_client_names_port(&c->w->generation->snapshot, c->who->number, c->original_port)) {
		worker_count(&c->w->counters.requests, 1);
		conn_log_denied(c, &v, (struct span) { literal.text, literal.length }, c->original_port, NULL, 0);
		conn_close(c, true);
	}
}

static void bound_buffers(int fd, int bytes)
{
	if (bytes == 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void conn_accepted(struct worker *w, struct client *who, int fd)
{
	struct conn *c = conn_new(w, who, fd);
	const int on = 1;

	if (!c) {
		(void)close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	bound_buffers(fd, who->socket_buffers);
	c->began_ns = clock_now_ns();
	c->up.readable = true; /* most have spoken when they are accepted */
	if (!w->generation || !address_of(fd, &c->original, &c->original_port)) {
		conn_close(c, true);
		return;
	}
	if (snapshot_is_gate(&w->generation->snapshot, &c->original)) {
		c->mode = MODE_FIRST;
		c->adapter = ADAPTER_HTTP;
	} else {
		begin_captured(c);
	}
	if (c->state == CONN_HEAD)
		begin_head(c);
	if (c->state != CONN_CLOSED)
		conn_run(c);
}

/* --- the end --- */

static void conn_free(struct deferred *d)
{
	struct conn *c = (struct conn *)((char *)d - offsetof(struct conn, end));

	conn_give(c->w->pools, c);
}

static void reset_at_close(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void conn_close(struct conn *c, bool abrupt)
{
	struct worker *w = c->w;

	if (c->state == CONN_CLOSED)
		return;
	assert(!c->decided);
	if (abrupt) {
		reset_at_close(c->client.fd);
		if (c->server.fd >= 0)
			reset_at_close(c->server.fd);
	}
	conn_set_state(c, CONN_CLOSED);
	loop_timer_cancel(w->loop, &c->timer);
	reach_stop(c);
	reach_drop_server(c);
	flow_close(&c->up, &w->pools->buffers, w->pipes);
	flow_close(&c->down, &w->pools->buffers, w->pipes);
	loop_forget(w->loop, &c->client);
	fd_close(&c->client.fd);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->who->connections--;
	worker_gauge(&w->counters.connections_open, -1);
	c->end.run = conn_free;
	loop_defer(w->loop, &c->end);
}

/* --- what a worker asks of all its connections --- */

uint32_t conn_rejudge(struct worker *w)
{
	uint32_t closed = 0;

	for (struct conn *c = w->conns, *next; c; c = next) {
		next = c->next;
		if (!c->decided && !c->pinned) {
			if (c->server.fd >= 0 && !reach_still_allowed(c))
				reach_drop_server(c); /* kept for a next request, which will be told why */
			continue;
		}
		if (reach_still_allowed(c))
			continue;
		if (c->decided)
			conn_log_end(c, false, REASON_REVOKED, NULL, c->status);
		conn_close(c, true);
		closed++;
	}
	return closed;
}

static void end_all(struct worker *w, const struct client *who)
{
	for (struct conn *c = w->conns, *next; c; c = next) {
		next = c->next;
		if (who && c->who != who)
			continue;
		if (c->decided)
			conn_log_end(c, true, REASON_ALLOWED, "the pod was taken away", c->status);
		conn_close(c, true);
	}
}

void conn_close_client(struct worker *w, struct client *c)
{
	end_all(w, c);
}

void conn_drain(struct worker *w)
{
	for (struct conn *c = w->conns, *next; c; c = next) {
		next = c->next;
		c->close_after = true;
		if (c->state == CONN_HEAD && !buffer_used(&c->up.in) && !c->decided && c->mode != MODE_SOCKS)
			conn_close(c, false);
	}
}
