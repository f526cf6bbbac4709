/* The configuration of HAProxy: byte for byte that of a small policy (tests/cases/haproxy), the lists that go with it, and that nothing
 * hostile gets into either. What HAProxy makes of it is tested in tests/system/haproxy.bats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "golden.h"
#include "plan/haproxy.h"

static struct arena arena;

static const struct ip_net own[] = { { { 4, { 20, 10, 0, 2 } }, 32 },
				     { { 6, { 0x2a, 0x0a, [15] = 2 } }, 128 },
				     { { 4, { 20, 30, 0, 0 } }, 24 } };
static const struct haproxy_server servers[] = { { { 4, { 20, 10, 0, 53 } }, 53 }, { { 6, { 0x2a, 0x0a, [15] = 53 } }, 5353 } };
static const struct haproxy_pod pods[] = { { "cli-pod", 64, 65 }, { "sandbox-pod", 66, 67 } };

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

static struct haproxy_input input(const struct snapshot *policy)
{
	return (struct haproxy_input) {
		.project = "demo",
		.policy = policy,
		.gate_v4 = { 4, { 198, 18, 0, 1 } },
		.gate_v6 = { 6, { 0xfd, 0x5a, 0x53, 0x54, 0x4b, 0x44, [15] = 1 } },
		.pods = pods,
		.pod_count = 2,
		.servers = servers,
		.server_count = 2,
		.own = own,
		.own_count = 3,
		.times = { 5000, 15000, 60000, 15000, 300000, 3600000 },
		.threads = 2,
		.connections = 500,
		.log = 63,
	};
}

static void add(struct policy_builder *b, uint32_t client, const char *what, enum rule_match match, bool deny,
		const struct port_range *ports, size_t port_count, const char *file, uint32_t line)
{
	struct rule r = {
		.deny = deny, .match = match, .name = what, .ports = ports, .port_count = port_count, .file = file, .line = line
	};

	if (match == RULE_NETWORK && !ip_net_parse(span_of(what), &r.net))
		fail_msg("%s", what);
	policy_builder_rule(b, client, &r);
}

static struct snapshot finish(struct policy_builder *b)
{
	struct snapshot s;

	if (!snapshot_open(policy_builder_finish(b), &s))
		fail_msg("the block does not open");
	s.generation = 7;
	(void)snprintf(s.hash, sizeof s.hash, "0123456789abcdef");
	return s;
}

static struct snapshot small_policy(void)
{
	static const struct port_range ssh[] = { { 22, 22 }, { 8000, 8100 } };
	struct policy_builder *b = policy_builder_new(&arena);
	const uint32_t c = policy_builder_client(b, "cli-pod");

	add(b, c, "googleapis.com", RULE_TREE, false, NULL, 0, "cli.lst", 1);
	add(b, c, "a.b.example.com", RULE_TREE, false, NULL, 0, "cli.lst", 2);
	add(b, c, "below.example", RULE_BELOW, false, NULL, 0, "cli.lst", 3);
	add(b, c, "github.com", RULE_EXACT, false, ssh, 2, "cli.lst", 4);
	add(b, c, "telemetry.googleapis.com", RULE_TREE, true, NULL, 0, "cli.lst", 5);
	add(b, c, "10.0.0.0/8", RULE_NETWORK, false, ssh, 2, "cli.lst", 6);
	add(b, c, "10.0.0.5", RULE_NETWORK, false, ssh, 2, "cli.lst", 7);
	add(b, c, "2001:db8::/32", RULE_NETWORK, false, NULL, 0, "cli.lst", 8);
	add(b, c, "10.6.6.6", RULE_NETWORK, true, NULL, 0, "cli.lst", 9);
	return finish(b);
}

static struct span file(const struct haproxy_files *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->items[i].name, name) == 0)
			return f->items[i].text;
	fail_msg("there is no %s", name);
	return (struct span) { 0 };
}

static struct haproxy_files render(const struct haproxy_input *in)
{
	struct haproxy_files f;
	struct err err = { 0 };

	if (plan_haproxy(in, &arena, &f, &err) < 0)
		fail_msg("%s", err.text);
	return f;
}

static bool has(struct span text, const char *what)
{
	return text.n && memmem(text.p, text.n, what, strlen(what));
}

static void the_configuration_is_as_it_was(void **state)
{
	const struct snapshot s = small_policy();
	const struct haproxy_input in = input(&s);
	const struct haproxy_files f = render(&in);

	golden_compare("haproxy/small.cfg", file(&f, HAPROXY_CONFIG));
}

/* The same keys as in the lists, each with its place; networks by family, and single addresses apart. */
static void lists_are_whole(void **state)
{
	const struct snapshot s = small_policy();
	const struct haproxy_input in = input(&s);
	const struct haproxy_files f = render(&in);
	static const char *const want[] = {
		"googleapis.com cli.lst:1\na.b.example.com cli.lst:2\n",
		"below.example cli.lst:3\n",
		"github.com cli.lst:4\n",
		"telemetry.googleapis.com cli.lst:5\n",
		"10.0.0.0/8 cli.lst:6\n",
		"10.0.0.5/32 cli.lst:7\n",
		"2001:db8::/32 cli.lst:8\n",
		"10.6.6.6/32 cli.lst:9\n",
	};
	char name[32];

	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		(void)snprintf(name, sizeof name, "pod0-%zu.map", i);
		const struct span got = file(&f, name);

		assert_int_equal(got.n, strlen(want[i]));
		assert_memory_equal(got.p, want[i], got.n);
	}
	assert_true(has(file(&f, "own4.lst"), "20.10.0.2/32\n20.30.0.0/24\n"));
	assert_true(has(file(&f, "own6.lst"), "2a0a::2/128\n"));
	assert_true(has(file(&f, "special4.lst"), "169.254.0.0/16\n") && has(file(&f, "special4.lst"), "127.0.0.0/8\n"));
	assert_true(has(file(&f, "special6.lst"), "fc00::/7\n") && has(file(&f, "special6.lst"), "8000::/1\n"));
	assert_true(has(file(&f, "embedded.lst"), "64:ff9b::/96\n"));
	assert_true(has(file(&f, "connect.lua"), "connect_head") && has(file(&f, "ready.lua"), "ready"));
	assert_true(plan_haproxy_connect_lua().n == file(&f, "connect.lua").n);
}

