/* The real jail in a namespace of this process's own: whatever is changed in it, the read-back says so. Needs root. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "jail/jail.h"
#include "plan/plan.h"

enum { SKIPPED = 77 };

static struct arena arena;
static const char *ruleset;

static const char *make_ruleset(void)
{
	static const struct plan plan;
	static const struct plan_pod pod = { .v4 = { 4, { 198, 18, 0, 2 } },
					     .v6 = { 6, { 0xfd, 0x5a, 0x53, 0x54, 0x4b, 0x44, [15] = 2 } } };

	return plan_ruleset(&plan, &pod, &arena);
}

static void apply(const char *commands)
{
	struct err err = { 0 };

	if (jail_apply(commands, &err) < 0)
		fail_msg("%s", err.text);
}

static void expect_finding(const char *change, const char *says)
{
	struct err err = { 0 };

	apply(ruleset);
	if (jail_check(ruleset, &err) < 0)
		fail_msg("%s", err.text);
	apply(change);
	assert_int_equal(jail_check(ruleset, &err), -1);
	assert_int_equal(err.class, ERR_FINDING);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
	apply("flush ruleset");
}

static void test_changes_are_found(void **state)
{
	(void)state;
	expect_finding("flush ruleset", "no table inet stockade");
	expect_finding("flush chain inet stockade output", "chain output");
	expect_finding("insert rule inet stockade output accept", "chain output");
	expect_finding("add rule inet stockade input accept", "chain input");
	expect_finding("add chain inet stockade output { policy accept; }", "policy accept");
	expect_finding("add chain inet stockade more", "more");
	expect_finding("add table ip other", "table ip other");
	expect_finding("add table arp other", "table arp other");
	expect_finding("add table inet stockade { flags dormant; }", "dormant");
	/* The same rules in another order. */
	expect_finding("flush chain inet stockade input; add rule inet stockade input accept; add rule inet stockade input iif != "
		       "lo goto foreign",
		       "chain input: 'accept' should be 'iif != \"lo\" goto foreign'");
}

static void test_applies_twice(void **state)
{
	struct err err = { 0 };

	(void)state;
	apply(ruleset);
	apply(ruleset);
	assert_int_equal(jail_check(ruleset, &err), 0);
}

static void test_all_or_nothing(void **state)
{
	struct err err = { 0 };

	(void)state;
	apply(ruleset);
	assert_int_equal(jail_apply("flush ruleset; add rule inet nowhere nothing accept", &err), -1);
	assert_non_null(strstr(err.text, "nftables refused"));
	assert_int_equal(jail_check(ruleset, &err), 0);
}

static void test_stays_in_its_namespace(void **state)
{
	struct stat before, after;
	struct err err = { 0 };

	(void)state;
	apply(ruleset);
	assert_int_equal(stat("/proc/self/ns/net", &before), 0);
	const uint64_t began = clock_now_ns();

	assert_int_equal(jail_check(ruleset, &err), 0);
	print_message("a check takes %u us\n", (unsigned)((clock_now_ns() - began) / 1000));
	assert_int_equal(stat("/proc/self/ns/net", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void test_drops_socket(void **state)
{
	struct err err = { 0 };
	const int fd = jail_open_drops(PLAN_NFLOG_GROUP, &err);
	char bytes[64];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof bytes), -1); /* at once: it does not block */
	/* A group has one listener. */
	assert_int_equal(jail_open_drops(PLAN_NFLOG_GROUP, &err), -1);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_are_found), cmocka_unit_test(test_applies_twice),
		cmocka_unit_test(test_all_or_nothing),    cmocka_unit_test(test_stays_in_its_namespace),
		cmocka_unit_test(test_drops_socket),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return SKIPPED;
	ruleset = make_ruleset();
	const int rc = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(&arena);
	return rc;
}
