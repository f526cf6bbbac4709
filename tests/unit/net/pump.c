/* The pump: every byte in order through slow readers, half-close, limits, resets, and no pipe kept while idle. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/pump.h"

/* Two TCP connections, as a gate has them: outside[0] -> [from, to] -> outside[1]. */
struct bench {
	int client, from, to, server;
	struct pipe_pool *pool;
	struct pump pump;
};

static void tcp_pair(int ret[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
	ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret[0], (struct sockaddr *)&a, sizeof a), 0);
	ret[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ret[1] >= 0);
	(void)close(listener);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(ret[i], F_SETFL, O_NONBLOCK), 0);
}

static int make_bench(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	int in[2], out[2];

	if (!b)
		return -1;
	tcp_pair(in);
	tcp_pair(out);
	*b = (struct bench) { .client = in[0], .from = in[1], .to = out[0], .server = out[1], .pool = pipe_pool_new(4, 8) };
	*state = b;
	return b->pool ? 0 : -1;
}

static int free_bench(void **state)
{
	struct bench *b = *state;

	pump_close(&b->pump, b->pool);
	pipe_pool_free(b->pool);
	(void)close(b->client);
	(void)close(b->from);
	(void)close(b->to);
	(void)close(b->server);
	free(b);
	return 0;
}

static void wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	assert_int_equal(poll(&p, 1, 2000), 1);
}

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)((i * 2654435761U) >> 13);
}

static void send_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void expect_text(int fd, const char *text)
{
	char got[64] = { 0 };
	const size_t n = strlen(text);

	wait_for(fd, POLLIN);
	assert_int_equal(recv(fd, got, n, MSG_WAITALL), (ssize_t)n);
	assert_string_equal(got, text);
}

static void expect_end(int fd)
{
	char byte;

	wait_for(fd, POLLIN);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* The sender sends what goes; returns how far it is. */
static uint64_t feed(int fd, uint64_t at, uint64_t total)
{
	uint8_t buffer[32768];

	while (at < total) {
		size_t n = total - at < sizeof buffer ? (size_t)(total - at) : sizeof buffer;

		for (size_t i = 0; i < n; i++)
			buffer[i] = byte_at(at + i);
		const ssize_t done = send(fd, buffer, n, 0);

		if (done < 0) {
			assert_int_equal(errno, EAGAIN);
			break;
		}
		at += (uint64_t)done;
	}
	return at;
}

static uint64_t eat(int fd, uint64_t at, size_t most)
{
	uint8_t buffer[16384];
	size_t eaten = 0;

	while (eaten < most) {
		const ssize_t n = recv(fd, buffer, sizeof buffer, 0);

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			if (buffer[i] != byte_at(at + (uint64_t)i))
				fail_msg("byte %llu is wrong", (unsigned long long)at + i);
		at += (uint64_t)n;
		eaten += (size_t)n;
	}
	return at;
}

static void a_slow_reader_gets_every_byte(void **state)
{
	struct bench *b = *state;
	const uint64_t total = 40 * 1024 * 1024 + 12345;
	uint64_t sent = 0, got = 0;
	bool closed = false, was_full = false;
	enum pump_result r = PUMP_WAIT_FROM;

	while (r != PUMP_ENDED) {
		sent = feed(b->client, sent, total);
		if (sent == total && !closed) {
			closed = true;
			assert_int_equal(shutdown(b->client, SHUT_WR), 0);
		}
		r = pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, true);
		assert_true(r == PUMP_WAIT_FROM || r == PUMP_WAIT_TO || r == PUMP_ENDED);
		assert_true((r == PUMP_WAIT_TO) == (b->pump.in_pipe > 0));
		was_full |= r == PUMP_WAIT_TO;
		got = eat(b->server, got, r == PUMP_WAIT_TO ? 300000 : 0);
	}
	while (got < total) {
		wait_for(b->server, POLLIN);
		got = eat(b->server, got, 1 << 20);
	}
	assert_true(was_full);
	assert_int_equal(b->pump.total, total);
	assert_true(b->pump.to_shut);
	expect_end(b->server);
}

