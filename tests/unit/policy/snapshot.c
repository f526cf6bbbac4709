/* The policy block: what goes in comes out, the same input gives the same bytes, and no damaged block is read outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy/block.h"
#include "readers.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	assert_true(ip_parse(span_of(text), &a));
	return a;
}

static struct rule name_rule(bool deny, enum rule_match match, const char *name, const char *file, uint32_t line)
{
	return (struct rule) { .deny = deny, .match = match, .name = name, .file = file, .line = line };
}

static struct rule net_rule(bool deny, const char *net, const char *file, uint32_t line)
{
	struct rule r = { .deny = deny, .match = RULE_NETWORK, .file = file, .line = line };

	assert_true(ip_net_parse(span_of(net), &r.net));
	return r;
}

static struct span build(struct arena *a)
{
	static const struct port_range https[] = { { 443, 443 } };
	static const struct port_range mixed[] = { { 8443, 8443 }, { 22, 22 },     { 8000, 8100 },
						   { 8101, 8200 }, { 8050, 8060 }, { 22, 22 } };
	static const struct port_range any[] = { { 1, 65535 } };
	struct policy_builder *b = policy_builder_new(a);
	const uint32_t cli = policy_builder_client(b, "cli-pod"), proxy = policy_builder_client(b, "app-pod");
	const struct ip_addr v4 = addr("198.18.0.1"), v6 = addr("fd5a:5354:4b44::1"), pod4 = addr("198.18.1.7"),
			     pod6 = addr("fd5a::7");
	struct rule rules[] = {
		name_rule(false, RULE_TREE, "googleapis.com", "lists/cli.lst", 3),
		name_rule(false, RULE_BELOW, "python.org", "lists/cli.lst", 4),
		name_rule(false, RULE_EXACT, "api.github.com", "lists/cli.lst", 5),
		name_rule(true, RULE_TREE, "telemetry.googleapis.com", "pods.yaml", 70),
		name_rule(false, RULE_TREE, "github.com", "lists/cli.lst", 6),
		name_rule(false, RULE_TREE, "example.com", "lists/cli.lst", 7),
		net_rule(false, "192.168.7.0/24", "lists/cli.lst", 8),
		net_rule(false, "10.0.0.5", "lists/cli.lst", 9),
		net_rule(false, "2001:db8::1", "lists/cli.lst", 10),
		net_rule(true, "2001:db8::/32", "lists/cli.lst", 11),
	};

	rules[1].ports = https;
	rules[1].port_count = 1;
	rules[4].ports = mixed;
	rules[4].port_count = sizeof mixed / sizeof *mixed;
	rules[5].ports = any;
	rules[5].port_count = 1;
	rules[8].ports = https;
	rules[8].port_count = 1;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		policy_builder_rule(b, cli, &rules[i]);
	policy_builder_rule(b, proxy, &rules[0]);
	assert_int_equal(policy_builder_client(b, "cli-pod"), cli);
	(void)policy_builder_client(b, "empty-pod");
	policy_builder_name(b, "cli-pod", &pod4, &pod6);
	policy_builder_name(b, "proxy-pod", &v4, &v6);
	policy_builder_name(b, "only-six", NULL, &pod6);
	policy_builder_gate(b, &v4, &v6);
	return policy_builder_finish(b);
}

static void clients_and_names(void **state)
{
	struct arena a = { 0 };
	struct snapshot s;
	struct ip_addr v4, v6;
	const struct ip_addr gate4 = addr("198.18.0.1"), gate6 = addr("fd5a:5354:4b44::1"), other = addr("198.18.0.2"),
			     none = { 0 };

	assert_true(snapshot_open(build(&a), &s));
	assert_int_equal(snapshot_client_count(&s), 3);
	assert_int_equal(snapshot_client(&s, SPAN_LITERAL("cli-pod")), 0);
	assert_int_equal(snapshot_client(&s, SPAN_LITERAL("app-pod")), 1);
	assert_int_equal(snapshot_client(&s, SPAN_LITERAL("empty-pod")), 2);
	assert_int_equal(snapshot_client(&s, SPAN_LITERAL("cli-po")), CLIENT_NONE);
	assert_int_equal(snapshot_client(&s, SPAN_LITERAL("cli-pod2")), CLIENT_NONE);
	assert_int_equal(snapshot_client(&s, SPAN_LITERAL("cli-pod\0")), CLIENT_NONE);
	assert_int_equal(snapshot_client(&s, (struct span) { NULL, 0 }), CLIENT_NONE);
	assert_string_equal(snapshot_client_name(&s, 1), "app-pod");
	assert_null(snapshot_client_name(&s, 3));
	assert_int_equal(snapshot_rule_count(&s, 0), 10);
	assert_int_equal(snapshot_rule_count(&s, 1), 1);
	assert_int_equal(snapshot_rule_count(&s, 2), 0);
	assert_int_equal(snapshot_rule_count(&s, CLIENT_NONE), 0);

	assert_true(snapshot_name(&s, SPAN_LITERAL("proxy-pod"), &v4, &v6));
	assert_true(ip_equal(&v4, &gate4) && ip_equal(&v6, &gate6));
	assert_true(snapshot_name(&s, SPAN_LITERAL("only-six"), &v4, &v6));
	assert_int_equal(v4.family, 0);
	assert_int_equal(v6.family, 6);
	assert_false(snapshot_name(&s, SPAN_LITERAL("app-pod"), &v4, &v6));
	assert_false(snapshot_name(&s, SPAN_LITERAL("proxy-pod\0x"), &v4, &v6));
	assert_false(snapshot_name(&s, SPAN_LITERAL("Proxy-pod"), &v4, &v6));
	assert_true(snapshot_is_gate(&s, &gate4) && snapshot_is_gate(&s, &gate6));
	assert_false(snapshot_is_gate(&s, &other));
	assert_false(snapshot_is_gate(&s, &none));
	arena_free(&a);
}

static void rules_are_written_back(void **state)
{
	static const struct {
		const char *text, *file;
		uint32_t line;
	} want[] = {
		{ "googleapis.com", "lists/cli.lst", 3 },
		{ "*.python.org:443", "lists/cli.lst", 4 },
		{ "=api.github.com", "lists/cli.lst", 5 },
		{ "!telemetry.googleapis.com", "pods.yaml", 70 },
		{ "github.com:22,8000-8200,8443", "lists/cli.lst", 6 },
		{ "example.com:*", "lists/cli.lst", 7 },
		{ "192.168.7.0/24", "lists/cli.lst", 8 },
		{ "10.0.0.5", "lists/cli.lst", 9 },
		{ "[2001:db8::1]:443", "lists/cli.lst", 10 },
		{ "![2001:db8::/32]", "lists/cli.lst", 11 },
		{ "googleapis.com", "lists/cli.lst", 3 },
	};
	struct arena a = { 0 };
	struct snapshot s;
	char buf[300];

	assert_true(snapshot_open(build(&a), &s));
	for (uint32_t i = 0; i < sizeof want / sizeof *want; i++) {
		assert_string_equal(snapshot_rule_text(&s, i, buf, sizeof buf), want[i].text);
		assert_string_equal(snapshot_rule_file(&s, i), want[i].file);
		assert_int_equal(snapshot_rule_line(&s, i), want[i].line);
	}
	assert_null(snapshot_rule_file(&s, sizeof want / sizeof *want));
	assert_null(snapshot_rule_file(&s, RULE_NONE));
	assert_int_equal(snapshot_rule_line(&s, RULE_NONE), 0);
	assert_string_equal(snapshot_rule_text(&s, RULE_NONE, buf, sizeof buf), "");
	assert_string_equal(snapshot_rule_text(&s, 4, buf, 12), "github.com:");
	assert_string_equal(snapshot_rule_text(&s, 4, buf, 1), "");
	buf[0] = 'x';
	(void)snapshot_rule_text(&s, 4, buf, 0);
	assert_int_equal(buf[0], 'x');
	arena_free(&a);
}

static void same_input_same_bytes_anywhere(void **state)
{
	struct arena a = { 0 }, b = { 0 };

	(void)arena_alloc(&b, 777);
	const struct span one = build(&a), two = build(&b);

	assert_true(span_eq(one, two));
	assert_int_equal((uintptr_t)one.p % 8, 0);
	/* Position independent: a copy reads the same once the first is gone. */
	char *copy = malloc(one.n);

	memcpy(copy, one.p, one.n);
	arena_free(&a);
	arena_free(&b);
	struct snapshot s;
	char buf[64];

	assert_true(snapshot_open((struct span) { copy, one.n }, &s));
	assert_string_equal(snapshot_rule_text(&s, 1, buf, sizeof buf), "*.python.org:443");
	free(copy);
}

