/* The kernel only wakes us: what it says is not read, the addresses are looked up again. Link-local ones of IPv6 come and go with every
 * container on the host; they are in the list, but their change alone is no reason to begin anew, as the whole block is special. */
#include "engine/haproxy_own.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

enum { OWN_MOST = 4096 };

static bool address_of(const struct sockaddr *from, struct ip_addr *ret)
{
	*ret = (struct ip_addr) { 0 };
	if (from && from->sa_family == AF_INET) {
		ret->family = 4;
		memcpy(ret->bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	} else if (from && from->sa_family == AF_INET6) {
		ret->family = 6;
		memcpy(ret->bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
	}
	return ret->family != 0;
}

int haproxy_own_find(struct arena *a, const struct ip_addr **ret, size_t *ret_count, struct err *err)
{
	struct ifaddrs *list = NULL;
	struct ip_addr *own = NULL, one;
	size_t count = 0;

	if (getifaddrs(&list) < 0)
		return err_errno(err, "the host's own addresses");
	for (const struct ifaddrs *i = list; i && count < OWN_MOST; i = i->ifa_next)
		if (address_of(i->ifa_addr, &one))
			ARENA_PUSH(a, own, count) = one;
	freeifaddrs(list);
	*ret = own;
	*ret_count = count;
	return count < OWN_MOST ? 0 : err_set(err, ERR_FAULT, "the host has %d addresses of its own or more", OWN_MOST);
}

/* Of all but the link-local ones, whatever their order. 0: not to be had, or none. */
static uint64_t fingerprint(void)
{
	const struct ip_addr *own;
	struct arena a = { 0 };
	struct err err = { 0 };
	size_t count = 0;
	uint64_t sum = 0;

	if (haproxy_own_find(&a, &own, &count, &err) < 0)
		count = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t h = 14695981039346656037ULL; /* FNV-1a */

		if (own[i].family == 6 && own[i].bytes[0] == 0xfe && (own[i].bytes[1] & 0xc0) == 0x80)
			continue;
		for (size_t k = 0; k < sizeof own[i].bytes; k++)
			h = (h ^ own[i].bytes[k]) * 1099511628211ULL;
		sum += h;
	}
	arena_free(&a);
	return sum;
}

static void settled(struct timer *t)
{
	struct haproxy_own *o = (struct haproxy_own *)((char *)t - offsetof(struct haproxy_own, settle));
	const uint64_t now = fingerprint();

	if (now && now == o->known)
		return;
	o->known = now;
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
	loop_timer_set(o->loop, &o->settle, HAPROXY_OWN_SETTLE_MS);
}

int haproxy_own_watch(struct haproxy_own *o, struct loop *l, void (*changed)(struct haproxy_own *o), struct err *err)
{
	const struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };

	*o = (struct haproxy_own) { .source = { .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE),
						.ready = ready },
				    .settle = { .expired = settled },
				    .loop = l,
				    .changed = changed };
	if (o->source.fd < 0 || bind(o->source.fd, (const struct sockaddr *)&groups, sizeof groups) < 0)
		return err_errno(err, "watching the host's addresses");
	o->known = fingerprint();
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
