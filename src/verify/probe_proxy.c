#include "verify/probe_proxy.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "policy/decide.h"
#include "verify/proxy_talk.h"

enum { PREPARE_MS = 4000, TLS_RECORD = 0x16 };

/* --- requests with marks --- */

struct expansion {
	char *p;
	size_t size, used;
};

static bool add(struct expansion *e, const char *s, size_t n)
{
	if (n > e->size - e->used)
		return false;
	memcpy(e->p + e->used, s, n);
	e->used += n;
	return true;
}

/* A name that another pod may reach, and this one may not. */
static const struct candidate *others_name(const struct view *v)
{
	const struct scene *s = v->scene;
	struct host host;

	for (size_t i = 0; i < s->subject_count; i++)
		for (size_t k = 0; &s->subjects[i] != v->subject && k < s->subjects[i].allowed_count; k++) {
			const struct candidate *c = &s->subjects[i].allowed[k];

			if (host_parse(span_of(c->host), &host) == HOST_OK &&
			    !policy_decide(&s->policy, v->subject->client, HOST_OK, &host, c->port).allow)
				return c;
		}
	return NULL;
}

static bool add_mark(struct view *v, char mark, struct expansion *e, struct finding *f)
{
	const bool listed = v->http.at.host[0];
	const struct candidate *other = mark == 'Q' || mark == 'R' ? others_name(v) : NULL;
	char text[300] = "";

	if (strchr("LHP", mark) && !listed) {
		finding_set(f, SIGHT_ABSENT, "its list allows no name");
		return false;
	}
	if (strchr("QR", mark) && !other) {
		finding_set(f, SIGHT_ABSENT, "no other pod has a name that this one has not");
		return false;
	}
	switch (mark) {
	case 'N':
		(void)snprintf(text, sizeof text, "%s.invalid", v->subject->nonce);
		break;
	case 'U': /* not one name twice in the log */
		(void)snprintf(text, sizeof text, "%s", v->subject->nonce);
		break;
	case 'L':
		(void)snprintf(text, sizeof text, "%s", v->http.at.tree);
		break;
	case 'H':
		(void)snprintf(text, sizeof text, "%s", v->http.at.host);
		break;
	case 'P':
		(void)snprintf(text, sizeof text, "%u", v->http.at.port);
		break;
	case 'Q':
		(void)snprintf(text, sizeof text, "%s", other->host);
		break;
	case 'R':
		(void)snprintf(text, sizeof text, "%u", other->port);
		break;
	case 'C': /* the allowed host in upper case */
		for (size_t i = 0; v->http.at.host[i]; i++)
			text[i] = (char)(v->http.at.host[i] >= 'a' && v->http.at.host[i] <= 'z' ? v->http.at.host[i] - 'a' + 'A'
												: v->http.at.host[i]);
		break;
	case 'Z':
		return add(e, "", 1);
	default:
		return false;
	}
	return add(e, text, strlen(text));
}

size_t proxy_expand(struct view *v, const char *text, char *out, size_t size, struct finding *f)
{
	struct expansion e = { out, size, 0 };

	for (; *text; text++) {
		const bool good = *text == '$' ? add_mark(v, *++text, &e, f) : add(&e, text, 1);

		if (!good)
			return 0;
	}
	return e.used;
}

/* --- one request --- */

static void judge(const struct answer *a, const char *reasons, struct finding *f)
{
	if (a->from_gate && answer_reason_in(a, reasons))
		finding_set(f, SIGHT_HELD, "%u %s", a->status, a->reason);
	else if (!a->from_gate)
		finding_set(f, SIGHT_THROUGH, "answered %u, and not by the gate", a->status);
	else if (answer_failed_beyond(a))
		finding_set(f, SIGHT_THROUGH, "allowed (then %u %s)", a->status, a->reason);
	else
		finding_set(f, SIGHT_UNCLEAR, "refused, but with %u %s; right is: %s", a->status, a->reason, reasons);
}

bool proxy_literal_listed(struct view *v, const char *literal, struct finding *f)
{
	struct host host;

	if (!literal || host_parse(span_of(literal), &host) != HOST_OK ||
	    (!policy_decide(&v->scene->policy, v->subject->client, HOST_OK, &host, 80).allow &&
	     !policy_decide(&v->scene->policy, v->subject->client, HOST_OK, &host, 443).allow))
		return false;
	finding_set(f, SIGHT_ABSENT, "the pod's list allows %s", literal);
	return true;
}

/* true: *ret is the answer; else the finding says why there is none. */
static bool send_case(struct view *v, const struct http_case *c, struct answer *ret, struct finding *f)
{
	char request[REQUEST_MAX], words[120];

	if (proxy_is_silent(v, f) || proxy_literal_listed(v, c->literal, f))
		return false;
	finding_set(f, SIGHT_UNCLEAR, "the request does not fit");
	const size_t n = proxy_expand(v, c->request, request, sizeof request, f);

	if (n == 0)
		return false;
	if (c->second && !v->http.whole) {
		finding_set(f, SIGHT_ABSENT, "no allowed name answers from here: %s", v->http.text);
		return false;
	}
	const char *why = proxy_ask(v, c, (struct span) { request, n }, ret, words, sizeof words);

	if (why)
		finding_set(f, SIGHT_UNCLEAR, "%s", why);
	return !why;
}

