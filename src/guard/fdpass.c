/* SCM_RIGHTS. What arrives is either whole and taken over, or closed: no descriptor is ever left without an owner. */
#include "guard/fdpass.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Aligned as the kernel's control messages are. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

int fdpass_send(int sock, const void *bytes, size_t n, const int *fds, size_t count)
{
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = n };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	union control control = { 0 };

	/* An empty packet would look like the end. */
	if (n == 0 || count > FDPASS_MAX)
		return -EINVAL;
	if (count) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(count * sizeof *fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof *fds);
		memcpy(CMSG_DATA(c), fds, count * sizeof *fds);
	}
	for (;;) {
		const ssize_t done = sendmsg(sock, &m, MSG_NOSIGNAL);

		if (done >= 0)
			return (size_t)done == n ? 0 : -EPROTO;
		if (errno != EINTR)
			return -errno;
	}
}

/* All descriptors that came, into `ret`; false when something else came with them. */
static bool take_descriptors(struct msghdr *m, int ret[static FDPASS_MAX], size_t *ret_count)
{
	bool good = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			good = false;
			continue;
		}
		const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof *ret;

		if (count > FDPASS_MAX - *ret_count)
			return false; /* more than the buffer has room for: cannot be */
		memcpy(ret + *ret_count, CMSG_DATA(c), count * sizeof *ret);
		*ret_count += count;
	}
	return good;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)close(fds[i]);
}

/* Off the queue; its descriptors are there already. */
static void take_packet(int sock)
{
	char byte;

	while (recv(sock, &byte, sizeof byte, MSG_DONTWAIT) < 0 && errno == EINTR)
		;
}

ssize_t fdpass_receive(int sock, void *bytes, size_t size, int *fds, size_t max, size_t *ret_count)
{
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	int came[FDPASS_MAX];
	size_t count = 0;
	ssize_t n;

	*ret_count = 0;
	/* Looked at first: a packet whose descriptors find no place would be lost with them. */
	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	const bool good = take_descriptors(&m, came, &count);

	if (good && count < FDPASS_MAX && (m.msg_flags & MSG_CTRUNC)) {
		close_all(came, count);
		return -EMFILE;
	}
	take_packet(sock);
	if (!good || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || count > max || (n == 0 && count)) {
		close_all(came, count);
		return -EPROTO;
	}
	if (count)
		memcpy(fds, came, count * sizeof *fds);
	*ret_count = count;
	return n;
}
