#include "gate/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint32_t set(enum gate_limit l, const char *text)
{
	struct gate_limits limits;
	struct err err = { 0 };

	limits_default(&limits);
	assert_int_equal(limits_set(&limits, text, &err), 0);
	for (int i = 0; i < LIMIT_COUNT; i++) {
		struct gate_limits usual;

		limits_default(&usual);
		if (i != (int)l)
			assert_int_equal(limits.of[i], usual.of[i]);
	}
	return limits.of[l];
}

static void test_units(void **state)
{
	(void)state;
	assert_int_equal(set(LIMIT_CONNECTIONS, "connections=1"), 1);
	assert_int_equal(set(LIMIT_CONNECTIONS, "connections=1048576"), 1048576);
	assert_int_equal(set(LIMIT_HEADS_PER_SECOND, "heads-per-second=007"), 7);
	assert_int_equal(set(LIMIT_HEAD_TIME, "head-time=100ms"), 100);
	assert_int_equal(set(LIMIT_HEAD_TIME, "head-time=60s"), 60000);
	assert_int_equal(set(LIMIT_IDLE_TIME, "idle-time=5m"), 300000);
	assert_int_equal(set(LIMIT_TUNNEL_TIME, "tunnel-time=24h"), 86400000);
}

static void refused(const char *text, const char *why)
{
	struct gate_limits limits, before;
	struct err err = { 0 };

	limits_default(&limits);
	before = limits;
	assert_int_equal(limits_set(&limits, text, &err), -1);
	assert_int_equal(err.class, ERR_INPUT);
	if (!strstr(err.text, why))
		fail_msg("%s: %s", text, err.text);
	assert_memory_equal(&limits, &before, sizeof limits);
}

static void test_refused(void **state)
{
	static const char *const values[] = { "connections",        "connections=",        "connections=0",
					      "connections=-1",     "connections= 1",      "connections=1 ",
					      "connections=1s",     "connections=1048577", "connections=0x10",
					      "connections=+1",     "connections==1",      "connections=99999999999999999999",
					      "head-time=60",       "head-time=",          "head-time=s",
					      "head-time=1 s",      "head-time=99ms",      "head-time=1441m",
					      "head-time=25h",      "head-time=1.5s",      "head-time=1s ",
					      "head-time=1S",       "head-time=1m1s",      "head-time=4294968s",
					      "reach-time=15001ms", "head-time=999999999h" };

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		refused(values[i], "default");
	refused("connections=0", "1 to 1048576, default 65536, not '0'");
	refused("head-time=60", "100ms to 24h, default 15s, not '60'");
}

static void test_unknown(void **state)
{
	static const char *const names[] = {
		"", "=", "=1", "connection=1", "connectionss=1", "Connections=1", "connections =1", " connections=1"
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		refused(names[i], "no such limit");
		for (int l = 0; l < LIMIT_COUNT; l++)
			refused(names[i], limit_name((enum gate_limit)l));
	}
}

/* What is printed is read back as the same, whatever the value. */
static void test_there_and_back(void **state)
{
	static const uint32_t values[] = { 100, 999, 1000, 1500, 15000, 14999, 1048576 };
	char text[LIMIT_TEXT_MAX];
	struct err err;

	(void)state;
	for (int l = 0; l < LIMIT_COUNT; l++) {
		for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
			struct gate_limits limits, back;

			limits_default(&limits);
			back = limits;
			limits.of[l] = values[i];
			if (limits_set(&back, limits_format(&limits, (enum gate_limit)l, text), &err) == 0)
				assert_memory_equal(&back, &limits, sizeof limits);
			else
				assert_non_null(strstr(err.text, "default")); /* out of its range */
		}
	}
}

static void test_shown(void **state)
{
	struct gate_limits limits;
	char text[LIMIT_TEXT_MAX];

	(void)state;
	limits_default(&limits);
	assert_string_equal(limits_format(&limits, LIMIT_CONNECTIONS, text), "connections=65536");
	assert_string_equal(limits_format(&limits, LIMIT_IDLE_TIME, text), "idle-time=1m");
	assert_string_equal(limits_format(&limits, LIMIT_HEAD_TIME, text), "head-time=15s");
	assert_string_equal(limits_format(&limits, LIMIT_TUNNEL_TIME, text), "tunnel-time=1h");
	limits.of[LIMIT_HEAD_TIME] = 1500;
	assert_string_equal(limits_format(&limits, LIMIT_HEAD_TIME, text), "head-time=1500ms");
	limits.of[LIMIT_HEADS_PER_SECOND] = UINT32_MAX;
	assert_string_equal(limits_format(&limits, LIMIT_HEADS_PER_SECOND, text), "heads-per-second=4294967295");
}

/* Each default is one that could be given. */
static void test_defaults(void **state)
{
	struct gate_limits usual, limits;
	char text[LIMIT_TEXT_MAX];
	struct err err;

	(void)state;
	limits_default(&usual);
	for (int l = 0; l < LIMIT_COUNT; l++) {
		memset(&limits, 0, sizeof limits);
		assert_int_equal(limits_set(&limits, limits_format(&usual, (enum gate_limit)l, text), &err), 0);
		assert_int_equal(limits.of[l], usual.of[l]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units),          cmocka_unit_test(test_refused), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_shown),   cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
