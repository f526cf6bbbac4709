#include "net/own.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

enum { ANY_PORT = 9 };

int own_open(struct own *o, struct err *err)
{
	o->v4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	o->v6 = o->v4 < 0 ? -1 : socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (o->v4 >= 0 && (o->v6 >= 0 || errno == EAFNOSUPPORT))
		return 0;
	(void)err_errno(err, "cannot make a socket that tells the host's own addresses");
	own_close(o);
	return -1;
}

void own_close(struct own *o)
{
	fd_close(&o->v4);
	fd_close(&o->v6);
}

/* The socket forgets what it was connected to, and with it the address that it had. */
static void dissolve(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	(void)connect(fd, &none, sizeof none);
}

static bool leads_nowhere(int number)
{
	return number == ENETUNREACH || number == EHOSTUNREACH || number == EADDRNOTAVAIL || number == EACCES || number == EINVAL;
}

/* wanted and got: the address bytes in `to` and `self`. */
static bool is_own(int fd, const void *to, void *self, socklen_t size, const void *wanted, const void *got, size_t bytes)
{
	socklen_t length = size;

	if (connect(fd, to, size) < 0)
		return !leads_nowhere(errno);
	const bool same = getsockname(fd, self, &length) < 0 || memcmp(wanted, got, bytes) == 0;

	dissolve(fd);
	return same;
}

bool own_has(const struct own *o, const struct ip_addr *a)
{
	struct sockaddr_in to4 = { .sin_family = AF_INET, .sin_port = htons(ANY_PORT) }, self4 = { 0 };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6, .sin6_port = htons(ANY_PORT) }, self6 = { 0 };

	if (a->family == 4) {
		memcpy(&to4.sin_addr, a->bytes, 4);
		return is_own(o->v4, &to4, &self4, sizeof to4, &to4.sin_addr, &self4.sin_addr, 4);
	}
	/* Without IPv6 nothing is dialled there either. */
	memcpy(&to6.sin6_addr, a->bytes, 16);
	return is_own(o->v6, &to6, &self6, sizeof to6, &to6.sin6_addr, &self6.sin6_addr, 16);
}