static int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 200; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void an_idle_pump_holds_no_pipe(void **state)
{
	struct bench *b = *state;
	struct pipe_pool *no_spares = pipe_pool_new(0, 8);
	const int before = open_fds();

	assert_int_equal(pump_move(&b->pump, no_spares, b->from, b->to, UINT64_MAX, true), PUMP_WAIT_FROM);
	assert_int_equal(open_fds(), before);
	send_text(b->client, "hello");
	wait_for(b->from, POLLIN);
	assert_int_equal(pump_move(&b->pump, no_spares, b->from, b->to, UINT64_MAX, true), PUMP_WAIT_FROM);
	assert_int_equal(open_fds(), before);
	expect_text(b->server, "hello");
	pipe_pool_free(no_spares);
	/* With spares, the second pump takes the pipe of the first. */
	assert_int_equal(pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, true), PUMP_WAIT_FROM);
	assert_int_equal(open_fds(), before + 2);
	struct pump second = { 0 };

	assert_int_equal(pump_move(&second, b->pool, b->server, b->from, UINT64_MAX, true), PUMP_WAIT_FROM);
	assert_int_equal(open_fds(), before + 2);
}

static void one_call_is_bounded(void **state)
{
	struct bench *b = *state;
	const int endless = open("/dev/zero", O_RDONLY | O_CLOEXEC), sink = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_true(endless >= 0 && sink >= 0);
	assert_int_equal(pump_move(&b->pump, b->pool, endless, sink, UINT64_MAX, true), PUMP_WAIT_FROM);
	assert_in_range(b->pump.total, 1, 4 * 1024 * 1024);
	(void)close(endless);
	(void)close(sink);
}

static void half_close_leaves_the_other_way_open(void **state)
{
	struct bench *b = *state;
	struct pump back = { 0 };

	send_text(b->client, "last words");
	assert_int_equal(shutdown(b->client, SHUT_WR), 0);
	wait_for(b->from, POLLRDHUP);
	enum pump_result r;

	while ((r = pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, true)) == PUMP_WAIT_FROM)
		wait_for(b->from, POLLIN);
	assert_int_equal(r, PUMP_ENDED);
	/* Asked again, it says so again. */
	assert_int_equal(pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, true), PUMP_ENDED);
	expect_text(b->server, "last words");
	expect_end(b->server);
	send_text(b->server, "answer");
	wait_for(b->to, POLLIN);
	assert_int_equal(pump_move(&back, b->pool, b->to, b->from, UINT64_MAX, true), PUMP_WAIT_FROM);
	expect_text(b->client, "answer");
}

