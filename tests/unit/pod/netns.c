/* A pod's network, from sockets made inside it: what arrives at which listener, what is refused, and that it is told. Needs root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "walls.h"

enum { SKIPPED = 77, WAIT_MS = 2000 };

static struct walls walls;

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_of(const char *text, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(port);
		return sizeof ret->v4;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &ret->v6.sin6_addr), 1);
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(port);
	return sizeof ret->v6;
}

static int make_socket(int family, int type)
{
	struct err err = { 0 };
	const int fd = netns_socket(walls.netns, family, type, 0, &err);

	if (fd < 0)
		fail_msg("%s", err.text);
	return fd;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* A connection from inside arrives at the listener as one to the address that was meant. */
static void expect_captured(const char *text, uint16_t port, enum gate_listener where)
{
	union address to, got;
	socklen_t size = address_of(text, port, &to), got_size = sizeof got;
	FD_CLOSE int fd = make_socket(to.any.sa_family, SOCK_STREAM);
	char byte = 0;

	memset(&got, 0, sizeof got);
	if (connect(fd, &to.any, size) < 0)
		fail_msg("%s: %s", text, strerror(errno));
	assert_true(readable(walls.listeners[where], WAIT_MS));
	FD_CLOSE int conn = accept4(walls.listeners[where], NULL, NULL, SOCK_CLOEXEC);

	assert_true(conn >= 0);
	assert_int_equal(getsockname(conn, &got.any, &got_size), 0);
	if (where == GATE_DNS_TCP && to.any.sa_family == AF_INET)
		assert_memory_equal(&got.v6.sin6_addr.s6_addr[12], &to.v4.sin_addr, 4); /* dual stack: mapped */
	else
		assert_memory_equal(&got, &to, size);
	/* Both ways. */
	assert_int_equal(write(fd, "a", 1), 1);
	assert_int_equal(read(conn, &byte, 1), 1);
	assert_int_equal(write(conn, "b", 1), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'b');
}

static void test_tcp_is_captured(void **state)
{
	(void)state;
	expect_captured("1.1.1.1", 80, GATE_TCP4);
	expect_captured("198.18.0.1", 8080, GATE_TCP4);
	expect_captured("169.254.169.254", 1, GATE_TCP4);
	expect_captured("2606:4700:4700::1111", 7777, GATE_TCP6);
	expect_captured("fd5a:5354:4b44::1", 8080, GATE_TCP6);
	expect_captured("8.8.8.8", 53, GATE_DNS_TCP);
	expect_captured("2001:4860:4860::8888", 53, GATE_DNS_TCP);
}

