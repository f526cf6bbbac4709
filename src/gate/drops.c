/* The kernel writes the netlink messages, the pod the packets inside. Both are read as strangers' bytes. */
#include "gate/drops.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 32, DATAGRAM_MAX = 32 * 1024 }; /* NFLOG gathers messages up to a page or two */

/* --- parsing --- */

static bool is_packet(const struct nlmsghdr *h)
{
	return h->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) &&
	       mnl_nlmsg_get_payload_len(h) >= sizeof(struct nfgenmsg);
}

/* The packet's bytes; n 0 when there are none. Bounded by the message's own length, not the padded one that mnl_attr_for_each
 * takes. */
static struct span find_payload(const struct nlmsghdr *h)
{
	const struct nlattr *a = mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));
	const char *end = (const char *)h + h->nlmsg_len;

	for (; (const char *)a < end && mnl_attr_ok(a, (int)(end - (const char *)a)); a = mnl_attr_next(a))
		if (mnl_attr_get_type(a) == NFULA_PAYLOAD)
			return (struct span) { mnl_attr_get_payload(a), mnl_attr_get_payload_len(a) };
	return (struct span) { 0 };
}

/* libmnl's walk over messages takes a length as signed, and goes backwards on one that is too large; hence not by it. */
void drops_parse(struct span datagram, void (*seen)(void *arg, const struct ip_packet *p), void *arg)
{
	struct ip_packet p;

	while (datagram.n >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = (const void *)datagram.p;
		const size_t size = h->nlmsg_len, step = (size + NLMSG_ALIGNTO - 1) & ~(size_t)(NLMSG_ALIGNTO - 1);

		if (size < sizeof *h || size > datagram.n)
			return;
		if (is_packet(h) && ip_packet_parse(find_payload(h), &p))
			seen(arg, &p);
		datagram = span_skip(datagram, step < datagram.n ? step : datagram.n);
	}
}

/* --- logging --- */

struct owner {
	struct worker *worker;
	struct client *client;
};

static void log_packet(void *arg, const struct ip_packet *p)
{
	const struct owner *o = arg;
	char number[4];
	struct decision d = {
		.event = DECISION_END,
		.client = o->client->name,
		.adapter = ADAPTER_JAIL,
		.detail = ip_protocol_name(p->protocol),
		.port = p->port,
		.address = { .family = p->family },
		.reason = REASON_NOT_PROXIED,
		.rule = RULE_NONE,
	};

	worker_count(&o->worker->counters.packets_refused, 1);
	if (!worker_may_log(o->worker, &o->client->drop_lines, CLIENT_DROP_LINES))
		return;
	if (!d.detail) {
		(void)snprintf(number, sizeof number, "%u", p->protocol);
		d.detail = number;
	}
	memcpy(d.address.bytes, p->destination, p->family == 4 ? 4 : 16);
	audit_write(o->worker->audit, o->worker->index, o->worker->generation, &d);
}

void drops_ready(struct worker *w, struct client *c, int fd)
{
	_Alignas(struct nlmsghdr) char datagram[DATAGRAM_MAX];
	struct owner owner = { w, c };

	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof from;
		const ssize_t n = recvfrom(fd, datagram, sizeof datagram, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

		if (n < 0 && errno == ENOBUFS)
			worker_count(&w->counters.log_dropped, 1); /* the kernel does not say how many */
		else if (n < 0 && errno != EINTR)
			return;
		else if (n > 0 && from.nl_pid == 0) /* 0 is the kernel */
			drops_parse((struct span) { datagram, (size_t)n }, log_packet, &owner);
	}
}
