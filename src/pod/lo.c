/* rtnetlink: the loopback device up, the pod's addresses on it, `local default dev lo` in table local for both families. Devices
 * that a kernel puts into every new namespace (tunl0, sit0, ...) are taken out, or the namespace is refused. */
#include "pod/lo.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { MESSAGE_SIZE = 8192, MOST_DEVICES = 32, LO = 1 };

struct rtnl {
	struct mnl_socket *socket;
	unsigned sequence, port;
	_Alignas(struct nlmsghdr) char message[MESSAGE_SIZE];
};

struct devices {
	int index[MOST_DEVICES];
	char name[MOST_DEVICES][IF_NAMESIZE];
	bool up[MOST_DEVICES];
	size_t count;
};

static struct nlmsghdr *begin(struct rtnl *r, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->message);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++r->sequence;
	return h;
}

/* Sends and takes the answers, each data message to cb, until the last or the acknowledgement. 0, or -1 with errno. */
static int talk(struct rtnl *r, const struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	char answer[MESSAGE_SIZE * 4];
	int rc = 1;

	if (mnl_socket_sendto(r->socket, h, h->nlmsg_len) < 0)
		return -1;
	while (rc > 0) {
		const ssize_t n = mnl_socket_recvfrom(r->socket, answer, sizeof answer);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		rc = mnl_cb_run(answer, (size_t)n, r->sequence, r->port, cb, arg);
	}
	return rc;
}

/* --- what is there --- */

static int take_name(const struct nlattr *a, void *arg)
{
	char *name = arg;

	if (mnl_attr_get_type(a) == IFLA_IFNAME && mnl_attr_validate(a, MNL_TYPE_STRING) >= 0)
		(void)snprintf(name, IF_NAMESIZE, "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

static int take_device(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct devices *d = arg;

	if (h->nlmsg_type != RTM_NEWLINK || (info->ifi_index == LO && info->ifi_flags & IFF_LOOPBACK))
		return MNL_CB_OK;
	if (d->count == MOST_DEVICES) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	d->index[d->count] = info->ifi_index;
	d->up[d->count] = info->ifi_flags & IFF_UP;
	(void)mnl_attr_parse(h, sizeof *info, take_name, d->name[d->count]);
	d->count++;
	return MNL_CB_OK;
}

static int list_devices(struct rtnl *r, struct devices *d, struct err *err)
{
	struct nlmsghdr *h = begin(r, RTM_GETLINK, NLM_F_DUMP);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_family = AF_UNSPEC;
	*d = (struct devices) { 0 };
	return talk(r, h, take_device, d) < 0 ? err_errno(err, "cannot list the devices of the new network namespace") : 0;
}

static int remove_others(struct rtnl *r, struct err *err)
{
	struct devices d;

	if (list_devices(r, &d, err) < 0)
		return -1;
	for (size_t i = 0; i < d.count; i++) {
		struct nlmsghdr *h = begin(r, RTM_DELLINK, NLM_F_ACK);
		struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

		info->ifi_index = d.index[i];
		if (talk(r, h, NULL, NULL) < 0)
			return err_errno(err,
					 "the kernel puts the device %s into every new network namespace; "
					 "write 1 to /proc/sys/net/core/fb_tunnels_only_for_init_net so that it does not",
					 d.name[i]);
	}
	if (d.count && list_devices(r, &d, err) < 0)
		return -1;
	return d.count ? err_set(err, ERR_FAULT, "the new network namespace has a device besides lo: %s", d.name[0]) : 0;
}

/* --- what is to be there --- */

static int bring_up(struct rtnl *r)
{
	struct nlmsghdr *h = begin(r, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_index = LO;
	info->ifi_flags = info->ifi_change = IFF_UP;
	return talk(r, h, NULL, NULL);
}

static int add_address(struct rtnl *r, const struct ip_addr *a)
{
	struct nlmsghdr *h = begin(r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	const size_t size = a->family == 4 ? 4 : 16;

	m->ifa_family = a->family == 4 ? AF_INET : AF_INET6;
	m->ifa_prefixlen = (uint8_t)(size * 8);
	m->ifa_flags = a->family == 4 ? 0 : IFA_F_NODAD;
	m->ifa_index = LO;
	mnl_attr_put(h, IFA_LOCAL, size, a->bytes);
	mnl_attr_put(h, IFA_ADDRESS, size, a->bytes);
	return talk(r, h, NULL, NULL);
}

static int add_local_default(struct rtnl *r, uint8_t family)
{
	struct nlmsghdr *h = begin(r, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->rtm_family = family;
	m->rtm_table = RT_TABLE_LOCAL;
	m->rtm_protocol = RTPROT_BOOT;
	m->rtm_scope = RT_SCOPE_HOST;
	m->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(h, RTA_OIF, LO);
	return talk(r, h, NULL, NULL);
}

static int set_up(struct rtnl *r, const struct ip_addr *v4, const struct ip_addr *v6, struct err *err)
{
	if (remove_others(r, err) < 0)
		return -1;
	if (bring_up(r) < 0)
		return err_errno(err, "cannot bring up lo");
	if (add_address(r, v4) < 0 || add_address(r, v6) < 0)
		return err_errno(err, "cannot give lo the pod's addresses");
	if (add_local_default(r, AF_INET) < 0 || add_local_default(r, AF_INET6) < 0)
		return err_errno(err, "cannot make every destination local");
	return 0;
}

static int open_socket(struct rtnl *r, struct err *err)
{
	*r = (struct rtnl) { .socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC) };
	if (!r->socket || mnl_socket_bind(r->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		(void)err_errno(err, "cannot speak to the kernel about devices");
		if (r->socket)
			(void)mnl_socket_close(r->socket);
		return -1;
	}
	r->port = mnl_socket_get_portid(r->socket);
	return 0;
}

int lo_set_up(const struct ip_addr *v4, const struct ip_addr *v6, struct err *err)
{
	struct rtnl r;

	if (open_socket(&r, err) < 0)
		return -1;
	const int rc = set_up(&r, v4, v6, err);

	(void)mnl_socket_close(r.socket);
	return rc;
}

int lo_check_alone(struct err *err)
{
	struct rtnl r;
	struct devices d;

	if (open_socket(&r, err) < 0)
		return -1;
	int rc = list_devices(&r, &d, err);

	for (size_t i = 0; rc == 0 && i < d.count; i++)
		if (d.up[i])
			rc = err_set(err, ERR_INPUT, "it has the network device %s; a pod has lo and nothing else", d.name[i]);
	(void)mnl_socket_close(r.socket);
	return rc;
}
