/* A connection's life: accepted, judged, resolved, dialled, watched, closed. conn_set_state is the only writer of the state;
 * conn_run goes on from it; what epoll is asked for follows from what is not known to be there (`readable`) and what is full
 * (`write_blocked`). */
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
	[CONN_CONNECT] = BIT(EXCHANGE) | BIT(HELLO) | BIT(TUNNEL) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_EXCHANGE] = BIT(HEAD) | BIT(CONNECT) | BIT(TUNNEL) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
	[CONN_HELLO] = BIT(HEAD) | BIT(TUNNEL) | BIT(ANSWER) | BIT(DRAIN) | BIT(CLOSED),
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
	const struct verdict late = { .reason = REASON_TIMEOUT, .rule = RULE_NONE };

	switch ((enum conn_state)c->state) {
	case CONN_HEAD:
		if (c->mode == MODE_CAPTURED)
			tunnel_captured_step(c);
		else if (!buffer_used(&c->up.in) || c->down.head.data)
			conn_close(c, false);
		else
			answer_refuse(c, &late, SPAN_LITERAL(""), 0, "the request head took too long");
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

static void step(struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_HEAD:
		if (c->mode == MODE_CAPTURED)
			tunnel_captured_step(c);
		else
			http_head_step(c);
		break;
	case CONN_EXCHANGE:
		http_exchange_step(c);
		break;
	case CONN_HELLO:
		tunnel_hello_step(c);
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
	if (c->state != CONN_EXCHANGE && c->state != CONN_TUNNEL && c->state != CONN_HELLO) {
		conn_drop_server(c);
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
	if (conn_decide(c, HOST_OK, &literal, c->original_port, &v)) {
		worker_count(&c->w->counters.requests, 1);
		conn_reach(c);
	} else if (c->original_port != 80 && c->original_port != 443 &&
		   !snapshot_client_names_port(&c->w->generation->snapshot, c->who->number, c->original_port)) {
		worker_count(&c->w->counters.requests, 1);
		conn_log_denied(c, &v, (struct span) { literal.text, literal.length }, c->original_port, NULL, 0);
		conn_close(c, true);
	}
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
	c->began_ns = clock_now_ns();
	c->up.readable = true; /* most have spoken when they are accepted */
	if (!w->generation || !address_of(fd, &c->original, &c->original_port)) {
		conn_close(c, true);
		return;
	}
	if (snapshot_is_gate(&w->generation->snapshot, &c->original)) {
		c->mode = MODE_PROXY;
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

void conn_drop_server(struct conn *c)
{
	if (c->server.fd >= 0) {
		loop_forget(c->w->loop, &c->server);
		fd_close(&c->server.fd);
	}
	buffer_release(&conn_pools(c)->buffers, &c->down.in);
	c->down.cleared = 0;
	c->down.ended = c->down.readable = c->up.write_blocked = c->server_hup = false;
	pump_close(&c->down.pump, c->w->pipes);
	pump_close(&c->up.pump, c->w->pipes);
	c->down.pump = c->up.pump = (struct pump) { 0 };
}

void conn_stop_reaching(struct conn *c)
{
	if (c->w->resolver)
		resolve_cancel(c->w->resolver, &c->query);
	dial_cancel(c->dial);
	c->dial = NULL;
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
	conn_stop_reaching(c);
	conn_drop_server(c);
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

/* --- decisions --- */

bool conn_decide(struct conn *c, enum host_result parsed, const struct host *host, uint16_t port, struct verdict *ret)
{
	*ret = policy_decide(&c->w->generation->snapshot, c->who->number, parsed, host, port);
	if (!ret->allow)
		return false;
	/* A kept server connection is for one host and port. */
	if (c->server.fd >= 0 && (c->port != port || !host_equal(&c->host, host)))
		conn_drop_server(c);
	c->host = *host;
	c->port = port;
	c->rule = ret->rule;
	c->decided = true;
	return true;
}

static void log_decision(const struct conn *c, enum decision_event event, bool allow, enum reason reason, uint32_t rule,
			 struct span host, uint16_t port, const struct ip_addr *address, const char *detail, uint16_t status)
{
	const struct decision d = {
		.event = event,
		.client = c->who->name,
		.adapter = (enum adapter)c->adapter,
		.method = c->method[0] ? c->method : NULL,
		.host = host,
		.port = port,
		.address = *address,
		.allow = allow,
		.reason = reason,
		.detail = detail,
		.rule = rule,
		.status = status,
		.bytes_up = c->up.bytes,
		.bytes_down = c->down.bytes,
		.duration_us = (clock_now_ns() - c->began_ns) / 1000,
	};

	audit_write(c->w->audit, c->w->index, c->w->generation, &d);
}

void conn_log_open(struct conn *c)
{
	c->opened = true;
	worker_gauge(&c->w->counters.tunnels_open, 1);
	worker_count(&c->w->counters.tunnels, 1);
	log_decision(c, DECISION_OPEN, true, REASON_ALLOWED, c->rule, (struct span) { c->host.text, c->host.length }, c->port,
		     &c->address, NULL, 0);
}

void conn_log_end(struct conn *c, bool allow, enum reason reason, const char *detail, uint16_t status)
{
	struct gate_counters *n = &c->w->counters;

	assert(c->decided);
	c->decided = false;
	if (c->opened)
		worker_gauge(&n->tunnels_open, -1);
	c->opened = false;
	worker_count(allow ? &n->allowed : &n->denied, 1);
	worker_count(&n->bytes_up, c->up.bytes);
	worker_count(&n->bytes_down, c->down.bytes);
	log_decision(c, DECISION_END, allow, reason, c->rule, (struct span) { c->host.text, c->host.length }, c->port, &c->address,
		     detail, status);
}

void conn_log_denied(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail, uint16_t status)
{
	const struct ip_addr none = { 0 };

	worker_count(&c->w->counters.denied, 1);
	if (v->reason == REASON_LIMIT && !worker_may_log(c->w, &c->who->limit_lines, CLIENT_LIMIT_LINES))
		return;
	log_decision(c, DECISION_END, false, v->reason, v->rule, host, port, c->mode == MODE_PROXY ? &none : &c->original, detail,
		     status);
}

/* --- reaching the server --- */

static void connected(struct conn *c)
{
	if (c->adapter == ADAPTER_HTTP || c->adapter == ADAPTER_CAPTURED_HTTP)
		http_connected(c);
	else
		tunnel_connected(c);
}

static void dialled(void *arg, int fd, const struct ip_addr *address)
{
	struct conn *c = arg;
	struct verdict v = { .allow = true };

	c->dial = NULL;
	/* A generation may have come since the addresses were judged. */
	if (fd >= 0 && c->host.kind == HOST_NAME)
		v = policy_decide_address(&c->w->generation->snapshot, c->who->number, address, c->port);
	if (fd < 0) {
		answer_failed(c, fd == -ETIMEDOUT ? REASON_TIMEOUT : REASON_CONNECT_FAILED, c->rule, strerror(-fd));
	} else if (!v.allow) {
		(void)close(fd);
		answer_failed(c, v.reason, v.rule, NULL);
	} else {
		c->server.fd = fd;
		c->address = *address;
		c->down.ended = c->down.readable = c->up.write_blocked = c->server_hup = false;
		connected(c);
	}
	conn_run(c);
}

static void dial_addresses(struct conn *c, const struct addresses *to)
{
	conn_set_state(c, CONN_CONNECT);
	c->dial = dial_start(c->w->loop, to, c->port, dialled, c);
	if (!c->dial)
		answer_failed(c, REASON_LIMIT, c->rule, "no sockets left");
}

/* The host's own addresses are no better than its loopback, whatever network they are in: only a rule for that very address opens one. */
static bool opens_own(const struct conn *c, const struct ip_addr *a, uint32_t rule)
{
	return snapshot_rule_is_single(&c->w->generation->snapshot, rule) || !own_has(&c->w->own, a);
}

static struct verdict judge_address(const struct conn *c, const struct ip_addr *a)
{
	const struct verdict v = policy_decide_address(&c->w->generation->snapshot, c->who->number, a, c->port);

	return v.allow && !opens_own(c, a, v.rule) ? (struct verdict) { .reason = REASON_SPECIAL_ADDRESS, .rule = RULE_NONE } : v;
}

/* One special or denied address among several refuses the name: an honest one has none. */
static void resolved(struct query *q, const struct addresses *found)
{
	struct conn *c = (struct conn *)((char *)q - offsetof(struct conn, query));

	if (!found || !found->count) {
		answer_failed(c, REASON_RESOLVE_FAILED, c->rule, NULL);
		conn_run(c);
		return;
	}
	for (unsigned i = 0; i < found->count; i++) {
		const struct verdict v = judge_address(c, &found->list[i]);

		if (v.allow)
			continue;
		c->address = found->list[i];
		answer_failed(c, v.reason, v.rule, NULL);
		conn_run(c);
		return;
	}
	dial_addresses(c, found);
	conn_run(c);
}

static bool kept_is_right(struct conn *c)
{
	if (c->server.fd < 0)
		return false;
	if (c->host.kind == HOST_ADDRESS ||
	    policy_decide_address(&c->w->generation->snapshot, c->who->number, &c->address, c->port).allow)
		return true;
	conn_drop_server(c);
	return false;
}

void conn_reach(struct conn *c)
{
	struct addresses one = { .count = 1, .list = { c->host.addr } };

	c->reused = kept_is_right(c);
	if (c->reused) {
		connected(c);
	} else if (c->host.kind == HOST_ADDRESS && !opens_own(c, &c->host.addr, c->rule)) {
		answer_failed(c, REASON_SPECIAL_ADDRESS, RULE_NONE, "it is the host's own");
	} else if (c->host.kind == HOST_ADDRESS) {
		dial_addresses(c, &one);
	} else {
		c->address = (struct ip_addr) { 0 };
		c->query.done = resolved;
		conn_set_state(c, CONN_RESOLVE);
		resolve_start(c->w->resolver, &c->query, c->host.text);
	}
}

/* --- what a worker asks of all its connections --- */

static bool still_allowed(struct conn *c)
{
	const struct snapshot *s = &c->w->generation->snapshot;
	const struct verdict v = policy_decide(s, c->who->number, HOST_OK, &c->host, c->port);

	if (!v.allow)
		return false;
	c->rule = v.rule;
	return c->server.fd < 0 || c->host.kind == HOST_ADDRESS ||
	       policy_decide_address(s, c->who->number, &c->address, c->port).allow;
}

uint32_t conn_rejudge(struct worker *w)
{
	uint32_t closed = 0;

	for (struct conn *c = w->conns, *next; c; c = next) {
		next = c->next;
		if (!c->decided && !c->pinned) {
			if (c->server.fd >= 0 && !still_allowed(c))
				conn_drop_server(c); /* kept for a next request, which will be told why */
			continue;
		}
		if (still_allowed(c))
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
		if (c->state == CONN_HEAD && !buffer_used(&c->up.in) && !c->decided)
			conn_close(c, false);
	}
}
