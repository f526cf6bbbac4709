/* The host's own addresses, in a network namespace of the test's own where it may make one: there addresses and routes are given, asked
 * for, and taken away. What the kernel does not say by itself, the parser is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/span.h"
#include "net/own.h"

static bool has(struct own *o, const char *text)
{
	struct ip_addr a;

	assert_true(ip_parse(span_of(text), &a));
	return own_has(o, &a);
}

static void test_loopback(void **state)
{
	struct own o;
	struct err err;

	(void)state;
	assert_int_equal(own_open(&o, &err), 0);
	for (int i = 0; i < 3; i++) { /* again and again: nothing of an earlier question stays */
		assert_true(has(&o, "127.0.0.1"));
		assert_false(has(&o, "93.184.215.14"));
		assert_false(has(&o, "2606:4700:4700::1111"));
		assert_true(has(&o, "255.255.255.255")); /* a broadcast reaches the host too */
	}
	own_close(&o);
	own_close(&o);
	/* Without its sockets it cannot tell: then every address is taken for the host's. */
	assert_true(has(&o, "93.184.215.14"));
}

static void give(const char *commands)
{
	assert_int_equal(system(commands), 0);
}

static void test_fresh(void **state)
{
	struct own o;
	struct err err;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(own_open(&o, &err), 0);
	give("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && "
	     "ip route add default dev d0 && ip -6 route add default dev d0");
	assert_false(has(&o, "20.10.0.2"));
	assert_false(has(&o, "2a0a:10::2"));
	give("ip addr add 20.10.0.2/32 dev d1 && ip addr add 2a0a:10::2/128 dev d1 nodad");
	assert_true(has(&o, "20.10.0.2"));
	assert_true(has(&o, "2a0a:10::2"));
	assert_false(has(&o, "20.10.0.3"));
	give("ip addr del 20.10.0.2/32 dev d1");
	assert_false(has(&o, "20.10.0.2"));
	own_close(&o);
}

/* The source that the kernel would take is another of the host's addresses in each of these. */
static void test_not_the_source(void **state)
{
	struct own o;
	struct err err;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(own_open(&o, &err), 0);
	give("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && "
	     "ip addr add 20.20.0.2/24 dev d1 && ip addr add 20.20.0.3/24 dev d1 && ip addr add 2a0a:20::2/64 dev d1 nodad && "
	     "ip addr add 2a0a:20::3/64 dev d1 nodad && ip route add default via 20.20.0.1 && ip -6 route add default via "
	     "2a0a:20::1");
	assert_true(has(&o, "20.20.0.2"));
	assert_true(has(&o, "20.20.0.3"));
	assert_true(has(&o, "2a0a:20::2"));
	assert_true(has(&o, "2a0a:20::3"));
	assert_true(has(&o, "20.20.0.255"));
	assert_false(has(&o, "20.20.0.1"));
	assert_false(has(&o, "2a0a:20::1"));
	give("ip route add local 20.30.0.0/24 dev lo src 20.20.0.2 && ip -6 route add local 2a0a:30::/64 dev lo src 2a0a:20::2 && "
	     "ip -6 route add anycast 2a0a:31::1 dev lo");
	assert_true(has(&o, "20.30.0.7"));
	assert_true(has(&o, "2a0a:30::7"));
	assert_true(has(&o, "2a0a:31::1"));
	assert_false(has(&o, "20.30.1.7"));
	assert_false(has(&o, "2a0a:30:0:1::7"));
	/* Forbidden and swallowed stays denied; unreachable is nobody's. */
	give("ip route add prohibit 20.40.0.1 && ip route add blackhole 20.40.0.2 && ip route add unreachable 20.40.0.3 && "
	     "ip -6 route add unreachable 2a0a:40::3 && ip route add throw 20.40.0.4");
	assert_true(has(&o, "20.40.0.1"));
	assert_true(has(&o, "20.40.0.2"));
	assert_false(has(&o, "20.40.0.3"));
	assert_false(has(&o, "2a0a:40::3"));
	assert_false(has(&o, "20.40.0.4"));
	own_close(&o);
}