static void an_end_is_not_passed_on_unless_asked(void **state)
{
	struct bench *b = *state;
	char byte;

	assert_int_equal(shutdown(b->client, SHUT_WR), 0);
	wait_for(b->from, POLLRDHUP);
	assert_int_equal(pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, false), PUMP_ENDED);
	assert_false(b->pump.to_shut);
	assert_int_equal(recv(b->server, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void a_limit_leaves_the_rest_in_the_socket(void **state)
{
	struct bench *b = *state;
	char rest[16] = { 0 };

	assert_int_equal(pump_move(&b->pump, b->pool, b->from, b->to, 0, true), PUMP_LIMIT);
	send_text(b->client, "bodyNEXT");
	wait_for(b->from, POLLIN);
	assert_int_equal(pump_move(&b->pump, b->pool, b->from, b->to, 4, true), PUMP_LIMIT);
	assert_int_equal(b->pump.total, 4);
	assert_int_equal(b->pump.in_pipe, 0);
	expect_text(b->server, "body");
	assert_int_equal(recv(b->from, rest, sizeof rest, 0), 4);
	assert_string_equal(rest, "NEXT");
}

static void an_end_before_the_limit_is_not_passed_on(void **state)
{
	struct bench *b = *state;
	enum pump_result r;

	send_text(b->client, "bod");
	assert_int_equal(shutdown(b->client, SHUT_WR), 0);
	wait_for(b->from, POLLRDHUP);
	while ((r = pump_move(&b->pump, b->pool, b->from, b->to, 4 - b->pump.total, true)) == PUMP_WAIT_FROM)
		wait_for(b->from, POLLIN);
	assert_int_equal(r, PUMP_ENDED);
	assert_true(b->pump.from_ended);
	assert_false(b->pump.to_shut);
	assert_int_equal(b->pump.total, 3);
}

static void reset(int *fd)
{
	const struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
	assert_int_equal(close(*fd), 0);
	*fd = -1;
}

static void resets_on_either_side_are_failures(void **state)
{
	struct bench *b = *state;

	reset(&b->client);
	wait_for(b->from, POLLIN);
	assert_int_equal(pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, true), PUMP_FAILED);
	assert_int_equal(errno, ECONNRESET);
	/* And the writing side: bytes from the server's side to the one that is gone. */
	struct pump back = { 0 };
	const int before = open_fds();

	send_text(b->server, "too late");
	wait_for(b->to, POLLIN);
	assert_int_equal(pump_move(&back, b->pool, b->to, b->from, UINT64_MAX, true), PUMP_FAILED);
	assert_int_equal(errno, EPIPE);
	assert_true(back.in_pipe > 0);
	pump_close(&back, b->pool);
	pump_close(&back, b->pool);
	assert_int_equal(open_fds(), before - 2); /* the spare pipe that it took */
	assert_int_equal(back.in_pipe, 0);
}

static void fill_up(int fd)
{
	static char bytes[65536];

	while (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		;
}

static void without_a_pipe_it_fails_and_loses_nothing(void **state)
{
	struct bench *b = *state;
	struct rlimit limit, none;

	send_text(b->client, "kept");
	wait_for(b->from, POLLIN);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit) { .rlim_cur = 3, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	const enum pump_result r = pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, true);
	const int number = errno;

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(r, PUMP_FAILED);
	assert_int_equal(number, EMFILE);
	assert_int_equal(pump_move(&b->pump, b->pool, b->from, b->to, UINT64_MAX, true), PUMP_WAIT_FROM);
	expect_text(b->server, "kept");
}

/* A pool of one pipe, which another pump holds: its bytes wait for a reader. */
static void a_pool_has_so_many_pipes_and_no_more(void **state)
{
	struct bench *b = *state;
	struct pipe_pool *one = pipe_pool_new(1, 1);
	struct pump holder = { 0 };
	int in[2], out[2];

	tcp_pair(in);
	tcp_pair(out);
	fill_up(out[0]);
	send_text(in[0], "stays");
	wait_for(in[1], POLLIN);
	assert_int_equal(pump_move(&holder, one, in[1], out[0], UINT64_MAX, true), PUMP_WAIT_TO);
	send_text(b->client, "kept");
	wait_for(b->from, POLLIN);
	assert_int_equal(pump_move(&b->pump, one, b->from, b->to, UINT64_MAX, true), PUMP_FAILED);
	assert_int_equal(errno, EMFILE);
	pump_close(&holder, one);
	assert_int_equal(pump_move(&b->pump, one, b->from, b->to, UINT64_MAX, true), PUMP_WAIT_FROM);
	expect_text(b->server, "kept");
	pipe_pool_free(one);
	for (int i = 0; i < 2; i++) {
		(void)close(in[i]);
		(void)close(out[i]);
	}
}

int main(void)
{
#define ON_BENCH(name) cmocka_unit_test_setup_teardown(name, make_bench, free_bench)
	const struct CMUnitTest tests[] = {
		ON_BENCH(a_slow_reader_gets_every_byte),
		ON_BENCH(an_idle_pump_holds_no_pipe),
		ON_BENCH(one_call_is_bounded),
		ON_BENCH(half_close_leaves_the_other_way_open),
		ON_BENCH(an_end_is_not_passed_on_unless_asked),
		ON_BENCH(a_limit_leaves_the_rest_in_the_socket),
		ON_BENCH(an_end_before_the_limit_is_not_passed_on),
		ON_BENCH(resets_on_either_side_are_failures),
		ON_BENCH(without_a_pipe_it_fails_and_loses_nothing),
		ON_BENCH(a_pool_has_so_many_pipes_and_no_more),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
