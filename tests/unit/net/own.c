/* The host's own addresses, in a network namespace of the test's own where it may make one: there an address is given, asked for, and taken away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sched.h>
#include <unistd.h>

#include "base/span.h"
#include "net/own.h"

static bool has(const struct own *o, const char *text)
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
		assert_false(has(&o, "255.255.255.255"));
	}
	own_close(&o);
	own_close(&o);
	/* Without its sockets it cannot tell: then every address is taken for the host's. */
	assert_true(has(&o, "93.184.215.14"));
}

static void test_fresh(void **state)
{
	struct own o;
	struct err err;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(own_open(&o, &err), 0);
	assert_int_equal(
		system("ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up && "
		       "ip route add default dev d0 && ip -6 route add default dev d0"),
		0);
	assert_false(has(&o, "20.10.0.2"));
	assert_false(has(&o, "2a0a:10::2"));
	assert_int_equal(system("ip addr add 20.10.0.2/32 dev d1 && ip addr add 2a0a:10::2/128 dev d1 nodad"), 0);
	assert_true(has(&o, "20.10.0.2"));
	assert_true(has(&o, "2a0a:10::2"));
	assert_false(has(&o, "20.10.0.3"));
	assert_int_equal(system("ip addr del 20.10.0.2/32 dev d1"), 0);
	assert_false(has(&o, "20.10.0.2"));
	own_close(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_loopback), cmocka_unit_test(test_fresh) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
