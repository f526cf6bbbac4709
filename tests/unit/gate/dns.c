/* The pods' resolver, over sockets of the loopback device made as a pod's are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate/dns.h"
#include "gate_test.h"

#define HEADER   "\x12\x34\x01\0\0\1\0\0\0\0\0\0"
#define BYTES(s) ((struct span) { s, sizeof(s) - 1 })
#define CLI_POD  "\7Cli-Pod\0"
#define IN_A     "\0\1\0\1"
#define IN_AAAA  "\0\x1c\0\1"

static const struct row {
	const char *name;
	struct span question;
	int rcode; /* -1: no answer */
	struct span data;
	const char *logged; /* host; NULL: not logged */
} rows[] = {
	{ "A of a pod", BYTES(HEADER CLI_POD IN_A), 0, BYTES("\xc6\x12\0\5"), NULL },
	{ "AAAA of a pod", BYTES(HEADER CLI_POD IN_AAAA), 0, BYTES("\xfd\x5a\0\0\0\0\0\0\0\0\0\0\0\0\0\5"), NULL },
	{ "AAAA of a pod that has none", BYTES(HEADER "\6v4-pod\0" IN_AAAA), 0, { 0 }, NULL },
	{ "TXT of a pod", BYTES(HEADER CLI_POD "\0\x10\0\1"), 0, { 0 }, NULL },
	{ "ANY of a pod", BYTES(HEADER CLI_POD "\0\xff\0\1"), 0, { 0 }, NULL },
	{ "below a pod", BYTES(HEADER "\1x\7cli-pod\0" IN_A), 3, { 0 }, "x.cli-pod" },
	{ "a listed name", BYTES(HEADER "\3api\7example\3com\0" IN_A), 3, { 0 }, "api.example.com" },
	{ "hostile bytes", BYTES(HEADER "\4\"\n.\xff\0" IN_A), 3, { 0 }, "\\\\034\\\\010\\\\046\\\\255" },
	{ "the root", BYTES(HEADER "\0\0\2\0\1"), 5, { 0 }, "." },
	{ "another class", BYTES(HEADER CLI_POD "\0\x10\0\3"), 5, { 0 }, "cli-pod" },
	{ "an update", BYTES("\x12\x34\x28\0\0\1\0\0\0\0\0\0" CLI_POD IN_A), 4, { 0 }, NULL },
	{ "two questions", BYTES("\x12\x34\1\0\0\2\0\0\0\0\0\0" CLI_POD IN_A CLI_POD IN_A), 1, { 0 }, NULL },
	{ "an answer", BYTES("\x12\x34\x81\0\0\1\0\0\0\0\0\0" CLI_POD IN_A), -1, { 0 }, NULL },
	{ "too short", BYTES("\x12\x34\1\0\0"), -1, { 0 }, NULL },
};

/* As protocol.h has it. */
static int pod_socket(int type, uint16_t *ret_port)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	socklen_t size = sizeof at;
	const int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), off = 0, on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
	*ret_port = ntohs(at.sin6_port);
	return fd;
}

/* Connected, so that an answer from another address than the one asked does not arrive. */
static int ask_at(const char *address, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const bool v4 = inet_pton(AF_INET, address, &in.sin_addr) == 1;
	const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (v4) {
		assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
	} else {
		assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
		assert_int_equal(connect(fd, (struct sockaddr *)&in6, sizeof in6), 0);
	}
	return fd;
}

static void check_answer(const struct row *r, const char *answer, ssize_t n)
{
	if (r->rcode < 0) {
		assert_true(n < 0);
		return;
	}
	assert_true(n >= 12);
	assert_memory_equal(answer, r->question.p, 2);
	assert_int_equal(answer[3] & 15, r->rcode);
	assert_int_equal(answer[7], r->data.n > 0);
	if (r->data.n)
		assert_memory_equal(answer + n - r->data.n, r->data.p, r->data.n);
}

