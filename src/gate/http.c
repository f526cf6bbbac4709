/* Requests and replies. A request head is read whole, understood once, decided, and written anew in origin-form; nothing of it is
 * passed through. Both directions of an exchange move on their own, so that early answers, uploads and downloads at once all work.
 */
#include "gate/conn_state.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "gate/text.h"

enum { HEAD_EXTRA = 512 /* what is added to a head: Host, Via, Connection, Transfer-Encoding */ };

/* --- writing heads --- */

static void put(struct buffer *b, struct span s)
{
	memcpy(b->data + b->end, s.p, s.n);
	b->end += (uint32_t)s.n;
}

#define PUT(b, text) put(b, SPAN_LITERAL(text))

static void put_number(struct buffer *b, unsigned v, int digits)
{
	char bytes[10];
	struct text t = { bytes, sizeof bytes, 0, false };

	text_put_number(&t, v, digits);
	put(b, (struct span) { bytes, t.n });
}

static void put_fields(struct buffer *b, const struct http_head *h)
{
	const int forwards = http_max_forwards(h);

	for (size_t i = 0; i < h->field_count; i++) {
		if (http_field_is_hop_by_hop(h, i))
			continue;
		put(b, h->fields[i].name);
		PUT(b, ": ");
		if (forwards > 0 && span_eq_nocase(h->fields[i].name, SPAN_LITERAL("max-forwards")))
			put_number(b, (unsigned)forwards - 1, 1);
		else
			put(b, h->fields[i].value);
		PUT(b, "\r\n");
	}
	if (h->minor)
		PUT(b, "Via: 1.1 stockade\r\n");
	else
		PUT(b, "Via: 1.0 stockade\r\n");
	if (h->framing == HTTP_BODY_CHUNKED)
		PUT(b, "Transfer-Encoding: chunked\r\n");
}

static void put_host(struct buffer *b, const struct conn *c)
{
	const bool v6 = c->host.kind == HOST_ADDRESS && c->host.addr.family == 6;

	PUT(b, "Host: ");
	if (v6)
		PUT(b, "[");
	put(b, (struct span) { c->host.text, c->host.length });
	if (v6)
		PUT(b, "]");
	if (c->port != 80) {
		PUT(b, ":");
		put_number(b, c->port, 1);
	}
	PUT(b, "\r\n");
}

/* A request of HTTP/1.0 goes up as one: its client could not read a chunked reply. */
static bool put_request(struct conn *c, const struct http_head *h, const struct http_target *t)
{
	struct buffer *b = &c->up.head;

	if (!buffer_reserve(&conn_pools(c)->buffers, b, (uint32_t)h->size + HEAD_EXTRA))
		return false;
	put(b, h->method);
	PUT(b, " ");
	if (t->path_absent && span_eq(h->method, SPAN_LITERAL("OPTIONS")))
		PUT(b, "*");
	else
		put(b, t->path);
	if (c->http10)
		PUT(b, " HTTP/1.0\r\n");
	else
		PUT(b, " HTTP/1.1\r\n");
	put_host(b, c);
	put_fields(b, h);
	if (c->wants_upgrade)
		PUT(b, "Connection: upgrade\r\nUpgrade: websocket\r\n");
	PUT(b, "\r\n");
	return true;
}

static bool put_reply(struct conn *c, const struct http_head *h)
{
	struct buffer *b = &c->down.head;

	if (!buffer_reserve(&conn_pools(c)->buffers, b, (uint32_t)h->size + HEAD_EXTRA))
		return false;
	PUT(b, "HTTP/1.1 ");
	put_number(b, h->status, 3);
	PUT(b, " ");
	put(b, h->reason);
	PUT(b, "\r\n");
	put_fields(b, h);
	if (h->status == 101)
		PUT(b, "Connection: upgrade\r\nUpgrade: websocket\r\n");
	else if (h->status >= 200 && c->close_after)
		PUT(b, "Connection: close\r\n");
	else if (h->status >= 200 && c->http10)
		PUT(b, "Connection: keep-alive\r\n");
	PUT(b, "\r\n");
	return true;
}

/* --- what a request is for --- */