/* A pod without a list, and one that the policy does not know, have no look-up that could set txn.allowed. */
static void who_has_no_list_may_nothing(void **state)
{
	struct policy_builder *b = policy_builder_new(&arena);

	(void)policy_builder_client(b, "cli-pod");
	const struct snapshot s = finish(b);
	const struct haproxy_input in = input(&s);
	const struct haproxy_files f = render(&in);
	const struct span config = file(&f, HAPROXY_CONFIG);

	assert_true(has(config, "frontend pod-cli-pod\n") && has(config, "frontend pod-sandbox-pod\n"));
	assert_false(has(config, "set-var(txn.allowed)"));
	assert_true(has(config, "str(not-listed) if !literal !decided !allowed !listed"));
}

static void a_place_cannot_break_a_line(void **state)
{
	struct policy_builder *b = policy_builder_new(&arena);
	const uint32_t c = policy_builder_client(b, "cli-pod");

	add(b, c, "one.example", RULE_TREE, false, NULL, 0, "a\nevil.example b\"\\\x7f\xc3\xa9\t#", 3);
	const struct snapshot s = finish(b);
	const struct haproxy_input in = input(&s);
	const struct haproxy_files f = render(&in);
	const struct span got = file(&f, "pod0-0.map");
	static const char want[] = "one.example a\\u000aevil.example b\\\"\\\\\\u007f\\u00c3\\u00a9\\u0009#:3\n";

	assert_int_equal(got.n, sizeof want - 1);
	assert_memory_equal(got.p, want, got.n);
}

