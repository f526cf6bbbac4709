/* The gate's limits that can be set (stockade up --limit NAME=VALUE): one table, from which come the names, what may be given, the
 * arguments of the gate and the counters in its status. docs/limits.md tells what happens at each. None can be switched off. */
#ifndef STOCKADE_GATE_LIMITS_H
#define STOCKADE_GATE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* X(constant, name, unit, default, least, most, what it bounds); times in ms. */
#define GATE_LIMITS(X)                                                                                                     \
	X(CONNECTIONS, "connections", COUNT, 65536, 1, 1048576, "open connections of one pod")                             \
	X(HEADS_PER_SECOND, "heads-per-second", COUNT, 50000, 1, 1000000,                                                  \
	  "request heads, SOCKS requests and TLS greetings of one pod in a second")                                        \
	X(BUFFER_MEMORY, "buffer-memory", COUNT, 67108864, 131072, 999999999,                                              \
	  "bytes of large buffers of one pod, for heads beyond 16 KiB")                                                    \
	X(DNS_CONNECTIONS, "dns-connections", COUNT, 64, 1, 4096, "open TCP connections of one pod to its resolver")       \
	X(IDLE_TIME, "idle-time", TIME, 60000, 100, 86400000, "no request on a new or kept connection")                    \
	X(FIRST_BYTE_TIME, "first-byte-time", TIME, 5000, 100, 86400000, "a captured connection names no host")            \
	X(HEAD_TIME, "head-time", TIME, 15000, 100, 86400000,                                                              \
	  "a request head, a SOCKS request, or a TLS greeting in a tunnel is not whole")                                   \
	X(REACH_TIME, "reach-time", TIME, 15000, 100, 15000, "resolving a name, or connecting to its server")              \
	X(EXCHANGE_TIME, "exchange-time", TIME, 300000, 100, 86400000, "no byte either way in a request or its reply")     \
	X(REST_TIME, "rest-time", TIME, 2000, 100, 86400000, "no byte of a request whose whole reply came before its end") \
	X(TUNNEL_TIME, "tunnel-time", TIME, 3600000, 100, 86400000, "no byte either way in a tunnel")                      \
	X(ANSWER_TIME, "answer-time", TIME, 15000, 100, 86400000, "the gate's own answer is not taken")                    \
	X(DRAIN_TIME, "drain-time", TIME, 2000, 100, 86400000, "the client does not end after the last answer")            \
	X(DNS_IDLE_TIME, "dns-idle-time", TIME, 10000, 100, 86400000, "no question on a TCP connection to the pods' resolver")

enum gate_limit {
#define X(constant, ...) LIMIT_##constant,
	GATE_LIMITS(X)
#undef X
		LIMIT_COUNT
};

struct gate_limits {
	uint32_t of[LIMIT_COUNT];
};

enum { LIMIT_TEXT_MAX = 48 }; /* any "NAME=VALUE", with its NUL */

void limits_default(struct gate_limits *ret);
const char *limit_name(enum gate_limit l);
/* Takes "NAME=VALUE" over. A time is 500ms, 60s, 5m or 1h, a count a plain number. -1: it is not known or out of range; the error
 * says which there are. */
int limits_set(struct gate_limits *limits, const char *text, struct err *err);
/* What limits_set takes, into ret; returns ret. */
const char *limits_format(const struct gate_limits *limits, enum gate_limit l, char ret[static LIMIT_TEXT_MAX]);

#endif