/* A gate in a pod asks both. */
static void test_of_another_namespace(void **state)
{
	struct own o;
	struct err err;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	give("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && "
	     "ip addr add 20.20.0.2/24 dev d1 && ip addr add 20.20.0.3/24 dev d1");
	const int host = own_socket();

	assert_true(host >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	give("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && "
	     "ip addr add 10.89.0.2/24 dev d1 && ip route add default via 10.89.0.1");
	assert_int_equal(own_open(&o, &err), 0);
	assert_false(has(&o, "20.20.0.3"));
	assert_true(has(&o, "10.89.0.2"));
	o.host = host;
	assert_true(has(&o, "20.20.0.3"));
	assert_true(has(&o, "10.89.0.2"));
	assert_false(has(&o, "20.20.0.4"));
	(void)close(host);
	assert_true(has(&o, "20.20.0.4")); /* it cannot be told any more */
	own_close(&o);
}

/* Answers that come too late, or not at all. */
static void test_left_over(void **state)
{
	struct own o = { .fd = -1 };
	int pair[2];

	(void)state;
	/* A socket that takes the question and says nothing: no wait. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	o = (struct own) { .fd = pair[0], .host = -1 };
	assert_true(has(&o, "93.184.215.14"));
	(void)close(pair[0]);
	(void)close(pair[1]);
	struct err err;

	/* Questions nobody has read the answers of: passed over, as long as they are few. */
	assert_int_equal(own_open(&o, &err), 0);
	for (uint32_t i = 0; i < 7; i++) {
		const struct {
			struct nlmsghdr header;
			struct rtmsg route;
		} odd = { { sizeof odd, RTM_GETROUTE, NLM_F_REQUEST, 1000 + i, 0 }, { .rtm_family = AF_INET } };

		assert_int_equal(send(o.fd, &odd, sizeof odd, 0), sizeof odd);
	}
	assert_true(has(&o, "127.0.0.1"));
	assert_false(has(&o, "93.184.215.14"));
	own_close(&o);
}

struct answer {
	struct nlmsghdr header;
	union {
		struct rtmsg route;
		struct nlmsgerr error;
	};
};

static struct answer route(unsigned type)
{
	return (struct answer) { { NLMSG_LENGTH(sizeof(struct rtmsg)), RTM_NEWROUTE, 0, 5, 0 },
				 { .route = { .rtm_family = AF_INET, .rtm_type = (unsigned char)type } } };
}

static enum own_answer parse(struct answer a)
{
	return own_parse(&a, sizeof a, 5, AF_INET);
}

static void test_answers(void **state)
{
	static const unsigned own[] = {
		RTN_UNSPEC, RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST, RTN_MULTICAST, RTN_BLACKHOLE, RTN_PROHIBIT,
		RTN_THROW,  RTN_NAT,   RTN_XRESOLVE,  255
	};
	static const int number[] = { 0, EPERM, EACCES, EINVAL, ENOMEM, ENOBUFS };
	struct answer a = route(RTN_UNICAST);

	(void)state;
	assert_int_equal(parse(a), OWN_NO);
	assert_int_equal(parse(route(RTN_UNREACHABLE)), OWN_NO);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		assert_int_equal(parse(route(own[i])), OWN_YES);
	a.header.nlmsg_seq = 4;
	assert_int_equal(parse(a), OWN_OTHER);
	a = route(RTN_UNICAST);
	a.route.rtm_family = AF_INET6;
	assert_int_equal(parse(a), OWN_YES);
	a = route(RTN_UNICAST);
	a.header.nlmsg_type = RTM_NEWADDR;
	assert_int_equal(parse(a), OWN_YES);
	/* Cut short anywhere, and lengths that lie. */
	a = route(RTN_UNICAST);
	for (uint32_t n = 0; n < a.header.nlmsg_len; n++)
		assert_int_equal(own_parse(&a, n, 5, AF_INET), OWN_YES);
	for (uint32_t n = 0; n < NLMSG_LENGTH(sizeof a.route); n++) {
		a.header.nlmsg_len = n;
		assert_int_equal(parse(a), OWN_YES);
	}
	a.header.nlmsg_len = UINT32_MAX;
	assert_int_equal(parse(a), OWN_YES);
	a = (struct answer) { { NLMSG_LENGTH(sizeof a.error), NLMSG_ERROR, 0, 5, 0 }, { .error = { .error = -ENETUNREACH } } };
	assert_int_equal(parse(a), OWN_NO);
	a.error.error = -EHOSTUNREACH;
	assert_int_equal(parse(a), OWN_NO);
	a.header.nlmsg_len = NLMSG_LENGTH(0);
	assert_int_equal(parse(a), OWN_YES);
	a.header.nlmsg_len = NLMSG_LENGTH(sizeof a.error);
	for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
		a.error.error = -number[i];
		assert_int_equal(parse(a), OWN_YES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback),  cmocka_unit_test(test_fresh),   cmocka_unit_test(test_not_the_source),
		cmocka_unit_test(test_left_over), cmocka_unit_test(test_answers), cmocka_unit_test(test_of_another_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
