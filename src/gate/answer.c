/* The gate's own answers: a status, the reason's word in Proxy-Status (RFC 9209), and a few lines that a person or a program can
 * act on. */
#include "gate/conn_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "gate/protocol.h"
#include "gate/text.h"

enum { BODY_MAX = 1200, HEAD_MAX = 512, RULE_SHOWN = 281, FILE_SHOWN = 200, DETAIL_SHOWN = 100 };

/* What a reason is in HTTP. Those that never meet a request are not here and would be 500. */
static const struct {
	uint16_t status;
	const char *error; /* RFC 9209 2.3 */
} in_http[REASON_COUNT] = {
	[REASON_UNKNOWN_CLIENT] = { 403, "http_request_denied" },   [REASON_MALFORMED_HOST] = { 400, "http_request_error" },
	[REASON_MALFORMED_REQUEST] = { 400, "http_request_error" }, [REASON_NOT_LISTED] = { 403, "http_request_denied" },
	[REASON_PORT_NOT_LISTED] = { 403, "http_request_denied" },  [REASON_DENIED_BY_RULE] = { 403, "http_request_denied" },
	[REASON_ADDRESS_LITERAL] = { 403, "http_request_denied" },  [REASON_SPECIAL_ADDRESS] = { 403, "destination_ip_prohibited" },
	[REASON_HOST_MISMATCH] = { 400, "http_request_error" },     [REASON_RESOLVE_FAILED] = { 502, "dns_error" },
	[REASON_CONNECT_FAILED] = { 502, "connection_refused" },    [REASON_UPSTREAM_FAILED] = { 502, "http_protocol_error" },
	[REASON_TIMEOUT] = { 504, "connection_timeout" },           [REASON_LIMIT] = { 503, "connection_limit_reached" },
};

static const char *phrase(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 408:
		return "Request Timeout";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Internal Server Error";
	}
}

