/* RTM_GETROUTE, one address a question. The kernel answers while it is asked, so that the answer is there when send() returns and
 * nothing is waited for. Whatever is not clearly a route to somewhere else, or none at all, makes the address the host's own. */
#include "net/own.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

enum { ANSWER_MAX = 4096, ANSWERS_MAX = 8 /* left over from earlier questions */ };

int own_socket(void)
{
	const struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	FD_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	return fd < 0 || bind(fd, (const struct sockaddr *)&self, sizeof self) < 0 ? -errno : fd_steal(&fd);
}

int own_open(struct own *o, struct err *err)
{
	*o = (struct own) { .fd = own_socket(), .host = -1 };
	if (o->fd >= 0)
		return 0;
	errno = -o->fd;
	o->fd = -1;
	return err_errno(err, "cannot make a socket that tells the host's own addresses");
}

void own_close(struct own *o)
{
	fd_close(&o->fd);
}

/* --- the answer --- */

/* A route that forbids or swallows (EACCES, EINVAL) is none that may be dialled, and stays forbidden. */
static enum own_answer parse_error(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof e->error))
		return OWN_YES;
	switch (-e->error) {
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EOPNOTSUPP: /* the kernel has no such family: there nothing can be dialled either */
		return OWN_NO;
	default:
		return OWN_YES;
	}
}

enum own_answer own_parse(const void *bytes, size_t n, uint32_t sequence, uint8_t family)
{
	const struct nlmsghdr *h = bytes;

	if (n < sizeof *h || h->nlmsg_len < sizeof *h || h->nlmsg_len > n)
		return OWN_YES;
	if (h->nlmsg_seq != sequence)
		return OWN_OTHER;
	if (h->nlmsg_type == NLMSG_ERROR)
		return parse_error(h);
	const struct rtmsg *m = NLMSG_DATA(h);

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof *m) || m->rtm_family != family)
		return OWN_YES;
	/* The rest is local, broadcast, anycast, multicast, or unknown here. */
	return m->rtm_type == RTN_UNICAST || m->rtm_type == RTN_UNREACHABLE ? OWN_NO : OWN_YES;
}

/* --- asking --- */

struct question {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[16];
};

_Static_assert(offsetof(struct question, address) == NLMSG_LENGTH(sizeof(struct rtmsg)) + RTA_LENGTH(0), "as the kernel reads it");

static bool ask(int fd, uint32_t sequence, const struct ip_addr *a, uint8_t family)
{
	const uint8_t size = a->family == 4 ? 4 : 16;
	struct question q = {
		.header = { .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = sequence },
		.route = { .rtm_family = family, .rtm_dst_len = (uint8_t)(size * 8) },
		.attribute = { .rta_type = RTA_DST, .rta_len = (unsigned short)RTA_LENGTH(size) },
	};

	memcpy(q.address, a->bytes, size);
	q.header.nlmsg_len = (uint32_t)(offsetof(struct question, address) + size);
	return send(fd, &q, q.header.nlmsg_len, 0) == (ssize_t)q.header.nlmsg_len;
}

static bool has(int fd, uint32_t sequence, const struct ip_addr *a)
{
	_Alignas(struct nlmsghdr) char bytes[ANSWER_MAX];
	const uint8_t family = a->family == 4 ? AF_INET : AF_INET6;

	if (!ask(fd, sequence, a, family))
		return true;
	for (int i = 0; i < ANSWERS_MAX; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof from;
		const ssize_t n = recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &size);

		if (n < 0)
			return true;
		if (from.nl_pid != 0) /* 0 is the kernel */
			continue;
		const enum own_answer answer = own_parse(bytes, (size_t)n, sequence, family);

		if (answer != OWN_OTHER)
			return answer == OWN_YES;
	}
	return true;
}

bool own_has(struct own *o, const struct ip_addr *a)
{
	o->sequence++;
	return has(o->fd, o->sequence, a) || (o->host >= 0 && has(o->host, o->sequence, a));
}
