/* Policy DNS: the pod's own names and nothing recursive; every other name is NXDOMAIN at once, and logged. Never a packet to
 * anybody. */
#ifndef STOCKADE_GATE_DNS_H
#define STOCKADE_GATE_DNS_H

#include "gate/worker.h"

/* The datagram socket has something to read: answers a bounded number of questions. */
void dns_udp_ready(struct worker *w, struct client *c, int fd);
/* A TCP connection to the DNS listener was accepted. Takes fd. Length-prefixed messages, pipelined, bounded in number and time. */
void dns_tcp_accepted(struct worker *w, struct client *c, int fd);
/* Closes all TCP connections of a client that is detached. */
void dns_close_client(struct worker *w, struct client *c);

#endif
