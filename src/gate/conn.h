/* A connection from a pod, from its first byte to its last: reading requests, deciding, dialling, passing bytes. conn.c has its
 * life and its states, reach.c the way from a name to a connected server, http.c the exchange of requests and replies, tunnel.c
 * CONNECT and captured TLS, handshake.c what lies between a TLS greeting and a tunnel, socks.c how SOCKS asks for a tunnel, answer.c the gate's own answers, conn_log.c its lines in the decision
 * log. */
#ifndef STOCKADE_GATE_CONN_H
#define STOCKADE_GATE_CONN_H

#include "gate/worker.h"

/* Buffers and scratch of a worker. NULL: out of memory. */
struct conn_pools *conn_pools_new(void);
void conn_pools_free(struct conn_pools *p);
/* After a batch: spare memory of a flood that is over goes back to the kernel, at most once in CONN_TRIM_MS. false: it is too early, and
 * to be asked again after that. */
enum { CONN_TRIM_MS = 1000 };
bool conn_pools_trim(struct conn_pools *p, uint64_t now_ms);

/* A connection was accepted at a transparent listener of client c. Takes fd (non-blocking, close-on-exec). */
void conn_accepted(struct worker *w, struct client *c, int fd);
/* The worker has adopted a new generation (and set every client's number): closes what it no longer allows. Returns how many were
 * closed. */
uint32_t conn_rejudge(struct worker *w);
/* Closes all connections of a client that is detached. */
void conn_close_client(struct worker *w, struct client *c);
/* No further request on any connection; idle ones are closed. */
void conn_drain(struct worker *w);

#endif