static void empty_policy(void **state)
{
	struct arena a = { 0 };
	struct snapshot s;
	struct ip_addr v4, v6;

	assert_true(snapshot_open(policy_builder_finish(policy_builder_new(&a)), &s));
	assert_int_equal(snapshot_client_count(&s), 0);
	assert_int_equal(snapshot_client(&s, SPAN_LITERAL("")), CLIENT_NONE);
	assert_false(snapshot_name(&s, SPAN_LITERAL(""), &v4, &v6));
	assert_null(snapshot_rule_file(&s, 0));
	(void)readers_call_all(&s, 10);
	arena_free(&a);
}

static void many_clients_and_rules(void **state)
{
	struct arena a = { 0 };
	struct policy_builder *b = policy_builder_new(&a);
	struct snapshot s;
	char name[64];

	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof name, "pod-%u", i * 7919 % 300);
		assert_int_equal(policy_builder_client(b, name), i);
	}
	for (unsigned i = 0; i < 30000; i++) {
		(void)snprintf(name, sizeof name, "h%u.example", i);
		const struct rule r = name_rule(i % 3 == 0, RULE_EXACT, name, "f", i);

		policy_builder_rule(b, i % 300, &r);
	}
	assert_true(snapshot_open(policy_builder_finish(b), &s));
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof name, "pod-%u", i * 7919 % 300);
		assert_int_equal(snapshot_client(&s, span_of(name)), i);
		assert_int_equal(snapshot_rule_count(&s, i), 100);
	}
	for (unsigned i = 0; i < 30000; i++) {
		struct host h;

		(void)snprintf(name, sizeof name, "h%u.example", i);
		assert_int_equal(host_parse(span_of(name), &h), HOST_OK);
		const struct verdict v = policy_decide(&s, i % 300, HOST_OK, &h, 443),
				     w = policy_decide(&s, (i + 1) % 300, HOST_OK, &h, 443);

		assert_int_equal(v.reason, i % 3 == 0 ? REASON_DENIED_BY_RULE : REASON_ALLOWED);
		assert_int_equal(snapshot_rule_line(&s, v.rule), i);
		assert_int_equal(w.reason, REASON_NOT_LISTED);
	}
	arena_free(&a);
}

