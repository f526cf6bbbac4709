/* A pod's network namespace. It belongs to the user namespace that the supervisor lives in, never to a container's, so root in a
 * container has no power over it. Everything that happens inside happens in short-lived children. */
#include "pod/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "plan/plan.h"
#include "pod/errand.h"
#include "pod/lo.h"

enum { BACKLOG = 1024 };

static int write_sysctls(struct err *err)
{
	static const struct {
		const char *path, *value;
	} list[] = {
		{ "/proc/sys/net/ipv4/ip_unprivileged_port_start", "0" }, /* a pod's server on port 80 needs no capability */
		{ "/proc/sys/net/ipv4/ping_group_range", "1 0" },         /* nobody may make ping sockets */
		{ "/proc/sys/net/ipv6/conf/all/disable_ipv6", "0" },      /* the host's setting may have been inherited */
		{ "/proc/sys/net/ipv6/conf/lo/disable_ipv6", "0" },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		const int rc = fd_write_file(list[i].path, list[i].value);

		if (rc < 0) {
			errno = -rc;
			return err_errno(err, "cannot write %s", list[i].path);
		}
	}
	return 0;
}

static int check_ipv6(struct err *err)
{
	FD_CLOSE int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		return err_set(err, ERR_FAULT, "this kernel has no IPv6, and half a wall is none: start it without ipv6.disable=1");
	return fd < 0 ? err_errno(err, "cannot make an IPv6 socket") : 0;
}

int netns_settings(struct err *err)
{
	return check_ipv6(err) < 0 ? -1 : write_sysctls(err);
}

static int create(void *arg, int *ret_fds, struct err *err)
{
	const struct ip_addr *const *addresses = arg;

	if (unshare(CLONE_NEWNET) < 0)
		return err_errno(err, "cannot make a network namespace");
	if (netns_settings(err) < 0 || lo_set_up(addresses[0], addresses[1], err) < 0)
		return -1;
	ret_fds[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return ret_fds[0] < 0 ? err_errno(err, "cannot open the new network namespace") : 0;
}

int netns_create(const struct ip_addr *v4, const struct ip_addr *v6, struct err *err)
{
	const struct ip_addr *addresses[] = { v4, v6 };
	int fd = -1;

	return errand_run(create, addresses, &fd, 1, err) < 0 ? -1 : fd;
}

/* --- one that is there --- */

int netns_is_the_hosts(int netns, struct err *err)
{
	static const char *const own[] = { "/proc/self/ns/net", "/proc/1/ns/net" };
	struct stat st, host;

	if (fstat(netns, &st) < 0)
		return err_errno(err, "the network namespace");
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		if (stat(own[i], &host) < 0) {
			/* Process 1 may be hidden, even from root; then the devices tell (lo_check_alone). */
			if (i == 1 && errno == EACCES)
				continue;
			return err_errno(err, "%s", own[i]);
		}
		if (st.st_ino == host.st_ino && st.st_dev == host.st_dev)
			return err_set(err, ERR_INPUT, "it is in the host's own network namespace");
	}
	return 0;
}

static int adopt(void *arg, int *ret_fds, struct err *err)
{
	const struct ip_addr *const *addresses = arg;

	if (lo_check_alone(err) < 0 || netns_settings(err) < 0)
		return -1;
	return lo_set_up(addresses[0], addresses[1], err);
}

int netns_adopt(int netns, const struct ip_addr *v4, const struct ip_addr *v6, struct err *err)
{
	const struct ip_addr *addresses[] = { v4, v6 };

	return netns_is_the_hosts(netns, err) < 0 ? -1 : netns_run(netns, adopt, addresses, NULL, 0, err);
}

struct netns_errand {
	int netns;
	errand_fn *fn;
	void *arg;
};

static int go_in(void *arg, int *ret_fds, struct err *err)
{
	const struct netns_errand *e = arg;

	if (setns(e->netns, CLONE_NEWNET) < 0)
		return err_errno(err, "cannot enter the network namespace");
	return e->fn(e->arg, ret_fds, err);
}

int netns_run(int netns, int (*fn)(void *arg, int *ret_fds, struct err *err), void *arg, int *ret_fds, size_t count,
	      struct err *err)
{
	struct netns_errand e = { .netns = netns, .fn = fn, .arg = arg };

