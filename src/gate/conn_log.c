/* The lines that a connection leaves in the decision log, and what is counted with them. */
#include "gate/conn_state.h"

#include <assert.h>

#include "base/clock.h"

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

/* A pod that is denied over and over must not push the lines of others, or its own first ones, out of the log. */
static bool may_log_denied(struct conn *c, enum reason reason)
{
	if (reason == REASON_LIMIT)
		return worker_may_log(c->w, &c->who->limit_lines, CLIENT_LIMIT_LINES);
	return worker_may_log(c->w, &c->who->denied_lines, CLIENT_DENIED_LINES);
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
	const bool opened = c->opened;

	if (opened)
		worker_gauge(&n->tunnels_open, -1);
	c->opened = false;
	worker_count(allow ? &n->allowed : &n->denied, 1);
	worker_count(&n->bytes_up, c->up.bytes);
	worker_count(&n->bytes_down, c->down.bytes);
	/* What has had a server, and so may have told it something, is always in the log. */
	if (!allow && !opened && c->server.fd < 0 && !may_log_denied(c, reason))
		return;
	log_decision(c, DECISION_END, allow, reason, c->rule, (struct span) { c->host.text, c->host.length }, c->port, &c->address,
		     detail, status);
}

void conn_log_denied(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail, uint16_t status)
{
	const struct ip_addr none = { 0 };
	/* What the client connected to was the gate. */
	const bool asked = c->mode == MODE_PROXY || c->mode == MODE_SOCKS || c->pinned;

	worker_count(&c->w->counters.denied, 1);
	if (!may_log_denied(c, v->reason))
		return;
	log_decision(c, DECISION_END, false, v->reason, v->rule, host, port, asked ? &none : &c->original, detail, status);
}
