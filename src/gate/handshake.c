/* Between the client's TLS greeting, whose server name was right, and the server's answer. A server may ask for another greeting in
 * clear (HelloRetryRequest, RFC 8446 4.1.4), and what it goes by is the name in that one: so nothing that could be a greeting gets
 * past here until the server has answered with a ServerHello, and each that it asks for is checked like the first.
 *
 * Until then each side's records are looked at. Of the client's only early data, change_cipher_spec and alerts pass (RFC 8446 4.2.10,
 * D.4); a handshake message waits: for the answer, which lets it pass as it is, or for a HelloRetryRequest, after which it must be
 * the greeting. A server that answers in anything but TLS is cut off, lest its protocol has a way to begin TLS later. */
#include "gate/conn_state.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "wire/tls_server_hello.h"

enum look { LOOK_PASS /* something is cleared */, LOOK_READ, LOOK_WAIT };

static void refuse(struct conn *c, enum reason reason, const char *detail)
{
	conn_log_end(c, false, reason, detail, c->status);
	conn_close(c, true);
}

/* The server has ended, or a side broke: with that the handshake is over, and what was written goes on to the client. */
static void end(struct conn *c, bool abrupt)
{
	conn_log_end(c, true, REASON_ALLOWED, NULL, c->status);
	if (abrupt) {
		conn_close(c, true);
		return;
	}
	reach_drop_server(c);
	c->drained = 0;
	conn_set_state(c, CONN_DRAIN);
}

/* --- the client's side --- */

static enum look look_at_greeting(struct conn *c, struct span in)
{
	struct tls_hello *hello = &conn_pools(c)->hello;

	switch (tls_hello_parse(in, hello)) {
	case WIRE_MORE:
		return LOOK_READ;
	case WIRE_BAD:
		refuse(c, REASON_NOT_TLS, "the second TLS greeting is malformed");
		return LOOK_WAIT;
	case WIRE_DONE:
		break;
	}
	if (!tunnel_name_is_right(c))
		return LOOK_WAIT;
	c->retry = false;
	c->up.cleared = (uint32_t)hello->size;
	conn_limit(c, LIMIT_EXCHANGE_TIME, true);
	return LOOK_PASS;
}

static enum look look_at_client(struct conn *c)
{
	const struct span in = buffer_span(&c->up.in);
	size_t n;
	const enum wire_result r = tls_between_parse(in, true, &n);

	if (n && c->early + n > CONN_EARLY_BYTES) {
		if (c->retry)
			refuse(c, REASON_LIMIT, "too much before the second TLS greeting");
		return LOOK_WAIT;
	}
	if (n) {
		c->early += (uint32_t)n;
		c->up.cleared = (uint32_t)n;
		return LOOK_PASS;
	}
	if (r == WIRE_BAD) {
		refuse(c, REASON_NOT_TLS, "something else than TLS after the greeting");
		return LOOK_WAIT;
	}
	if (r == WIRE_MORE)
		return LOOK_READ;
	return c->retry ? look_at_greeting(c, in) : LOOK_WAIT;
}

/* Its end is passed on, but not one that leaves something unsaid. */
static void client_ended(struct conn *c)
{
	if (c->retry || c->up.in.data) {
		conn_log_end(c, true, REASON_ALLOWED, "the client broke off", c->status);
		conn_close(c, false);
	} else if (!c->up.pump.to_shut) {
		c->up.pump.to_shut = true;
		(void)shutdown(c->server.fd, SHUT_WR);
	}
}

/* --- the server's side --- */

static enum look look_at_answer(struct conn *c, struct span in)
{
	struct tls_server_hello hello;

	switch (tls_server_hello_parse(in, &hello)) {
	case WIRE_MORE:
		return LOOK_READ;
	case WIRE_BAD:
		refuse(c, REASON_UPSTREAM_FAILED, "the server's TLS greeting is malformed");
		return LOOK_WAIT;
	case WIRE_DONE:
		break;
	}
	if (!hello.retry) {
		conn_set_state(c, CONN_TUNNEL);
		return LOOK_WAIT;
	}
	c->retry = true;
	c->down.cleared = (uint32_t)hello.size;
	conn_limit(c, LIMIT_HEAD_TIME, false);
	return LOOK_PASS;
}

static enum look look_at_server(struct conn *c)
{
	const struct span in = buffer_span(&c->down.in);
	size_t n;
	const enum wire_result r = tls_between_parse(in, false, &n);

	/* Alerts without end would go round and round here, past every other connection. */
	if (n && c->down.bytes + n > CONN_EARLY_BYTES) {
		refuse(c, REASON_UPSTREAM_FAILED, "too much before the server's TLS greeting");
		return LOOK_WAIT;
	}
	if (n) {
		c->down.cleared = (uint32_t)n;
		return LOOK_PASS;
	}
	if (r == WIRE_BAD) {
		refuse(c, REASON_UPSTREAM_FAILED, "the server does not answer in TLS");
		return LOOK_WAIT;
	}
	if (r == WIRE_MORE)
		return LOOK_READ;
	return c->retry ? LOOK_WAIT : look_at_answer(c, in);
}

/* --- both --- */

/* All that is cleared has gone. */
static bool sent(struct conn *c, struct flow *f, int to)
{
	switch (flow_send(f, &conn_pools(c)->buffers, to)) {
	case FLOW_DONE:
		return true;
	case FLOW_WAIT:
		return false;
	case FLOW_CUT:
	case FLOW_BAD:
	case FLOW_LOST:
	case FLOW_BROKEN:
		end(c, true);
		return false;
	}
	return false;
}

/* 1: more came; 0: it waits; -1: its end. */
static int read_more(struct conn *c, struct flow *f, int from)
{
	const int got = flow_read(f, &conn_pools(c)->buffers, from);

	if (got >= 0)
		return got ? 1 : f->ended ? -1 : 0;
	if (errno == ENOMEM)
		refuse(c, REASON_LIMIT, "no memory left");
	else
		end(c, true);
	return 0;
}

static void move_up(struct conn *c)
{
	int got = 1;

	while (c->state == CONN_HANDSHAKE && got > 0 && sent(c, &c->up, c->server.fd)) {
		const enum look look = look_at_client(c);

		if (look == LOOK_WAIT)
			return;
		if (look == LOOK_READ)
			got = read_more(c, &c->up, c->client.fd);
	}
	if (got < 0)
		client_ended(c);
}

static void move_down(struct conn *c)
{
	int got = 1;

	while (c->state == CONN_HANDSHAKE && got > 0 && sent(c, &c->down, c->client.fd)) {
		const enum look look = look_at_server(c);

		if (look == LOOK_WAIT)
			return;
		if (look == LOOK_READ)
			got = read_more(c, &c->down, c->server.fd);
	}
	if (got < 0)
		end(c, false);
}

void handshake_begin(struct conn *c)
{
	struct tls_hello *hello = &conn_pools(c)->hello;
	const enum wire_result r = tls_hello_parse(buffer_span(&c->up.in), hello);

	assert(r == WIRE_DONE); /* nothing was read since it was checked */
	conn_set_state(c, CONN_HANDSHAKE);
	tunnel_begin(c);
	c->up.cleared = (uint32_t)hello->size;
	c->early = 0;
	c->retry = false;
}

void handshake_step(struct conn *c)
{
	bool retry;

	do {
		retry = c->retry;
		move_up(c);
		move_down(c);
	} while (c->state == CONN_HANDSHAKE && c->retry != retry);
}