struct wanted {
	enum host_result parsed;
	struct host host;
	uint16_t port;
	struct span raw; /* as the client wrote it */
};

static void refuse(struct conn *c, enum reason reason, const struct wanted *to, const char *detail)
{
	const struct verdict v = { .reason = reason, .rule = RULE_NONE };
	const bool known = to && to->parsed == HOST_OK;
	const struct span none = { "", 0 };

	answer_refuse(c, &v,
		      known ? (struct span) { to->host.text, to->host.length }
		      : to  ? to->raw
			    : none,
		      known ? to->port : 0, detail);
}

/* The Host field must say the same; a CONNECT's may leave out the port. */
static bool host_field_agrees(const struct http_head *h, const struct wanted *to, bool connect)
{
	struct host host;
	uint16_t port;

	if (!h->host.p || to->parsed != HOST_OK)
		return true;
	return host_port_parse(h->host, connect ? to->port : 80, &host, &port) == HOST_OK && port == to->port &&
	       host_equal(&host, &to->host);
}

/* With 0 a TRACE or OPTIONS is for the gate itself, which has nothing to tell. false: refused already. */
static bool may_forward(struct conn *c, const struct http_head *h)
{
	const int forwards = http_max_forwards(h);

	if (forwards > 0 || forwards == -1)
		return true;
	refuse(c, REASON_MALFORMED_REQUEST, NULL,
	       forwards == 0 ? "Max-Forwards is 0: it must not be forwarded" : "Max-Forwards is not one number");
	return false;
}

/* false: refused already. */
static bool understand(struct conn *c, const struct http_head *h, struct http_target *t, struct wanted *to)
{
	const bool connect = span_eq(h->method, SPAN_LITERAL("CONNECT"));

	if (!http_target_parse(h->target, connect, t)) {
		refuse(c, REASON_MALFORMED_REQUEST, NULL, "the request target is malformed");
		return false;
	}
	if (!may_forward(c, h))
		return false;
	if (c->mode == MODE_ORIGIN && connect) {
		refuse(c, REASON_MALFORMED_REQUEST, NULL, "CONNECT is for the gate's own address");
		return false;
	}
	if (c->mode == MODE_PROXY && t->form != HTTP_TARGET_ABSOLUTE && t->form != HTTP_TARGET_AUTHORITY) {
		refuse(c, REASON_MALFORMED_REQUEST, NULL, "this is a proxy: the request target must begin with http://");
		return false;
	}
	to->raw = t->form == HTTP_TARGET_ABSOLUTE || connect ? t->authority : h->host;
	if (!to->raw.p) {
		refuse(c, REASON_MALFORMED_HOST, NULL, "no Host field");
		return false;
	}
	to->parsed = host_port_parse(to->raw, connect ? 0 : 80, &to->host, &to->port);
	if (!host_field_agrees(h, to, connect)) {
		refuse(c, REASON_HOST_MISMATCH, to, "the Host field differs from the request target");
		return false;
	}
	if (c->mode == MODE_ORIGIN && to->parsed == HOST_OK &&
	    (c->pinned ? to->port != c->port || !host_equal(&to->host, &c->host) : to->port != c->original_port)) {
		refuse(c, REASON_HOST_MISMATCH, to,
		       c->pinned ? "the tunnel is for another host" : "the connection is to another port");
		return false;
	}
	return true;
}

static void note_request(struct conn *c, const struct http_head *h)
{
	const bool get = span_eq(h->method, SPAN_LITERAL("GET"));

	const struct span method = span_first(h->method, h->method.n < sizeof c->method ? h->method.n : sizeof c->method - 1);

	memcpy(c->method, method.p, method.n);
	c->method[method.n] = '\0';
	c->head_method = span_eq(h->method, SPAN_LITERAL("HEAD"));
	c->body_expected = h->framing != HTTP_BODY_NONE;
	c->retriable = !c->body_expected && (get || c->head_method || span_eq(h->method, SPAN_LITERAL("OPTIONS")));
	c->http10 = h->minor == 0;
	c->wants_upgrade = get && !c->body_expected && h->upgrade.p && span_eq_nocase(h->upgrade, SPAN_LITERAL("websocket"));
	c->close_after = c->close_after || !h->persistent;
	c->head_size = (uint32_t)h->size;
	c->status = 0;
	c->address = c->server.fd >= 0 ? c->address : (struct ip_addr) { 0 };
	worker_count(&c->w->counters.requests, 1);
}