void proxy_refused(struct view *v, const struct probe *p, struct finding *f)
{
	const struct http_case *c = p->data;
	struct answer a;

	if (send_case(v, c, &a, f))
		judge(&a, c->reasons, f);
}

void proxy_allowed(struct view *v, const struct probe *p, struct finding *f)
{
	struct answer a;

	/* A resolver that is silent, or asked again and again, is no fault of the gate's. */
	if (v->http.sight == SIGHT_THROUGH && !v->http.whole && v->http.slow) {
		finding_set(f, SIGHT_ABSENT, "no allowed name answers from here: %s", v->http.text);
		return;
	}
	if (!send_case(v, p->data, &a, f))
		return;
	if (!a.from_gate || answer_failed_beyond(&a))
		finding_set(f, SIGHT_HELD, "%u %s", a.status, a.reason);
	else
		finding_set(f, SIGHT_THROUGH, "refused: %u %s", a.status, a.reason);
}

/* --- what may be reached --- */

static const struct http_case plain_case = { .request = NULL }, patient_case = { .patient = true };

static void try_http(struct view *v, const struct candidate *c)
{
	char request[REQUEST_MAX];
	struct answer a;
	struct reach *r = &v->http;
	const int n = snprintf(request, sizeof request, "HEAD http://%s:%u/ HTTP/1.1\r\nHost: %s:%u\r\nConnection: close\r\n\r\n",
			       c->host, c->port, c->host, c->port);
	char words[80];
	const uint64_t begin = clock_now_ns();
	const char *why = proxy_ask(v, &patient_case, (struct span) { request, (size_t)n }, &a, words, sizeof words);
	const bool allowed = !why && (!a.from_gate || answer_failed_beyond(&a));
	const bool whole = allowed && !a.from_gate && a.status != 999;

	if (r->at.host[0] && (!allowed || (r->sight == SIGHT_THROUGH && !whole)))
		return;
	r->sight = allowed ? SIGHT_THROUGH : why ? SIGHT_UNCLEAR : SIGHT_HELD;
	r->whole = whole;
	r->slow = clock_now_ns() - begin > (uint64_t)TALK_MS * 1000000;
	r->at = *c;
	if (why)
		(void)snprintf(r->text, sizeof r->text, "%.60s port %u: %s", c->host, c->port, why);
	else
		(void)snprintf(r->text, sizeof r->text, "%.60s port %u: %u %s", c->host, c->port, a.status, a.reason);
}

static void try_tls(struct view *v, const struct candidate *c)
{
	struct reach *r = &v->tls;
	char words[80];
	const int first = proxy_tunnel(v, c, false, c->host, NULL, words, sizeof words);

	if (r->at.host[0] && first != TLS_RECORD)
		return;
	r->sight = first > 0 ? SIGHT_THROUGH : SIGHT_UNCLEAR;
	r->whole = first == TLS_RECORD;
	r->at = *c;
	(void)snprintf(r->text, sizeof r->text, "%.60s port %u: %s", c->host, c->port,
		       first == TLS_RECORD ? "the server greets back" : words);
}

static bool is_tls_port(const struct view *v, const struct candidate *c)
{
	struct host host;

	return c->port == 443 && host_parse(span_of(c->host), &host) == HOST_OK &&
	       !policy_decide(&v->scene->policy, v->subject->client, HOST_OK, &host, 443).any_protocol;
}

/* A request that is refused needs nobody else: it tells whether the gate answers at all. */
static void listen_to_gate(struct view *v)
{
	char request[300], words[100];
	struct answer a;
	const int n = snprintf(request, sizeof request,
			       "HEAD http://first.%s.invalid/ HTTP/1.1\r\nHost: first.%s.invalid\r\nConnection: close\r\n\r\n",
			       v->subject->nonce, v->subject->nonce);

	v->gate_silent = proxy_ask(v, &plain_case, (struct span) { request, (size_t)n }, &a, words, sizeof words) != NULL;
}

void proxy_prepare(struct view *v)
{
	const struct subject *s = v->subject;
	const uint64_t until = clock_now_ns() + (uint64_t)PREPARE_MS * 1000000;

	listen_to_gate(v);
	if (v->gate_silent)
		return;
	/* Plain HTTP goes to a port of its own, so those with 443 are tried last. */
	for (unsigned round = 0; round < 2; round++)
		for (size_t i = 0; i < s->allowed_count && !v->http.whole && clock_now_ns() < until; i++)
			if ((s->allowed[i].port == 443) == (round == 1))
				try_http(v, &s->allowed[i]);
	for (size_t i = 0; i < s->allowed_count && !v->tls.whole && clock_now_ns() < until; i++)
		if (is_tls_port(v, &s->allowed[i]))
			try_tls(v, &s->allowed[i]);
}

