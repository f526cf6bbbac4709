#include "verify/netlink.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"

#define DEVICE "verify0"

/* A request under construction; zeroed, NLMSG_ALIGNTO-aligned. */
struct request {
	_Alignas(4) char bytes[512];
	size_t used;
};

static void *add(struct request *r, size_t n)
{
	void *at = r->bytes + r->used;

	r->used += NLMSG_ALIGN(n);
	return at;
}

static struct nlmsghdr *add_message(struct request *r, unsigned type, unsigned flags, const void *head, size_t n)
{
	struct nlmsghdr *h = add(r, sizeof *h);

	*h = (struct nlmsghdr) { .nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
	memcpy(add(r, n), head, n);
	h->nlmsg_len = (uint32_t)(r->bytes + r->used - (char *)h);
	return h;
}

static void *add_attribute(struct request *r, struct nlmsghdr *h, unsigned type, const void *value, size_t n)
{
	struct nlattr *a = add(r, NLA_HDRLEN + n);

	*a = (struct nlattr) { .nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = (uint16_t)type };
	if (n)
		memcpy((char *)a + NLA_HDRLEN, value, n);
	h->nlmsg_len = (uint32_t)(r->bytes + r->used - (char *)h);
	return a;
}

static int open_socket(int protocol)
{
	FD_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	const struct timeval limit = { .tv_sec = 1 };

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
		return -1;
	return fd_steal(&fd);
}

/* The first acknowledgement. */
static int ask(int protocol, const struct request *r)
{
	FD_CLOSE int fd = open_socket(protocol);
	_Alignas(4) char in[4096];

	if (fd < 0 || send(fd, r->bytes, r->used, 0) < 0)
		return errno;
	const ssize_t n = recv(fd, in, sizeof in, 0);
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)in;

	if (n < 0)
		return errno;
	if (!NLMSG_OK(h, (size_t)n) || h->nlmsg_type != NLMSG_ERROR)
		return EPROTO;
	return -((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static int add_kind(const char *kind)
{
	struct request r = { 0 };
	const struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nlmsghdr *h = add_message(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &info, sizeof info);

	(void)add_attribute(&r, h, IFLA_IFNAME, DEVICE, sizeof DEVICE);
	struct nlattr *nest = add_attribute(&r, h, IFLA_LINKINFO, NULL, 0);

	(void)add_attribute(&r, h, IFLA_INFO_KIND, kind, strlen(kind) + 1);
	nest->nla_len = (uint16_t)(r.bytes + r.used - (char *)nest);
	return ask(NETLINK_ROUTE, &r);
}

int netlink_link_add(void)
{
	static const char *const kinds[] = { "dummy", "veth", "bridge" };
	int rc = EOPNOTSUPP;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && rc == EOPNOTSUPP; i++)
		rc = add_kind(kinds[i]);
	return rc;
}

int netlink_address_add(const char *device)
{
	static const uint8_t address[4] = { 192, 0, 2, 1 };
	struct request r = { 0 };
	const struct ifaddrmsg info = { .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = if_nametoindex(device) };
	struct nlmsghdr *h = add_message(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &info, sizeof info);

	(void)add_attribute(&r, h, IFA_LOCAL, address, sizeof address);
	return ask(NETLINK_ROUTE, &r);
}

int netlink_route_delete(void)
{
	struct request r = { 0 };
	const struct rtmsg route = {
		.rtm_family = AF_INET, .rtm_table = RT_TABLE_LOCAL, .rtm_type = RTN_LOCAL, .rtm_scope = RT_SCOPE_NOWHERE
	};

	(void)add_message(&r, RTM_DELROUTE, NLM_F_ACK, &route, sizeof route);
	return ask(NETLINK_ROUTE, &r);
}

int netlink_nft_flush(void)
{
	struct request r = { 0 };
	const struct nfgenmsg batch = { .nfgen_family = AF_UNSPEC,
					.version = NFNETLINK_V0,
					.res_id = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8) };
	const struct nfgenmsg all = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };

	(void)add_message(&r, NFNL_MSG_BATCH_BEGIN, 0, &batch, sizeof batch);
	(void)add_message(&r, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, NLM_F_ACK, &all, sizeof all);
	(void)add_message(&r, NFNL_MSG_BATCH_END, 0, &batch, sizeof batch);
	return ask(NETLINK_NETFILTER, &r);
}

int netlink_link_up(const char *name)
{
	FD_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	(void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return errno;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? errno : 0;
}

/* A route without a device leads nowhere (blackhole, unreachable), but nobody should have added it. */
static bool leads_to_lo(const struct nlmsghdr *h, unsigned lo)
{
	const struct rtmsg *m = NLMSG_DATA(h);
	int left = (int)RTM_PAYLOAD(h);

	for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		uint32_t device;

		if (a->rta_type == RTA_GATEWAY || a->rta_type == RTA_MULTIPATH)
			return false;
		if (a->rta_type != RTA_OIF || RTA_PAYLOAD(a) != sizeof device)
			continue;
		memcpy(&device, RTA_DATA(a), sizeof device);
		return device == lo;
	}
	return false;
}

/* One datagram of a dump. 1: more to come. */
static int read_routes(int fd, unsigned lo, size_t *all, size_t *foreign)
{
	_Alignas(4) char in[32 * 1024];
	const ssize_t n = recv(fd, in, sizeof in, 0);

	if (n < 0)
		return -errno;
	size_t left = (size_t)n;

	for (const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)in; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -EPROTO;
		if (h->nlmsg_type != RTM_NEWROUTE)
			continue;
		(*all)++;
		*foreign += !leads_to_lo(h, lo);
	}
	return 1;
}

int netlink_routes(size_t *ret_all, size_t *ret_foreign)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	const unsigned lo = if_nametoindex("lo");

	*ret_all = *ret_foreign = 0;
	for (size_t i = 0; i < sizeof families; i++) {
		FD_CLOSE int fd = open_socket(NETLINK_ROUTE);
		struct request r = { 0 };
		const struct rtmsg any = { .rtm_family = families[i] };
		int rc;

		(void)add_message(&r, RTM_GETROUTE, NLM_F_DUMP, &any, sizeof any);
		if (fd < 0 || send(fd, r.bytes, r.used, 0) < 0)
			return errno;
		while ((rc = read_routes(fd, lo, ret_all, ret_foreign)) > 0)
			;
		if (rc < 0)
			return -rc;
	}
	return 0;
}