	return errand_run(go_in, &e, ret_fds, count, err);
}

/* --- the gate's listeners --- */

static int set_option(int fd, int level, int name)
{
	const int on = 1;

	return setsockopt(fd, level, name, &on, sizeof on);
}

/* device: NULL, any. */
static int bind_any(int fd, int family, uint16_t port, const char *device)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0)
		return -1;
	return family == AF_INET ? bind(fd, (const struct sockaddr *)&v4, sizeof v4)
				 : bind(fd, (const struct sockaddr *)&v6, sizeof v6);
}

static int set_v6_only(int fd, int value)
{
	return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof value);
}

/* lo's segments are 64 KiB: a client that writes little by little, and waits for its last segment to be acknowledged (Nagle), would wait for
 * our delayed acknowledgement, 40 ms a time. With segments of a usual size the kernel acknowledges soon. */
enum { SEGMENT_BYTES = 1400 };

/* device: NULL, transparent and captured; else the proxy's port on that device alone. */
static int tcp(int family, const char *device)
{
	const int segment = SEGMENT_BYTES;
	FD_CLOSE int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR) < 0)
		return -1;
	if (family == AF_INET6 && set_v6_only(fd, 1) < 0)
		return -1;
	if (!device &&
	    (family == AF_INET ? set_option(fd, IPPROTO_IP, IP_TRANSPARENT) : set_option(fd, IPPROTO_IPV6, IPV6_TRANSPARENT)) < 0)
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment) < 0)
		return -1;
	return bind_any(fd, family, device ? PLAN_PROXY_PORT : PLAN_TPROXY_PORT, device) < 0 || listen(fd, BACKLOG) < 0
		       ? -1
		       : fd_steal(&fd);
}

static int dns_tcp(const char *device)
{
	FD_CLOSE int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 || set_option(fd, SOL_SOCKET, SO_REUSEADDR) < 0 || set_v6_only(fd, 0) < 0 ||
			       bind_any(fd, AF_INET6, PLAN_DNS_PORT, device) < 0 || listen(fd, BACKLOG) < 0
		       ? -1
		       : fd_steal(&fd);
}

/* An answer goes out from the address that was asked, any address at all: hence the free binding. */
static int dns_udp(const char *device)
{
	FD_CLOSE int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 || set_v6_only(fd, 0) < 0 || set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO) < 0 ||
			       set_option(fd, IPPROTO_IP, IP_PKTINFO) < 0 || set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND) < 0 ||
			       bind_any(fd, AF_INET6, PLAN_DNS_PORT, device) < 0
		       ? -1
		       : fd_steal(&fd);
}

static int listeners(void *arg, int *ret_fds, struct err *err)
{
	const char *device = arg;

	if ((ret_fds[GATE_TCP4] = tcp(AF_INET, device)) < 0 || (ret_fds[GATE_TCP6] = tcp(AF_INET6, device)) < 0)
		return err_errno(err, "cannot listen on the port %d", device ? PLAN_PROXY_PORT : PLAN_TPROXY_PORT);
	if ((ret_fds[GATE_DNS_TCP] = dns_tcp(device)) < 0 || (ret_fds[GATE_DNS_UDP] = dns_udp(device)) < 0)
		return err_errno(err, "cannot listen on the DNS port %d", PLAN_DNS_PORT);
	return 0;
}

int netns_listeners(int netns, const char *device, int ret_fds[static GATE_LISTENER_COUNT], struct err *err)
{
	return netns_run(netns, listeners, (void *)device, ret_fds, GATE_LISTENER_COUNT, err);
}

static int one_socket(void *arg, int *ret_fds, struct err *err)
{
	const int *how = arg;

	ret_fds[0] = socket(how[0], how[1] | SOCK_CLOEXEC, how[2]);
	return ret_fds[0] < 0 ? err_errno(err, "cannot make a socket") : 0;
}

int netns_socket(int netns, int family, int type, int protocol, struct err *err)
{
	int how[] = { family, type, protocol }, fd = -1;

	return netns_run(netns, one_socket, how, &fd, 1, err) < 0 ? -1 : fd;
}
