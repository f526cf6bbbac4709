/* A connection as the files that move it see it (those that conn.h names); nobody else includes this.
 *
 * What each state reads, and what it leaves by (an error, a reset, a limit or a revocation lead to CLOSED from each):
 * - HEAD: the client. A whole request head (http.c), a SOCKS request (socks.c), a captured TLS greeting (tunnel.c), an answer, the
 *   idle limit.
 * - RESOLVE: nothing. The name's addresses, each judged.
 * - CONNECT: nothing. A connected server, or an answer.
 * - EXCHANGE: client and server. The end of both messages: HEAD again, or DRAIN; 101: TUNNEL; a kept server that has ended: HEAD.
 * - HELLO (after CONNECT's 200, or its like in SOCKS): the client. A greeting whose server name is right: HANDSHAKE; plain HTTP on
 *   port 80: HEAD, pinned.
 * - HANDSHAKE: client and server, a checked greeting being on its way up (handshake.c). The server's hello: TUNNEL.
 * - TUNNEL: client and server. The end of both streams.
 * - ANSWER: nothing. The gate's own answer is written: HEAD again, or DRAIN.
 * - DRAIN: the client, thrown away. Its end, or the limit.
 * - CLOSED: freed after the present batch of events.
 *
 * From RESOLVE to TUNNEL, and in HEAD when pinned, the connection stands under an allowed decision (`decided`): host, port, rule
 * and, once connected, address are set, and conn_rejudge holds them against each new generation. */
#ifndef STOCKADE_GATE_CONN_STATE_H
#define STOCKADE_GATE_CONN_STATE_H

#include "gate/conn.h"
#include "gate/flow.h"
#include "net/dial.h"
#include "policy/decide.h"
#include "policy/host.h"
#include "wire/http_target.h"
#include "wire/socks.h"
#include "wire/tls_hello.h"

enum conn_state {
	CONN_HEAD,
	CONN_RESOLVE,
	CONN_CONNECT,
	CONN_EXCHANGE,
	CONN_HELLO,
	CONN_HANDSHAKE,
	CONN_TUNNEL,
	CONN_ANSWER,
	CONN_DRAIN,
	CONN_CLOSED,
	CONN_STATE_COUNT
};

/* Who the client believes to talk to. */
enum conn_mode {
	MODE_FIRST,    /* the gate; the first byte will tell which of the next two */
	MODE_PROXY,    /* the gate: absolute-form requests and CONNECT */
	MODE_SOCKS,    /* the gate: SOCKS 5 */
	MODE_CAPTURED, /* some address; the first bytes must tell a name */
	MODE_ORIGIN,   /* an origin: HTTP in origin-form whose Host field tells the name */
};

/* Limits that cannot be set (docs/limits.md); gate/limits.h has those that can. */
enum {
	CONN_DRAIN_BYTES = 1 << 20, /* bytes thrown away while the client is awaited to end */
	CONN_INTERIM_MAX = 16,      /* 1xx replies to one request */
	CONN_EARLY_BYTES = 1 << 16, /* records that pass between a client's greeting and the server's hello, each way */
	CONN_STRUCT_BYTES = 696,
};

struct conn {
	struct source client, server; /* server.fd -1: none */
	union {
		struct timer timer;
		struct deferred end; /* CONN_CLOSED */
	};
	struct conn *next, **prev;
	struct worker *w;
	struct client *who;

	uint8_t state, mode, adapter;
	bool running : 1;     /* in conn_run: callbacks leave the rest to it */
	bool decided : 1;     /* stands under an allowed decision that is not yet in the log as ended */
	bool pinned : 1;      /* every request of this connection must be for `host` (HTTP in a tunnel to port 80) */
	bool opened : 1;      /* DECISION_OPEN is in the log */
	bool lazy : 1;        /* timer: the limit counts from the last activity */
	bool close_after : 1; /* no further request after this one */
	bool fresh : 1;       /* no request head has begun */
	bool greeted : 1;     /* SOCKS: its greeting is answered, the request comes next */
	bool own : 1;         /* the server is this host itself */
	/* of the present request */
	bool head_method : 1, retriable : 1, body_expected : 1, http10 : 1, wants_upgrade : 1;
	bool reused : 1;      /* sent on a kept connection: the server may have closed it meanwhile */
	bool up_over : 1;     /* nothing more goes up */
	bool reply_begun : 1; /* the final reply's head is on its way down */
	bool reply_over : 1;  /* all of it has gone down */
	bool server_keep : 1; /* the server keeps its connection after this reply */
	bool retry : 1;       /* HANDSHAKE: the server has asked for another greeting */
	uint8_t interims;
	uint8_t slot;  /* conn_pool.c's */
	uint8_t limit; /* that the timer stands for */
	bool client_hup : 1,
		server_hup : 1; /* epoll says so again and again, whatever is asked: not watched while nothing else is */
	uint16_t status;        /* of the reply that went down */
	uint32_t head_size;     /* request head at the front of up.in, kept for one more try until the reply begins; 0: taken */

