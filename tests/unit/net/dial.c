/* Dialling: the first address that answers, in order, paced; a silent one does not hold up the next; nothing is told too early. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "net/dial.h"

static struct loop *loop;

/* 127.0.0.N, one port for all of them. */
enum { LISTENS = 5, SILENT = 6, SILENT_TOO = 7, REFUSES = 8 };
static uint16_t port;
static int listener, silent[2], fillers[16];
static size_t filler_count;

static struct sockaddr_in at(unsigned last)
{
	return (struct sockaddr_in) { .sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(0x7f000000U + last) };
}

static int listen_on(unsigned last, int backlog)
{
	struct sockaddr_in a = at(last);
	socklen_t n = sizeof a;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, backlog) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return -1;
	port = ntohs(a.sin_port);
	return fd;
}

/* A listener whose queue is full drops what comes: a black hole. */
static int fill(unsigned last)
{
	const struct sockaddr_in a = at(last);
	const int fd = listen_on(last, 0);

	for (int i = 0; fd >= 0 && i < 4; i++) {
		const int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		(void)connect(filler, (const struct sockaddr *)&a, sizeof a);
		fillers[filler_count++] = filler;
	}
	return fd;
}

static int make_listeners(void **state)
{
	listener = listen_on(LISTENS, 16);
	silent[0] = fill(SILENT);
	silent[1] = fill(SILENT_TOO);
	return listener < 0 || silent[0] < 0 || silent[1] < 0 ? -1 : 0;
}

static int close_listeners(void **state)
{
	while (filler_count)
		(void)close(fillers[--filler_count]);
	(void)close(listener);
	(void)close(silent[0]);
	(void)close(silent[1]);
	return 0;
}

static int make_loop(void **state)
{
	loop = loop_new();
	return loop ? 0 : -1;
}

static int free_loop(void **state)
{
	loop_free(loop);
	return 0;
}

/* --- the outcome --- */

static int told, outcome;
static struct ip_addr winner;

static bool has_room = true;

static bool may(struct dial_room *r)
{
	return has_room;
}

static struct dial_room room = { .may = may };
static struct dial_options options = { .room = &room };

static void done(void *arg, int fd, const struct ip_addr *connected)
{
	assert_ptr_equal(arg, &told);
	told++;
	outcome = fd;
	winner = *connected;
	loop_stop(loop);
}

static struct addresses list_of(size_t count, const unsigned *lasts)
{
	struct addresses a = { .count = (uint8_t)count };

	for (size_t i = 0; i < count; i++)
		a.list[i] = (struct ip_addr) { .family = 4, .bytes = { 127, 0, 0, (uint8_t)lasts[i] } };
	return a;
}

#define LIST(...) list_of(sizeof((unsigned[]) { __VA_ARGS__ }) / sizeof(unsigned), (unsigned[]) { __VA_ARGS__ })

/* Milliseconds until it was told. */
static uint64_t dial(struct addresses a)
{
	const uint64_t start = clock_now_ns();

	told = 0;
	assert_non_null(dial_start(loop, &a, port, &options, done, &told));
	assert_int_equal(told, 0);
	loop_run(loop, NULL, NULL);
	assert_int_equal(told, 1);
	assert_int_equal(room.taken, 0);
	return (clock_now_ns() - start) / 1000000;
}