static void datagrams_are_answered_from_the_address_asked(void **state)
{
	static const char *const addresses[] = { "127.0.0.1", "127.8.9.10", "::1" };
	struct gate_test *t = *state;
	uint16_t port;
	const int fd = pod_socket(SOCK_DGRAM, &port);
	unsigned logged = 0;

	for (size_t a = 0; a < sizeof addresses / sizeof *addresses; a++) {
		const int asker = ask_at(addresses[a], port);

		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			char answer[512];

			assert_int_equal(send(asker, rows[i].question.p, rows[i].question.n, 0), rows[i].question.n);
			dns_udp_ready(&t->worker, &t->client, fd);
			check_answer(&rows[i], answer, recv(asker, answer, sizeof answer, MSG_DONTWAIT));
			logged += rows[i].logged != NULL;
		}
		(void)close(asker);
	}
	(void)close(fd);
	assert_int_equal(t->worker.counters.dns_queries, 3 * sizeof rows / sizeof *rows);
	const char *text = gate_test_log(t);

	assert_int_equal(gate_test_lines(text), logged);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char wanted[200];

		if (!rows[i].logged)
			continue;
		(void)snprintf(wanted, sizeof wanted,
			       "\"adapter\":\"dns\",\"host\":\"%s\",\"address\":null,\"port\":null,\"verdict\":\"deny\",\"reason\":"
			       "\"dns-name\"",
			       rows[i].logged);
		assert_non_null(strstr(text, wanted));
	}
}

static void a_client_without_policy_is_refused(void **state)
{
	struct gate_test *t = *state;
	char answer[512];
	uint16_t port;
	const int fd = pod_socket(SOCK_DGRAM, &port), asker = ask_at("127.0.0.1", port);

	t->client.number = CLIENT_NONE;
	assert_int_equal(send(asker, rows[0].question.p, rows[0].question.n, 0), rows[0].question.n);
	dns_udp_ready(&t->worker, &t->client, fd);
	assert_true(recv(asker, answer, sizeof answer, MSG_DONTWAIT) > 12);
	assert_int_equal(answer[3] & 15, 5);
	(void)close(fd);
	(void)close(asker);
	assert_non_null(strstr(gate_test_log(t), "\"reason\":\"unknown-client\""));
}

/* One wake-up reads a bounded number; a flood is answered, but its lines are bounded too. */
static void a_flood_is_bounded(void **state)
{
	struct gate_test *t = *state;
	static const struct span no = BYTES(HEADER "\1x\7cli-pod\0" IN_A);
	char answer[512];
	unsigned answers = 0;
	uint16_t port;
	const int fd = pod_socket(SOCK_DGRAM, &port), asker = ask_at("127.0.0.1", port);

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 65; i++)
			assert_int_equal(send(asker, no.p, no.n, 0), no.n);
		dns_udp_ready(&t->worker, &t->client, fd);
		assert_int_equal(t->worker.counters.dns_queries, (unsigned)round * 65 + 64);
		dns_udp_ready(&t->worker, &t->client, fd);
		for (; recv(asker, answer, sizeof answer, MSG_DONTWAIT) > 0; answers++)
			assert_int_equal(answer[3] & 15, 3);
	}
	assert_int_equal(answers, 325);
	(void)close(fd);
	(void)close(asker);
	const unsigned lines = gate_test_lines(gate_test_log(t));

	assert_in_range(lines, CLIENT_DNS_LINES, 324); /* more than one second's only if a second passed */
	assert_int_equal(lines + t->worker.counters.log_dropped, 325);
}

/* --- TCP --- */

struct stop {
	struct timer timer;
	struct loop *loop;
};

static void stop_now(struct timer *t)
{
	loop_stop(((struct stop *)((char *)t - offsetof(struct stop, timer)))->loop);
}

static void run_for(struct gate_test *t, uint32_t ms)
{
	struct stop stop = { .timer.expired = stop_now, .loop = t->worker.loop };

	loop_timer_set(t->worker.loop, &stop.timer, ms);
	loop_run(t->worker.loop, NULL, NULL);
}

static int open_tcp(struct gate_test *t)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	dns_tcp_accepted(&t->worker, &t->client, pair[0]);
	return pair[1];
}

static size_t put_message(char *out, struct span msg)
{
	out[0] = (char)(msg.n >> 8);
	out[1] = (char)msg.n;
	memcpy(out + 2, msg.p, msg.n);
	return msg.n + 2;
}

static size_t whole_answer(const char *p, size_t n)
{
	assert_true(n >= 14);
	const size_t size = 2 + ((size_t)(uint8_t)p[0] << 8 | (uint8_t)p[1]);

	assert_true(size <= n);
	return size;
}

