/* Packets that a pod's jail refused, told by the kernel (NFLOG): a line each in the decision log. */
#ifndef STOCKADE_GATE_DROPS_H
#define STOCKADE_GATE_DROPS_H

#include "gate/worker.h"
#include "wire/ip_packet.h"

/* The netlink socket has something to read: logs a bounded number of packets. */
void drops_ready(struct worker *w, struct client *c, int fd);
/* Calls seen() for each packet that a datagram of the kernel tells of. What is malformed ends it, or is passed over. */
void drops_parse(struct span datagram, void (*seen)(void *arg, const struct ip_packet *p), void *arg);

#endif