static void refused(const struct haproxy_input *in, const char *what)
{
	struct haproxy_files f;
	struct err err = { 0 };

	assert_int_equal(plan_haproxy(in, &arena, &f, &err), -1);
	if (!strstr(err.text, what))
		fail_msg("'%s' does not say '%s'", err.text, what);
}

static void hostile_names_refuse_the_whole(void **state)
{
	static const char *const hostile[] = { "",     "a b",   "a\nbind :80", "a'",       "a\"", "a\\", "a$HOME", "a#",
					       "a{b}", "a%[b]", "a\x01",       "\xc3\xa9", "a/b", "a,b", "a(b)",   "*.x" };

	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		const struct snapshot s = small_policy();
		struct haproxy_input in = input(&s);
		const struct haproxy_pod odd = { hostile[i], 64, 65 };

		in.project = hostile[i];
		refused(&in, "project");
		in = input(&s);
		in.pods = &odd;
		in.pod_count = 1;
		refused(&in, "pod's name");
		if (!hostile[i][0])
			continue;
		struct policy_builder *b = policy_builder_new(&arena);

		add(b, policy_builder_client(b, "cli-pod"), hostile[i], RULE_EXACT, false, NULL, 0, "cli.lst", 4);
		const struct snapshot odd_rule = finish(b);

		in = input(&odd_rule);
		refused(&in, "cli.lst:4:");
	}
}

static void too_many_kinds_are_refused(void **state)
{
	struct policy_builder *b = policy_builder_new(&arena);
	const uint32_t c = policy_builder_client(b, "cli-pod");

	for (uint16_t i = 0; i <= HAPROXY_GROUPS_MAX; i++) {
		const struct port_range port = { (uint16_t)(1000 + i), (uint16_t)(1000 + i) };

		add(b, c, "one.example", RULE_TREE, false, &port, 1, "cli.lst", i + 1U);
	}
	const struct snapshot s = finish(b);
	struct haproxy_input in = input(&s);

	refused(&in, "cli.lst:129:");
	refused(&in, "--gate builtin");
	in.pod_count = 0; /* also before the pod is there */
	refused(&in, "cli.lst:129:");
}

/* HAProxy reads at most 2048 bytes of a line and 64 words. */
static void lines_are_short_enough(void **state)
{
	struct policy_builder *b = policy_builder_new(&arena);
	const uint32_t c = policy_builder_client(b, "cli-pod");
	struct port_range many[500];

	for (uint16_t i = 0; i < 500; i++)
		many[i] = (struct port_range) { (uint16_t)(60000 + 2 * i), (uint16_t)(60000 + 2 * i) };
	add(b, c, "one.example", RULE_TREE, false, many, 500, "cli.lst", 1);
	const struct snapshot s = finish(b);
	const struct haproxy_input in = input(&s);
	const struct haproxy_files f = render(&in);
	struct span rest = file(&f, HAPROXY_CONFIG);

	assert_true(has(rest, " 60998:60998\n"));
	while (rest.n) {
		const char *newline = memchr(rest.p, '\n', rest.n);
		size_t words = 1;

		assert_non_null(newline);
		for (const char *p = rest.p; p < newline; p++)
			words += *p == ' ';
		assert_true(newline - rest.p < 2048);
		/* Nothing of a text got onto a line of its own. */
		assert_true(rest.p[0] == '\n' || rest.p[0] == '\t' || rest.p[0] == '#' || (rest.p[0] >= 'a' && rest.p[0] <= 'z'));
		assert_true(words < 64 || has((struct span) { rest.p, (size_t)(newline - rest.p) }, "'"));
		rest = span_skip(rest, (size_t)(newline - rest.p) + 1);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configuration_is_as_it_was), cmocka_unit_test(lists_are_whole),
		cmocka_unit_test(who_has_no_list_may_nothing),    cmocka_unit_test(a_place_cannot_break_a_line),
		cmocka_unit_test(hostile_names_refuse_the_whole), cmocka_unit_test(too_many_kinds_are_refused),
		cmocka_unit_test(lines_are_short_enough),
	};

	golden_begin(argc, argv);
	return cmocka_run_group_tests(tests, NULL, end);
}