static void expect_connection_to(unsigned last)
{
	struct sockaddr_in peer;
	socklen_t n = sizeof peer;
	int nodelay = 0;
	socklen_t size = sizeof nodelay;

	assert_true(outcome >= 0);
	assert_int_equal(winner.bytes[3], last);
	assert_int_equal(getpeername(outcome, (struct sockaddr *)&peer, &n), 0);
	assert_int_equal(peer.sin_addr.s_addr, at(last).sin_addr.s_addr);
	assert_true(fcntl(outcome, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(outcome, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(outcome, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
	assert_true(nodelay);
	(void)close(outcome);
}

static int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 200; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void connects_to_the_first(void **state)
{
	(void)dial(LIST(LISTENS, REFUSES));
	expect_connection_to(LISTENS);
}

static void goes_on_at_once_after_a_refusal(void **state)
{
	assert_true(dial(LIST(REFUSES, REFUSES, REFUSES, LISTENS)) < 200);
	expect_connection_to(LISTENS);
}

static void tells_the_last_failure(void **state)
{
	(void)dial(LIST(REFUSES, REFUSES));
	assert_int_equal(outcome, -ECONNREFUSED);
}

static void an_unreachable_family_is_passed_over(void **state)
{
	struct addresses a = LIST(REFUSES, LISTENS);

	/* A multicast group: no TCP goes there, route or not. */
	a.list[0] = (struct ip_addr) { .family = 6, .bytes = { 0xff, 0x00 } };
	(void)dial(a);
	expect_connection_to(LISTENS);
}

static void nothing_to_dial_is_a_failure(void **state)
{
	(void)dial((struct addresses) { 0 });
	assert_true(outcome < 0);
}

static void a_silent_address_does_not_hold_up_the_next(void **state)
{
	const int before = open_fds();
	const uint64_t took = dial(LIST(SILENT, LISTENS));

	assert_in_range(took, DIAL_NEXT_MS, DIAL_NEXT_MS + 64 + 100);
	expect_connection_to(LISTENS);
	assert_int_equal(open_fds(), before); /* the loser is closed */
}

/* With two under way, a third waits until both have been silent for long. */
static void two_silent_ones_do_not_hold_up_the_third(void **state)
{
	const struct addresses a = LIST(SILENT, SILENT_TOO, LISTENS);
	const int before = open_fds();
	struct dial *d = dial_start(loop, &a, port, &options, done, &told);

	told = 0;
	assert_non_null(d);
	assert_int_equal(open_fds(), before + 1);
	dial_cancel(d);
	assert_int_equal(open_fds(), before);
	assert_true(dial(a) >= 2000);
	expect_connection_to(LISTENS);
}

static void stop_now(struct timer *t)
{
	loop_stop(loop);
}

/* Sockets of a dial to two silent addresses when both could be under way. */
static int sockets_of_two(void)
{
	const struct addresses a = LIST(SILENT, SILENT_TOO);
	const int before = open_fds();
	struct timer end = { .expired = stop_now };
	struct dial *d = dial_start(loop, &a, port, &options, done, &told);

	assert_non_null(d);
	loop_timer_set(loop, &end, 2 * DIAL_NEXT_MS);
	loop_run(loop, NULL, NULL);
	const int sockets = open_fds() - before;

	assert_int_equal(room.taken, sockets - 1);
	dial_cancel(d);
	assert_int_equal(room.taken, 0);
	return sockets;
}

/* Then the next takes the place of the first once that has been silent for long. */
static void without_room_there_is_one_at_a_time(void **state)
{
	const struct addresses a = LIST(SILENT, LISTENS);

	assert_int_equal(sockets_of_two(), 2);
	has_room = false;
	assert_int_equal(sockets_of_two(), 1);
	assert_true(dial(a) >= 2000);
	expect_connection_to(LISTENS);
	has_room = true;
}

static void its_buffers_are_bounded(void **state)
{
	static const int names[] = { SO_RCVBUF, SO_SNDBUF };
	const struct addresses a = LIST(LISTENS);

	for (int bytes = 0; bytes <= 16384; bytes += 16384) {
		options.buffers = bytes;
		(void)dial(a);
		for (int i = 0; i < 2; i++) {
			int size = 0;
			socklen_t n = sizeof size;

			assert_int_equal(getsockopt(outcome, SOL_SOCKET, names[i], &size, &n), 0);
			if (bytes)
				assert_int_equal(size, 2 * bytes); /* the kernel's own needs are in it */
			else
				assert_int_not_equal(size, 2 * 16384);
		}
		expect_connection_to(LISTENS);
	}
	options.buffers = 0;
}

static void a_cancelled_one_is_silent(void **state)
{
	const struct addresses silent_one = LIST(SILENT), good = LIST(LISTENS), none = { 0 };
	const int before = open_fds();
	struct timer end = { .expired = stop_now };

	told = 0;
	dial_cancel(NULL);
	dial_cancel(dial_start(loop, &silent_one, port, &options, done, &told));
	dial_cancel(dial_start(loop, &good, port, &options, done, &told));
	dial_cancel(dial_start(loop, &none, port, &options, done, &told));
	loop_timer_set(loop, &end, 10);
	loop_run(loop, NULL, NULL);
	assert_int_equal(told, 0);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
#define WITH_LOOP(name) cmocka_unit_test_setup_teardown(name, make_loop, free_loop)
	const struct CMUnitTest tests[] = {
		WITH_LOOP(connects_to_the_first),
		WITH_LOOP(goes_on_at_once_after_a_refusal),
		WITH_LOOP(tells_the_last_failure),
		WITH_LOOP(an_unreachable_family_is_passed_over),
		WITH_LOOP(nothing_to_dial_is_a_failure),
		WITH_LOOP(a_silent_address_does_not_hold_up_the_next),
		WITH_LOOP(two_silent_ones_do_not_hold_up_the_third),
		WITH_LOOP(without_room_there_is_one_at_a_time),
		WITH_LOOP(its_buffers_are_bounded),
		WITH_LOOP(a_cancelled_one_is_silent),
	};

	return cmocka_run_group_tests(tests, make_listeners, close_listeners);
}
