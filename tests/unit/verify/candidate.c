/* Names to try for a control: only what the policy allows, and no address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verify/candidate.h"

static void reads_entries(void **state)
{
	static const struct {
		const char *entry, *name;
		bool self, below;
		uint16_t port;
	} rows[] = {
		{ "googleapis.com", "googleapis.com", true, true, 0 },
		{ "*.python.org", "python.org", false, true, 0 },
		{ "=api.github.com", "api.github.com", true, false, 0 },
		{ "github.com:22", "github.com", true, true, 22 },
		{ "host:*", "host", true, true, 0 },
		{ "*.a.example:8000-8100,9000", "a.example", false, true, 8000 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char name[254];
		bool self, below;
		uint16_t port;

		assert_true(candidate_entry(rows[i].entry, name, &self, &below, &port));
		assert_string_equal(name, rows[i].name);
		assert_int_equal(self, rows[i].self);
		assert_int_equal(below, rows[i].below);
		assert_int_equal(port, rows[i].port);
	}
}

static void passes_over_the_rest(void **state)
{
	static const char *const rows[] = { "!a.example", "10.0.0.5:5432", "192.168.7.0/24:443", "[2001:db8::1]:443", "" };
	char name[254];
	bool self, below;
	uint16_t port;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_false(candidate_entry(rows[i], name, &self, &below, &port));
}

/* Two clients: "first" has one rule, so that the rules of "second" do not begin at 0. */
static size_t find(struct arena *a, const struct rule *rules, size_t count, struct candidate ret[static CANDIDATES_MAX])
{
	struct policy_builder *b = policy_builder_new(a);
	const uint32_t first = policy_builder_client(b, "first"), second = policy_builder_client(b, "second");
	const struct rule other = { .match = RULE_TREE, .name = "other.example", .file = "x", .line = 1 };
	struct snapshot s;

	policy_builder_rule(b, first, &other);
	for (size_t i = 0; i < count; i++)
		policy_builder_rule(b, second, &rules[i]);
	assert_true(snapshot_open(policy_builder_finish(b), &s));
	assert_int_equal(candidates_find(&s, CLIENT_NONE, ret), 0);
	return candidates_find(&s, second, ret);
}

static void finds_names_of_the_client(void **state)
{
	static const struct port_range ssh = { 22, 22 };
	static const struct rule rules[] = {
		{ .match = RULE_TREE, .name = "googleapis.com", .file = "x", .line = 1 },
		{ .match = RULE_EXACT, .name = "git.example", .ports = &ssh, .port_count = 1, .file = "x", .line = 2 },
		{ .deny = true, .match = RULE_TREE, .name = "www.googleapis.com", .file = "x", .line = 3 },
	};
	struct arena a = { 0 };
	struct candidate found[CANDIDATES_MAX];
	const size_t n = find(&a, rules, 3, found);

	assert_true(n >= 4);
	assert_string_equal(found[0].host, "googleapis.com");
	assert_int_equal(found[0].port, 443);
	for (size_t i = 0; i < n; i++) {
		assert_string_not_equal(found[i].host, "www.googleapis.com");
		assert_string_not_equal(found[i].host, "other.example");
	}
	assert_string_equal(found[n - 1].host, "git.example");
	assert_int_equal(found[n - 1].port, 22);
	assert_string_equal(found[n - 1].tree, "git.example");
	arena_free(&a);
}

static void finds_nothing_in_an_empty_list(void **state)
{
	struct arena a = { 0 };
	struct candidate found[CANDIDATES_MAX];

	assert_int_equal(find(&a, NULL, 0, found), 0);
	arena_free(&a);
}

static void is_bounded(void **state)
{
	struct arena a = { 0 };
	struct rule rules[200];
	struct candidate found[CANDIDATES_MAX];

	for (size_t i = 0; i < 200; i++)
		rules[i] =
			(struct rule) { .match = RULE_TREE, .name = arena_printf(&a, "n%zu.example", i), .file = "x", .line = 1 };
	assert_int_equal(find(&a, rules, 200, found), CANDIDATES_MAX);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_entries),
		cmocka_unit_test(passes_over_the_rest),
		cmocka_unit_test(finds_names_of_the_client),
		cmocka_unit_test(finds_nothing_in_an_empty_list),
		cmocka_unit_test(is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
