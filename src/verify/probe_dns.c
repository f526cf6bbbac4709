#include "verify/probe_dns.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "verify/hello.h"
#include "verify/probe_proxy.h"
#include "verify/proxy_talk.h"

enum { NXDOMAIN = 3, REFUSED = 5, TYPE_A = 1, PREFIX = 2 };

static bool has_message(struct span got)
{
	return got.n >= PREFIX && got.n >= PREFIX + ((size_t)(uint8_t)got.p[0] << 8 | (uint8_t)got.p[1]);
}

static bool is_silent(struct view *v, const struct dns_case *c, struct finding *f)
{
	if (v->resolver_silent[c->tcp])
		finding_set(f, SIGHT_NONE, "not tried: the resolver does not answer");
	return v->resolver_silent[c->tcp];
}

/* NULL: *ret is the reply; else words. */
static const char *ask(struct view *v, const struct dns_case *c, const char *name, uint16_t type, struct dns_reply *ret, char *buf,
		       size_t size)
{
	struct ip_addr server = proxy_gate();
	struct talk t = { 0 };
	char question[600];
	uint16_t id;
	const size_t skipped = c->tcp ? PREFIX : 0;

	if (getrandom(&id, sizeof id, 0) != sizeof id)
		return "no random number for the question";
	const size_t n = question_write(name, type, id, question + PREFIX, sizeof question - PREFIX);

	question[0] = (char)(n >> 8);
	question[1] = (char)n;
	if (n == 0 || (c->server && !ip_parse(span_of(c->server), &server)))
		return "the question does not fit";
	FD_CLOSE int fd = talk_connect(&server, PLAN_DNS_PORT, c->tcp ? SOCK_STREAM : SOCK_DGRAM, NULL);

	if (fd < 0) {
		(void)snprintf(buf, size, "cannot connect: %s", strerror(errno));
		return buf;
	}
	talk_exchange(fd, (struct span) { question + PREFIX - skipped, n + skipped }, c->tcp ? has_message : NULL, &t);
	if (t.n > skipped && dns_reply_read((struct span) { t.bytes + skipped, t.n - skipped }, id, ret))
		return NULL;
	v->resolver_silent[c->tcp] = t.late && t.n == 0;
	return talk_text(&t, buf, size);
}

void dns_refused(struct view *v, const struct probe *p, struct finding *f)
{
	const struct dns_case *c = p->data;
	struct dns_reply r = { 0 };
	char name[300], words[100];

	finding_set(f, SIGHT_UNCLEAR, "the name does not fit");
	const size_t n = proxy_expand(v, c->name, name, sizeof name - 1, f);

	if (n == 0 || is_silent(v, c, f))
		return;
	name[n] = '\0';
	const char *why = ask(v, c, name, c->type, &r, words, sizeof words);

	if (why)
		finding_set(f, SIGHT_UNCLEAR, "%s", why);
	else if (r.answers)
		finding_set(f, SIGHT_THROUGH, "answered with %u records", r.answers);
	else
		finding_set(f, r.rcode == NXDOMAIN || r.rcode == REFUSED ? SIGHT_HELD : SIGHT_UNCLEAR, "%s",
			    r.rcode == NXDOMAIN  ? "NXDOMAIN"
			    : r.rcode == REFUSED ? "REFUSED"
						 : "neither an answer nor NXDOMAIN");
}

void dns_control(struct view *v, const struct probe *p, struct finding *f)
{
	const struct dns_case *c = p->data;
	const struct ip_addr gate = proxy_gate();
	const char *name = v->scene->plan ? v->scene->plan->gate_name : PLAN_GATE_NAME;
	struct dns_reply r = { 0 };
	char words[100];

	if (is_silent(v, c, f))
		return;
	const char *why = ask(v, c, name, TYPE_A, &r, words, sizeof words);

	if (why)
		finding_set(f, SIGHT_UNCLEAR, "%s: %s", name, why);
	else
		finding_set(f, ip_equal(&r.address, &gate) ? SIGHT_THROUGH : SIGHT_HELD, "%s: %s", name,
			    ip_equal(&r.address, &gate) ? "answered with its address" : "not answered with its address");
}
