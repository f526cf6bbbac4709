/* Lists: what the cases cannot say in text files - limits, appending, the entry of a command line, a list of a million. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "config/project.h"

static struct arena arena;
static struct err err;

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

static void test_appends(void **state)
{
	struct rule *rules = NULL;
	size_t count = 0;

	assert_int_equal(config_list_parse(SPAN_LITERAL("a.example\n!b.example:25\n"), "one.lst", &arena, &rules, &count, &err), 0);
	assert_int_equal(config_list_parse(SPAN_LITERAL("# x\n10.0.0.0/8:5432"), "two.lst", &arena, &rules, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_string_equal(rules[0].name, "a.example");
	assert_string_equal(rules[0].file, "one.lst");
	assert_true(rules[1].deny);
	assert_int_equal(rules[1].ports[0].first, 25);
	assert_int_equal(rules[2].match, RULE_NETWORK);
	assert_int_equal(rules[2].net.prefix, 8);
	assert_string_equal(rules[2].file, "two.lst");
	assert_int_equal(rules[2].line, 2);
}

/* A refused list leaves what was there untouched. */
static void test_refusal_changes_nothing(void **state)
{
	struct rule *rules = NULL;
	size_t count = 0;

	assert_int_equal(config_list_parse(SPAN_LITERAL("a.example\n"), "one.lst", &arena, &rules, &count, &err), 0);
	struct rule *const before = rules;

	assert_int_equal(config_list_parse(SPAN_LITERAL("b.example\ncom\n"), "two.lst", &arena, &rules, &count, &err), -1);
	assert_int_equal(err.class, ERR_INPUT);
	assert_ptr_equal(rules, before);
	assert_int_equal(count, 1);
}

static void test_line_limit(void **state)
{
	char text[4099];
	struct rule *rules = NULL;
	size_t count = 0;

	memset(text, ' ', sizeof text);
	memcpy(text, "a.example", 9);
	assert_int_equal(config_list_parse((struct span) { text, 4096 }, "l", &arena, &rules, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(config_list_parse((struct span) { text, 4097 }, "l", &arena, &rules, &count, &err), -1);
	assert_non_null(strstr(err.text, "l:1:1: error: a line of 4097 bytes; the limit is 4096"));
}

static void test_entry(void **state)
{
	static const char *const bad[] = {
		"", "com", "a b", "a.example\nb.example", "http://a.example", "a.example ", "#", "x\tz"
	};
	struct rule rule = { .name = "kept" };

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(config_entry_parse(bad[i], "--allow", 0, &arena, &rule, &err), -1);
		assert_int_equal(err.class, ERR_INPUT);
		assert_string_equal(rule.name, "kept");
	}
	assert_int_equal(config_entry_parse("com", "--allow", 0, &arena, &rule, &err), -1);
	assert_int_equal(strncmp(err.text, "--allow: 'com' is a public suffix", 33), 0);
	assert_int_equal(config_entry_parse("*.Python.org:443", "--allow", 7, &arena, &rule, &err), 0);
	assert_int_equal(rule.match, RULE_BELOW);
	assert_string_equal(rule.name, "python.org");
	assert_string_equal(rule.file, "--allow");
	assert_int_equal(rule.line, 7);
	assert_int_equal(rule.port_count, 1);
}

/* The seed's own list is a public suffix's private cousin: all names below googleapis.com are one owner's. */
static void test_seed_entry(void **state)
{
	struct rule rule;

	assert_int_equal(config_entry_parse("googleapis.com", "x", 1, &arena, &rule, &err), 0);
	assert_int_equal(rule.match, RULE_TREE);
	assert_int_equal(config_entry_parse("github.io", "x", 1, &arena, &rule, &err), -1);
	assert_int_equal(config_entry_parse("=github.io", "x", 1, &arena, &rule, &err), 0);
	assert_int_equal(config_entry_parse("!github.io", "x", 1, &arena, &rule, &err), 0);
}

static void test_million(void **state)
{
	enum { N = 1000000 };
	char *text = malloc((size_t)N * 48);
	struct rule *rules = NULL;
	size_t n = 0, count = 0;

	assert_non_null(text);
	for (unsigned i = 0; i < N; i++)
		n += (size_t)sprintf(text + n, "host%u.sub%u.example%u.com\n", i, i % 1000, i % 77);
	assert_int_equal(config_list_parse((struct span) { text, n }, "big.lst", &arena, &rules, &count, &err), 0);
	free(text);
	assert_int_equal(count, N);
	assert_string_equal(rules[N - 1].name, "host999999.sub999.example0.com");
	assert_int_equal(rules[N - 1].line, N);
	assert_true(arena.used < (size_t)N * 160);
}

static void test_too_many(void **state)
{
	enum { N = 4000001 };
	char *text = malloc((size_t)N * 4);
	struct rule *rules = NULL;
	size_t count = 0;

	assert_non_null(text);
	for (size_t i = 0; i < N; i++)
		memcpy(text + i * 4, "=ab\n", 4);
	assert_int_equal(config_list_parse((struct span) { text, (size_t)N * 4 }, "big.lst", &arena, &rules, &count, &err), -1);
	free(text);
	assert_non_null(strstr(err.text, "big.lst:4000001:1: error: more than 4000000 entries in one list"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_appends, end),    cmocka_unit_test_teardown(test_refusal_changes_nothing, end),
		cmocka_unit_test_teardown(test_line_limit, end), cmocka_unit_test_teardown(test_entry, end),
		cmocka_unit_test_teardown(test_seed_entry, end), cmocka_unit_test_teardown(test_million, end),
		cmocka_unit_test_teardown(test_too_many, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