static void take_head(struct conn *c)
{
	if (c->head_size)
		buffer_consume(&conn_pools(c)->buffers, &c->up.in, c->head_size);
	c->head_size = 0;
}

void http_late(struct conn *c)
{
	worker_count(&c->w->counters.requests, 1);
	refuse(c, REASON_TIMEOUT, NULL, "the request head took too long");
}

static bool one_too_many(struct conn *c)
{
	if (worker_may_head(c->w, c->who))
		return false;
	c->close_after = true;
	refuse(c, REASON_LIMIT, NULL, "too many requests in a second");
	return true;
}

static void request(struct conn *c, const struct http_head *h)
{
	struct http_target t;
	struct wanted to = { .parsed = HOST_MALFORMED };
	struct verdict v;

	if (c->mode == MODE_PROXY && span_eq(h->method, SPAN_LITERAL("CONNECT")))
		c->adapter = ADAPTER_CONNECT;
	note_request(c, h);
	if (one_too_many(c))
		return;
	if (!understand(c, h, &t, &to))
		return;
	if (!reach_decide(c, to.parsed, &to.host, to.port, &v)) {
		const bool known = to.parsed == HOST_OK;

		answer_refuse(c, &v, known ? (struct span) { to.host.text, to.host.length } : to.raw, known ? to.port : 0, NULL);
		return;
	}
	if (c->adapter == ADAPTER_CONNECT) {
		take_head(c);
		reach_drop_server(c); /* a tunnel is no place for what was begun by requests */
	} else if (!put_request(c, h, &t)) {
		answer_failed(c, REASON_LIMIT, c->rule, "no memory left");
		return;
	}
	flow_begin(&c->up, h->framing, h->length);
	/* A kept connection may have ended meanwhile: then the head is read again. */
	if (!(c->retriable && c->server.fd >= 0))
		take_head(c);
	reach_server(c);
}

void http_head_step(struct conn *c)
{
	struct conn_pools *p = conn_pools(c);
	enum http_bad bad;

	switch (flow_flush(&c->down, &p->buffers, c->client.fd)) {
	case FLOW_WAIT:
		return;
	case FLOW_DONE:
		break;
	case FLOW_CUT:
	case FLOW_BAD:
	case FLOW_LOST:
	case FLOW_BROKEN:
		conn_close(c, true);
		return;
	}
	for (;;) {
		const struct span in = buffer_span(&c->up.in);
		const enum wire_result r = in.n ? http_request_parse(in, &p->head, &bad) : WIRE_MORE;

		if (in.n && c->fresh) {
			c->fresh = false;
			c->began_ns = clock_now_ns();
			c->adapter = c->mode == MODE_ORIGIN ? ADAPTER_CAPTURED_HTTP : ADAPTER_HTTP;
			c->method[0] = '\0';
			c->head_size = 0;
			c->head_method = c->http10 = c->body_expected = false;
			c->up.bytes = c->down.bytes = 0;
			if (r == WIRE_MORE)
				conn_limit(c, LIMIT_HEAD_TIME, false);
		}
		if (r == WIRE_DONE) {
			request(c, &p->head);
			return;
		}
		if (r == WIRE_BAD) {
			worker_count(&c->w->counters.requests, 1);
			if (!one_too_many(c))
				refuse(c, REASON_MALFORMED_REQUEST, NULL, http_bad_text(bad));
			return;
		}
		const int got = flow_read(&c->up, &p->buffers, c->client.fd);

		if (got < 0 && errno == ENOMEM && in.n) {
			worker_count(&c->w->counters.requests, 1);
			c->close_after = true;
			refuse(c, REASON_LIMIT, NULL, "no memory left");
			return;
		}
		if (got < 0 || (got == 0 && c->up.ended)) {
			conn_close(c, got < 0);
			return;
		}
		if (got == 0)
			return;
	}
}

