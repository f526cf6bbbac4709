/* Connects to the first of several addresses that answers (RFC 8305 5): next attempt after 250 ms or at a failure, never more than
 * two under way at once. Exactly the addresses given are dialled; the caller has judged each. */
#ifndef STOCKADE_NET_DIAL_H
#define STOCKADE_NET_DIAL_H

#include <stdint.h>

#include "net/loop.h"
#include "net/resolve.h"

enum { DIAL_NEXT_MS = 250, DIAL_TIMEOUT_MS = 10000 };

struct dial; /* allocated by dial_start, freed by itself after done() or by dial_cancel */
/* done gets a connected non-blocking TCP_NODELAY socket and the address, or -errno (the last failure; -ETIMEDOUT). Never called
 * before dial_start returned. NULL: out of memory or fds (errno). */
struct dial *dial_start(struct loop *l, const struct addresses *a, uint16_t port,
			void (*done)(void *arg, int fd, const struct ip_addr *connected), void *arg);
void dial_cancel(struct dial *d); /* NULL-safe; done is not called */

#endif
