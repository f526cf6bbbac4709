#include "verify/talk.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

struct socket_address talk_address(const struct ip_addr *a, uint16_t port)
{
	struct socket_address s = { 0 };

	if (a->family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)&s.address;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->bytes, 4);
		s.size = sizeof *in;
	} else {
		struct sockaddr_in6 *in = (struct sockaddr_in6 *)&s.address;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons(port);
		memcpy(&in->sin6_addr, a->bytes, 16);
		s.size = sizeof *in;
	}
	return s;
}

static int new_socket(const struct ip_addr *a, int type)
{
	return socket(a->family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int talk_bound(const struct ip_addr *a, uint16_t port, int type)
{
	const struct socket_address s = talk_address(a, port);
	FD_CLOSE int fd = new_socket(a, type);
	const int one = 1;

	/* An IPv6 address that is local by a route alone is no address of a device. */
	if (fd < 0 || (a->family == 6 && setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &one, sizeof one) < 0) ||
	    (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0) ||
	    bind(fd, (const struct sockaddr *)&s.address, s.size) < 0 || (type == SOCK_STREAM && listen(fd, 8) < 0))
		return -1;
	return fd_steal(&fd);
}

/* How a connection attempt ends: 0, or its errno. */
static int connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t size = sizeof error;

	if (poll(&p, 1, TALK_MS) == 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

int talk_connect(const struct ip_addr *to, uint16_t port, int type, const struct ip_addr *from)
{
	const struct socket_address s = talk_address(to, port);
	FD_CLOSE int fd = new_socket(to, type);
	const int one = 1;

	if (fd < 0 || (type == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one) < 0))
		return -1;
	if (from) {
		const struct socket_address f = talk_address(from, 0);

		if (bind(fd, (const struct sockaddr *)&f.address, f.size) < 0)
			return -1;
	}
	int rc = connect(fd, (const struct sockaddr *)&s.address, s.size) < 0 ? errno : 0;

	if (rc == EINPROGRESS)
		rc = connected(fd);
	if (rc) {
		errno = rc;
		return -1;
	}
	return fd_steal(&fd);
}

static void send_all(int fd, struct span say, uint64_t until, struct talk *t)
{
	while (say.n && !t->error) {
		const ssize_t n = send(fd, say.p, say.n, MSG_NOSIGNAL);

		if (n >= 0) {
			say = span_skip(say, (size_t)n);
			continue;
		}
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (errno != EAGAIN && errno != EINTR)
			t->error = errno;
		else if (clock_now_ns() > until)
			t->error = ETIMEDOUT;
		else
			(void)poll(&p, 1, 50);
	}
}

/* One read, after waiting for it. */
static void receive(int fd, uint64_t until, struct talk *t)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const uint64_t now = clock_now_ns();

	if (now >= until || poll(&p, 1, (int)((until - now) / 1000000) + 1) == 0) {
		t->late = true;
		return;
	}
	const ssize_t n = recv(fd, t->bytes + t->n, sizeof t->bytes - t->n, 0);

	if (n > 0)
		t->n += (size_t)n;
	else if (n == 0)
		t->ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		t->error = errno;
}

void talk_exchange(int fd, struct span say, bool (*enough)(struct span got), struct talk *t)
{
	const uint64_t until = clock_now_ns() + (uint64_t)(t->limit_ms ? t->limit_ms : TALK_MS) * 1000000;
	const size_t before = t->n;

	/* A gate that refuses the first bytes may have answered and closed while the rest was sent: what it said still counts. */
	send_all(fd, say, until, t);
	const int sending = t->error;

	t->error = 0;
	while (!t->ended && !t->late && !t->error && !t->full) {
		receive(fd, until, t);
		t->full = t->n == sizeof t->bytes;
		if (t->n > before && (!enough || enough((struct span) { t->bytes, t->n })))
			return;
	}
	if (!t->error && t->n == before)
		t->error = sending;
}

const char *talk_text(const struct talk *t, char *buf, size_t size)
{
	if (t->n)
		(void)snprintf(buf, size, "%zu bytes%s", t->n, t->ended ? ", then closed" : "");
	else if (t->error)
		(void)snprintf(buf, size, "%s", strerror(t->error));
	else if (t->late)
		(void)snprintf(buf, size, "no answer within %d ms", t->limit_ms ? t->limit_ms : TALK_MS);
	else
		(void)snprintf(buf, size, "closed without a word");
	return buf;
}
