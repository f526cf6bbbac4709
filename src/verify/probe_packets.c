#include "verify/probe_packets.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fd.h"
#include "policy/decide.h"
#include "verify/answer.h"
#include "verify/talk.h"

enum { ARRIVES_MS = 150, REFUSED_MS = 400 };
#define WITNESS_WORD "stockade-witness\n"

static bool other_pod(const struct view *v, bool six, struct ip_addr *ret)
{
	const struct plan *plan = v->scene->plan;

	for (size_t i = 0; plan && i < plan->pod_count; i++) {
		if (v->subject && &plan->pods[i] == v->subject->plan)
			continue;
		*ret = six ? plan->pods[i].v6 : plan->pods[i].v4;
		return true;
	}
	return false;
}

/* Where to; false: nowhere, and the finding says why. */
static bool find_target(const struct view *v, const struct packet_case *c, struct ip_addr *ret, uint16_t *ret_port,
			struct finding *f)
{
	*ret_port = c->port;
	switch (c->target) {
	case TARGET_LITERAL:
		return ip_parse(span_of(c->address), ret);
	case TARGET_OTHER_POD:
		if (other_pod(v, false, ret))
			return true;
		finding_set(f, SIGHT_ABSENT, "the project has no other pod");
		return false;
	case TARGET_WITNESS:
		*ret = v->scene->witness;
		*ret_port = v->scene->witness_port;
		if (ret->family)
			return true;
		finding_set(f, SIGHT_ABSENT, "the host has no address but its loopback");
		return false;
	}
	return false;
}

/* TCP may be listed, and then is no probe: it would really go there. */
static bool is_listed(const struct view *v, const struct ip_addr *a, uint16_t port, struct finding *f)
{
	struct host host;
	char text[IP_TEXT_MAX];

	if (!v->subject || v->subject->client == CLIENT_NONE)
		return false;
	host_from_address(a, &host);
	if (!policy_decide(&v->scene->policy, v->subject->client, HOST_OK, &host, port).allow)
		return false;
	finding_set(f, SIGHT_ABSENT, "the pod's list allows %s port %u", ip_format(a, text), port);
	return true;
}

/* What a connection that was not refused gave. A gate's own denial or a TLS alert is a refusal. */
static void judge_talk(const struct talk *t, struct finding *f)
{
	const struct span got = { t->bytes, t->n };
	struct answer answer;
	char buf[80];

	if (memmem(got.p, got.n, WITNESS_WORD, sizeof WITNESS_WORD - 1))
		finding_set(f, SIGHT_THROUGH, "the destination answered");
	else if (answer_parse(got, false, &answer) > 0 && answer.from_gate && !answer_failed_beyond(&answer))
		finding_set(f, SIGHT_HELD, "the gate answers %u %s", answer.status, answer.reason);
	else if (got.n && got.p[0] == 0x15)
		finding_set(f, SIGHT_HELD, "the gate answers with a TLS alert");
	else if (got.n)
		finding_set(f, SIGHT_THROUGH, "somebody answered: %s", talk_text(t, buf, sizeof buf));
	else
		finding_set(f, t->late ? SIGHT_UNCLEAR : SIGHT_HELD, "%s", talk_text(t, buf, sizeof buf));
}

static bool arrived(int receiver, int ms)
{
	struct pollfd p = { .fd = receiver, .events = POLLIN };

	return receiver >= 0 && poll(&p, 1, ms) > 0 && p.revents & POLLIN;
}

void packets_tcp(struct view *v, const struct probe *p, struct finding *f)
{
	const struct packet_case *c = p->data;
	struct ip_addr to;
	uint16_t port;
	char hello[120];
	struct talk t = { 0 };

	if (!find_target(v, c, &to, &port, f) || is_listed(v, &to, port, f))
		return;
	if (v->gate_silent) {
		finding_set(f, SIGHT_NONE, "not tried: the gate does not answer");
		return;
	}
	FD_CLOSE int receiver = c->target == TARGET_WITNESS ? -1 : talk_bound(&to, port, SOCK_STREAM);
	FD_CLOSE int fd = talk_connect(&to, port, SOCK_STREAM, NULL);

	if (fd < 0) {
		finding_set(f, errno == ETIMEDOUT ? SIGHT_UNCLEAR : SIGHT_HELD, "%s", strerror(errno));
		return;
	}
	if (arrived(receiver, v->subject ? 5 : ARRIVES_MS)) {
		finding_set(f, SIGHT_THROUGH, "the connection arrived at its destination");
		return;
	}
	/* What a browser would say on the web's port; elsewhere something that no protocol knows. */
	const char *nonce = v->subject ? v->subject->nonce : v->scene->nonce;
	const bool web = port == 80 && to.family == 4;
	char address[IP_TEXT_MAX];
	const int n = web ? snprintf(hello, sizeof hello, "GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n", nonce, ip_format(&to, address))
			  : snprintf(hello, sizeof hello, "STOCKADE %s.invalid\r\n\r\n", nonce);

	talk_exchange(fd, (struct span) { hello, (size_t)n }, NULL, &t);
	judge_talk(&t, f);
	if (arrived(receiver, 0))
		finding_set(f, SIGHT_THROUGH, "the connection arrived at its destination");
}

