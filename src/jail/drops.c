/* nfnetlink_log: refused packets of one group as messages to a netlink socket. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/jail.h"

enum { COPIED_BYTES = 96, FLUSH_CENTISECONDS = 1, MESSAGES_AT_ONCE = 16, BUFFER = 8192, ANSWER_SECONDS = 2 };

/* The acknowledgement of message `sequence`; log messages that are there already are passed over. 0, or -1 with errno. */
static int await_answer(int fd, uint32_t sequence)
{
	_Alignas(struct nlmsghdr) char bytes[BUFFER];

	for (;;) {
		const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
		int left = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		for (struct nlmsghdr *h = (struct nlmsghdr *)bytes; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq != sequence)
				continue;
			errno = -((const struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
			return errno ? -1 : 0;
		}
	}
}

static struct nlmsghdr *begin(char *bytes, unsigned group, uint32_t sequence)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = sequence;
	struct nfgenmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);

	m->nfgen_family = AF_UNSPEC;
	m->version = NFNETLINK_V0;
	m->res_id = htons((uint16_t)group);
	return h;
}

static int talk(int fd, const struct nlmsghdr *h)
{
	return send(fd, h, h->nlmsg_len, 0) < 0 ? -1 : await_answer(fd, h->nlmsg_seq);
}

static int configure(int fd, unsigned group)
{
	_Alignas(struct nlmsghdr) char bytes[BUFFER];
	struct nlmsghdr *h = begin(bytes, group, 1);
	const struct nfulnl_msg_config_cmd bind_command = { .command = NFULNL_CFG_CMD_BIND };

	mnl_attr_put(h, NFULA_CFG_CMD, sizeof bind_command, &bind_command);
	if (talk(fd, h) < 0)
		return -1;
	h = begin(bytes, group, 2);
	const struct nfulnl_msg_config_mode mode = { .copy_range = htonl(COPIED_BYTES), .copy_mode = NFULNL_COPY_PACKET };

	mnl_attr_put(h, NFULA_CFG_MODE, sizeof mode, &mode);
	mnl_attr_put_u32(h, NFULA_CFG_TIMEOUT, htonl(FLUSH_CENTISECONDS));
	mnl_attr_put_u32(h, NFULA_CFG_QTHRESH, htonl(MESSAGES_AT_ONCE));
	return talk(fd, h);
}

int jail_open_drops(unsigned group, struct err *err)
{
	const struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	const struct timeval limit = { .tv_sec = ANSWER_SECONDS }, none = { 0 };
	FD_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof any) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
		return err_errno(err, "cannot open the log of refused packets");
	if (configure(fd, group) < 0)
		return err_errno(err, "cannot listen to the log group %u", group);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none) < 0 || fd_set_nonblock(fd) < 0)
		return err_errno(err, "cannot make the log of refused packets non-blocking");
	return fd_steal(&fd);
}
