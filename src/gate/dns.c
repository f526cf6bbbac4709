/* One function answers (answer_question); the rest carries its bytes. A datagram is answered from the very address that was asked,
 * since a resolver takes no answer from another. A TCP connection reads no further while an answer waits to be sent. */
#include "gate/dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/dns_msg.h"

enum { UDP_BATCH = 64, TTL_S = 10, CLASS_IN = 1 };
enum { TCP_MESSAGE_MAX = 4096, PREFIX = 2 };

/* --- the answer --- */

static void log_denied(struct worker *w, struct client *c, const struct dns_question *q, enum reason reason)
{
	const struct decision d = {
		.event = DECISION_END,
		.client = c->name,
		.adapter = ADAPTER_DNS,
		.host = q->name_length ? (struct span) { q->name, q->name_length } : SPAN_LITERAL("."),
		.reason = reason,
		.rule = RULE_NONE,
	};

	if (worker_may_log(w, &c->dns_lines, CLIENT_DNS_LINES))
		audit_write(w->audit, w->index, w->generation, &d);
}

/* What is asked of a name of ours: its address of the family asked for, or nothing. */
static struct span address_asked(const struct dns_question *q, const struct ip_addr *v4, const struct ip_addr *v6)
{
	if (q->type == DNS_A && v4->family == 4)
		return (struct span) { (const char *)v4->bytes, 4 };
	if (q->type == DNS_AAAA && v6->family == 6)
		return (struct span) { (const char *)v6->bytes, 16 };
	return (struct span) { 0 };
}

/* The answer to msg, into out. 0: none. The root and other classes are not "no such name": we have no say there, hence REFUSED. */
static size_t answer_question(struct worker *w, struct client *c, struct span msg, char out[static DNS_ANSWER_MAX])
{
	struct dns_question q;
	struct ip_addr v4 = { 0 }, v6 = { 0 };
	int rcode;

	worker_count(&w->counters.dns_queries, 1);
	if (dns_question_parse(msg, &q, &rcode) != WIRE_DONE)
		return rcode < 0 ? 0 : dns_error_write(msg, rcode, out, DNS_ANSWER_MAX);
	if (c->number == CLIENT_NONE) {
		log_denied(w, c, &q, REASON_UNKNOWN_CLIENT);
		return dns_answer_write(&q, DNS_REFUSED, (struct span) { 0 }, 0, out, DNS_ANSWER_MAX);
	}
	if (q.class == CLASS_IN && snapshot_name(&w->generation->snapshot, (struct span) { q.name, q.name_length }, &v4, &v6))
		return dns_answer_write(&q, DNS_NOERROR, address_asked(&q, &v4, &v6), TTL_S, out, DNS_ANSWER_MAX);
	log_denied(w, c, &q, REASON_DNS_NAME);
	const enum dns_rcode no = q.class == CLASS_IN && q.name_length > 0 ? DNS_NXDOMAIN : DNS_REFUSED;

	return dns_answer_write(&q, no, (struct span) { 0 }, 0, out, DNS_ANSWER_MAX);
}

/* --- datagrams --- */

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/* The address that was asked; an IPv4 one comes as ::ffff:a.b.c.d, and may be given back so. */
static bool find_asked(struct msghdr *m, struct in6_pktinfo *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO || c->cmsg_len != CMSG_LEN(sizeof *ret))
			continue;
		memcpy(ret, CMSG_DATA(c), sizeof *ret);
		return true;
	}
	return false;
}

static void send_answer(int fd, const struct msghdr *question, const struct in6_pktinfo *asked, char *bytes, size_t n)
{
	struct iovec part = { bytes, n };
	union control control = { 0 };
	struct msghdr m = {
		.msg_name = question->msg_name,
		.msg_namelen = question->msg_namelen,
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof *asked),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	const struct in6_pktinfo from = { .ipi6_addr = asked->ipi6_addr };

	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof from);
	memcpy(CMSG_DATA(c), &from, sizeof from);
	(void)sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL); /* a lost datagram is asked for again */
}

/* False: nothing more to read. */
static bool answer_datagram(struct worker *w, struct client *c, int fd)
{
	char in[DNS_UDP_MAX], out[DNS_ANSWER_MAX];
	struct sockaddr_in6 from;
	struct in6_pktinfo asked;
	union control control;
	struct iovec part = { in, sizeof in };
	struct msghdr m = {
		.msg_name = &from,
		.msg_namelen = sizeof from,
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	const ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

	if (n < 0)
		return errno != EAGAIN; /* an ICMP error of an earlier answer: taken off the socket by this */
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !find_asked(&m, &asked))
		return true;
	const size_t size = answer_question(w, c, (struct span) { in, (size_t)n }, out);

	if (size)
		send_answer(fd, &m, &asked, out, size);
	return true;
}

void dns_udp_ready(struct worker *w, struct client *c, int fd)
{
	for (int i = 0; i < UDP_BATCH && answer_datagram(w, c, fd); i++)
		;
}

