/* SOCKS 5 (RFC 1928) at the gate's own address: a greeting, a request, and then a tunnel like a CONNECT's. The listener says who is
 * asking, so the one method is "no authentication required". The answer to a greeting follows from it alone, so a client that does
 * not wait for it, nor for the reply, may have said the rest already: it is read when its turn comes. */
#include "gate/conn_state.h"

#include <errno.h>

#include "base/clock.h"

static void put(struct buffer *b, const char *p, size_t n)
{
	memcpy(b->data + b->end, p, n);
	b->end += (uint32_t)n;
}

/* --- answers --- */

enum socks_reply socks_reply_of(enum reason r)
{
	static const uint8_t replies[REASON_COUNT] = {
		[REASON_UNKNOWN_CLIENT] = SOCKS_NOT_ALLOWED,  [REASON_MALFORMED_HOST] = SOCKS_NOT_ALLOWED,
		[REASON_NOT_LISTED] = SOCKS_NOT_ALLOWED,      [REASON_PORT_NOT_LISTED] = SOCKS_NOT_ALLOWED,
		[REASON_DENIED_BY_RULE] = SOCKS_NOT_ALLOWED,  [REASON_ADDRESS_LITERAL] = SOCKS_NOT_ALLOWED,
		[REASON_SPECIAL_ADDRESS] = SOCKS_NOT_ALLOWED, [REASON_RESOLVE_FAILED] = SOCKS_HOST_UNREACHABLE,
		[REASON_TIMEOUT] = SOCKS_TTL_EXPIRED,
	};

	return replies[r] ? (enum socks_reply)replies[r] : SOCKS_GENERAL_FAILURE;
}

enum socks_reply socks_reply_of_errno(int number)
{
	switch (number) {
	case ECONNREFUSED:
		return SOCKS_CONNECTION_REFUSED;
	case ENETUNREACH:
		return SOCKS_NETWORK_UNREACHABLE;
	case EHOSTUNREACH:
		return SOCKS_HOST_UNREACHABLE;
	case ETIMEDOUT:
		return SOCKS_TTL_EXPIRED;
	default:
		return SOCKS_GENERAL_FAILURE;
	}
}

bool socks_put_reply(struct conn *c, enum socks_reply r)
{
	struct buffer *b = &c->down.head;
	char reply[SOCKS_REPLY_SIZE];

	if (!buffer_reserve(&conn_pools(c)->buffers, b, sizeof reply))
		return false;
	socks_reply_write(r, reply);
	put(b, reply, sizeof reply);
	return true;
}

static bool put_method(struct conn *c, enum socks_method m)
{
	struct buffer *b = &c->down.head;
	char method[SOCKS_METHOD_SIZE];

	if (!buffer_reserve(&conn_pools(c)->buffers, b, sizeof method))
		return false;
	socks_method_write(m, method);
	put(b, method, sizeof method);
	return true;
}

/* What was put is the last word. */
static void end_with(struct conn *c, bool there_was_room)
{
	c->close_after = true;
	if (there_was_room)
		conn_set_state(c, CONN_ANSWER);
	else
		conn_close(c, true);
}

void socks_answer(struct conn *c, enum socks_reply r)
{
	end_with(c, socks_put_reply(c, r));
}

/* --- what is refused --- */

static void refuse(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail, enum socks_reply r)
{
	conn_log_denied(c, v, host, port, detail, 0);
	if (c->greeted)
		socks_answer(c, r);
	else
		end_with(c, put_method(c, SOCKS_METHOD_REFUSED));
}

static void refuse_form(struct conn *c, enum reason reason, const char *detail, enum socks_reply r)
{
	const struct verdict v = { .reason = reason, .rule = RULE_NONE };

	refuse(c, &v, SPAN_LITERAL(""), 0, detail, r);
}

static bool one_too_many(struct conn *c)
{
	if (worker_may_head(c->w, c->who))
		return false;
	refuse_form(c, REASON_LIMIT, "too many requests in a second", SOCKS_GENERAL_FAILURE);
	return true;
}

static void refuse_bad(struct conn *c, enum socks_bad bad)
{
	const enum reason reason = bad == SOCKS_BAD_NAME_LENGTH ? REASON_MALFORMED_HOST : REASON_MALFORMED_REQUEST;

	worker_count(&c->w->counters.requests, 1);
	if (!one_too_many(c))
		refuse_form(c, reason, socks_bad_text(bad),
			    bad == SOCKS_BAD_ADDRESS_TYPE ? SOCKS_ADDRESS_TYPE_NOT_SUPPORTED : socks_reply_of(reason));
}

