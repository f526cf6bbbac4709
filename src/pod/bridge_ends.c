#include "pod/bridge_ends.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "pod/netns.h"
#include "pod/rtnl.h"

_Static_assert((int)BRIDGE_MAC == (int)RTNL_MAC && (int)BRIDGE_DEVICE == (int)IF_NAMESIZE, "one size");

/* As every pod sees it, in each form of network. */
static const struct ip_addr gate = { .family = 4, .bytes = { 198, 18, 0, 1 } };

/* Errands are run in a child; this is what it shares with its parent. */
struct job {
	/* Finds a device (ret_device), and does what is to be done in its namespace. */
	int (*fn)(struct job *j, struct rtnl *r, struct rtnl_device *ret_device, struct err *err);
	const struct bridge_wire *wire;
	const struct plan_pod *pod;
	const struct bridge_end *end;
	struct bridge_end found;
	int index; /* of the device that was found */
};

static int inside(void *arg, int *ret_fds, struct err *err)
{
	struct job *j = arg;
	struct rtnl r;
	struct rtnl_device d;

	(void)ret_fds;
	if (rtnl_open(&r, err) < 0)
		return -1;
	const int rc = j->fn(j, &r, &d, err);

	rtnl_close(&r);
	if (rc < 0)
		return -1;
	memcpy(j->found.device, d.name, sizeof j->found.device);
	j->index = d.index;
	return 0;
}

static int run(int netns, const struct job *job, struct job *ret, struct err *err)
{
	struct job *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return err_errno(err, "memory for a child process");
	*shared = *job;
	const int rc = netns_run(netns, inside, shared, NULL, 0, err);

	if (rc == 0)
		*ret = *shared;
	(void)munmap(shared, sizeof *shared);
	return rc;
}

/* --- rtnetlink --- */

static int set_neighbour(struct rtnl *r, int device, const struct ip_addr *a, const uint8_t mac[static BRIDGE_MAC])
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->ndm_family = AF_INET;
	m->ndm_ifindex = device;
	m->ndm_state = NUD_PERMANENT;
	mnl_attr_put(h, NDA_DST, 4, a->bytes);
	mnl_attr_put(h, NDA_LLADDR, BRIDGE_MAC, mac);
	return rtnl_talk(r, h, NULL, NULL);
}

/* to: NULL, everything. */
static int set_route(struct rtnl *r, uint8_t family, int device, const struct ip_addr *to, const struct ip_addr *source)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->rtm_family = family;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_BOOT;
	m->rtm_scope = RT_SCOPE_LINK;
	m->rtm_type = RTN_UNICAST;
	if (to) {
		m->rtm_dst_len = 32;
		mnl_attr_put(h, RTA_DST, 4, to->bytes);
	}
	if (source)
		mnl_attr_put(h, RTA_PREFSRC, 4, source->bytes);
	mnl_attr_put_u32(h, RTA_OIF, (uint32_t)device);
	return rtnl_talk(r, h, NULL, NULL);
}

static int add_address(struct rtnl *r, const struct ip_addr *a)
{
	return rtnl_add_address(r, RTNL_LO, a) < 0 && errno != EEXIST ? -1 : 0;
}

static int setting(const char *family, const char *device, const char *name, const char *value, struct err *err)
{
	char path[128];

	(void)snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", family, device, name);
	const int rc = fd_write_file(path, value);

	errno = -rc;
	return rc < 0 ? err_errno(err, "cannot write %s", path) : 0;
}

static int no_ipv6(const char *device, struct err *err)
{
	return setting("ipv6", device, "disable_ipv6", "1", err) < 0 || setting("ipv6", "default", "disable_ipv6", "1", err) < 0
		       ? -1
		       : 0;
}

/* --- what is there --- */

struct addresses {
	int device;
	struct ip_addr first;
	unsigned count;
};

static int take_local(const struct nlattr *a, void *arg)
{
	struct ip_addr *ret = arg;

	if (mnl_attr_get_type(a) == IFA_LOCAL && mnl_attr_get_payload_len(a) == 4) {
		ret->family = 4;
		memcpy(ret->bytes, mnl_attr_get_payload(a), 4);
	}
	return MNL_CB_OK;
}

static int take_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct addresses *list = arg;

	if (h->nlmsg_type != RTM_NEWADDR || (int)m->ifa_index != list->device)
		return MNL_CB_OK;
	if (list->count++ == 0)
		(void)mnl_attr_parse(h, sizeof *m, take_local, &list->first);
	return MNL_CB_OK;
}