/* A pod talks to itself without the gate. */
static void expect_local(const char *text)
{
	union address to;
	const socklen_t size = address_of(text, 8123, &to);
	FD_CLOSE int server = make_socket(to.any.sa_family, SOCK_STREAM);
	FD_CLOSE int client = make_socket(to.any.sa_family, SOCK_STREAM);

	assert_int_equal(bind(server, &to.any, size), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(connect(client, &to.any, size), 0);
	assert_true(readable(server, WAIT_MS));
	assert_false(readable(walls.listeners[GATE_TCP4], 0));
	assert_false(readable(walls.listeners[GATE_TCP6], 0));
}

static void test_loopback_is_left_alone(void **state)
{
	(void)state;
	expect_local("127.0.0.1");
	expect_local("127.1.2.3");
	expect_local("::1");
	expect_local("198.18.0.2");
	expect_local("fd5a:5354:4b44::2");
}

static void drain_drops(void)
{
	char bytes[8192];

	while (recv(walls.drops, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		continue;
}

static void expect_refused(const char *text, int type)
{
	union address to;
	const socklen_t size = address_of(text, 9999, &to);
	FD_CLOSE int fd = make_socket(to.any.sa_family, type);
	const uint64_t began = clock_now_ns();
	char bytes[8192];

	drain_drops();
	int rc = connect(fd, &to.any, size);

	if (rc == 0)
		rc = (int)send(fd, "some-secret", 11, 0);
	if (rc >= 0 && readable(fd, WAIT_MS))
		rc = (int)recv(fd, bytes, sizeof bytes, 0);
	if (rc >= 0)
		fail_msg("%s was not refused", text);
	assert_true(errno == EHOSTUNREACH || errno == ECONNREFUSED || errno == EACCES || errno == EPERM);
	assert_true(clock_now_ns() - began < 300000000U);
	if (!readable(walls.drops, WAIT_MS))
		fail_msg("%s was refused, but not logged", text);
	const ssize_t n = recv(walls.drops, bytes, sizeof bytes, 0);

	assert_true(n > 0);
	assert_non_null(memmem(bytes, (size_t)n, "some-secret", 11));
}

static void test_udp_is_refused_and_logged(void **state)
{
	(void)state;
	expect_refused("1.1.1.1", SOCK_DGRAM);
	expect_refused("198.18.0.1", SOCK_DGRAM);
	expect_refused("2606:4700:4700::1111", SOCK_DGRAM);
}

/* The question comes to the listener whatever address it was asked of, and the answer goes out from there. */
static void expect_dns(const char *text)
{
	union address to, peer;
	const socklen_t size = address_of(text, 53, &to);
	FD_CLOSE int fd = make_socket(to.any.sa_family, SOCK_DGRAM);
	_Alignas(struct cmsghdr) char control[256];
	char bytes[64];
	struct iovec part = { bytes, sizeof bytes };
	struct msghdr m = { .msg_name = &peer,
			    .msg_namelen = sizeof peer,
			    .msg_iov = &part,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof control };

	assert_int_equal(connect(fd, &to.any, size), 0);
	assert_int_equal(send(fd, "question", 8, 0), 8);
	assert_true(readable(walls.listeners[GATE_DNS_UDP], WAIT_MS));
	assert_int_equal(recvmsg(walls.listeners[GATE_DNS_UDP], &m, 0), 8);
	bool told = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		const struct in6_pktinfo *six = (const void *)CMSG_DATA(c);

		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_PKTINFO)
			continue;
		told = true;
		if (to.any.sa_family == AF_INET6)
			assert_memory_equal(&six->ipi6_addr, &to.v6.sin6_addr, 16);
		else
			assert_memory_equal(&six->ipi6_addr.s6_addr[12], &to.v4.sin_addr, 4);
	}
	assert_true(told);
	part.iov_len = 6;
	memcpy(bytes, "answer", sizeof "answer");
	assert_int_equal(sendmsg(walls.listeners[GATE_DNS_UDP], &m, 0), 6);
	assert_true(readable(fd, WAIT_MS));
	assert_int_equal(recv(fd, bytes, sizeof bytes, 0), 6); /* a connected socket: from the address that was asked */
}

static void test_dns(void **state)
{
	(void)state;
	expect_dns("8.8.8.8");
	expect_dns("198.18.0.1");
	expect_dns("2001:4860:4860::8888");
	expect_dns("127.0.0.1");
}

static int count_devices(void *arg, int *ret_fds, struct err *err)
{
	struct if_nameindex *list = if_nameindex();
	int n = 0;

	(void)ret_fds;
	while (list && list[n].if_index)
		n++;
	*(bool *)arg = false;
	return n == 1 && strcmp(list[0].if_name, "lo") == 0 ? 0 : err_set(err, ERR_FAULT, "there are %d devices", n);
}

static int fails(void *arg, int *ret_fds, struct err *err)
{
	ret_fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return err_set(err, ERR_INPUT, "because of %s", (const char *)arg);
}

static int die(void *arg, int *ret_fds, struct err *err)
{
	(void)arg, (void)ret_fds, (void)err;
	_exit(9);
}

static int second_only(void *arg, int *ret_fds, struct err *err)
{
	(void)arg, (void)err;
	ret_fds[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

static void test_run(void **state)
{
	struct err err = { 0 };
	int fds[2] = { -5, -5 };
	bool here = true;

	(void)state;
	assert_int_equal(netns_run(walls.netns, count_devices, &here, NULL, 0, &err), 0);
	assert_true(here); /* it ran elsewhere */
	assert_int_equal(netns_run(walls.netns, fails, (void *)"this", fds, 1, &err), -1);
	assert_int_equal(err.class, ERR_INPUT);
	assert_string_equal(err.text, "because of this");
	assert_int_equal(fds[0], -5);
	assert_int_equal(netns_run(walls.netns, die, NULL, fds, 2, &err), -1);
	assert_non_null(strstr(err.text, "without an answer"));
	assert_int_equal(netns_run(walls.netns, second_only, NULL, fds, 2, &err), 0);
	assert_int_equal(fds[0], -1);
	assert_true(fds[1] >= 0 && fcntl(fds[1], F_GETFD) == FD_CLOEXEC);
	assert_int_equal(close(fds[1]), 0);
	assert_int_equal(netns_run(walls.userns, count_devices, &here, NULL, 0, &err), -1); /* not a network namespace */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_listeners_are_as_told(void **state)
{
	(void)state;
	for (int i = 0; i < GATE_LISTENER_COUNT; i++) {
		if (i == GATE_DROPS) {
			assert_int_equal(walls.listeners[i], -1);
			continue;
		}
		assert_int_equal(fcntl(walls.listeners[i], F_GETFD), FD_CLOEXEC);
		assert_true(fcntl(walls.listeners[i], F_GETFL) & O_NONBLOCK);
	}
}

/* With the gate's listener gone, a connection is refused at once. */
static void test_no_gate(void **state)
{
	union address to;
	const socklen_t size = address_of("1.1.1.1", 80, &to);
	FD_CLOSE int fd = make_socket(AF_INET, SOCK_STREAM);
	const uint64_t began = clock_now_ns();

	(void)state;
	fd_close(&walls.listeners[GATE_TCP4]);
	assert_int_equal(connect(fd, &to.any, size), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_true(clock_now_ns() - began < 300000000U);
}

/* --- a namespace that somebody else has made --- */

static int bare(void *arg, int *ret_fds, struct err *err)
{
	if (unshare(CLONE_NEWNET) < 0)
		return err_errno(err, "unshare");
	ret_fds[0] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return ret_fds[0] < 0 ? -1 : 0;
}

/* One device; arg: NULL, or it is brought up. */
static int add_device(void *arg, int *ret_fds, struct err *err)
{
	const int rc = system("ip link add one type bridge"); /* NOLINT(cert-env33-c): a test */

	(void)ret_fds;
	if (rc != 0 || (arg && system("ip link set one up") != 0)) /* NOLINT(cert-env33-c) */
		return err_set(err, ERR_FAULT, "no devices to test with");
	return 0;
}

static int make_bare(void)
{
	struct err err = { 0 };
	int here = -1, fd = -1;

	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns_run(here, bare, NULL, &fd, 1, &err) < 0)
		fail_msg("%s", err.text);
	fd_close(&here);
	return fd;
}

static void test_adopt(void **state)
{
	const struct ip_addr v4 = { 4, { 198, 18, 0, 9 } }, v6 = { 6, { 0xfd, 0x5a, [15] = 9 } };
	struct err err = { 0 };
	union address to;
	FD_CLOSE int netns = make_bare();
	unsigned devices = 0;

	(void)state;
	if (netns_adopt(netns, &v4, &v6, &err) < 0)
		fail_msg("%s", err.text);
	FD_CLOSE int fd = netns_socket(netns, AF_INET, SOCK_STREAM, 0, &err);

	/* Any address is one of its own. */
	assert_int_equal(bind(fd, &to.any, address_of("198.18.0.9", 80, &to)), 0);
	assert_int_equal(netns_run(netns, count_devices, &devices, NULL, 0, &err), 0);
	assert_int_equal(netns_adopt(netns, &v4, &v6, &err), -1); /* it is made once */
}

static void test_adopt_refuses(void **state)
{
	const struct ip_addr v4 = { 4, { 198, 18, 0, 9 } }, v6 = { 6, { 0xfd, 0x5a, [15] = 9 } };
	struct err err = { 0 };
	FD_CLOSE int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	FD_CLOSE int used = make_bare();
	FD_CLOSE int idle = make_bare();

	(void)state;
	assert_int_equal(netns_adopt(own, &v4, &v6, &err), -1);
	assert_non_null(strstr(err.text, "the host's own network namespace"));
	assert_int_equal(netns_run(used, add_device, &err, NULL, 0, &err), 0);
	assert_int_equal(netns_adopt(used, &v4, &v6, &err), -1);
	assert_non_null(strstr(err.text, "network device one"));
	assert_int_equal(netns_run(used, add_device, NULL, NULL, 0, &err), -1); /* it is there still */
	/* One that is down may be the kernel's, and goes. */
	assert_int_equal(netns_run(idle, add_device, NULL, NULL, 0, &err), 0);
	assert_int_equal(netns_adopt(idle, &v4, &v6, &err), 0);
	assert_int_equal(netns_run(idle, add_device, NULL, NULL, 0, &err), 0);
}

static int set_up(void **state)
{
	(void)state;
	walls_raise(&walls);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	walls_close(&walls);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_is_captured),
		cmocka_unit_test(test_loopback_is_left_alone),
		cmocka_unit_test(test_udp_is_refused_and_logged),
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_listeners_are_as_told),
		cmocka_unit_test(test_no_gate),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_adopt_refuses),
	};

	return geteuid() != 0 ? SKIPPED : cmocka_run_group_tests(tests, set_up, tear_down);
}