void proxy_reached(struct view *v, const struct probe *p, struct finding *f)
{
	const struct reach *r = v->tls.whole ? &v->tls : &v->http;

	if (proxy_is_silent(v, f))
		return;
	if (v->subject->allowed_count == 0)
		finding_set(f, SIGHT_ABSENT, "its list allows no name");
	else if (r->whole)
		finding_set(f, SIGHT_HELD, "%s", r->text);
	else if (r->sight == SIGHT_THROUGH)
		finding_set(f, SIGHT_ABSENT, "allowed, but nobody answers from here: %s", r->text);
	else
		finding_set(f, r->sight == SIGHT_HELD ? SIGHT_THROUGH : SIGHT_UNCLEAR, "a listed name is not let through: %s",
			    r->text);
}

void proxy_prompt(struct view *v, const struct probe *p, struct finding *f)
{
	finding_set(f, v->gate_silent ? SIGHT_THROUGH : SIGHT_HELD,
		    v->gate_silent ? "no answer within %d ms" : "answered within %d ms", TALK_MS);
}

/* --- greetings --- */

void proxy_tls(struct view *v, const struct probe *p, struct finding *f)
{
	const struct tls_case *c = p->data;
	char name[400] = "", words[100];

	if (proxy_is_silent(v, f))
		return;
	if (!v->tls.whole) {
		finding_set(f, SIGHT_ABSENT, "no allowed name answers TLS from here%s%s", v->tls.text[0] ? ": " : "", v->tls.text);
		return;
	}
	if (c->name) {
		const size_t n = proxy_expand(v, c->name, name, sizeof name - 1, f);

		if (n == 0)
			return;
		name[n] = '\0';
	}
	const int first = proxy_tunnel(v, &v->tls.at, c->captured, c->name ? name : NULL, c->plain, words, sizeof words);

	if (first > 0)
		finding_set(f, SIGHT_THROUGH, "somebody answered: %s", words);
	else
		finding_set(f, first == 0 ? SIGHT_HELD : SIGHT_UNCLEAR, "%s", first == 0 ? "cut off" : words);
}

/* --- controls --- */

void proxy_control_http(struct view *v, const struct probe *p, struct finding *f)
{
	if (v->subject->allowed_count == 0)
		finding_set(f, SIGHT_ABSENT, "the pod's list allows no name that could be a control");
	else if (!proxy_is_silent(v, f))
		finding_set(f, v->http.sight, "%s", v->http.text);
}

void proxy_control_denied(struct view *v, const struct probe *p, struct finding *f)
{
	static const struct http_case refused = {
		.request = "GET http://control.$N/ HTTP/1.1\r\nHost: control.$N\r\nConnection: close\r\n\r\n",
		.reasons = "not-listed",
	};
	const struct probe probe = { .data = &refused };

	proxy_refused(v, &probe, f);
	if (f->sight == SIGHT_HELD)
		f->sight = SIGHT_THROUGH;
	else if (f->sight == SIGHT_THROUGH)
		f->sight = SIGHT_HELD;
}

void proxy_control_captured(struct view *v, const struct probe *p, struct finding *f)
{
	static const struct http_case captured = { .request = "HEAD / HTTP/1.1\r\nHost: $H\r\nConnection: close\r\n\r\n",
						   .captured = true,
						   .patient = true };
	struct answer a;

	if (v->http.at.port != 80)
		finding_set(f, SIGHT_ABSENT, "the pod's list allows no name with port 80");
	else if (send_case(v, &captured, &a, f))
		finding_set(f, !a.from_gate || answer_failed_beyond(&a) ? SIGHT_THROUGH : SIGHT_HELD, "%.60s: %u %s",
			    v->http.at.host, a.status, a.reason);
}

void proxy_control_tls(struct view *v, const struct probe *p, struct finding *f)
{
	const struct tls_case *c = p->data;
	char words[100];

	if (!v->tls.whole) {
		finding_set(f, SIGHT_ABSENT, "no allowed name answers TLS from here");
		return;
	}
	const int first = proxy_tunnel(v, &v->tls.at, c->captured, v->tls.at.host, NULL, words, sizeof words);

	finding_set(f, first == TLS_RECORD ? SIGHT_THROUGH : SIGHT_UNCLEAR, "%.60s: %s", v->tls.at.host,
		    first == TLS_RECORD ? "the server greets back" : words);
}

void proxy_control_connected(struct view *v, const struct probe *p, struct finding *f)
{
	const struct ip_addr gate = proxy_gate();
	FD_CLOSE int fd = talk_connect(&gate, PLAN_PROXY_PORT, SOCK_STREAM, NULL);

	finding_set(f, fd < 0 ? SIGHT_UNCLEAR : SIGHT_THROUGH, "a connection to the gate: %s",
		    fd < 0 ? strerror(errno) : "accepted");
}