static void tcp_answers_in_order_however_it_is_cut(void **state)
{
	struct gate_test *t = *state;
	char out[256], in[1024];
	size_t n = put_message(out, rows[0].question), at = 0;

	n += put_message(out + n, rows[5].question);
	n += put_message(out + n, rows[1].question);
	for (size_t piece = 1; piece < n; piece += 17) {
		const int fd = open_tcp(t);

		for (at = 0; at < n; at += piece) {
			assert_true(send(fd, out + at, n - at < piece ? n - at : piece, 0) > 0);
			if (piece > 16 || at == 0)
				run_for(t, 1);
		}
		run_for(t, 1);
		const ssize_t got = recv(fd, in, sizeof in, 0);

		assert_true(got > 0);
		at = whole_answer(in, (size_t)got);
		check_answer(&rows[0], in + 2, (ssize_t)at - 2);
		const size_t second = whole_answer(in + at, (size_t)got - at);

		check_answer(&rows[5], in + at + 2, (ssize_t)second - 2);
		at += second;
		check_answer(&rows[1], in + at + 2, got - (ssize_t)at - 2);
		assert_int_equal(at + whole_answer(in + at, (size_t)got - at), got);
		(void)close(fd);
		run_for(t, 1);
		assert_int_equal(t->client.dns_conn_count, 0);
	}
}

/* Questions without end and answers that nobody reads: it stops reading, loses nothing, and goes on when there is room. */
static void tcp_waits_for_room(void **state)
{
	struct gate_test *t = *state;
	char out[64], in[4096];
	const size_t n = put_message(out, rows[0].question);
	const int fd = open_tcp(t);
	size_t sent = 0, answered = 0, have = 0;

	for (int i = 0; i < 400; i++) {
		while (send(fd, out, n, 0) == (ssize_t)n)
			sent++;
		const uint64_t before = t->worker.counters.dns_queries;

		run_for(t, 1);
		if (t->worker.counters.dns_queries == before)
			break;
	}
	assert_true(t->worker.counters.dns_queries < sent);
	for (int i = 0; i < 4000 && answered < sent; i++) {
		ssize_t got;

		while ((got = recv(fd, in + have, sizeof in - have, 0)) > 0) {
			have += (size_t)got;
			size_t at = 0;

			while (have - at >= 14 && 2 + (size_t)(uint8_t)in[at + 1] <= have - at) {
				at += whole_answer(in + at, have - at);
				answered++;
			}
			memmove(in, in + at, have - at);
			have -= at;
		}
		run_for(t, 1);
	}
	assert_int_equal(answered, sent);
	(void)close(fd);
	dns_close_client(&t->worker, &t->client);
}

static void tcp_nonsense_is_closed(void **state)
{
	static const struct span nonsense[] = {
		BYTES("\x10\x01"),                                               /* 4097 bytes are to come */
		BYTES("\0\0"),                                                   /* an empty message */
		BYTES("\0\5\x12\x34\1\0\0"),                                     /* no header */
		BYTES("\0\x19\x12\x34\x81\0\0\1\0\0\0\0\0\0\7cli-pod\0\0\1\0\1") /* an answer */
	};
	struct gate_test *t = *state;
	char in[64];

	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		const int fd = open_tcp(t);

		assert_int_equal(send(fd, nonsense[i].p, nonsense[i].n, 0), nonsense[i].n);
		run_for(t, 1);
		assert_true(recv(fd, in, sizeof in, 0) <= 0);
		assert_int_equal(t->client.dns_conn_count, 0);
		(void)close(fd);
	}
}

static void tcp_connections_are_bounded(void **state)
{
	struct gate_test *t = *state;
	int fds[66];
	char in[8];

	for (int i = 0; i < 66; i++)
		fds[i] = open_tcp(t);
	assert_int_equal(t->client.dns_conn_count, 64);
	assert_true(recv(fds[63], in, sizeof in, 0) < 0);
	assert_int_equal(recv(fds[64], in, sizeof in, 0), 0);
	dns_close_client(&t->worker, &t->client);
	assert_int_equal(t->client.dns_conn_count, 0);
	run_for(t, 1);
	for (int i = 0; i < 66; i++) {
		assert_int_equal(recv(fds[i], in, sizeof in, 0), 0);
		(void)close(fds[i]);
	}
	const char *text = gate_test_log(t);

	assert_int_equal(gate_test_lines(text), 1); /* of two: one a second */
	assert_non_null(strstr(text, "\"adapter\":\"dns\""));
	assert_non_null(strstr(text, "\"reason\":\"limit\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_test_setup, gate_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagrams_are_answered_from_the_address_asked),
		TEST(a_client_without_policy_is_refused),
		TEST(a_flood_is_bounded),
		TEST(tcp_answers_in_order_however_it_is_cut),
		TEST(tcp_waits_for_room),
		TEST(tcp_nonsense_is_closed),
		TEST(tcp_connections_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
