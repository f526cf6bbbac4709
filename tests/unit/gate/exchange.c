/* Requests through a worker to an origin, all on loopback: what the client sends, what must arrive at the origin byte by byte, what
 * the origin answers, what must arrive at the client. '@' in a text is the origin's port. Nothing expected at the origin: no
 * connection either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/conn.h"

enum { WAIT_MS = 5000, QUIET_MS = 60, TEXT_MAX = 8192 };

/* --- the gate's side: one worker in a thread, told by a pipe which sockets it has accepted --- */

static struct arena arena;
static struct generation generations[2];
static struct worker worker;

static bool may_attempt(struct dial_room *r)
{
	return true;
}

static struct client client = { .name = "cli-pod", .second.may = may_attempt, .buffers = { .most = UINT32_MAX } };
static struct source orders;
static int order_pipe[2], front, origin_listener, log_file;
static uint16_t origin_port, front_port;
static pthread_t thread;
static uint32_t revoked;

enum { ORDER_STOP = -1, ORDER_ADOPT = -2 };

static void ordered(struct source *s, uint32_t events)
{
	int order;

	(void)events;
	if (read(s->fd, &order, sizeof order) != sizeof order || order == ORDER_STOP) {
		conn_close_client(&worker, &client);
		loop_stop(worker.loop);
	} else if (order == ORDER_ADOPT) {
		worker.generation = &generations[1];
		client.number = snapshot_client(&worker.generation->snapshot, SPAN_LITERAL("cli-pod"));
		__atomic_store_n(&revoked, conn_rejudge(&worker) + 1, __ATOMIC_RELEASE);
	} else {
		conn_accepted(&worker, &client, order);
	}
}

static void *serve(void *arg)
{
	loop_run(worker.loop, NULL, NULL);
	return arg;
}

static int listen_on(uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof a;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 64) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static void make_generation(struct generation *g, uint64_t number, bool allow)
{
	struct policy_builder *b = policy_builder_new(&arena);
	const struct ip_addr v4 = { .family = 4, .bytes = { 127, 0, 0, 1 } }, v6 = { .family = 6, .bytes = { [15] = 1 } };
	const struct port_range ports[] = { { origin_port, origin_port } };
	const struct rule rules[] = {
		{ .match = RULE_NETWORK, .net = { v4, 32 }, .ports = ports, .port_count = 1, .file = "l.lst", .line = 1 },
		{ .match = RULE_TREE, .name = "example.org", .file = "l.lst", .line = 2 },
		{ .deny = true, .match = RULE_EXACT, .name = "no.example.org", .file = "l.lst", .line = 3 },
	};
	const uint32_t c = policy_builder_client(b, "cli-pod");

	for (size_t i = allow ? 0 : 1; i < sizeof rules / sizeof *rules; i++)
		policy_builder_rule(b, c, &rules[i]);
	policy_builder_gate(b, &v4, &v6);
	assert_true(snapshot_open(policy_builder_finish(b), &g->snapshot));
	g->snapshot.generation = number;
	g->references = 1;
	(void)snprintf(g->project, sizeof g->project, "test");
}