static bool canonical(struct span host)
{
	for (size_t i = 0; i < host.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789.-_:", host.p[i]) || !host.p[i])
			return false;
	return host.n > 0 && host.n < 254;
}

static bool listable(enum reason r)
{
	return r == REASON_NOT_LISTED || r == REASON_PORT_NOT_LISTED || r == REASON_ADDRESS_LITERAL || r == REASON_SPECIAL_ADDRESS;
}

/* The entry that would allow it, as it is written in a list. */
static void put_hint(struct text *t, const struct conn *c, const struct verdict *v, struct span host, uint16_t port)
{
	const bool v6 = memchr(host.p, ':', host.n) != NULL, run = strcmp(c->w->generation->project, GATE_RUN_PROJECT) == 0;

	if (v->reason == REASON_SPECIAL_ADDRESS) {
		text_put(t, run ? "To allow it, give 'stockade run' --allow with the address itself as well.\n"
				: "To allow it, list the address itself as well, and run 'stockade reload'.\n");
		return;
	}
	if (v->reason == REASON_NOT_LISTED && snapshot_client(&c->w->generation->snapshot, host) != CLIENT_NONE) {
		text_put(t, "No pod reaches another, whatever the lists say.\n");
		return;
	}
	if (run) {
		text_put(t, "To allow it, give 'stockade run' this option:\n--allow ");
	} else {
		text_put(t, "To allow it, add this line to a list of ");
		text_put(t, c->who->name);
		text_put(t, " and run 'stockade reload':\n");
	}
	text_put(t, v6 ? "[" : memchr(host.p, '.', host.n) ? "" : "="); /* a single label is listed as that name alone */
	text_put_span(t, host);
	if (v6)
		text_put(t, "]");
	if (port != 80 && port != 443) {
		text_put(t, ":");
		text_put_number(t, port, 1);
	}
	text_put(t, "\n");
}

static void put_rule(struct text *t, const struct snapshot *s, uint32_t rule)
{
	char text[RULE_SHOWN];

	text_put(t, "rule: ");
	text_put_first(t, span_of(snapshot_rule_file(s, rule)), FILE_SHOWN);
	text_put(t, ":");
	text_put_number(t, snapshot_rule_line(s, rule), 1);
	text_put(t, ": ");
	text_put(t, snapshot_rule_text(s, rule, text, sizeof text));
	text_put(t, "\n");
}

static void put_body(struct text *t, const struct conn *c, const struct verdict *v, struct span host, uint16_t port,
		     const char *detail)
{
	const bool shown = canonical(host);

	text_put(t, "stockade: ");
	text_put(t, reason_word(v->reason));
	text_put(t, ": ");
	text_put(t, reason_text(v->reason));
	text_put(t, "\npod: ");
	text_put(t, c->who->name);
	text_put(t, "\n");
	if (shown) {
		text_put(t, "asked for: ");
		text_put_span(t, host);
		text_put(t, " port ");
		text_put_number(t, port, 1);
		text_put(t, "\n");
	}
	if (detail) {
		text_put(t, "because: ");
		text_put_first(t, span_of(detail), DETAIL_SHOWN);
		text_put(t, "\n");
	}
	if (v->rule != RULE_NONE && v->reason == REASON_DENIED_BY_RULE)
		put_rule(t, &c->w->generation->snapshot, v->rule);
	if (shown && listable(v->reason))
		put_hint(t, c, v, host, port);
}

static void put_head(struct text *t, const struct conn *c, unsigned status, enum reason reason, size_t length, bool close)
{
	text_put(t, "HTTP/1.1 ");
	text_put_number(t, status, 3);
	text_put(t, " ");
	text_put(t, phrase(status));
	text_put(t, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
	text_put_number(t, length, 1);
	text_put(t, "\r\nProxy-Status: stockade; error=");
	text_put(t, in_http[reason].error ? in_http[reason].error : "proxy_internal_error");
	text_put(t, "; details=\"");
	text_put(t, reason_word(reason));
	text_put(t, "\"\r\n");
	if (close)
		text_put(t, "Connection: close\r\n");
	else if (c->http10)
		text_put(t, "Connection: keep-alive\r\n");
	text_put(t, "\r\n");
}

/* Puts the whole answer into down.head. false: no memory. */
static bool put_answer(struct conn *c, unsigned status, const struct verdict *v, struct span host, uint16_t port,
		       const char *detail, bool close)
{
	struct buffer *b = &c->down.head;
	char bytes[BODY_MAX];
	struct text body = { bytes, sizeof bytes, 0, false };

	if (!buffer_reserve(&conn_pools(c)->buffers, b, BODY_MAX + HEAD_MAX))
		return false;
	struct text all = { b->data + b->end, BODY_MAX + HEAD_MAX, 0, false };

	put_body(&body, c, v, host, port, detail);
	put_head(&all, c, status, v->reason, body.n, close);
	if (!c->head_method)
		text_put_span(&all, (struct span) { body.p, body.n });
	assert(!all.cut);
	b->end += (uint32_t)all.n;
	return true;
}

static unsigned status_of(enum reason r, bool reading)
{
	if (r == REASON_TIMEOUT && reading)
		return 408;
	return in_http[r].status ? in_http[r].status : 500;
}

/* Answers and goes on with the next request, or ends. */
static void answer(struct conn *c, unsigned status, const struct verdict *v, struct span host, uint16_t port, const char *detail)
{
	struct buffer_pool *p = &conn_pools(c)->buffers;
	const bool close = c->close_after || status == 400 || status == 408 || c->body_expected || c->w->draining;

	c->close_after = close;
	c->status = (uint16_t)status;
	if (!put_answer(c, status, v, host, port, detail, close)) {
		conn_close(c, true);
		return;
	}
	if (c->head_size && !close)
		buffer_consume(p, &c->up.in, c->head_size);
	c->head_size = 0;
	conn_set_state(c, CONN_ANSWER);
}

void answer_refuse(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail)
{
	const unsigned status = status_of(v->reason, true);

	conn_log_denied(c, v, host, port, detail, (uint16_t)status);
	answer(c, status, v, host, port, detail);
}

static void fail(struct conn *c, enum reason reason, uint32_t rule, const char *detail, enum socks_reply reply)
{
	const struct verdict v = { .reason = reason, .rule = rule };
	const bool http = c->adapter == ADAPTER_HTTP || c->adapter == ADAPTER_CAPTURED_HTTP || c->adapter == ADAPTER_CONNECT;
	const bool socks = c->adapter == ADAPTER_SOCKS;
	const unsigned status = status_of(reason, false);
	const bool begun = c->state == CONN_TUNNEL || (c->state == CONN_EXCHANGE && c->reply_begun);

	c->rule = rule;
	conn_log_end(c, false, reason, detail, begun || !http ? c->status : (uint16_t)status);
	if (begun || (!http && !socks)) {
		conn_close(c, true);
		return;
	}
	reach_stop(c);
	reach_drop_server(c);
	if (socks) {
		socks_answer(c, reply);
		return;
	}
	buffer_release(&conn_pools(c)->buffers, &c->up.head);
	answer(c, status, &v, (struct span) { c->host.text, c->host.length }, c->port, detail);
}

void answer_failed(struct conn *c, enum reason reason, uint32_t rule, const char *detail)
{
	fail(c, reason, rule, detail, socks_reply_of(reason));
}

void answer_unconnected(struct conn *c, int number)
{
	fail(c, number == ETIMEDOUT ? REASON_TIMEOUT : REASON_CONNECT_FAILED, c->rule, strerror(number),
	     socks_reply_of_errno(number));
}

void answer_refuse_tls(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail)
{
	/* fatal, access_denied (RFC 8446 6.2) */
	static const char alert[] = { 0x15, 3, 3, 0, 2, 2, 49 };
	struct buffer *b = &c->down.head;

	if (c->decided)
		conn_log_end(c, false, v->reason, detail, c->status);
	else
		conn_log_denied(c, v, host, port, detail, 0);
	reach_drop_server(c);
	if (!buffer_reserve(&conn_pools(c)->buffers, b, sizeof alert)) {
		conn_close(c, true);
		return;
	}
	memcpy(b->data + b->end, alert, sizeof alert);
	b->end += sizeof alert;
	c->close_after = true;
	conn_set_state(c, CONN_ANSWER);
}

void answer_step(struct conn *c)
{
	switch (flow_flush(&c->down, &conn_pools(c)->buffers, c->client.fd)) {
	case FLOW_WAIT:
		break;
	case FLOW_DONE:
		c->drained = 0;
		conn_set_state(c, c->close_after ? CONN_DRAIN : CONN_HEAD);
		break;
	case FLOW_CUT:
	case FLOW_BAD:
	case FLOW_LOST:
	case FLOW_BROKEN:
		conn_close(c, true);
		break;
	}
}

/* Reads and forgets, so that the answer is not lost to a reset because of what the client still sends. */
void answer_drain_step(struct conn *c)
{
	struct buffer_pool *p = &conn_pools(c)->buffers;

	for (int i = 0; i < 4; i++) {
		c->drained += buffer_used(&c->up.in);
		buffer_release(p, &c->up.in);
		const int got = flow_read(&c->up, p, c->client.fd);

		if (got < 0 || c->up.ended || c->drained > CONN_DRAIN_BYTES) {
			conn_close(c, got < 0 || !c->up.ended);
			return;
		}
		if (got == 0)
			return;
	}
	c->down.write_blocked = true; /* more is there: come back, after the others */
}
