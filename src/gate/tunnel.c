/* Tunnels: a CONNECT, SOCKS, or a captured connection. On the TLS and HTTP ports the client's first bytes are read before anything is
 * passed on, and must name the host that was allowed; once the server has answered (handshake.c) bytes move inside the kernel. */
#include "gate/conn_state.h"

#include <string.h>

#include "base/clock.h"

enum { TLS_HANDSHAKE = 0x16 };

static struct span host_span(const struct host *h)
{
	return (struct span) { h->text, h->length };
}

void tunnel_begin(struct conn *c)
{
	flow_begin(&c->up, HTTP_BODY_CLOSE, 0);
	flow_begin(&c->down, HTTP_BODY_CLOSE, 0);
	conn_log_open(c);
}

void tunnel_step(struct conn *c)
{
	struct buffer_pool *p = &conn_pools(c)->buffers;
	const enum flow_result up = flow_move(&c->up, p, c->w->pipes, c->client.fd, c->server.fd, true);
	const enum flow_result down = flow_move(&c->down, p, c->w->pipes, c->server.fd, c->client.fd, true);

	if ((up == FLOW_WAIT || up == FLOW_DONE) && (down == FLOW_WAIT || down == FLOW_DONE) &&
	    !(up == FLOW_DONE && down == FLOW_DONE))
		return;
	conn_log_end(c, true, REASON_ALLOWED, NULL, c->status);
	conn_close(c, !(up == FLOW_DONE && down == FLOW_DONE));
}

/* What tells a client who asked for a tunnel that it has one. false: no memory. */
static bool put_established(struct conn *c)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	struct buffer *b = &c->down.head;

	if (c->adapter == ADAPTER_SOCKS)
		return socks_put_reply(c, SOCKS_SUCCEEDED);
	if (!buffer_reserve(&conn_pools(c)->buffers, b, sizeof established))
		return false;
	memcpy(b->data + b->end, established, sizeof established - 1);
	b->end += sizeof established - 1;
	c->status = 200;
	return true;
}

void tunnel_connected(struct conn *c)
{
	if (c->adapter == ADAPTER_CONNECT || c->adapter == ADAPTER_SOCKS) {
		if (!put_established(c)) {
			answer_failed(c, REASON_LIMIT, c->rule, "no memory left");
			return;
		}
		if (c->port == 80 || c->port == 443) {
			conn_set_state(c, CONN_HELLO);
			return;
		}
	}
	if (c->adapter == ADAPTER_CAPTURED_TLS) {
		handshake_begin(c);
		return;
	}
	conn_set_state(c, CONN_TUNNEL);
	tunnel_begin(c);
}

/* --- the first bytes --- */

enum first_bytes { FIRST_TLS, FIRST_HTTP, FIRST_ODD, FIRST_MORE, FIRST_NONE };

/* What the client begins with; a TLS greeting is then in the worker's scratch, whole. FIRST_NONE: the client has ended, or is gone.
 */
static enum first_bytes read_first(struct conn *c)
{
	struct conn_pools *p = conn_pools(c);

	for (;;) {
		const struct span in = buffer_span(&c->up.in);

		if (in.n && (uint8_t)in.p[0] != TLS_HANDSHAKE)
			return in.p[0] >= 'A' && in.p[0] <= 'Z' ? FIRST_HTTP : FIRST_ODD;
		const enum wire_result r = in.n ? tls_hello_parse(in, &p->hello) : WIRE_MORE;

		if (r == WIRE_DONE)
			return FIRST_TLS;
		if (r == WIRE_BAD)
			return FIRST_ODD;
		const int got = flow_read(&c->up, &p->buffers, c->client.fd);

		if (got < 0 || (got == 0 && c->up.ended))
			return FIRST_NONE;
		if (got == 0)
			return FIRST_MORE;
	}
}

static bool one_too_many(struct conn *c, struct span host, uint16_t port)
{
	const struct verdict v = { .reason = REASON_LIMIT, .rule = RULE_NONE };

	if (worker_may_head(c->w, c->who))
		return false;
	answer_refuse_tls(c, &v, host, port, "too many TLS greetings in a second");
	return true;
}

/* --- after a CONNECT's 200, or SOCKS' success --- */

