/* Load for the benchmarks: requests, tunnels, slow and senseless clients, and a server for the far end of tunnels. One thread, one
 * epoll; everything is bounded by the counts, rates and seconds of the command line.
 *
 *   load MODE [KEY=VALUE]...
 *   get      GETs                              connect  CONNECT, 32 bytes there and back, end
 *   bulk     CONNECT, then `bytes` come down   idle     tunnels that say nothing, until standard input ends
 *   slow     heads, a byte each second         garbage  connections with bytes that mean nothing
 *   serve    the far end of tunnels: sends back what it gets, or, asked "S<number>\n", that many bytes; a CONNECT that a proxy
 *            passes on, as HAProxy does, it answers with 200
 *
 *   proxy=ADDR:PORT  host=NAME  port=N  path=/P  conns=N (at once)  count=N (in all; 0: until seconds are over)  seconds=N
 *   rate=N (starts a second; 0: the next when one is done)  keep=0|1  status=N (what get expects)  bytes=N
 *   ports=N (of the proxy, from its own on, in turn: the gate listens on all, and a client has only so many ports towards one)
 *
 * Prints one line: done, failed and, of those that were timed, mean, p50, p99 and max in µs, from when each was due to start. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, PING = 32, TIMES_MAX = 4 << 20, ADDRESSES = 64, GARBAGE = 600 };

enum mode { GET, CONNECT, BULK, IDLE, SLOW, RUBBISH, SERVE, MODE_COUNT };
static const char *const modes[MODE_COUNT] = { "get", "connect", "bulk", "idle", "slow", "garbage", "serve" };

enum phase { FREE, CONNECTING, HEAD, BODY, OPEN };

struct slot {
	int fd;
	enum phase phase;
	uint64_t due_ns;
	uint64_t left; /* of the body, the echo, or (serve) to send */
	bool echoes;   /* serve: its first bytes asked for nothing else; a later piece may begin with anything */
	char *rest; /* serve: what is still to be sent back, from the start of its memory on; left bytes. NULL: left bytes of anything */
	unsigned head_size;
	char head[2048];
};

static enum mode mode;
static struct {
	const char *proxy, *host, *path;
	unsigned long port, conns, count, seconds, rate, keep, status, bytes, ports;
} o = { .proxy = "198.18.0.1:8080",
	.host = "storage.googleapis.com",
	.path = "/",
	.port = 80,
	.conns = 1,
	.keep = 1,
	.status = 200,
	.ports = 1 };

static int epoll;
static struct slot *slots, **spare;
static unsigned long spares, started, done, failed, open_now;
static uint32_t *times;
static unsigned long timed;
static struct sockaddr_in to;
static uint16_t first_port;
static char request[1024], scratch[256 * 1024];
static size_t request_size;

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(3);
}

static void watch(struct slot *s, int operation, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (epoll_ctl(epoll, operation, s->fd, &e) < 0)
		die("epoll_ctl");
}

static void release(struct slot *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	if (s->phase >= HEAD && open_now)
		open_now--;
	s->fd = -1;
	s->phase = FREE;
	spare[spares++] = s;
}

