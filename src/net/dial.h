/* Connects to the first of several addresses that answers (RFC 8305 5): next attempt after 250 ms or at a failure, never more than
 * two under way at once. Exactly the addresses given are dialled; the caller has judged each. */
#ifndef STOCKADE_NET_DIAL_H
#define STOCKADE_NET_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"
#include "net/resolve.h"

enum { DIAL_NEXT_MS = 250, DIAL_TIMEOUT_MS = 10000 };

/* Who counts the sockets of attempts that are under way beside another. */
struct dial_room {
	bool (*may)(
		struct dial_room *r); /* one more? If not, the second attempt takes the place of the first when that is silent. */
	unsigned taken;
};

/* How to dial: `room` outlives the dial; `buffers` bytes are all that the kernel may keep for the socket in either direction, 0: as much
 * as it finds right. */
struct dial_options {
	struct dial_room *room;
	int buffers;
};

struct dial; /* allocated by dial_start, freed by itself after done() or by dial_cancel */
/* done gets a connected non-blocking TCP_NODELAY socket and the address, or -errno (the last failure; -ETIMEDOUT). Never called
 * before dial_start returned. NULL: out of memory or fds (errno). */
struct dial *dial_start(struct loop *l, const struct addresses *a, uint16_t port, const struct dial_options *o,
			void (*done)(void *arg, int fd, const struct ip_addr *connected), void *arg);
void dial_cancel(struct dial *d); /* NULL-safe; done is not called */

#endif