bool tunnel_name_is_right(struct conn *c)
{
	const struct tls_hello *hello = &conn_pools(c)->hello;
	struct verdict v = { .reason = REASON_SNI_MISMATCH, .rule = RULE_NONE };
	struct host named;

	if (one_too_many(c, host_span(&c->host), c->port))
		return false;
	if (hello->name_length == 0 && c->host.kind == HOST_NAME) {
		v.reason = REASON_SNI_MISSING;
		answer_refuse_tls(c, &v, host_span(&c->host), c->port, NULL);
		return false;
	}
	if (hello->name_length &&
	    (host_parse((struct span) { hello->name, hello->name_length }, &named) != HOST_OK || !host_equal(&named, &c->host))) {
		answer_refuse_tls(c, &v, host_span(&c->host), c->port, hello->name);
		return false;
	}
	return true;
}

/* Plain HTTP in a CONNECT to port 80 is what it would be without one, but for one host only. */
static void pin(struct conn *c)
{
	conn_log_end(c, true, REASON_ALLOWED, NULL, c->status);
	c->mode = MODE_ORIGIN;
	c->pinned = true;
	conn_set_state(c, CONN_HEAD);
}

void tunnel_hello_step(struct conn *c)
{
	const struct verdict not_tls = { .reason = REASON_NOT_TLS, .rule = RULE_NONE };
	const enum flow_result flushed = flow_flush(&c->down, &conn_pools(c)->buffers, c->client.fd);
	const enum first_bytes first = flushed == FLOW_BROKEN ? FIRST_NONE : read_first(c);

	switch (first) {
	case FIRST_MORE:
		break;
	case FIRST_TLS:
		if (tunnel_name_is_right(c))
			handshake_begin(c);
		break;
	case FIRST_HTTP:
		if (c->port == 80) {
			pin(c);
			break;
		}
		__attribute__((fallthrough));
	case FIRST_ODD:
		conn_log_end(c, false, not_tls.reason, NULL, c->status);
		conn_close(c, true);
		break;
	case FIRST_NONE:
		conn_log_end(c, true, REASON_ALLOWED, "the client broke off", c->status);
		conn_close(c, false);
		break;
	}
}

/* --- captured --- */

/* Nothing named a host, so the address itself is what was asked for. */
static void refuse_address(struct conn *c, const char *detail, bool tls)
{
	struct host literal;
	struct verdict v;

	host_from_address(&c->original, &literal);
	v = policy_decide(&c->w->generation->snapshot, c->who->number, HOST_OK, &literal, c->original_port);
	/* A reload may have listed it since: what was read could not be judged by a name all the same. */
	if (v.allow)
		v = (struct verdict) { .reason = REASON_NOT_PROXYABLE, .rule = v.rule };
	if (tls) {
		answer_refuse_tls(c, &v, host_span(&literal), c->original_port, detail);
		return;
	}
	conn_log_denied(c, &v, host_span(&literal), c->original_port, detail, 0);
	conn_close(c, true);
}

static void captured_tls(struct conn *c)
{
	const struct tls_hello *hello = &conn_pools(c)->hello;
	const struct span name = { hello->name, hello->name_length };
	struct host host;
	struct verdict v;

	c->adapter = ADAPTER_CAPTURED_TLS;
	if (one_too_many(c, name, c->original_port))
		return;
	if (name.n == 0) {
		refuse_address(c, "the TLS greeting names no server", true);
		return;
	}
	const enum host_result parsed = host_parse(name, &host);

	if (reach_decide(c, parsed, &host, c->original_port, &v))
		reach_server(c);
	else
		answer_refuse_tls(c, &v, parsed == HOST_OK ? host_span(&host) : name, c->original_port, NULL);
}

void tunnel_captured_step(struct conn *c)
{
	const bool late = c->limit_ms == 0;
	const enum first_bytes first = read_first(c);

	if (first != FIRST_MORE || late)
		worker_count(&c->w->counters.requests, first != FIRST_HTTP);
	switch (first) {
	case FIRST_MORE:
		if (late)
			refuse_address(c, "nothing that names a host was sent", false);
		break;
	case FIRST_TLS:
		captured_tls(c);
		break;
	case FIRST_HTTP:
		c->mode = MODE_ORIGIN;
		http_head_step(c);
		break;
	case FIRST_ODD:
		refuse_address(c, "neither TLS nor HTTP", false);
		break;
	case FIRST_NONE:
		refuse_address(c, buffer_used(&c->up.in) ? "the greeting was cut off" : "nothing was sent", false);
		break;
	}
}
