/* rtnetlink: the loopback device up, the pod's addresses on it, `local default dev lo` in table local for both families. Devices
 * that a kernel puts into every new namespace (tunl0, sit0, ...) are taken out, or the namespace is refused. */
#include "pod/lo.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "pod/rtnl.h"

static int remove_others(struct rtnl *r, struct err *err)
{
	struct rtnl_devices d;

	if (rtnl_list(r, &d, err) < 0)
		return -1;
	for (size_t i = 0; i < d.count; i++)
		if (rtnl_remove(r, d.list[i].index) < 0)
			return err_errno(err,
					 "the kernel puts the device %s into every new network namespace; "
					 "write 1 to /proc/sys/net/core/fb_tunnels_only_for_init_net so that it does not",
					 d.list[i].name);
	if (d.count && rtnl_list(r, &d, err) < 0)
		return -1;
	return d.count ? err_set(err, ERR_FAULT, "the new network namespace has a device besides lo: %s", d.list[0].name) : 0;
}

static int add_local_default(struct rtnl *r, uint8_t family)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->rtm_family = family;
	m->rtm_table = RT_TABLE_LOCAL;
	m->rtm_protocol = RTPROT_BOOT;
	m->rtm_scope = RT_SCOPE_HOST;
	m->rtm_type = RTN_LOCAL;
	mnl_attr_put_u32(h, RTA_OIF, RTNL_LO);
	return rtnl_talk(r, h, NULL, NULL);
}

static int set_up(struct rtnl *r, const struct ip_addr *v4, const struct ip_addr *v6, struct err *err)
{
	if (remove_others(r, err) < 0)
		return -1;
	if (rtnl_up(r, RTNL_LO) < 0)
		return err_errno(err, "cannot bring up lo");
	if (rtnl_add_address(r, RTNL_LO, v4) < 0 || rtnl_add_address(r, RTNL_LO, v6) < 0)
		return err_errno(err, "cannot give lo the pod's addresses");
	if (add_local_default(r, AF_INET) < 0 || add_local_default(r, AF_INET6) < 0)
		return err_errno(err, "cannot make every destination local");
	return 0;
}

int lo_set_up(const struct ip_addr *v4, const struct ip_addr *v6, struct err *err)
{
	struct rtnl r;

	if (rtnl_open(&r, err) < 0)
		return -1;
	const int rc = set_up(&r, v4, v6, err);

	rtnl_close(&r);
	return rc;
}

int lo_check_alone(struct err *err)
{
	struct rtnl r;
	struct rtnl_devices d;

	if (rtnl_open(&r, err) < 0)
		return -1;
	int rc = rtnl_list(&r, &d, err);

	for (size_t i = 0; rc == 0 && i < d.count; i++)
		if (d.list[i].up)
			rc = err_set(err, ERR_INPUT, "it has the network device %s; a pod has lo and nothing else", d.list[i].name);
	rtnl_close(&r);
	return rc;
}