/* Its only IPv4 address. */
static int find_address(struct rtnl *r, const struct rtnl_device *d, struct ip_addr *ret, struct err *err)
{
	struct nlmsghdr *h = rtnl_begin(r, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	struct addresses list = { .device = d->index };

	m->ifa_family = AF_INET;
	if (rtnl_talk(r, h, take_address, &list) < 0)
		return err_errno(err, "cannot list the addresses of %s", d->name);
	if (list.count != 1 || list.first.family != 4)
		return err_set(err, ERR_INPUT, "the device %s has %u IPv4 addresses; one is expected", d->name, list.count);
	*ret = list.first;
	return 0;
}

/* The one device that is up. Those that are not, which a kernel puts into every namespace, are taken out. */
static int find_only(struct rtnl *r, struct rtnl_device *ret, struct err *err)
{
	struct rtnl_devices d;
	size_t up = 0;

	if (rtnl_list(r, &d, err) < 0)
		return -1;
	for (size_t i = 0; i < d.count; i++) {
		if (!d.list[i].up)
			continue;
		*ret = d.list[i];
		up++;
	}
	if (up != 1)
		return err_set(err, ERR_INPUT,
			       "it has %zu network devices besides lo; a pod on a bridge has one, to the gate; was it started with "
			       "other settings than the project's?",
			       up);
	for (size_t i = 0; i < d.count; i++)
		if (!d.list[i].up && rtnl_remove(r, d.list[i].index) < 0)
			return err_errno(err, "the device %s cannot be removed", d.list[i].name);
	return 0;
}

static int find_by_mac(struct rtnl *r, const uint8_t mac[static BRIDGE_MAC], struct rtnl_device *ret, struct err *err)
{
	struct rtnl_devices d;
	char text[BRIDGE_MAC_TEXT];
	size_t count = 0;

	if (rtnl_list(r, &d, err) < 0)
		return -1;
	for (size_t i = 0; i < d.count; i++) {
		if (!d.list[i].up || memcmp(d.list[i].mac, mac, BRIDGE_MAC) != 0)
			continue;
		*ret = d.list[i];
		count++;
	}
	return count == 1 ? 0
			  : err_set(err, ERR_FINDING, "the gate's pod has %zu devices %s, where one is expected", count,
				    bridge_mac_text(mac, text));
}

/* --- the pod's end --- */

static int check_address(const struct bridge_wire *w, const struct ip_addr *a, struct err *err)
{
	char text[IP_TEXT_MAX], net[IP_TEXT_MAX];

	if (ip_in_net(a, &w->net) && !ip_equal(a, &w->gate) && !ip_equal(a, &w->host))
		return 0;
	return err_set(err, ERR_INPUT, "its address %s is none for a pod in its own network, %s/%u", ip_format(a, text),
		       ip_format(&w->net.addr, net), w->net.prefix);
}

static int set_up_pod(struct rtnl *r, const struct job *j, int device, struct err *err)
{
	if (rtnl_up(r, RTNL_LO) < 0)
		return err_errno(err, "cannot bring up lo");
	if (add_address(r, &j->pod->v4) < 0 || add_address(r, &j->pod->v6) < 0)
		return err_errno(err, "cannot give lo the pod's addresses");
	if (set_neighbour(r, device, &gate, j->wire->gate_mac) < 0)
		return err_errno(err, "cannot set the gate as neighbour");
	if (set_route(r, AF_INET, device, &gate, &j->found.address) < 0 || set_route(r, AF_INET, RTNL_LO, NULL, &j->pod->v4) < 0 ||
	    set_route(r, AF_INET6, RTNL_LO, NULL, NULL) < 0)
		return err_errno(err, "cannot set the routes");
	return 0;
}

static int adopt_pod(struct job *j, struct rtnl *r, struct rtnl_device *d, struct err *err)
{
	if (find_only(r, d, err) < 0 || netns_settings(err) < 0 || no_ipv6(d->name, err) < 0 ||
	    find_address(r, d, &j->found.address, err) < 0 || check_address(j->wire, &j->found.address, err) < 0)
		return -1;
	memcpy(j->found.mac, d->mac, sizeof j->found.mac);
	return set_up_pod(r, j, d->index, err);
}

int bridge_ends_adopt_pod(int netns, const struct bridge_wire *w, const struct plan_pod *pod, struct bridge_end *ret,
			  struct err *err)
{
	const struct job job = { .fn = adopt_pod, .wire = w, .pod = pod };
	struct job done;

	if (netns_is_the_hosts(netns, err) < 0 || run(netns, &job, &done, err) < 0)
		return -1;
	*ret = done.found;
	return 0;
}

/* --- the gate's --- */

static int adopt_gate(struct job *j, struct rtnl *r, struct rtnl_device *d, struct err *err)
{
	if (find_by_mac(r, j->wire->gate_mac, d, err) < 0 || netns_settings(err) < 0 || no_ipv6(d->name, err) < 0 ||
	    setting("ipv4", "all", "forwarding", "0", err) < 0)
		return -1;
	if (rtnl_up(r, RTNL_LO) < 0 || add_address(r, &gate) < 0)
		return err_errno(err, "cannot give lo the gate's address");
	return 0;
}

int bridge_ends_adopt_gate(int netns, const struct bridge_wire *outer, char ret[static BRIDGE_DEVICE], struct err *err)
{
	const struct job job = { .fn = adopt_gate, .wire = outer };
	struct job done;

	if (netns_is_the_hosts(netns, err) < 0 || run(netns, &job, &done, err) < 0)
		return -1;
	memcpy(ret, done.found.device, BRIDGE_DEVICE);
	return 0;
}

static int join(struct job *j, struct rtnl *r, struct rtnl_device *d, struct err *err)
{
	if (find_by_mac(r, j->wire->gate_mac, d, err) < 0 || no_ipv6(d->name, err) < 0)
		return -1;
	if (set_neighbour(r, d->index, &j->end->address, j->end->mac) < 0)
		return err_errno(err, "cannot set the pod as neighbour of the gate");
	return 0;
}

int bridge_ends_join(int netns, const struct bridge_wire *w, const struct bridge_end *pod, struct bridge_join *ret, struct err *err)
{
	const struct job job = { .fn = join, .wire = w, .end = pod };
	struct job done;

	if (run(netns, &job, &done, err) < 0)
		return -1;
	*ret = (struct bridge_join) { .index = done.index, .pod = pod };
	memcpy(ret->device, done.found.device, BRIDGE_DEVICE);
	return 0;
}

/* --- the host --- */

int bridge_ends_hush_host(const char *device, struct err *err)
{
	return setting("ipv6", device, "disable_ipv6", "1", err);
}

struct clash {
	const struct bridge_wire *wire;
	unsigned own; /* index of its bridge, 0: none */
	struct ip_net found;
	int device;
};

struct route {
	struct ip_net to;
	uint32_t device;
};

static int take_route_attribute(const struct nlattr *a, void *arg)
{
	struct route *route = arg;

	if (mnl_attr_get_type(a) == RTA_DST && mnl_attr_get_payload_len(a) == 4)
		memcpy(route->to.addr.bytes, mnl_attr_get_payload(a), 4);
	if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_get_payload_len(a) == 4)
		route->device = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int take_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct clash *c = arg;
	struct route route = { .to = { .addr = { .family = 4 }, .prefix = m->rtm_dst_len } };

	/* What leads everywhere, or nearly so, is no claim to this network. */
	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_family != AF_INET || m->rtm_dst_len < 8 || c->device)
		return MNL_CB_OK;
	(void)mnl_attr_parse(h, sizeof *m, take_route_attribute, &route);
	if ((c->own && route.device == c->own) || !plan_bridge_overlaps(c->wire, &route.to))
		return MNL_CB_OK;
	c->found = route.to;
	c->device = route.device ? (int)route.device : -1;
	return MNL_CB_OK;
}

int bridge_ends_check_routes(const struct bridge_wire *w, struct err *err)
{
	struct clash c = { .wire = w, .own = if_nametoindex(w->device) };
	char name[IF_NAMESIZE] = "?", net[IP_TEXT_MAX], theirs[IP_TEXT_MAX];
	struct rtnl r;

	if (rtnl_open(&r, err) < 0)
		return -1;
	struct nlmsghdr *h = rtnl_begin(&r, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->rtm_family = AF_INET;
	int rc = rtnl_talk(&r, h, take_route, &c) < 0 ? err_errno(err, "cannot list the routes") : 0;

	rtnl_close(&r);
	if (rc == 0 && c.device)
		rc = err_set(err, ERR_INPUT,
			     "the network %s/%u, which is the project's by its name, is in use here: there is a route to %s/%u by "
			     "%s; give the project another name (--project)",
			     ip_format(&w->net.addr, net), w->net.prefix, ip_format(&c.found.addr, theirs), c.found.prefix,
			     c.device > 0 && if_indextoname((unsigned)c.device, name) ? name : "no device");
	return rc;
}
