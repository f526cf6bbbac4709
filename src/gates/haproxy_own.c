/* The kernel only wakes us: what it says then is not read, its table is looked up again, with every route that ends at the host itself:
 * addresses, ranges, broadcast and anycast, in whichever table. Link-local ones of IPv6 come and go with every container on the host; they
 * are in the list, but their change alone is no reason to begin anew, as the whole block is special. */
#include "gates/haproxy_own.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "pod/rtnl.h"

enum { OWN_MOST = 4096 };

/* --- the table --- */

struct listing {
	struct arena *arena;
	struct ip_net *nets;
	size_t count;
};

static int take_destination(const struct nlattr *a, void *arg)
{
	struct ip_addr *to = arg;

	if (mnl_attr_get_type(a) == RTA_DST && mnl_attr_get_payload_len(a) == (to->family == 4 ? 4 : 16))
		memcpy(to->bytes, mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	return MNL_CB_OK;
}

static bool is_asked_first(const struct rtmsg *m)
{
	return m->rtm_table == RT_TABLE_LOCAL || m->rtm_table == RT_TABLE_MAIN || m->rtm_table == RT_TABLE_DEFAULT;
}

static int take_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct listing *l = arg;

	if (h->nlmsg_type != RTM_NEWROUTE || (m->rtm_family != AF_INET && m->rtm_family != AF_INET6))
		return MNL_CB_OK;
	if (m->rtm_type != RTN_LOCAL && m->rtm_type != RTN_ANYCAST && m->rtm_type != RTN_BROADCAST)
		return MNL_CB_OK;
	/* "local default" in a table of its own is a transparent proxy's, for marked packets; ours carry no mark. */
	if (m->rtm_dst_len == 0 && !is_asked_first(m))
		return MNL_CB_OK;
	if (l->count == OWN_MOST) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	struct ip_net net = { { .family = m->rtm_family == AF_INET ? 4 : 6 }, m->rtm_dst_len };

	if (mnl_attr_parse(h, sizeof *m, take_destination, &net.addr) < 0)
		return MNL_CB_ERROR;
	ARENA_PUSH(l->arena, l->nets, l->count) = net;
	return MNL_CB_OK;
}

static int list_routes(struct rtnl *r, uint8_t family, uint8_t type, struct listing *l)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->rtm_family = family;
	m->rtm_type = type;
	return rtnl_talk(r, h, take_route, l);
}

static int list_all(struct rtnl *r, struct listing *l)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 }, types[] = { RTN_LOCAL, RTN_ANYCAST, RTN_BROADCAST };
	int on = 1;

	/* The kernel looks the type up, so that a large table of other routes is not carried here. */
	if (mnl_socket_setsockopt(r->socket, NETLINK_GET_STRICT_CHK, &on, sizeof on) < 0)
		return -1;
	for (size_t i = 0; i < sizeof families * sizeof types; i++)
		if (list_routes(r, families[i % sizeof families], types[i / sizeof families], l) < 0)
			return -1;
	return 0;
}

/* Of all but the link-local ones, whatever their order. */
static uint64_t fingerprint(const struct ip_net *nets, size_t count)
{
	uint64_t sum = 1;

	for (size_t i = 0; i < count; i++) {
		uint64_t h = (14695981039346656037ULL ^ nets[i].prefix) * 1099511628211ULL; /* FNV-1a */

		if (nets[i].addr.family == 6 && nets[i].addr.bytes[0] == 0xfe && (nets[i].addr.bytes[1] & 0xc0) == 0x80)
			continue;
		for (size_t k = 0; k < sizeof nets[i].addr.bytes; k++)
			h = (h ^ nets[i].addr.bytes[k]) * 1099511628211ULL;
		sum += h;
	}
	return sum;
}

int haproxy_own_find(struct arena *a, struct haproxy_own_list *ret, struct err *err)
{
	struct listing l = { .arena = a };
	struct rtnl r;

	if (rtnl_open(&r, err) < 0)
		return -1;
	const int rc = list_all(&r, &l), why = errno;

	rtnl_close(&r);
	errno = why;
	if (rc < 0)
		return err_errno(err, "the host's own addresses (at most %d)", OWN_MOST);
	*ret = (struct haproxy_own_list) { l.nets, l.count, fingerprint(l.nets, l.count) };
	return 0;
}

bool haproxy_own_is(uint64_t print)
{
	struct haproxy_own_list now = { 0 };
	struct arena a = { 0 };
	struct err err = { 0 };
	const bool same = haproxy_own_find(&a, &now, &err) == 0 && now.print == print;

	arena_free(&a);
	return same;
}

/* --- its changes --- */

static void settled(struct timer *t)
{
	struct haproxy_own *o = (struct haproxy_own *)((char *)t - offsetof(struct haproxy_own, settle));

	o->changed(o);
}

static void ready(struct source *s, uint32_t events)
{
	struct haproxy_own *o = (struct haproxy_own *)((char *)s - offsetof(struct haproxy_own, source));
	char trash[8192];
	ssize_t n;

	/* One that was lost for want of room is a change as well. */
	do
		n = recv(s->fd, trash, sizeof trash, MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
	if (!o->settle.prev) /* others that follow do not put it off */
		loop_timer_set(o->loop, &o->settle, HAPROXY_OWN_SETTLE_MS);
}

int haproxy_own_watch(struct haproxy_own *o, struct loop *l, void (*changed)(struct haproxy_own *o), struct err *err)
{
	const struct sockaddr_nl groups = { .nl_family = AF_NETLINK,
					    .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
							 RTMGRP_IPV6_ROUTE };

	*o = (struct haproxy_own) { .source = { .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE),
						.ready = ready },
				    .settle = { .expired = settled },
				    .loop = l,
				    .changed = changed };
	if (o->source.fd < 0 || bind(o->source.fd, (const struct sockaddr *)&groups, sizeof groups) < 0)
		return err_errno(err, "watching the host's addresses");
	const int rc = loop_watch(l, &o->source, EPOLLIN);

	if (rc == 0)
		return 0;
	errno = -rc;
	return err_errno(err, "watching the host's addresses");
}

void haproxy_own_end(struct haproxy_own *o)
{
	if (!o->loop)
		return;
	loop_timer_cancel(o->loop, &o->settle);
	loop_forget(o->loop, &o->source);
	fd_close(&o->source.fd);
	o->loop = NULL;
}
