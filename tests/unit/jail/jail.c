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
#include "plan/bridge.h"
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

/* Other people's tables are passed over, and nothing of one's own is. */
static void test_among_others(void **state)
{
	static const struct {
		const char *change, *says;
	} changes[] = { { "delete table inet br7", "no table inet br7" },
			{ "delete table arp br7", "no table arp br7" },
			{ "flush chain inet br7 input", "chain input" },
			{ "insert rule inet br7 forward accept", "chain forward" },
			{ "add table arp br7 { flags dormant; }", "dormant" } };
	const char *wall = plan_bridge_host_wall("br7", &arena);
	struct err err = { 0 };

	(void)state;
	apply("add table inet somebody; add table bridge br7");
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		apply(wall);
		assert_int_equal(jail_check_among(wall, &err), 0);
		apply(changes[i].change);
		assert_int_equal(jail_check_among(wall, &err), -1);
		assert_int_equal(err.class, ERR_FINDING);
		if (!strstr(err.text, changes[i].says))
			fail_msg("'%s' does not say '%s'", err.text, changes[i].says);
		err = (struct err) { 0 };
	}
	apply(plan_bridge_host_wall_gone("br7", &arena));
	apply("delete table inet somebody; delete table bridge br7");
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
		cmocka_unit_test(test_drops_socket),      cmocka_unit_test(test_among_others),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return SKIPPED;
	ruleset = make_ruleset();
	const int rc = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(&arena);
	return rc;
}
