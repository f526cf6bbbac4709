#include "pod/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int rtnl_open(struct rtnl *r, struct err *err)
{
	*r = (struct rtnl) { .socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC) };
	if (!r->socket || mnl_socket_bind(r->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		(void)err_errno(err, "cannot speak to the kernel about devices");
		rtnl_close(r);
		return -1;
	}
	r->port = mnl_socket_get_portid(r->socket);
	return 0;
}

void rtnl_close(struct rtnl *r)
{
	if (r->socket)
		(void)mnl_socket_close(r->socket);
	r->socket = NULL;
}

struct nlmsghdr *rtnl_begin(struct rtnl *r, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(r->message);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++r->sequence;
	return h;
}

int rtnl_talk(struct rtnl *r, const struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	char answer[RTNL_MESSAGE * 4];
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

/* --- devices --- */

static int take_attribute(const struct nlattr *a, void *arg)
{
	struct rtnl_device *d = arg;

	if (mnl_attr_get_type(a) == IFLA_IFNAME && mnl_attr_validate(a, MNL_TYPE_STRING) >= 0)
		(void)snprintf(d->name, IF_NAMESIZE, "%s", mnl_attr_get_str(a));
	if (mnl_attr_get_type(a) == IFLA_ADDRESS && mnl_attr_get_payload_len(a) == RTNL_MAC)
		memcpy(d->mac, mnl_attr_get_payload(a), RTNL_MAC);
	return MNL_CB_OK;
}

static int take_device(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct rtnl_devices *d = arg;

	if (h->nlmsg_type != RTM_NEWLINK || (info->ifi_index == RTNL_LO && info->ifi_flags & IFF_LOOPBACK))
		return MNL_CB_OK;
	if (d->count == RTNL_DEVICES) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	d->list[d->count] = (struct rtnl_device) { .index = info->ifi_index, .up = info->ifi_flags & IFF_UP };
	(void)mnl_attr_parse(h, sizeof *info, take_attribute, &d->list[d->count]);
	d->count++;
	return MNL_CB_OK;
}

int rtnl_list(struct rtnl *r, struct rtnl_devices *d, struct err *err)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_GETLINK, NLM_F_DUMP);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_family = AF_UNSPEC;
	d->count = 0;
	return rtnl_talk(r, h, take_device, d) < 0 ? err_errno(err, "cannot list the devices of a network namespace") : 0;
}

int rtnl_up(struct rtnl *r, int device)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_index = device;
	info->ifi_flags = info->ifi_change = IFF_UP;
	return rtnl_talk(r, h, NULL, NULL);
}

int rtnl_remove(struct rtnl *r, int device)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_DELLINK, NLM_F_ACK);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(h, sizeof *info);

	info->ifi_index = device;
	return rtnl_talk(r, h, NULL, NULL);
}

int rtnl_add_address(struct rtnl *r, int device, const struct ip_addr *a)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	const size_t size = a->family == 4 ? 4 : 16;

	m->ifa_family = a->family == 4 ? AF_INET : AF_INET6;
	m->ifa_prefixlen = (uint8_t)(size * 8);
	m->ifa_flags = a->family == 4 ? 0 : IFA_F_NODAD;
	m->ifa_index = (unsigned)device;
	mnl_attr_put(h, IFA_LOCAL, size, a->bytes);
	mnl_attr_put(h, IFA_ADDRESS, size, a->bytes);
	return rtnl_talk(r, h, NULL, NULL);
}
