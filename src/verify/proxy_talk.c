#include "verify/proxy_talk.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "verify/hello.h"
#include "verify/probe_proxy.h"
#include "verify/unsupported.h"

enum { TLS_ALERT = 0x15 };

struct ip_addr proxy_gate(void)
{
	return (struct ip_addr) { .family = 4, .bytes = { 198, 18, 0, 1 } };
}

struct ip_addr proxy_nowhere(void)
{
	return (struct ip_addr) { .family = 4, .bytes = { 192, 0, 2, 77 } };
}

bool proxy_is_silent(struct view *v, struct finding *f)
{
	if (v->gate_silent)
		finding_set(f, SIGHT_NONE, "not tried: the gate does not answer");
	return v->gate_silent;
}

static bool has_head(struct span got)
{
	struct answer a;

	return answer_parse(got, false, &a) != 0;
}

/* The second of two heads; the first answers a HEAD, so nothing is between them. */
static bool has_two(struct span got)
{
	struct answer a;

	if (answer_parse(got, true, &a) <= 0)
		return answer_parse(got, true, &a) < 0;
	return a.from_gate || has_head(span_skip(got, a.size));
}

static struct ip_addr other_address(const struct view *v)
{
	const struct plan *plan = v->scene->plan;

	for (size_t i = 0; plan && i < plan->pod_count; i++)
		if (&plan->pods[i] != v->subject->plan)
			return plan->pods[i].v4;
	return (struct ip_addr) { .family = 4, .bytes = { 198, 18, 0, 99 } };
}

static int reach_gate(struct view *v, const struct http_case *c)
{
	const struct ip_addr to = c->captured ? proxy_nowhere() : proxy_gate(), from = other_address(v);

	return talk_connect(&to, c->captured ? 80 : PLAN_PROXY_PORT, SOCK_STREAM, c->from_other ? &from : NULL);
}

const char *proxy_ask(struct view *v, const struct http_case *c, struct span request, struct answer *ret, char *buf, size_t size)
{
	struct talk t = { .limit_ms = c->patient ? PROXY_PATIENT_MS : 0 };
	FD_CLOSE int fd = reach_gate(v, c);

	if (fd < 0) {
		(void)snprintf(buf, size, "cannot connect: %s", strerror(errno));
		return buf;
	}
	talk_exchange(fd, request, c->second ? has_two : has_head, &t);
	struct span got = { t.bytes, t.n };

	if (c->second && answer_parse(got, true, ret) > 0 && !ret->from_gate)
		got = span_skip(got, ret->size);
	else if (c->second)
		return talk_text(&t, buf, size);
	const int rc = answer_parse(got, false, ret);

	if (rc > 0 && v->scene->on_haproxy)
		unsupported_take_answer(got, ret);
	if (rc > 0)
		return NULL;
	if (rc < 0 && got.n) {
		*ret = (struct answer) { .status = 999 }; /* something else than HTTP: nobody's refusal */
		return NULL;
	}
	return talk_text(&t, buf, size);
}

static bool established(struct talk *t)
{
	struct answer a;
	const bool yes = answer_parse((struct span) { t->bytes, t->n }, true, &a) > 0 && a.status == 200;

	t->n = 0;
	return yes;
}

static size_t write_first(const char *name, const char *plain, char *out, size_t size)
{
	uint8_t random[64];

	if (plain)
		return (size_t)snprintf(out, size, "%s", plain);
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return 0;
	return hello_write(name, random, out, size);
}

int proxy_tunnel(struct view *v, const struct candidate *to, bool captured, const char *name, const char *plain, char *buf,
		 size_t size)
{
	struct talk t = { 0 };
	char first[1024], connect[700];
	const struct ip_addr at = captured ? proxy_nowhere() : proxy_gate();
	FD_CLOSE int fd = talk_connect(&at, captured ? to->port : PLAN_PROXY_PORT, SOCK_STREAM, NULL);

	if (fd < 0) {
		(void)snprintf(buf, size, "cannot connect: %s", strerror(errno));
		return -1;
	}
	if (!captured) {
		(void)snprintf(connect, sizeof connect, "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", to->host, to->port,
			       to->host, to->port);
		talk_exchange(fd, span_of(connect), has_head, &t);
		if (!established(&t)) {
			(void)snprintf(buf, size, "CONNECT %.80s was not answered 200", to->host);
			return -1;
		}
	}
	talk_exchange(fd, (struct span) { first, write_first(name, plain, first, sizeof first) }, NULL, &t);
	(void)talk_text(&t, buf, size);
	if (t.n)
		return (uint8_t)t.bytes[0] == TLS_ALERT ? 0 : (uint8_t)t.bytes[0];
	return t.late ? -1 : 0;
}
