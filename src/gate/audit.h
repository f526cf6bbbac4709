/* The decision log: one JSON line a decision, formatted by the worker that decided into its own bounded ring and written by a
 * thread of its own, so that no disk ever holds up a worker. A full ring loses lines and counts them. */
#ifndef STOCKADE_GATE_AUDIT_H
#define STOCKADE_GATE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "policy/address.h"
#include "policy/reason.h"

struct generation;

/* X(constant, word in the log) */
#define ADAPTERS(X)                                          \
	X(HTTP, "http")         /* absolute-form request */  \
	X(CONNECT, "connect")   /* CONNECT */                \
	X(SOCKS, "socks")       /* CONNECT of SOCKS 5 */     \
	X(CAPTURED, "captured") /* before a name was read */ \
	X(CAPTURED_TLS, "captured-tls")                      \
	X(CAPTURED_HTTP, "captured-http")                    \
	X(DNS, "dns")                                        \
	X(JAIL, "jail") /* a refused packet */

enum adapter {
#define X(constant, word) ADAPTER_##constant,
	ADAPTERS(X)
#undef X
		ADAPTER_COUNT
};

enum decision_event {
	DECISION_END,  /* the decision and all that came of it: bytes and duration are whole */
	DECISION_OPEN, /* a tunnel or captured connection is open; a DECISION_END follows */
};

struct decision {
	enum decision_event event;
	const char *client;
	enum adapter adapter;
	const char *method; /* HTTP, or NULL */
	struct span host; /* canonical when it could be made so; else as sent (any bytes: shown escaped, at most 256) ; n 0: none */
	uint16_t port;    /* 0: none */
	struct ip_addr address; /* dialled, or asked for; family 0: none */
	bool allow;
	enum reason reason;
	const char *detail; /* a few more words ("two Host fields", "udp"), or NULL */
	uint32_t rule;      /* of the generation, or RULE_NONE */
	uint16_t status;    /* HTTP status given to the client; 0 none */
	uint64_t bytes_up, bytes_down;
	uint64_t duration_us;
};

struct audit;
/* rings: one a worker. The thread is started by audit_start (before the lockdown ends thread creation, after signals are blocked).
 */
struct audit *audit_new(unsigned rings, struct err *err);
int audit_start(struct audit *a, struct err *err);
/* Where lines go from now on; the old one is closed. Takes fd. Any thread. */
void audit_set_file(struct audit *a, int fd);
/* From the thread of ring `ring` only. time, project, generation and hash are added. */
void audit_write(struct audit *a, unsigned ring, const struct generation *g, const struct decision *d);
uint64_t audit_dropped(const struct audit *a);
void audit_free(struct audit *a); /* writes what is left, stops the thread */

#endif