/* --- the exchange --- */

void http_connected(struct conn *c)
{
	c->reply_begun = c->reply_over = c->up_over = c->server_keep = false;
	c->interims = 0;
	conn_set_state(c, CONN_EXCHANGE);
}

static void client_broke_off(struct conn *c)
{
	conn_log_end(c, true, REASON_ALLOWED, "the client broke off", c->status);
	conn_close(c, true);
}

static void move_up(struct conn *c)
{
	switch (flow_move(&c->up, &conn_pools(c)->buffers, c->w->pipes, c->client.fd, c->server.fd, false)) {
	case FLOW_WAIT:
		break;
	case FLOW_DONE:
		c->up_over = true;
		break;
	case FLOW_CUT:
		if (c->reply_over)
			c->up_over = true;
		else
			client_broke_off(c);
		break;
	case FLOW_LOST:
		if (errno == ENOMEM)
			answer_failed(c, REASON_LIMIT, c->rule, "no memory left");
		else
			client_broke_off(c);
		break;
	case FLOW_BAD:
		c->close_after = true;
		answer_failed(c, REASON_MALFORMED_REQUEST, c->rule, "a malformed chunk");
		break;
	case FLOW_BROKEN:
		/* The server takes no more, but may have said why. */
		c->up_over = c->close_after = true;
		break;
	}
}

/* The kept connection has ended, as it seems before it saw the request: the whole request again, decided anew. What its server
 * did read of it is in the log. */
static bool try_again(struct conn *c)
{
	struct conn_pools *p = conn_pools(c);

	if (!c->reused || !c->head_size || c->reply_begun || c->interims)
		return false;
	conn_log_end(c, true, REASON_ALLOWED, "the kept connection had ended, once more", 0);
	reach_drop_server(c);
	buffer_release(&p->buffers, &c->up.head);
	conn_set_state(c, CONN_HEAD);
	return true;
}

static void switch_protocols(struct conn *c, const struct http_head *h)
{
	if (!c->wants_upgrade || !span_eq_nocase(h->upgrade, SPAN_LITERAL("websocket"))) {
		answer_failed(c, REASON_UPSTREAM_FAILED, c->rule, "101 without having been asked");
		return;
	}
	if (!put_reply(c, h)) {
		answer_failed(c, REASON_LIMIT, c->rule, "no memory left");
		return;
	}
	buffer_consume(&conn_pools(c)->buffers, &c->down.in, (uint32_t)h->size);
	c->status = 101;
	conn_set_state(c, CONN_TUNNEL);
	tunnel_begin(c);
}

/* Clients that know no interim reply but 100 take another for the final one, and the final one for that to their next request. By the
 * gate that may be one to another host, in whose name this server would speak. */
static bool passes(const struct conn *c, const struct http_head *h)
{
	return h->status >= 200 || (!c->http10 && (h->status == 100 || c->mode == MODE_ORIGIN));
}

/* A whole reply head. true: the final one. */
static bool reply(struct conn *c, const struct http_head *h)
{
	const bool interim = h->status < 200;

	take_head(c);
	if (h->status == 101) {
		switch_protocols(c, h);
		return false;
	}
	if (interim && ++c->interims > CONN_INTERIM_MAX) {
		answer_failed(c, REASON_UPSTREAM_FAILED, c->rule, "too many interim replies");
		return false;
	}
	if (c->http10 && h->framing == HTTP_BODY_CHUNKED) {
		answer_failed(c, REASON_UPSTREAM_FAILED, c->rule, "a chunked reply to HTTP/1.0");
		return false;
	}
	/* A reply before the request is whole ends the connection: what the client goes on sending has no place. */
	if (!interim && (h->framing == HTTP_BODY_CLOSE || !c->up_over || c->w->draining))
		c->close_after = true;
	if (passes(c, h) && !put_reply(c, h)) {
		answer_failed(c, REASON_LIMIT, c->rule, "no memory left");
		return false;
	}
	if (!interim) {
		c->status = h->status;
		c->reply_begun = true;
		c->server_keep = h->persistent && h->framing != HTTP_BODY_CLOSE;
		flow_begin(&c->down, h->framing, h->length);
	}
	buffer_consume(&conn_pools(c)->buffers, &c->down.in, (uint32_t)h->size);
	return !interim;
}