/* --- TCP --- */

struct dns_conn {
	struct source source;
	struct timer idle;
	struct deferred free;
	struct dns_conn *next, **prev;
	struct worker *worker;
	struct client *client;
	size_t in_used, out_sent, out_used;
	char in[PREFIX + TCP_MESSAGE_MAX];
	char out[PREFIX + DNS_ANSWER_MAX];
};

static void conn_free(struct deferred *d)
{
	free((char *)d - offsetof(struct dns_conn, free));
}

static void conn_close(struct dns_conn *t)
{
	struct loop *l = t->worker->loop;

	loop_forget(l, &t->source);
	loop_timer_cancel(l, &t->idle);
	(void)close(t->source.fd);
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->client->dns_conn_count--;
	t->free.run = conn_free;
	loop_defer(l, &t->free);
}

static void idle_expired(struct timer *timer)
{
	struct dns_conn *t = (struct dns_conn *)((char *)timer - offsetof(struct dns_conn, idle));

	worker_limited(t->worker, LIMIT_DNS_IDLE_TIME);
	conn_close(t);
}

/* Sends what waits. False: the connection is broken. */
static bool flush(struct dns_conn *t)
{
	while (t->out_sent < t->out_used) {
		const ssize_t n = send(t->source.fd, t->out + t->out_sent, t->out_used - t->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		t->out_sent += (size_t)n;
	}
	t->out_sent = t->out_used = 0;
	return true;
}

/* Size of the message at in[at], with its prefix; 0: not whole yet. */
static size_t message_size(const struct dns_conn *t, size_t at)
{
	if (t->in_used - at < PREFIX)
		return 0;
	return PREFIX + ((size_t)(uint8_t)t->in[at] << 8 | (uint8_t)t->in[at + 1]);
}

static bool answer_message(struct dns_conn *t, struct span msg)
{
	const size_t n = answer_question(t->worker, t->client, msg, t->out + PREFIX);

	if (n == 0)
		return false;
	t->out[0] = (char)(n >> 8);
	t->out[1] = (char)n;
	t->out_used = PREFIX + n;
	loop_timer_set(t->worker->loop, &t->idle, t->worker->limits.of[LIMIT_DNS_IDLE_TIME]);
	return flush(t);
}

/* Answers what is whole, as long as the answers go out. False: close it. */
static bool answer_messages(struct dns_conn *t)
{
	size_t at = 0, size;
	bool good = true;

	while (good && t->out_used == 0 && (size = message_size(t, at)) != 0) {
		good = size <= sizeof t->in;
		if (!good || size > t->in_used - at)
			break;
		good = answer_message(t, (struct span) { t->in + at + PREFIX, size - PREFIX });
		at += size;
	}
	memmove(t->in, t->in + at, t->in_used - at);
	t->in_used -= at;
	return good;
}

/* False: at the end, or broken. */
static bool read_some(struct dns_conn *t)
{
	const ssize_t n = recv(t->source.fd, t->in + t->in_used, sizeof t->in - t->in_used, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	t->in_used += (size_t)n;
	return n > 0;
}

static void tcp_ready(struct source *s, uint32_t events)
{
	struct dns_conn *t = (struct dns_conn *)((char *)s - offsetof(struct dns_conn, source));
	bool good = !(events & EPOLLERR);

	if (good && t->out_used > 0)
		good = flush(t);
	else if (good)
		good = read_some(t);
	if (good && t->out_used == 0)
		good = answer_messages(t);
	if (!good || loop_watch(t->worker->loop, s, t->out_used > 0 ? EPOLLOUT : EPOLLIN) < 0)
		conn_close(t);
}

void dns_tcp_accepted(struct worker *w, struct client *c, int fd)
{
	const bool full = c->dns_conn_count >= w->limits.of[LIMIT_DNS_CONNECTIONS];
	struct dns_conn *t = full ? NULL : calloc(1, sizeof *t);

	if (full)
		worker_limited(w, LIMIT_DNS_CONNECTIONS);
	if (!t) {
		worker_refuse(w, c, fd, ADAPTER_DNS);
		return;
	}
	t->source = (struct source) { .fd = fd, .ready = tcp_ready };
	t->idle.expired = idle_expired;
	t->worker = w;
	t->client = c;
	t->next = c->dns_conns;
	t->prev = &c->dns_conns;
	if (t->next)
		t->next->prev = &t->next;
	c->dns_conns = t;
	c->dns_conn_count++;
	loop_timer_set(w->loop, &t->idle, w->limits.of[LIMIT_DNS_IDLE_TIME]);
	if (loop_watch(w->loop, &t->source, EPOLLIN) < 0)
		conn_close(t);
}

void dns_close_client(struct worker *w, struct client *c)
{
	(void)w;
	while (c->dns_conns)
		conn_close(c->dns_conns);
}