static int start(void **state)
{
	struct err err;
	char path[32];

	(void)state;
	front = listen_on(&front_port);
	origin_listener = listen_on(&origin_port);
	make_generation(&generations[0], 1, true);
	make_generation(&generations[1], 2, false);
	worker = (struct worker) { .loop = loop_new(),
				   .pipes = pipe_pool_new(4, 8),
				   .pools = conn_pools_new(),
				   .audit = audit_new(1, &err),
				   .generation = &generations[0] };
	limits_default(&worker.limits);
	worker.resolver = resolver_new(worker.loop, "127.0.0.1:9", &err);
	client.names = resolver_client_new();
	assert_int_equal(own_open(&worker.own, &err), 0);
	client.number = snapshot_client(&generations[0].snapshot, SPAN_LITERAL("cli-pod"));
	log_file = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(audit_start(worker.audit, &err), 0);
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", log_file);
	audit_set_file(worker.audit, open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
	assert_int_equal(pipe2(order_pipe, O_CLOEXEC), 0);
	orders = (struct source) { .fd = order_pipe[0], .ready = ordered };
	assert_int_equal(loop_watch(worker.loop, &orders, EPOLLIN), 0);
	return pthread_create(&thread, NULL, serve, NULL);
}

static void order(int what)
{
	assert_int_equal(write(order_pipe[1], &what, sizeof what), sizeof what);
}

static int stop(void **state)
{
	(void)state;
	order(ORDER_STOP);
	(void)pthread_join(thread, NULL);
	assert_null(worker.conns);
	assert_int_equal(client.connections, 0);
	audit_free(worker.audit);
	conn_pools_free(worker.pools);
	resolver_free(worker.resolver);
	own_close(&worker.own);
	pipe_pool_free(worker.pipes);
	loop_free(worker.loop);
	arena_free(&arena);
	return 0;
}

/* --- client and origin --- */

static int connect_client(void)
{
	const struct sockaddr_in a = { .sin_family = AF_INET,
				       .sin_port = htons(front_port),
				       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
	const int accepted = accept4(front, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	assert_true(accepted >= 0);
	order(accepted);
	return fd;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static int accept_origin(void)
{
	assert_true(readable(origin_listener, WAIT_MS));
	return accept4(origin_listener, NULL, NULL, SOCK_CLOEXEC);
}

/* '@' becomes the port. */
static const char *with_port(const char *text)
{
	static char out[4][TEXT_MAX];
	static unsigned turn;
	char *o = out[turn++ % 4];
	size_t n = 0;

	for (; *text && n < TEXT_MAX - 8; text++)
		n += *text == '@' ? (size_t)snprintf(o + n, 8, "%u", origin_port) : (o[n] = *text, 1U);
	o[n] = '\0';
	return o;
}

static void send_text(int fd, const char *text)
{
	const char *bytes = with_port(text);

	assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

/* Exactly `text`, or a beginning of what comes if text ends with "...". */
static void expect_text(int fd, const char *text, const char *who)
{
	char wanted[TEXT_MAX], got[TEXT_MAX + 1];
	size_t n = 0;

	(void)snprintf(wanted, sizeof wanted, "%s", with_port(text));
	size_t length = strlen(wanted);
	const bool begins = length > 3 && strcmp(wanted + length - 3, "...") == 0;

	if (begins)
		length -= 3;
	while (n < length) {
		if (!readable(fd, WAIT_MS))
			break;
		const ssize_t more = recv(fd, got + n, begins ? TEXT_MAX - n : length - n, 0);

		if (more <= 0)
			break;
		n += (size_t)more;
	}
	got[n] = '\0';
	if (n < length || memcmp(got, wanted, length) != 0)
		fail_msg("%s:\nwanted <%s>\ngot    <%s>", who, wanted, got);
}

static void expect_end(int fd, const char *who)
{
	char more[256];
	ssize_t n = 1;

	while (n > 0) {
		if (!readable(fd, WAIT_MS))
			fail_msg("%s: the connection does not end", who);
		n = recv(fd, more, sizeof more, 0);
	}
}

#define GET_ORIGIN  "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:@\r\nVia: 1.1 stockade\r\n\r\n"
#define GET_CLIENT  "GET http://127.0.0.1:@/a?b HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n"
#define OK_ORIGIN   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define OK_CLIENT   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 stockade\r\n\r\nhi"
#define POST        "POST http://127.0.0.1:@/ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n"
#define POST_ORIGIN "POST / HTTP/1.1\r\nHost: 127.0.0.1:@\r\n"

/* One connection: a row a round; a row whose client text is NULL goes on with the same. */
struct round {
	const char *client_sends, *origin_gets, *origin_sends, *client_gets;
	enum { KEEP, ORIGIN_CLOSES, CLIENT_IS_CLOSED } then;
};

struct exchange {
	const char *name;
	struct round rounds[4];
};

static const struct exchange allowed[] = {
	{ "GET", { { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "three on one connection",
	  { { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "pipelined", { { GET_CLIENT GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT }, { "", GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "no path",
	  { { "GET http://127.0.0.1:@ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n",
	      "GET / HTTP/1.1\r\nHost: 127.0.0.1:@\r\nVia: 1.1 stockade\r\n\r\n", OK_ORIGIN, OK_CLIENT } } },
	{ "OPTIONS of the server",
	  { { "OPTIONS http://127.0.0.1:@ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n",
	      "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:@\r\nVia: 1.1 stockade\r\n\r\n", OK_ORIGIN, OK_CLIENT } } },
	{ "hop-by-hop fields are dropped",
	  { { "GET http://127.0.0.1:@/a?b HTTP/1.1\r\nHost: 127.0.0.1:@\r\nConnection: keep-alive, X-Hop\r\nX-Hop: "
	      "1\r\nKeep-Alive: 5\r\n"
	      "Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-End: 2\r\n\r\n",
	      "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:@\r\nX-End: 2\r\nVia: 1.1 stockade\r\n\r\n", OK_ORIGIN, OK_CLIENT } } },
	{ "a body with a length",
	  { { POST "Content-Length: 5\r\n\r\nhello", POST_ORIGIN "Content-Length: 5\r\nVia: 1.1 stockade\r\n\r\nhello", OK_ORIGIN,
	      OK_CLIENT },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "a chunked body, with a trailer",
	  { { POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
	      POST_ORIGIN "Via: 1.1 stockade\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", OK_ORIGIN,
	      OK_CLIENT },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "a chunked reply",
	  { { GET_CLIENT, GET_ORIGIN, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	      "HTTP/1.1 200 OK\r\nVia: 1.1 stockade\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "a reply that ends with the connection",
	  { { GET_CLIENT, GET_ORIGIN, "HTTP/1.1 200 OK\r\n\r\nall of it",
	      "HTTP/1.1 200 OK\r\nVia: 1.1 stockade\r\nConnection: close\r\n\r\nall of it", ORIGIN_CLOSES },
	    { NULL, NULL, NULL, NULL, CLIENT_IS_CLOSED } } },
	{ "HEAD",
	  { { "HEAD http://127.0.0.1:@/ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n",
	      "HEAD / HTTP/1.1\r\nHost: 127.0.0.1:@\r\nVia: 1.1 stockade\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
	      "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nVia: 1.1 stockade\r\n\r\n" },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "204 and 304",
	  { { GET_CLIENT, GET_ORIGIN, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nVia: 1.1 stockade\r\n\r\n" },
	    { GET_CLIENT, GET_ORIGIN, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
	      "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nVia: 1.1 stockade\r\n\r\n" },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "100-continue",
	  { { POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
	      POST_ORIGIN "Expect: 100-continue\r\nContent-Length: 3\r\nVia: 1.1 stockade\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
	      "HTTP/1.1 100 Continue\r\nVia: 1.1 stockade\r\n\r\n" },
	    { "abc", "abc", OK_ORIGIN, OK_CLIENT } } },
	{ "an early answer ends the connection",
	  { { POST "Content-Length: 100\r\n\r\nhel", POST_ORIGIN "Content-Length: 100\r\nVia: 1.1 stockade\r\n\r\nhel",
	      "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n",
	      "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nVia: 1.1 stockade\r\nConnection: close\r\n\r\n" } } },
	{ "HTTP/1.0",
	  { { "GET http://127.0.0.1:@/a?b HTTP/1.0\r\n\r\n", "GET /a?b HTTP/1.0\r\nHost: 127.0.0.1:@\r\nVia: 1.0 stockade\r\n\r\n",
	      OK_ORIGIN, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 stockade\r\nConnection: close\r\n\r\nhi" },
	    { NULL, NULL, NULL, NULL, CLIENT_IS_CLOSED } } },
	{ "Connection: close",
	  { { "GET http://127.0.0.1:@/a?b HTTP/1.1\r\nHost: 127.0.0.1:@\r\nConnection: close\r\n\r\n", GET_ORIGIN, OK_ORIGIN,
	      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 stockade\r\nConnection: close\r\n\r\nhi" },
	    { NULL, NULL, NULL, NULL, CLIENT_IS_CLOSED } } },
	{ "websocket",
	  { { "GET http://127.0.0.1:@/w HTTP/1.1\r\nHost: 127.0.0.1:@\r\nConnection: Upgrade\r\nUpgrade: "
	      "websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
	      "GET /w HTTP/1.1\r\nHost: 127.0.0.1:@\r\nSec-WebSocket-Key: x\r\nVia: 1.1 stockade\r\nConnection: "
	      "upgrade\r\nUpgrade: websocket\r\n\r\n",
	      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nserver first",
	      "HTTP/1.1 101 Switching Protocols\r\nVia: 1.1 stockade\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nserver "
	      "first" },
	    { "\x81\x01x", "\x81\x01x", "\x81\x01y", "\x81\x01y" } } },
	{ "CONNECT",
	  { { "CONNECT 127.0.0.1:@ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\nfirst", "first", "answer",
	      "HTTP/1.1 200 Connection established\r\n\r\nanswer" },
	    { "more", "more", "and more", "and more" } } },
	{ "CONNECT with a Host without port",
	  { { "CONNECT 127.0.0.1:@ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nfirst", "first", "answer",
	      "HTTP/1.1 200 Connection established\r\n\r\nanswer" } } },
	{ "the origin breaks off",
	  { { GET_CLIENT, GET_ORIGIN, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
	      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nVia: 1.1 stockade\r\n\r\nhi", ORIGIN_CLOSES },
	    { NULL, NULL, NULL, NULL, CLIENT_IS_CLOSED } } },
	{ "the origin says nothing",
	  { { GET_CLIENT, GET_ORIGIN, "", "", ORIGIN_CLOSES }, { "", NULL, NULL, "HTTP/1.1 502 Bad Gateway\r\n..." } } },
	{ "the origin talks nonsense",
	  { { GET_CLIENT, GET_ORIGIN, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	      "HTTP/1.1 502 Bad Gateway\r\n..." } } },
	{ "101 that nobody asked for",
	  { { GET_CLIENT, GET_ORIGIN, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	      "HTTP/1.1 502 Bad Gateway\r\n..." } } },
	{ "a kept connection that had ended is dialled again",
	  { { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT, ORIGIN_CLOSES }, { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
	{ "allowed, then denied, then allowed",
	  { { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT },
	    { "GET http://elsewhere.net/ HTTP/1.1\r\nHost: elsewhere.net\r\n\r\n", NULL, NULL, "HTTP/1.1 403 Forbidden\r\n..." },
	    { GET_CLIENT, GET_ORIGIN, OK_ORIGIN, OK_CLIENT } } },
};

static const struct {
	const char *name, *sends, *gets, *reason;
} refused[] = {
	{ "not listed", "GET http://elsewhere.net/ HTTP/1.1\r\nHost: elsewhere.net\r\n\r\n", "HTTP/1.1 403 ...", "not-listed" },
	{ "the second pipelined one", "GET http://elsewhere.net/ HTTP/1.1\r\nHost: elsewhere.net\r\n\r\n" GET_CLIENT,
	  "HTTP/1.1 403 ...", "not-listed" },
	{ "CONNECT not listed", "CONNECT elsewhere.net:443 HTTP/1.1\r\nHost: elsewhere.net:443\r\n\r\n", "HTTP/1.1 403 ...",
	  "not-listed" },
	{ "other port", "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", "HTTP/1.1 403 ...", "port-not-listed" },
	{ "a deny rule", "GET http://no.example.org/ HTTP/1.1\r\nHost: no.example.org\r\n\r\n", "HTTP/1.1 403 ...",
	  "denied-by-rule" },
	{ "no label boundary", "GET http://evilexample.org/ HTTP/1.1\r\nHost: evilexample.org\r\n\r\n", "HTTP/1.1 403 ...",
	  "not-listed" },
	{ "address not listed", "GET http://1.1.1.1/ HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n", "HTTP/1.1 403 ...", "address-literal" },
	{ "decimal address", "GET http://2130706433:@/ HTTP/1.1\r\nHost: 2130706433:@\r\n\r\n", "HTTP/1.1 403 ...",
	  "address-literal" },
	{ "hex address", "GET http://0x7f.1:@/ HTTP/1.1\r\nHost: 0x7f.1:@\r\n\r\n", "HTTP/1.1 403 ...", "address-literal" },
	{ "short address", "CONNECT 127.1:@ HTTP/1.1\r\nHost: 127.1:@\r\n\r\n", "HTTP/1.1 403 ...", "address-literal" },
	{ "mapped address", "CONNECT [::ffff:127.0.0.1]:@ HTTP/1.1\r\nHost: [::ffff:127.0.0.1]:@\r\n\r\n", "HTTP/1.1 403 ...",
	  "address-literal" },
	{ "other Host", "GET http://127.0.0.1:@/ HTTP/1.1\r\nHost: example.org\r\n\r\n", "HTTP/1.1 400 ...", "host-mismatch" },
	{ "other Host in CONNECT", "CONNECT 127.0.0.1:@ HTTP/1.1\r\nHost: example.org:@\r\n\r\n", "HTTP/1.1 400 ...",
	  "host-mismatch" },
	{ "two Hosts", "GET http://127.0.0.1:@/ HTTP/1.1\r\nHost: 127.0.0.1:@\r\nHost: 127.0.0.1:@\r\n\r\n", "HTTP/1.1 400 ...",
	  "malformed-request" },
	{ "no Host", "GET http://127.0.0.1:@/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ...", "malformed-request" },
	{ "origin-form", "GET / HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n", "HTTP/1.1 400 ...", "malformed-request" },
	{ "https in a GET", "GET https://127.0.0.1:@/ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n", "HTTP/1.1 400 ...",
	  "malformed-request" },
	{ "userinfo", "GET http://127.0.0.1:@@127.0.0.1:@/ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n", "HTTP/1.1 400 ...",
	  "malformed-" },
	{ "percent in the host", "GET http://127.0.0.1%00.example.org/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 ...",
	  "malformed-" },
	{ "both lengths", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 ...",
	  "malformed-request" },
	{ "two lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "HTTP/1.1 400 ...", "malformed-request" },
	{ "a folded field", "GET http://127.0.0.1:@/ HTTP/1.1\r\nHost: 127.0.0.1:@\r\nX: a\r\n b\r\n\r\n", "HTTP/1.1 400 ...",
	  "malformed-request" },
	{ "bare line feeds", "GET http://127.0.0.1:@/ HTTP/1.1\nHost: 127.0.0.1:@\n\n", "HTTP/1.1 400 ...", "malformed-request" },
	{ "TLS to the proxy", "\x16\x03\x01\x02", "HTTP/1.1 400 ...", "malformed-request" },
	{ "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400 ...", "malformed-request" },
};

static void play(const struct round *r, int fd, int *origin)
{
	if (r->client_sends)
		send_text(fd, r->client_sends);
	if (r->origin_gets) {
		if (*origin < 0)
			*origin = accept_origin();
		expect_text(*origin, r->origin_gets, "at the origin");
	}
	if (r->origin_sends)
		send_text(*origin, r->origin_sends);
	if (r->then == ORIGIN_CLOSES) {
		/* What was sent must be there first: an end may overtake nothing, but a test would rather see it apart. */
		(void)close(*origin);
		*origin = -1;
	}
	if (r->client_gets)
		expect_text(fd, r->client_gets, "at the client");
	if (r->then == CLIENT_IS_CLOSED)
		expect_end(fd, "at the client");
}

static void test_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
		const int fd = connect_client();
		int origin = -1;

		print_message("  %s\n", allowed[i].name);
		for (const struct round *r = allowed[i].rounds; r < allowed[i].rounds + 4 && (r->client_sends || r->then); r++)
			play(r, fd, &origin);
		(void)close(fd);
		if (origin >= 0)
			(void)close(origin);
	}
}

static char log_text[256 * 1024];

static const char *read_log(void)
{
	usleep(30000);
	const ssize_t n = pread(log_file, log_text, sizeof log_text - 1, 0);

	log_text[n > 0 ? n : 0] = '\0';
	return log_text;
}

static void test_refused(void **state)
{
	char word[64];

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		const int fd = connect_client();

		print_message("  %s\n", refused[i].name);
		assert_int_equal(ftruncate(log_file, 0), 0);
		send_text(fd, refused[i].sends);
		expect_text(fd, refused[i].gets, "at the client");
		(void)snprintf(word, sizeof word, "\"reason\":\"%s", refused[i].reason);
		if (!strstr(read_log(), word))
			fail_msg("no %s in the log: %s", word, log_text);
		/* An allowed one that follows in the same breath does arrive: nothing else may. */
		if (strstr(refused[i].sends, GET_CLIENT))
			(void)close(accept_origin());
		if (readable(origin_listener, QUIET_MS))
			fail_msg("something arrived at the origin");
		(void)close(fd);
	}
}

static void test_byte_by_byte(void **state)
{
	const int fd = connect_client();
	const char *bytes = with_port(POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");

	(void)state;
	for (; *bytes; bytes++) {
		assert_int_equal(send(fd, bytes, 1, MSG_NOSIGNAL), 1);
		usleep(200);
	}
	const int origin = accept_origin();

	expect_text(origin, POST_ORIGIN "Via: 1.1 stockade\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		    "at the origin");
	send_text(origin, OK_ORIGIN);
	expect_text(fd, OK_CLIENT, "at the client");
	(void)close(fd);
	(void)close(origin);
}

/* --- much --- */

enum { MUCH = 8 * 1024 * 1024 };

struct stream {
	int fd;
	size_t bytes;
	bool ok;
};

static unsigned char nth(size_t i)
{
	return (unsigned char)(i * 2654435761U >> 24);
}

static void *send_much(void *arg)
{
	struct stream *s = arg;
	unsigned char piece[65536];

	for (size_t at = 0; at < s->bytes; at += sizeof piece) {
		for (size_t i = 0; i < sizeof piece; i++)
			piece[i] = nth(at + i);
		for (size_t done = 0; done < sizeof piece;) {
			const ssize_t n = send(s->fd, piece + done, sizeof piece - done, MSG_NOSIGNAL);

			if (n <= 0)
				return NULL;
			done += (size_t)n;
		}
	}
	s->ok = true;
	return NULL;
}

static void *receive_much(void *arg)
{
	struct stream *s = arg;
	unsigned char piece[65536];
	size_t at = 0;

	while (at < s->bytes) {
		const ssize_t n = recv(s->fd, piece, sizeof piece, 0);

		if (n <= 0)
			return NULL;
		for (ssize_t i = 0; i < n; i++, at++)
			if (piece[i] != nth(at))
				return NULL;
		if (at % (1 << 20) < 4096)
			usleep(2000); /* a slow reader now and then */
	}
	s->ok = at == s->bytes;
	return NULL;
}

static void both_ways(int fd, int origin)
{
	struct stream s[4] = { { fd, MUCH, false }, { origin, MUCH, false }, { origin, MUCH, false }, { fd, MUCH, false } };
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, i % 2 ? receive_much : send_much, &s[i]), 0);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(t[i], NULL);
	assert_true(s[0].ok && s[1].ok && s[2].ok && s[3].ok);
}

static void test_much_in_a_tunnel(void **state)
{
	const int fd = connect_client();
	char end;

	(void)state;
	send_text(fd, "CONNECT 127.0.0.1:@ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n");
	const int origin = accept_origin();

	expect_text(fd, "HTTP/1.1 200 Connection established\r\n\r\n", "at the client");
	both_ways(fd, origin);
	/* One side ends; the other may go on. */
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(recv(origin, &end, 1, 0), 0);
	send_text(origin, "still here");
	expect_text(fd, "still here", "at the client");
	(void)close(origin);
	expect_end(fd, "at the client");
	(void)close(fd);
}

static void test_much_by_socks(void **state)
{
	const int fd = connect_client();
	const char asks[] = { 5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, (char)(origin_port >> 8), (char)origin_port };
	const char told[] = { 5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
	char got[sizeof told];

	assert_int_equal(send(fd, asks, sizeof asks, MSG_NOSIGNAL), sizeof asks);
	const int origin = accept_origin();

	assert_int_equal(recv(fd, got, sizeof got, MSG_WAITALL), sizeof got);
	assert_memory_equal(got, told, sizeof got);
	both_ways(fd, origin);
	(void)close(origin);
	expect_end(fd, "at the client");
	(void)close(fd);
}

static void test_much_up_and_down_at_once(void **state)
{
	const int fd = connect_client();
	char head[256];

	(void)state;
	(void)snprintf(head, sizeof head, POST "Content-Length: %d\r\n\r\n", MUCH);
	send_text(fd, head);
	const int origin = accept_origin();

	(void)snprintf(head, sizeof head, POST_ORIGIN "Content-Length: %d\r\nVia: 1.1 stockade\r\n\r\n", MUCH);
	expect_text(origin, head, "at the origin");
	(void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", MUCH);
	send_text(origin, head);
	(void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nVia: 1.1 stockade\r\nConnection: close\r\n\r\n",
		       MUCH);
	expect_text(fd, head, "at the client");
	both_ways(fd, origin);
	(void)close(origin);
	(void)close(fd);
}

/* Last: the new policy no longer lists the origin. */
static void test_revocation(void **state)
{
	const int tunnel = connect_client(), kept = connect_client();

	(void)state;
	send_text(tunnel, "CONNECT 127.0.0.1:@ HTTP/1.1\r\nHost: 127.0.0.1:@\r\n\r\n");
	const int origin = accept_origin();

	expect_text(tunnel, "HTTP/1.1 200 Connection established\r\n\r\n", "at the client");
	send_text(kept, GET_CLIENT);
	const int second = accept_origin();

	expect_text(second, GET_ORIGIN, "at the origin");
	send_text(second, OK_ORIGIN);
	expect_text(kept, OK_CLIENT, "at the client");
	order(ORDER_ADOPT);
	expect_end(tunnel, "the tunnel");
	expect_end(origin, "the origin's end of it");
	for (int i = 0; i < WAIT_MS && !__atomic_load_n(&revoked, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	assert_int_equal(revoked, 1 + 1);
	send_text(kept, GET_CLIENT);
	expect_text(kept, "HTTP/1.1 403 ...", "at the client");
	assert_non_null(strstr(read_log(), "\"reason\":\"revoked\""));
	(void)close(tunnel);
	(void)close(kept);
	(void)close(origin);
	(void)close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_byte_by_byte),  cmocka_unit_test(test_much_in_a_tunnel),
		cmocka_unit_test(test_much_by_socks), cmocka_unit_test(test_much_up_and_down_at_once),
		cmocka_unit_test(test_revocation),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