/* Waits for the first of: the datagram at the receiver, an answer, the kernel's word that it was refused. */
static void watch_datagram(int fd, int receiver, struct finding *f)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN }, { .fd = receiver, .events = POLLIN } };
	char bytes[64];

	if (poll(fds, 2, REFUSED_MS) == 0) {
		finding_set(f, SIGHT_UNCLEAR, "neither refused nor answered within %d ms", REFUSED_MS);
		return;
	}
	if (fds[1].revents) {
		finding_set(f, SIGHT_THROUGH, "the datagram arrived at its destination");
		return;
	}
	if (recv(fd, bytes, sizeof bytes, 0) >= 0)
		finding_set(f, SIGHT_THROUGH, "the destination answered");
	else
		finding_set(f, SIGHT_HELD, "%s", strerror(errno));
}

void packets_udp(struct view *v, const struct probe *p, struct finding *f)
{
	const struct packet_case *c = p->data;
	struct ip_addr to;
	uint16_t port;
	const char *nonce = v->subject ? v->subject->nonce : v->scene->nonce;

	if (!find_target(v, c, &to, &port, f))
		return;
	FD_CLOSE int receiver = c->target == TARGET_WITNESS ? -1 : talk_bound(&to, port, SOCK_DGRAM);
	FD_CLOSE int fd = talk_connect(&to, port, SOCK_DGRAM, NULL);

	if (fd < 0 || send(fd, nonce, strlen(nonce), MSG_NOSIGNAL) < 0)
		finding_set(f, SIGHT_HELD, "%s", strerror(errno));
	else
		watch_datagram(fd, receiver, f);
}

/* A raw socket receives what is delivered here of its protocol: its own packet, too, if nothing stopped that. */
static bool comes_back(int fd, bool six, const uint8_t *sent, size_t n)
{
	uint8_t got[256];

	while (arrived(fd, ARRIVES_MS)) {
		const ssize_t size = recv(fd, got, sizeof got, 0);
		const size_t head = six ? 0 : size > 0 ? (size_t)(got[0] & 15) * 4 : 0;

		/* The kernel fills in the checksum of ICMPv6. */
		if (size > 0 && (size_t)size == head + n && memcmp(got + head + 4, sent + 4, n - 4) == 0 && got[head] == sent[0])
			return true;
	}
	return false;
}

void packets_raw(struct view *v, const struct probe *p, struct finding *f)
{
	const struct packet_case *c = p->data;
	struct ip_addr to;
	uint16_t port;
	uint8_t packet[40] = { 0 };

	if (!find_target(v, c, &to, &port, f))
		return;
	const bool six = to.family == 6;
	const struct socket_address s = talk_address(&to, 0);
	FD_CLOSE int fd = socket(six ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, c->protocol);

	if (fd < 0) {
		finding_set(f, SIGHT_UNCLEAR, "a raw socket for the attempt: %s", strerror(errno));
		return;
	}
	if (getrandom(packet + 8, sizeof packet - 8, 0) < 0)
		packet[8] = 1;
	packet[0] = c->protocol == IPPROTO_ICMP ? 8 : c->protocol == IPPROTO_ICMPV6 ? 128 : 0;
	if (sendto(fd, packet, sizeof packet, 0, (const struct sockaddr *)&s.address, s.size) < 0)
		finding_set(f, SIGHT_HELD, "%s", strerror(errno));
	else if (comes_back(fd, six, packet, sizeof packet))
		finding_set(f, SIGHT_THROUGH, "the packet was delivered");
	else
		finding_set(f, SIGHT_HELD, "the packet was not delivered");
}

static void answer_tcp(int tcp)
{
	FD_CLOSE int fd = accept4(tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		(void)send(fd, WITNESS_WORD, sizeof WITNESS_WORD - 1, MSG_NOSIGNAL);
}

static void answer_udp(int udp)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof from;
	char bytes[256];

	if (recvfrom(udp, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size) >= 0)
		(void)sendto(udp, WITNESS_WORD, sizeof WITNESS_WORD - 1, MSG_NOSIGNAL, (const struct sockaddr *)&from, size);
}

void packets_witness(int tcp, int udp)
{
	struct pollfd fds[] = { { .fd = tcp, .events = POLLIN }, { .fd = udp, .events = POLLIN } };

	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			answer_tcp(tcp);
		if (fds[1].revents)
			answer_udp(udp);
	}
}