	uint16_t port, original_port;
	uint32_t rule;
	uint32_t limit_ms, active_ms; /* the low half of loop_now_ms: differences are right for 49 days */
	uint64_t began_ns;
	struct ip_addr address;  /* the server's, when connected */
	struct ip_addr original; /* where the client connected to */
	struct host host;
	char method[12];
	union {
		uint32_t drained; /* DRAIN */
		uint32_t early;   /* HANDSHAKE: bytes passed up behind the greeting */
	};
	struct query query;
	struct dial *dial;
	struct flow up, down; /* up.in: the client's bytes; down.in: the server's */
};

_Static_assert(sizeof(struct conn) <= CONN_STRUCT_BYTES, "an idle tunnel is small");

struct conn_pools {
	struct buffer_pool buffers;
	struct conn_slab *roomy; /* with room for connections */
	uint64_t trimmed_ms;
	struct http_head head; /* scratch of one parse */
	struct tls_hello hello;
};

/* --- conn_pool.c --- */
struct conn *conn_take(struct conn_pools *p); /* zeroed; NULL: no memory */
void conn_give(struct conn_pools *p, struct conn *c);

/* --- conn.c --- */
void conn_set_state(struct conn *c, enum conn_state s);
/* Goes on from the present state as far as it goes now. */
void conn_run(struct conn *c);
/* Drops everything; both sides see a reset when `abrupt`, else an ordinary end. */
void conn_close(struct conn *c, bool abrupt);
/* A limit of time from now on, or (lazy) one that counts from the last activity. */
void conn_limit(struct conn *c, enum gate_limit l, bool lazy);
/* The worker's; large buffers are at the cost of the connection's client. */
static inline struct conn_pools *conn_pools(const struct conn *c)
{
	c->w->pools->buffers.payer = &c->who->buffers;
	return c->w->pools;
}

/* --- conn_log.c --- */
/* The line of an allowed decision that is over, or turned out badly. */
void conn_log_end(struct conn *c, bool allow, enum reason reason, const char *detail, uint16_t status);
/* The line of a request that never stood under a decision. host as sent. */
void conn_log_denied(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail, uint16_t status);
/* A tunnel is open. */
void conn_log_open(struct conn *c);

/* --- reach.c --- */
/* Decides on a host and port as they were understood. true: allowed, c stands under the decision. false: *ret says why. */
bool reach_decide(struct conn *c, enum host_result parsed, const struct host *host, uint16_t port, struct verdict *ret);
/* After an allowed decision: takes the kept server connection if it is the same, else resolves and dials. Leads to http_connected,
 * tunnel_connected or an answer. */
void reach_server(struct conn *c);
/* Does the present generation allow what c stands under, its server's address too? */
bool reach_still_allowed(struct conn *c);
/* Neither a name nor a dial is waited for any more. */
void reach_stop(struct conn *c);
/* Closes the server connection alone, e.g. a kept one that ended. */
void reach_drop_server(struct conn *c);

/* --- http.c --- */
/* HEAD: reads and decides the next request of a MODE_PROXY or MODE_ORIGIN connection. */
void http_head_step(struct conn *c);
void http_late(struct conn *c); /* a head that did not become whole */
/* EXCHANGE. */
void http_exchange_step(struct conn *c);
/* The server of the present request is connected. */
void http_connected(struct conn *c);

/* --- socks.c --- */
/* HEAD of a MODE_FIRST connection: SOCKS, or else HTTP. */
void socks_first_step(struct conn *c);
/* HEAD of a MODE_SOCKS connection; its limit of time is over. */
void socks_head_step(struct conn *c);
void socks_late(struct conn *c);
enum socks_reply socks_reply_of(enum reason r);
enum socks_reply socks_reply_of_errno(int number);
/* Into down.head. false: no memory. */
bool socks_put_reply(struct conn *c, enum socks_reply r);
/* A failure is the last word: ANSWER, then DRAIN. */
void socks_answer(struct conn *c, enum socks_reply r);

/* --- handshake.c --- */
/* The server is connected, and up.in begins with a greeting that was checked. */
void handshake_begin(struct conn *c);
void handshake_step(struct conn *c);

/* --- tunnel.c --- */
/* HEAD of a MODE_CAPTURED connection: what do the first bytes say? */
void tunnel_captured_step(struct conn *c);
/* HELLO. */
void tunnel_hello_step(struct conn *c);
/* Does the greeting in the worker's scratch name the host that was allowed? false: refused. */
bool tunnel_name_is_right(struct conn *c);
void tunnel_step(struct conn *c);
void tunnel_connected(struct conn *c);
/* Both streams pass from now on; what is buffered goes first. */
void tunnel_begin(struct conn *c);

/* --- answer.c --- */
/* Refuses the present request: the line in the log, an HTTP answer, then HEAD or DRAIN. v->reason decides the status. host: as the
 * log shows it (canonical or raw). detail: a few more words or NULL. */
void answer_refuse(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail);
/* The decided request could not be done after all (resolve, connect, upstream, special address). Answers if no reply has begun,
 * else cuts. */
void answer_failed(struct conn *c, enum reason reason, uint32_t rule, const char *detail);
/* Likewise: no address of the decided host could be connected to. */
void answer_unconnected(struct conn *c, int number);
/* A TLS alert (access_denied) and the end: for greetings that are refused. Logs. */
void answer_refuse_tls(struct conn *c, const struct verdict *v, struct span host, uint16_t port, const char *detail);
/* Writes what is in down.head, then HEAD or DRAIN. */
void answer_step(struct conn *c);
void answer_drain_step(struct conn *c);

#endif
