/* Sockets as probes use them: everything has a time limit, and what happened is told, not judged. */
#ifndef STOCKADE_VERIFY_TALK_H
#define STOCKADE_VERIFY_TALK_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/span.h"
#include "policy/address.h"

enum { TALK_MS = 1500, TALK_BYTES = 16 * 1024 };

struct socket_address {
	struct sockaddr_storage address;
	socklen_t size;
};
struct socket_address talk_address(const struct ip_addr *a, uint16_t port);

/* A socket bound to an address of this namespace; TCP: listening. Non-blocking. -1 with errno. */
int talk_bound(const struct ip_addr *a, uint16_t port, int type);
/* A connected non-blocking socket (SOCK_STREAM or SOCK_DGRAM), from an address of this namespace unless NULL. -1 with errno. */
int talk_connect(const struct ip_addr *to, uint16_t port, int type, const struct ip_addr *from);

struct talk {
	int limit_ms; /* 0: TALK_MS */
	char bytes[TALK_BYTES];
	size_t n;
	int error;              /* errno of the socket; 0 */
	bool ended, late, full; /* by the other side; by the time limit; for lack of room */
};
/* Sends, unless empty, and receives until enough() says so (NULL: the first bytes), the end or the time limit. Bytes of before are
 * kept. */
void talk_exchange(int fd, struct span say, bool (*enough)(struct span got), struct talk *t);
/* In a few words: "reset", "closed", "no answer within 1500 ms", "12 bytes". */
const char *talk_text(const struct talk *t, char *buf, size_t size);

#endif