/* Cuts, extensions, misalignment: not a block. */
static void wrong_sizes_are_refused(void **state)
{
	struct arena a = { 0 };
	const struct span block = build(&a);
	struct snapshot s = { .generation = 42 };
	char *copy = malloc(block.n + 16);

	for (size_t n = 0; n < block.n; n++) {
		char *cut = malloc(n ? n : 1);

		memcpy(cut, block.p, n);
		assert_false(snapshot_open((struct span) { cut, n }, &s));
		free(cut);
	}
	memcpy(copy, block.p, block.n);
	assert_false(snapshot_open((struct span) { copy, block.n + 8 }, &s));
	memcpy(copy + 4, block.p, block.n);
	assert_false(snapshot_open((struct span) { copy + 4, block.n }, &s));
	assert_false(snapshot_open((struct span) { NULL, 0 }, &s));
	assert_int_equal(s.generation, 42);
	free(copy);
	arena_free(&a);
}

/* Every 32-bit word in turn, set to values that hurt: refused, or readable without leaving the block. */
static void damaged_words_are_harmless(void **state)
{
	static const uint32_t nasty[] = { 0, 1, 2, 7, 8, 0x7f, 0x1000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	struct arena a = { 0 };
	const struct span block = build(&a);
	unsigned opened = 0, refused = 0;

	for (size_t at = 0; at + 4 <= block.n; at += 4)
		for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
			struct snapshot s;
			char *copy = malloc(block.n);

			memcpy(copy, block.p, block.n);
			memcpy(copy + at, &nasty[i], 4);
			if (snapshot_open((struct span) { copy, block.n }, &s)) {
				opened++;
				(void)readers_call_all(&s, 64);
			} else {
				refused++;
			}
			free(copy);
		}
	assert_true(opened > 100 && refused > 100);
	arena_free(&a);
}

