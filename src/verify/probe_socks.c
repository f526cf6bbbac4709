/* A gate that speaks no SOCKS is no hole; it leaves nothing to show, which the control finds out. */
#include "verify/probe_socks.h"

#include <errno.h>
#include <stdio.h>

#include "base/fd.h"
#include "policy/host.h"
#include "verify/probe_proxy.h"
#include "verify/proxy_talk.h"
#include "wire/socks.h"

enum { NO_SOCKS = -2, UNCLEAR = -1, REQUEST_SIZE = 4 + 1 + SOCKS_NAME_MAX + 2 };

static const char greeting[] = { SOCKS_VERSION, 1, SOCKS_METHOD_NONE };

static size_t write_request(const struct host *h, uint16_t port, char out[static REQUEST_SIZE])
{
	const bool v4 = h->kind == HOST_ADDRESS && h->addr.family == 4;
	const size_t n = h->kind == HOST_NAME ? h->length : v4 ? 4 : 16;
	size_t at = 4;

	out[0] = SOCKS_VERSION;
	out[1] = SOCKS_CONNECT;
	out[2] = 0;
	out[3] = h->kind == HOST_NAME ? SOCKS_NAME : v4 ? SOCKS_ADDRESS_V4 : SOCKS_ADDRESS_V6;
	if (h->kind == HOST_NAME)
		out[at++] = (char)n;
	memcpy(out + at, h->kind == HOST_NAME ? h->text : (const char *)h->addr.bytes, n);
	out[at + n] = (char)(port >> 8);
	out[at + n + 1] = (char)port;
	return at + n + 2;
}

static bool has_method(struct span got)
{
	return got.n >= SOCKS_METHOD_SIZE || (got.n > 0 && got.p[0] != SOCKS_VERSION);
}

static bool has_reply(struct span got)
{
	return got.n >= SOCKS_REPLY_SIZE;
}

/* The gate's reply (enum socks_reply); NO_SOCKS, UNCLEAR with words in buf. */
static int ask(struct view *v, const struct host *h, uint16_t port, char *buf, size_t size)
{
	struct talk t = { 0 };
	char request[REQUEST_SIZE];
	const struct ip_addr gate = proxy_gate();
	FD_CLOSE int fd = talk_connect(&gate, PLAN_PROXY_PORT, SOCK_STREAM, NULL);

	if (fd < 0) {
		(void)snprintf(buf, size, "cannot connect: %s", strerror(errno));
		return UNCLEAR;
	}
	talk_exchange(fd, (struct span) { greeting, sizeof greeting }, has_method, &t);
	if (t.n < SOCKS_METHOD_SIZE || t.bytes[0] != SOCKS_VERSION || t.bytes[1] != SOCKS_METHOD_NONE) {
		v->socks_silent = t.late;
		(void)snprintf(buf, size, t.late ? "a greeting is not answered" : "the gate speaks no SOCKS");
		return t.late ? UNCLEAR : NO_SOCKS;
	}
	t = (struct talk) { .limit_ms = PROXY_PATIENT_MS };
	talk_exchange(fd, (struct span) { request, write_request(h, port, request) }, has_reply, &t);
	if (t.n < SOCKS_REPLY_SIZE || t.bytes[0] != SOCKS_VERSION) {
		(void)talk_text(&t, buf, size);
		return UNCLEAR;
	}
	(void)snprintf(buf, size, "SOCKS reply %u", (uint8_t)t.bytes[1]);
	return (uint8_t)t.bytes[1];
}

/* It was decided "allow", whatever came of it. */
static bool was_allowed(int reply)
{
	return reply == SOCKS_SUCCEEDED || (reply >= SOCKS_NETWORK_UNREACHABLE && reply <= SOCKS_TTL_EXPIRED);
}

static bool is_silent(struct view *v, struct finding *f)
{
	if (v->socks_silent)
		finding_set(f, SIGHT_NONE, "not tried: the gate does not answer a SOCKS greeting");
	return v->socks_silent || proxy_is_silent(v, f);
}

void socks_refused(struct view *v, const struct probe *p, struct finding *f)
{
	const struct socks_case *c = p->data;
	char text[REQUEST_MAX], words[100];
	struct host host;

	if (is_silent(v, f) || proxy_literal_listed(v, c->literal, f))
		return;
	finding_set(f, SIGHT_UNCLEAR, "the name does not fit");
	const size_t n = proxy_expand(v, c->literal ? c->literal : c->name, text, sizeof text, f);

	if (n == 0 || host_parse((struct span) { text, n }, &host) != HOST_OK)
		return;
	const int reply = ask(v, &host, 443, words, sizeof words);

	if (reply == SOCKS_NOT_ALLOWED || reply == NO_SOCKS)
		finding_set(f, SIGHT_HELD, "%s", words);
	else
		finding_set(f, was_allowed(reply) ? SIGHT_THROUGH : SIGHT_UNCLEAR, "%s", words);
}

void socks_control(struct view *v, const struct probe *p, struct finding *f)
{
	char words[100];
	struct host host;

	if (is_silent(v, f))
		return;
	if (host_parse(span_of(v->http.at.host), &host) != HOST_OK) {
		finding_set(f, SIGHT_ABSENT, "the pod's list allows no name that could be a control");
		return;
	}
	const int reply = ask(v, &host, v->http.at.port, words, sizeof words);
	const enum sight seen = was_allowed(reply)           ? SIGHT_THROUGH
				: reply == NO_SOCKS          ? SIGHT_ABSENT
				: reply == SOCKS_NOT_ALLOWED ? SIGHT_HELD
							     : SIGHT_UNCLEAR;

	finding_set(f, seen, "%.60s port %u: %s", v->http.at.host, v->http.at.port, words);
}