static void note_time(struct slot *s)
{
	const uint64_t us = (now_ns() - s->due_ns) / 1000;

	done++;
	if (timed < TIMES_MAX)
		times[timed++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void fail(struct slot *s)
{
	failed++;
	release(s);
}

static void send_request(struct slot *s)
{
	s->phase = HEAD;
	s->head_size = 0;
	if (send(s->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
		fail(s);
}

static void begin(struct slot *s, uint64_t due)
{
	const int on = 1;

	s->due_ns = due;
	started++;
	if (s->fd >= 0) {
		send_request(s);
		return;
	}
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket");
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	to.sin_port = htons((uint16_t)(first_port + started % o.ports));
	s->phase = CONNECTING;
	if (connect(s->fd, (const struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
		fail(s);
		return;
	}
	watch(s, EPOLL_CTL_ADD, EPOLLOUT);
}

/* One request is over; its connection goes on or not. */
static void finish(struct slot *s, bool keep)
{
	note_time(s);
	if (!keep) {
		release(s);
		return;
	}
	s->phase = FREE;
	spare[spares++] = s;
}

static void head_whole(struct slot *s, const char *end)
{
	const unsigned long status = strtoul(s->head + 9, NULL, 10);
	const char *length = strcasestr(s->head, "\ncontent-length:");
	const size_t behind = s->head_size - (size_t)(end - s->head);

	if (mode == GET) {
		s->left = (length ? strtoul(length + 16, NULL, 10) : 0);
		s->left -= behind < s->left ? behind : s->left;
		if (status != o.status)
			fail(s);
		else if (s->left == 0)
			finish(s, o.keep && !strcasestr(s->head, "\nconnection: close"));
		else
			s->phase = BODY;
		return;
	}
	if (status != 200) {
		fail(s);
		return;
	}
	s->phase = mode == IDLE ? OPEN : BODY;
	if (mode == IDLE) {
		note_time(s);
		return;
	}
	char ask[PING + 1] = "0123456789abcdef0123456789abcdef";

	s->left = PING;
	if (mode == BULK) {
		s->left = o.bytes;
		(void)snprintf(ask, sizeof ask, "S%lu\n", o.bytes);
	}
	(void)!send(s->fd, ask, strlen(ask), MSG_NOSIGNAL);
}

static void read_head(struct slot *s)
{
	const ssize_t n = recv(s->fd, s->head + s->head_size, sizeof s->head - 1 - s->head_size, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		fail(s);
		return;
	}
	s->head_size += (unsigned)n;
	s->head[s->head_size] = '\0';
	char *end = strstr(s->head, "\r\n\r\n");

	if (end)
		head_whole(s, end + 4);
	else if (s->head_size == sizeof s->head - 1)
		fail(s);
}

static void read_body(struct slot *s)
{
	for (int i = 0; i < 8; i++) {
		const ssize_t n = recv(s->fd, scratch, sizeof scratch, mode == BULK ? MSG_TRUNC : 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			fail(s);
			return;
		}
		s->left -= (size_t)n < s->left ? (size_t)n : s->left;
		if (s->left == 0) {
			finish(s, mode == GET && o.keep);
			return;
		}
	}
}

static void connected(struct slot *s, uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP)) {
		fail(s);
		return;
	}
	watch(s, EPOLL_CTL_MOD, EPOLLIN);
	open_now++;
	if (mode == SLOW) {
		s->phase = OPEN;
		(void)!send(s->fd, request, 20, MSG_NOSIGNAL);
	} else if (mode == RUBBISH) {
		for (int i = 0; i < GARBAGE; i++)
			scratch[i] = (char)random();
		s->phase = OPEN;
		(void)!send(s->fd, scratch, GARBAGE, MSG_NOSIGNAL);
	} else {
		send_request(s);
	}
}

/* What is open and has nothing to say any more: its end. */
static void read_open(struct slot *s)
{
	const ssize_t n = recv(s->fd, scratch, sizeof scratch, 0);

	if (n > 0 || (n < 0 && errno == EAGAIN))
		return;
	if (mode == IDLE)
		failed++;
	else
		done++;
	release(s);
}

static void client_event(struct slot *s, uint32_t events)
{
	switch (s->phase) {
	case CONNECTING:
		connected(s, events);
		break;
	case HEAD:
		read_head(s);
		break;
	case BODY:
		read_body(s);
		break;
	case OPEN:
		read_open(s);
		break;
	case FREE: /* a kept connection that the other side has ended */
		if (s->fd >= 0) {
			(void)close(s->fd);
			s->fd = -1;
			open_now--;
		}
		break;
	}
}

/* --- the far end --- */

static void serve_accept(struct slot *listener)
{
	const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	struct slot *s = calloc(1, sizeof *s);

	if (!s)
		die("calloc");
	s->fd = fd;
	watch(s, EPOLL_CTL_ADD, EPOLLIN);
}

static void serve_end(struct slot *s)
{
	(void)close(s->fd);
	free(s->rest);
	free(s);
}

/* What of an echo could not be sent is kept, and nothing is read meanwhile. */
static void serve_echo(struct slot *s, const char *bytes, size_t n)
{
	const ssize_t sent = send(s->fd, bytes, n, MSG_NOSIGNAL);
	const size_t done_now = sent > 0 ? (size_t)sent : 0;

	s->left = n - done_now;
	if (s->left == 0)
		return;
	s->rest = malloc(s->left);
	if (!s->rest)
		die("malloc");
	memcpy(s->rest, bytes + done_now, s->left);
}

/* False: the connection has failed. */
static bool serve_rest(struct slot *s)
{
	while (s->left) {
		const size_t most = s->rest || s->left < sizeof scratch ? s->left : sizeof scratch;
		const ssize_t n = send(s->fd, s->rest ? s->rest : scratch, most, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		s->left -= (size_t)n;
		if (s->rest)
			memmove(s->rest, s->rest + n, s->left);
	}
	free(s->rest);
	s->rest = NULL;
	return true;
}

static void serve_event(struct slot *s)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";

	if (s->left == 0) {
		const ssize_t n = recv(s->fd, scratch, sizeof scratch - 1, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			serve_end(s);
			return;
		}
		scratch[n] = '\0';
		if (!s->echoes && strncmp(scratch, "CONNECT ", 8) == 0)
			serve_echo(s, established, sizeof established - 1);
		else if (s->echoes || scratch[0] != 'S') {
			s->echoes = true;
			serve_echo(s, scratch, (size_t)n);
		} else
			s->left = strtoul(scratch + 1, NULL, 10);
		if (s->left == 0)
			return;
	}
	if (serve_rest(s))
		watch(s, EPOLL_CTL_MOD, s->left ? EPOLLOUT : EPOLLIN);
	else
		serve_end(s);
}

static void serve(void)
{
	static struct slot listener;
	struct epoll_event batch[EVENTS];
	const int on = 1;

	listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener.fd, (const struct sockaddr *)&to, sizeof to) < 0 || listen(listener.fd, 4096) < 0)
		die("listen");
	watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
	for (;;) {
		const int n = epoll_wait(epoll, batch, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (batch[i].data.ptr == &listener)
				serve_accept(&listener);
			else
				serve_event(batch[i].data.ptr);
		}
	}
}

/* --- the run --- */

static int by_size(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(uint64_t began)
{
	double sum = 0;

	for (unsigned long i = 0; i < timed; i++)
		sum += times[i];
	qsort(times, timed, sizeof *times, by_size);
	printf("done %lu failed %lu open %lu seconds %.3f mean %.1f p50 %u p99 %u max %u\n", done, failed, open_now,
	       (double)(now_ns() - began) / 1e9, timed ? sum / (double)timed : 0.0, timed ? times[timed / 2] : 0,
	       timed ? times[timed - 1 - timed / 100] : 0, timed ? times[timed - 1] : 0);
	(void)fflush(stdout);
}

static bool may_start(uint64_t began, uint64_t now)
{
	if (o.count && started >= o.count)
		return false;
	if (o.seconds && now - began >= o.seconds * 1000000000U)
		return false;
	return spares > 0;
}

static void start_due(uint64_t began)
{
	for (uint64_t now = now_ns(); may_start(began, now); now = now_ns()) {
		const uint64_t due = o.rate ? began + started * 1000000000U / o.rate : now;

		if (due > now)
			return;
		begin(spare[--spares], due);
	}
}

static void drip(uint64_t began, uint64_t *last)
{
	const uint64_t now = now_ns();

	if (mode != SLOW || now - *last < 1000000000U)
		return;
	*last = now;
	for (unsigned long i = 0; i < o.conns; i++)
		if (slots[i].phase == OPEN)
			(void)!send(slots[i].fd, "x", 1, MSG_NOSIGNAL);
	(void)began;
}

static bool is_over(uint64_t began)
{
	const uint64_t now = now_ns();
	const bool late = o.seconds && now - began >= o.seconds * 1000000000U;

	if (mode == SLOW || mode == RUBBISH)
		return late;
	if (late && now - began >= (o.seconds + 5) * 1000000000U)
		return true;
	return spares == o.conns && (late || (o.count && started >= o.count));
}

static void run(void)
{
	struct epoll_event batch[EVENTS];
	const uint64_t began = now_ns();
	uint64_t dripped = began;

	while (!is_over(began)) {
		start_due(began);
		if (mode == IDLE && started == o.count && done + failed >= o.count)
			break;
		const int n = epoll_wait(epoll, batch, EVENTS, 1);

		for (int i = 0; i < n; i++)
			client_event(batch[i].data.ptr, batch[i].events);
		drip(began, &dripped);
	}
	report(began);
	if (mode != IDLE)
		return;
	while (read(STDIN_FILENO, scratch, sizeof scratch) > 0)
		;
	for (int n; (n = epoll_wait(epoll, batch, EVENTS, 0)) > 0;)
		for (int i = 0; i < n; i++)
			client_event(batch[i].data.ptr, batch[i].events);
	printf("still open %lu\n", open_now);
}

static void set_option(const char *argument)
{
	const struct {
		const char *key;
		unsigned long *number;
		const char **text;
	} known[] = { { "proxy", NULL, &o.proxy },     { "host", NULL, &o.host },   { "path", NULL, &o.path },
		      { "port", &o.port, NULL },       { "conns", &o.conns, NULL }, { "count", &o.count, NULL },
		      { "seconds", &o.seconds, NULL }, { "rate", &o.rate, NULL },   { "keep", &o.keep, NULL },
		      { "status", &o.status, NULL },   { "bytes", &o.bytes, NULL }, { "ports", &o.ports, NULL } };
	const char *value = strchr(argument, '=');

	for (size_t i = 0; value && i < sizeof known / sizeof *known; i++) {
		if (strncmp(known[i].key, argument, (size_t)(value - argument)) != 0)
			continue;
		if (known[i].text)
			*known[i].text = value + 1;
		else
			*known[i].number = strtoul(value + 1, NULL, 10);
		return;
	}
	(void)fprintf(stderr, "load: unknown option %s\n", argument);
	exit(2);
}

static void set_up(void)
{
	struct rlimit files;
	char address[ADDRESSES];
	const char *colon = strchr(o.proxy, ':');

	(void)getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	if (!colon || colon - o.proxy >= ADDRESSES)
		exit(2);
	(void)snprintf(address, sizeof address, "%.*s", (int)(colon - o.proxy), o.proxy);
	to.sin_family = AF_INET;
	first_port = (uint16_t)strtoul(colon + 1, NULL, 10);
	to.sin_port = htons(first_port);
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		exit(2);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	slots = calloc(o.conns, sizeof *slots);
	spare = calloc(o.conns, sizeof(struct slot *));
	times = calloc(TIMES_MAX, sizeof *times);
	if (epoll < 0 || !slots || !spare || !times)
		die("set-up");
	for (unsigned long i = o.conns; i-- > 0;) {
		slots[i].fd = -1;
		spare[spares++] = &slots[i];
	}
	if (mode == GET || mode == SLOW)
		(void)snprintf(request, sizeof request,
			       "GET http://%s:%lu%s HTTP/1.1\r\nHost: %s:%lu\r\nUser-Agent: load\r\nAccept: */*\r\n%s\r\n", o.host,
			       o.port, o.path, o.host, o.port, o.keep ? "" : "Connection: close\r\n");
	else
		(void)snprintf(request, sizeof request, "CONNECT %s:%lu HTTP/1.1\r\nHost: %s:%lu\r\n\r\n", o.host, o.port, o.host,
			       o.port);
	request_size = strlen(request);
}

int main(int argc, char **argv)
{
	while (argc > 1 && mode < MODE_COUNT && strcmp(argv[1], modes[mode]) != 0)
		mode++;
	if (argc < 2 || mode == MODE_COUNT) {
		(void)fputs("usage: load get|connect|bulk|idle|slow|garbage|serve [KEY=VALUE]...\n", stderr);
		return 2;
	}
	for (int i = 2; i < argc; i++)
		set_option(argv[i]);
	(void)signal(SIGPIPE, SIG_IGN);
	set_up();
	if (mode == SERVE)
		serve();
	else
		run();
	return 0;
}