/* Each reference that leaves its section is refused, by name. */
static void each_check_is_needed(void **state)
{
	struct arena a = { 0 };
	const struct span block = build(&a);
	const struct block_header *h = (const void *)block.p;
	const size_t client = h->sections[SECTION_CLIENTS].offset, rule = h->sections[SECTION_RULES].offset,
		     slot = h->sections[SECTION_SLOTS].offset, name = h->sections[SECTION_NAMES].offset,
		     network = h->sections[SECTION_NETWORKS].offset, strings = h->sections[SECTION_STRINGS].offset;
	const struct {
		size_t at;
		uint32_t value;
	} cases[] = {
		{ offsetof(struct block_header, magic), 1 },
		{ offsetof(struct block_header, size), (uint32_t)block.n - 8 },
		{ offsetof(struct block_header, sections[SECTION_RULES].offset), (uint32_t)block.n + 8 },
		{ offsetof(struct block_header, sections[SECTION_RULES].offset) + 4, 0xffffffff },
		{ offsetof(struct block_header, sections[SECTION_RULES].count), 12 },
		{ offsetof(struct block_header, sections[SECTION_STRINGS].count), 0 },
		{ offsetof(struct block_header, sections[SECTION_STRINGS].count),
		  (uint32_t)h->sections[SECTION_STRINGS].count - 1 },
		{ offsetof(struct block_header, sections[SECTION_BY_NAME].count), 2 },
		{ offsetof(struct block_header, sections[SECTION_PORTS].offset), (uint32_t)h->sections[SECTION_PORTS].offset + 4 },
		{ h->sections[SECTION_BY_NAME].offset, 3 },
		{ client + offsetof(struct block_client, name), (uint32_t)h->sections[SECTION_STRINGS].count },
		{ client + offsetof(struct block_client, first_rule), 1 },
		{ client + offsetof(struct block_client, rules), 12 },
		{ client + offsetof(struct block_client, first_slot), 1 },
		{ client + offsetof(struct block_client, slots), 0xffffffff },
		{ rule + offsetof(struct block_rule, key), (uint32_t)h->sections[SECTION_STRINGS].count },
		{ rule + 6 * sizeof(struct block_rule), (uint32_t)h->sections[SECTION_NETWORKS].count },
		{ rule + offsetof(struct block_rule, ports), (uint32_t)h->sections[SECTION_PORTS].count },
		{ rule + offsetof(struct block_rule, next), 0 },
		{ rule + offsetof(struct block_rule, next), 10 },
		{ rule + offsetof(struct block_rule, file), (uint32_t)h->sections[SECTION_STRINGS].count },
		{ slot + offsetof(struct block_slot, rule), 10 },
		{ slot + 16 * sizeof(struct block_slot) + offsetof(struct block_slot, rule),
		  0 }, /* the second client's, to the first's rule */
		{ offsetof(struct block_header, sections[SECTION_BY_NAME].offset),
		  (uint32_t)h->sections[SECTION_BY_NAME].offset + 4 },
		{ name, (uint32_t)h->sections[SECTION_STRINGS].count },
		{ network + offsetof(struct block_network, family), 0x2105 },
		{ network + offsetof(struct block_network, family), 0x2104 },
		{ network + offsetof(struct block_network, family), 0x8106 },
		{ h->sections[SECTION_PORTS].offset + 4, 0x7fffffff },
	};
	struct snapshot s;
	char *copy = malloc(block.n);

	memcpy(copy, block.p, block.n);
	assert_true(snapshot_open((struct span) { copy, block.n }, &s));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memcpy(copy, block.p, block.n);
		memcpy(copy + cases[i].at, &cases[i].value, 4);
		if (snapshot_open((struct span) { copy, block.n }, &s))
			fail_msg("case %zu was opened", i);
	}
	memcpy(copy, block.p, block.n);
	copy[strings + h->sections[SECTION_STRINGS].count - 1] = 'x';
	assert_false(snapshot_open((struct span) { copy, block.n }, &s));
	free(copy);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_and_names),
		cmocka_unit_test(rules_are_written_back),
		cmocka_unit_test(same_input_same_bytes_anywhere),
		cmocka_unit_test(empty_policy),
		cmocka_unit_test(many_clients_and_rules),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(damaged_words_are_harmless),
		cmocka_unit_test(each_check_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
