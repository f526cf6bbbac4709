/* From a host that a client names to a connected server: the host is decided on, its name resolved, each address decided on, one of
 * them dialled; or the server connection that was kept is the right one. Nothing is dialled that was not judged, and what was judged
 * under an older generation is judged again before it is used. */
#include "gate/conn_state.h"

#include <unistd.h>

#include "base/fd.h"

/* --- the server connection --- */

void reach_drop_server(struct conn *c)
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

void reach_stop(struct conn *c)
{
	if (c->w->resolver)
		resolve_cancel(c->w->resolver, &c->query);
	dial_cancel(c->dial);
	c->dial = NULL;
}

/* --- decisions --- */

/* The host's own addresses are no better than its loopback, whatever network they are in: only a rule for that very address opens one. */
static struct verdict judge(const struct conn *c, const struct ip_addr *a, bool own)
{
	const struct snapshot *s = &c->w->generation->snapshot;
	const struct verdict v = policy_decide_address(s, c->who->number, a, c->port);

	return v.allow && own && !snapshot_rule_is_single(s, v.rule)
		       ? (struct verdict) { .reason = REASON_SPECIAL_ADDRESS, .rule = RULE_NONE }
		       : v;
}

static struct verdict judge_address(const struct conn *c, const struct ip_addr *a)
{
	return judge(c, a, own_has(&c->w->own, a));
}

/* Where a connection leads was settled when it was made, whatever the host's addresses are now. */
static struct verdict server_verdict(const struct conn *c)
{
	return judge(c, &c->address, c->own);
}

bool reach_decide(struct conn *c, enum host_result parsed, const struct host *host, uint16_t port, struct verdict *ret)
{
	*ret = policy_decide(&c->w->generation->snapshot, c->who->number, parsed, host, port);
	if (!ret->allow)
		return false;
	/* A kept server connection is for one host and port. */
	if (c->server.fd >= 0 && (c->port != port || !host_equal(&c->host, host)))
		reach_drop_server(c);
	c->host = *host;
	c->port = port;
	c->rule = ret->rule;
	c->decided = true;
	return true;
}

bool reach_still_allowed(struct conn *c)
{
	const struct snapshot *s = &c->w->generation->snapshot;
	struct verdict v = policy_decide(s, c->who->number, HOST_OK, &c->host, c->port);

	/* Also when it is not: a rule is a number in its own generation. */
	c->rule = v.rule;
	if (v.allow && c->server.fd >= 0)
		v = server_verdict(c);
	else if (v.allow && c->host.kind == HOST_ADDRESS)
		v = judge_address(c, &c->host.addr);
	if (!v.allow)
		c->rule = v.rule;
	return v.allow;
}

/* --- the way there --- */

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
	/* A generation, or an address of the host's, may have come since the addresses were judged. */
	if (fd >= 0) {
		c->address = *address;
		c->own = own_has(&c->w->own, address);
		v = server_verdict(c);
	}
	if (fd < 0) {
		answer_unconnected(c, -fd);
	} else if (!v.allow) {
		(void)close(fd);
		answer_failed(c, v.reason, v.rule, NULL);
	} else {
		c->server.fd = fd;
		c->down.ended = c->down.readable = c->up.write_blocked = c->server_hup = false;
		connected(c);
	}
	conn_run(c);
}

static void dial_addresses(struct conn *c, const struct addresses *to)
{
	const struct dial_options o = { .room = &c->who->second, .buffers = c->who->socket_buffers };

	conn_set_state(c, CONN_CONNECT);
	c->dial = dial_start(c->w->loop, to, c->port, &o, dialled, c);
	if (!c->dial)
		answer_failed(c, REASON_LIMIT, c->rule, "no sockets left");
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
	if (server_verdict(c).allow)
		return true;
	reach_drop_server(c);
	return false;
}

void reach_server(struct conn *c)
{
	struct addresses one = { .count = 1, .list = { c->host.addr } };

	c->reused = kept_is_right(c);
	if (!c->reused)
		c->address = (struct ip_addr) { 0 }; /* of the server before */
	if (c->reused) {
		connected(c);
	} else if (c->host.kind == HOST_ADDRESS && !judge_address(c, &c->host.addr).allow) {
		answer_failed(c, REASON_SPECIAL_ADDRESS, RULE_NONE, "it is the host's own");
	} else if (c->host.kind == HOST_ADDRESS) {
		dial_addresses(c, &one);
	} else {
		c->query.done = resolved;
		conn_set_state(c, CONN_RESOLVE);
		resolve_start(c->w->resolver, c->who->names, &c->query, c->host.text);
	}
}