/* Reads until the final reply's head is whole. */
static bool read_reply(struct conn *c)
{
	struct conn_pools *p = conn_pools(c);
	enum http_bad bad;

	while (c->state == CONN_EXCHANGE) {
		const struct span in = buffer_span(&c->down.in);

		switch (in.n ? http_reply_parse(in, c->head_method, false, &p->head, &bad) : WIRE_MORE) {
		case WIRE_DONE:
			if (reply(c, &p->head))
				return true;
			if (c->state == CONN_EXCHANGE && flow_flush(&c->down, &p->buffers, c->client.fd) == FLOW_BROKEN)
				client_broke_off(c);
			continue;
		case WIRE_BAD:
			answer_failed(c, REASON_UPSTREAM_FAILED, c->rule, http_bad_text(bad));
			return false;
		case WIRE_MORE:
			break;
		}
		const int got = flow_read(&c->down, &p->buffers, c->server.fd);

		if (got == 0 && !c->down.ended)
			return false;
		if (got <= 0) {
			if (got < 0 && errno == ENOMEM)
				answer_failed(c, REASON_LIMIT, c->rule, "no memory left");
			else if (in.n || !try_again(c))
				answer_failed(c, REASON_UPSTREAM_FAILED, c->rule,
					      got < 0 ? strerror(errno) : "the connection ended without a reply");
			return false;
		}
	}
	return false;
}

/* Whatever a server says behind its reply would be taken for the next one. What it says later is seen by its event. */
static bool kept_is_silent(struct conn *c)
{
	char more;

	if (c->down.in.data || c->down.ended)
		return false;
	if (!c->down.readable)
		return true;
	c->down.readable = false;
	return recv(c->server.fd, &more, sizeof more, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void finish(struct conn *c)
{
	conn_log_end(c, true, REASON_ALLOWED, NULL, c->status);
	if (c->w->draining)
		c->close_after = true;
	if (c->close_after || !c->server_keep || !kept_is_silent(c))
		reach_drop_server(c);
	conn_set_state(c, c->close_after ? CONN_DRAIN : CONN_HEAD);
}

static void move_down(struct conn *c)
{
	switch (flow_move(&c->down, &conn_pools(c)->buffers, c->w->pipes, c->server.fd, c->client.fd, false)) {
	case FLOW_WAIT:
		break;
	case FLOW_DONE:
		c->reply_over = true;
		/* A client that saw the reply may keep the rest of its body, and wait for our end. */
		if (!c->up_over)
			conn_limit(c, LIMIT_REST_TIME, true);
		break;
	case FLOW_CUT:
	case FLOW_BAD:
		answer_failed(c, REASON_UPSTREAM_FAILED, c->rule, "the reply broke off");
		break;
	case FLOW_LOST:
		if (errno == ENOMEM)
			answer_failed(c, REASON_LIMIT, c->rule, "no memory left");
		else
			answer_failed(c, REASON_UPSTREAM_FAILED, c->rule, "the reply broke off");
		break;
	case FLOW_BROKEN:
		client_broke_off(c);
		break;
	}
}

/* While the reply is awaited: a little of the next request, and the client's end. */
static void read_ahead(struct conn *c)
{
	if (c->up_over && c->up.readable && buffer_used(&c->up.in) < BUFFER_SMALL / 2 &&
	    flow_read(&c->up, &conn_pools(c)->buffers, c->client.fd) < 0)
		client_broke_off(c);
}

void http_exchange_step(struct conn *c)
{
	if (!c->up_over)
		move_up(c);
	if (c->state == CONN_EXCHANGE)
		read_ahead(c);
	if (c->state == CONN_EXCHANGE && !c->reply_over && (c->reply_begun || read_reply(c)))
		move_down(c);
	/* After an early reply the rest of the request goes on as long as the server takes it. */
	if (c->reply_over && c->server_hup)
		c->up_over = true;
	if (c->state == CONN_EXCHANGE && c->reply_over && c->up_over)
		finish(c);
}