void socks_late(struct conn *c)
{
	worker_count(&c->w->counters.requests, 1);
	refuse_form(c, REASON_TIMEOUT, "the SOCKS request took too long", SOCKS_TTL_EXPIRED);
}

/* --- the request --- */

static enum host_result understand(const struct socks_request *q, struct host *ret)
{
	struct ip_addr a = { .family = q->type == SOCKS_ADDRESS_V4 ? 4 : 6 };

	if (q->type == SOCKS_NAME)
		return host_parse(q->address, ret);
	memcpy(a.bytes, q->address.p, q->address.n);
	host_from_address(&a, ret);
	return HOST_OK;
}

static void request(struct conn *c, const struct socks_request *q)
{
	struct host host;
	struct verdict v = { .reason = REASON_MALFORMED_REQUEST, .rule = RULE_NONE };
	const enum host_result parsed = understand(q, &host);
	const struct span shown = parsed == HOST_OK ? (struct span) { host.text, host.length } : q->address;

	worker_count(&c->w->counters.requests, 1);
	if (one_too_many(c))
		return;
	if (q->command != SOCKS_CONNECT) {
		refuse(c, &v, shown, q->port, "the SOCKS command is not CONNECT", SOCKS_COMMAND_NOT_SUPPORTED);
	} else if (!reach_decide(c, q->port ? parsed : HOST_MALFORMED, &host, q->port, &v)) {
		refuse(c, &v, shown, q->port, NULL, socks_reply_of(v.reason));
	} else {
		buffer_consume(&conn_pools(c)->buffers, &c->up.in, (uint32_t)q->size);
		reach_server(c);
	}
}

/* --- what is read --- */

static void greeting(struct conn *c, const struct socks_greeting *g)
{
	if (!g->offers_none) {
		worker_count(&c->w->counters.requests, 1);
		if (!one_too_many(c))
			refuse_form(c, REASON_MALFORMED_REQUEST,
				    "the SOCKS client offers only ways to authenticate, and nobody asks it to",
				    SOCKS_GENERAL_FAILURE);
		return;
	}
	if (!put_method(c, SOCKS_METHOD_NONE)) {
		conn_close(c, true);
		return;
	}
	buffer_consume(&conn_pools(c)->buffers, &c->up.in, (uint32_t)g->size);
	c->greeted = true;
}

/* One message from the bytes that are there. false: they are none yet. */
static bool take_message(struct conn *c)
{
	const struct span in = buffer_span(&c->up.in);
	enum socks_bad bad = SOCKS_BAD_NONE;
	struct socks_greeting g;
	struct socks_request q;
	const enum wire_result r = c->greeted ? socks_request_parse(in, &q, &bad) : socks_greeting_parse(in, &g, &bad);

	if (r == WIRE_BAD)
		refuse_bad(c, bad);
	else if (r == WIRE_DONE && c->greeted)
		request(c, &q);
	else if (r == WIRE_DONE)
		greeting(c, &g);
	return r != WIRE_MORE;
}

static bool flushed(struct conn *c)
{
	switch (flow_flush(&c->down, &conn_pools(c)->buffers, c->client.fd)) {
	case FLOW_WAIT:
		return false;
	case FLOW_DONE:
		return true;
	case FLOW_CUT:
	case FLOW_BAD:
	case FLOW_LOST:
	case FLOW_BROKEN:
		conn_close(c, true);
		return false;
	}
	return false;
}

static bool read_more(struct conn *c)
{
	const int got = flow_read(&c->up, &conn_pools(c)->buffers, c->client.fd);

	if (got < 0 || (got == 0 && c->up.ended))
		conn_close(c, got < 0);
	return got > 0;
}

void socks_head_step(struct conn *c)
{
	while (c->state == CONN_HEAD && flushed(c))
		if (!take_message(c) && !read_more(c))
			return;
}

void socks_first_step(struct conn *c)
{
	if (!buffer_used(&c->up.in) && !read_more(c))
		return;
	if ((uint8_t)buffer_span(&c->up.in).p[0] != SOCKS_VERSION) {
		c->mode = MODE_PROXY;
		http_head_step(c);
		return;
	}
	c->mode = MODE_SOCKS;
	c->adapter = ADAPTER_SOCKS;
	c->fresh = false;
	c->began_ns = clock_now_ns();
	conn_limit(c, LIMIT_HEAD_TIME, false);
	socks_head_step(c);
}
