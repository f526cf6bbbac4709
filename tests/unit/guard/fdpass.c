/* Messages with descriptors: whole or refused, and after a refusal no descriptor is left open. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "guard/fdpass.h"

static int pair[2], null;

static int make_pair(void **state)
{
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return null < 0 ? -1 : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static int close_pair(void **state)
{
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(null);
	return 0;
}

static int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 200; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void descriptors_arrive_in_order(void **state)
{
	int pipe_ends[2], got[FDPASS_MAX];
	char text[16];
	size_t count = 99;
	struct stat sent, came;

	assert_int_equal(pipe(pipe_ends), 0);
	const int fds[] = { null, pipe_ends[1] };

	assert_int_equal(fdpass_send(pair[0], "hello", 5, fds, 2), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, got, FDPASS_MAX, &count), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fstat(fds[i], &sent), 0);
		assert_int_equal(fstat(got[i], &came), 0);
		assert_true(sent.st_ino == came.st_ino && sent.st_dev == came.st_dev);
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		(void)close(got[i]);
	}
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
}

static void sixteen_go_and_seventeen_do_not(void **state)
{
	int fds[FDPASS_MAX + 1], got[FDPASS_MAX];
	char byte;
	size_t count;

	for (int i = 0; i <= FDPASS_MAX; i++)
		fds[i] = null;
	assert_int_equal(fdpass_send(pair[0], "x", 1, fds, FDPASS_MAX + 1), -EINVAL);
	assert_int_equal(fdpass_send(pair[0], "x", 1, fds, FDPASS_MAX), 0);
	assert_int_equal(fdpass_receive(pair[1], &byte, 1, got, FDPASS_MAX, &count), 1);
	assert_int_equal(count, FDPASS_MAX);
	while (count)
		(void)close(got[--count]);
}

static void plain_packets_end_and_nothing_yet(void **state)
{
	char text[8];
	size_t count = 99;

	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, NULL, 0, &count), -EAGAIN);
	assert_int_equal(count, 0);
	assert_int_equal(fdpass_send(pair[0], "", 0, NULL, 0), -EINVAL);
	assert_int_equal(fdpass_send(pair[0], "plain", 5, NULL, 0), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, NULL, 0, &count), 5);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, NULL, 0, &count), 0);
	assert_int_equal(fdpass_send(pair[0], "late", 4, NULL, 0), -EPIPE);
}

static void more_than_wanted_is_refused_and_closed(void **state)
{
	const int fds[] = { null, null, null };
	int got[2];
	char text[8];
	size_t count;
	const int before = open_fds();

	assert_int_equal(fdpass_send(pair[0], "x", 1, fds, 3), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, got, 2, &count), -EPROTO);
	assert_int_equal(fdpass_send(pair[0], "x", 1, fds, 1), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, NULL, 0, &count), -EPROTO);
	assert_int_equal(count, 0);
	assert_int_equal(open_fds(), before);
}

static void a_packet_that_does_not_fit_is_refused_and_closed(void **state)
{
	const int fds[] = { null };
	int got[FDPASS_MAX];
	char text[4];
	size_t count;
	const int before = open_fds();

	assert_int_equal(fdpass_send(pair[0], "12345", 5, fds, 1), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, got, FDPASS_MAX, &count), -EPROTO);
	assert_int_equal(count, 0);
	assert_int_equal(open_fds(), before);
}

/* Somebody sends more than this house ever would. */
static void a_flood_of_descriptors_is_refused_and_closed(void **state)
{
	enum { MANY = 100 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MANY * sizeof(int))];
	} control = { 0 };
	struct iovec part = { .iov_base = "x", .iov_len = 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fds[MANY], got[FDPASS_MAX];
	char text[4];
	size_t count;
	const int before = open_fds();

	for (int i = 0; i < MANY; i++)
		fds[i] = null;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(c), fds, sizeof fds);
	assert_int_equal(sendmsg(pair[0], &m, 0), 1);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, got, FDPASS_MAX, &count), -EPROTO);
	/* An empty packet with a descriptor is not an end. */
	part.iov_len = 0;
	m.msg_controllen = c->cmsg_len = CMSG_LEN(sizeof(int));
	assert_int_equal(sendmsg(pair[0], &m, 0), 0);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof text, got, FDPASS_MAX, &count), -EPROTO);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
#define ON_PAIR(name) cmocka_unit_test_setup_teardown(name, make_pair, close_pair)
	const struct CMUnitTest tests[] = {
		ON_PAIR(descriptors_arrive_in_order),
		ON_PAIR(sixteen_go_and_seventeen_do_not),
		ON_PAIR(plain_packets_end_and_nothing_yet),
		ON_PAIR(more_than_wanted_is_refused_and_closed),
		ON_PAIR(a_packet_that_does_not_fit_is_refused_and_closed),
		ON_PAIR(a_flood_of_descriptors_is_refused_and_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
