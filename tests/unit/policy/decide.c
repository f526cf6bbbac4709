/* The verdict, case by case: each row is a list, a request, and the word that must come out with the rule that made it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy/block.h"
#include "policy/decide.h"

/* A small reader of list entries, so that the tables read like lists. It trusts its input. */
static void add_entry(struct arena *a, struct policy_builder *b, uint32_t client, const char *entry, uint32_t line)
{
	struct rule r = { .file = "list", .line = line };
	struct port_range *ports = arena_array(a, 8, sizeof *ports);
	const char *colon;
	struct span name;

	r.deny = *entry == '!';
	entry += r.deny;
	r.match = strncmp(entry, "*.", 2) == 0 ? RULE_BELOW : *entry == '=' ? RULE_EXACT : RULE_TREE;
	entry += r.match == RULE_BELOW ? 2 : r.match == RULE_EXACT;
	colon = *entry == '[' ? strchr(strchr(entry, ']'), ':') : strchr(entry, ':');
	name = colon ? (struct span) { entry, (size_t)(colon - entry) } : span_of(entry);
	for (const char *p = colon; p; p = strchr(p + 1, ',')) {
		char *end;
		const unsigned long first = p[1] == '*' ? 1 : strtoul(p + 1, &end, 10);
		const unsigned long last = p[1] == '*' ? 65535 : *end == '-' ? strtoul(end + 1, NULL, 10) : first;

		ports[r.port_count++] = (struct port_range) { (uint16_t)first, (uint16_t)last };
	}
	r.ports = ports;
	if (*entry == '[')
		name = (struct span) { entry + 1, name.n - 2 };
	if (ip_net_parse(name, &r.net))
		r.match = RULE_NETWORK;
	r.name = arena_span(a, name);
	policy_builder_rule(b, client, &r);
}

/* `list`: entries separated by spaces; entry number n is line n. */
static struct snapshot policy_of(struct arena *a, const char *list)
{
	struct policy_builder *b = policy_builder_new(a);
	const uint32_t client = policy_builder_client(b, "pod"), other = policy_builder_client(b, "other");
	char *copy = arena_strdup(a, list), *save = NULL;
	uint32_t line = 0;
	struct snapshot s;

	for (char *e = strtok_r(copy, " ", &save); e; e = strtok_r(NULL, " ", &save))
		add_entry(a, b, client, e, ++line);
	add_entry(a, b, other, "other.example", 1000);
	assert_true(snapshot_open(policy_builder_finish(b), &s));
	return s;
}

struct row {
	const char *list, *host;
	uint16_t port;
	const char *word;
	uint32_t line; /* 0: no rule */
};

static void check_row(const struct row *r)
{
	struct arena a = { 0 };
	const struct snapshot s = policy_of(&a, r->list);
	struct host h;
	const enum host_result parsed = host_parse(span_of(r->host), &h);
	const struct verdict v = policy_decide(&s, 0, parsed, parsed == HOST_OK ? &h : NULL, r->port);

	if (strcmp(reason_word(v.reason), r->word) != 0 || snapshot_rule_line(&s, v.rule) != r->line)
		fail_msg("[%s] %s:%u -> %s by line %u, not %s by line %u", r->list, r->host, r->port, reason_word(v.reason),
			 snapshot_rule_line(&s, v.rule), r->word, r->line);
	assert_int_equal(v.allow, strcmp(r->word, "allowed") == 0);
	assert_int_equal(v.rule == RULE_NONE, r->line == 0);
	assert_int_equal(v.any_protocol, v.allow && r->port != 80 && r->port != 443);
	arena_free(&a);
}

static void names(void **state)
{
	static const struct row rows[] = {
		/* the seed's hole, and its relatives */
		{ "googleapis.com", "googleapis.com", 443, "allowed", 1 },
		{ "googleapis.com", "storage.googleapis.com", 443, "allowed", 1 },
		{ "googleapis.com", "a.b.c.storage.googleapis.com", 80, "allowed", 1 },
		{ "googleapis.com", "evilgoogleapis.com", 443, "not-listed", 0 },
		{ "googleapis.com", "googleapis.com.evil.com", 443, "not-listed", 0 },
		{ "googleapis.com", "googleapis.comevil", 443, "not-listed", 0 },
		{ "googleapis.com", "googleapis", 443, "not-listed", 0 },
		{ "googleapis.com", "com", 443, "not-listed", 0 },
		{ "googleapis.com", "oogleapis.com", 443, "not-listed", 0 },
		{ "googleapis.com", "googleapis-com", 443, "not-listed", 0 },
		{ "googleapis.com", "x-googleapis.com", 443, "not-listed", 0 },
		{ "googleapis.com", "GOOGLEAPIS.com.", 443, "allowed", 1 },
		{ "googleapis.com", "www.GoogleApis.Com.", 443, "allowed", 1 },
		{ "googleapis.com", "googleapis.com..", 443, "malformed-host", 0 },
		{ "googleapis.com", "googleapis.com%00.evil.com", 443, "malformed-host", 0 },
		{ "googleapis.com", "evil.com#.googleapis.com", 443, "malformed-host", 0 },
		{ "googleapis.com", "googleapis.com@evil.com", 443, "malformed-host", 0 },
		{ "googleapis.com", "evil.com\\.googleapis.com", 443, "malformed-host", 0 },
		{ "googleapis.com", "", 443, "malformed-host", 0 },
		{ "", "googleapis.com", 443, "not-listed", 0 },
		/* the three ways to write a name */
		{ "*.python.org", "www.python.org", 443, "allowed", 1 },
		{ "*.python.org", "a.b.python.org", 443, "allowed", 1 },
		{ "*.python.org", "python.org", 443, "not-listed", 0 },
		{ "*.python.org", "xpython.org", 443, "not-listed", 0 },
		{ "=api.github.com", "api.github.com", 443, "allowed", 1 },
		{ "=api.github.com", "x.api.github.com", 443, "not-listed", 0 },
		{ "=api.github.com", "github.com", 443, "not-listed", 0 },
		{ "=com", "com", 443, "allowed", 1 },
		{ "=com", "a.com", 443, "not-listed", 0 },
		/* ports */
		{ "a.com", "a.com", 80, "allowed", 1 },
		{ "a.com", "a.com", 81, "port-not-listed", 1 },
		{ "a.com", "a.com", 8443, "port-not-listed", 1 },
		{ "a.com", "a.com", 0, "port-not-listed", 1 },
		{ "a.com:22", "a.com", 22, "allowed", 1 },
		{ "a.com:22", "a.com", 443, "port-not-listed", 1 },
		{ "a.com:22", "b.com", 22, "not-listed", 0 },
		{ "a.com:443", "a.com", 80, "port-not-listed", 1 },
		{ "a.com:443", "a.com", 443, "allowed", 1 },
		{ "a.com:8000-8100", "a.com", 7999, "port-not-listed", 1 },
		{ "a.com:8000-8100", "a.com", 8000, "allowed", 1 },
		{ "a.com:8000-8100", "a.com", 8100, "allowed", 1 },
		{ "a.com:8000-8100", "a.com", 8101, "port-not-listed", 1 },
		{ "a.com:22,25,8000-8100", "a.com", 25, "allowed", 1 },
		{ "a.com:22,25,8000-8100", "a.com", 24, "port-not-listed", 1 },
		{ "a.com:*", "a.com", 1, "allowed", 1 },
		{ "a.com:*", "a.com", 65535, "allowed", 1 },
		{ "a.com:*", "a.com", 0, "port-not-listed", 1 },
		{ "a.com a.com:22", "a.com", 22, "allowed", 2 },
		{ "a.com:22 a.com", "a.com", 443, "allowed", 2 },
		/* the most specific rule is named, then the first */
		{ "a.com www.a.com =www.a.com", "www.a.com", 443, "allowed", 2 },
		{ "a.com =www.a.com www.a.com", "www.a.com", 443, "allowed", 2 },
		{ "a.com a.com", "a.com", 443, "allowed", 1 },
		{ "a.com:22 b.a.com:25", "b.a.com", 443, "port-not-listed", 2 },
		/* deny beats every allow, wherever it stands and however wide */
		{ "a.com !telemetry.a.com", "telemetry.a.com", 443, "denied-by-rule", 2 },
		{ "a.com !telemetry.a.com", "x.telemetry.a.com", 443, "denied-by-rule", 2 },
		{ "a.com !telemetry.a.com", "www.a.com", 443, "allowed", 1 },
		{ "!a.com =www.a.com", "www.a.com", 443, "denied-by-rule", 1 },
		{ "=www.a.com !a.com", "www.a.com", 443, "denied-by-rule", 2 },
		{ "a.com !=a.com", "a.com", 443, "denied-by-rule", 2 },
		{ "a.com !=a.com", "www.a.com", 443, "allowed", 1 },
		{ "a.com !*.a.com", "a.com", 443, "allowed", 1 },
		{ "a.com !*.a.com", "www.a.com", 443, "denied-by-rule", 2 },
		{ "!a.com", "a.com", 443, "denied-by-rule", 1 },
		{ "!a.com", "b.com", 443, "not-listed", 0 },
		{ "!a.com", "a.com", 9999, "denied-by-rule", 1 },
		{ "!a.com a.com:*", "a.com", 22, "denied-by-rule", 1 },
		{ "!a.com:22 a.com:*", "a.com", 22, "denied-by-rule", 1 },
		{ "!a.com:22 a.com:*", "a.com", 23, "allowed", 2 },
		{ "!a.com:22", "a.com", 23, "not-listed", 0 },
		{ "!com a.com", "a.com", 443, "denied-by-rule", 1 },
		/* another client's list is not ours */
		{ "a.com", "other.example", 443, "not-listed", 0 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i]);
}

static void literals(void **state)
{
	static const struct row rows[] = {
		{ "a.com", "8.8.8.8", 443, "address-literal", 0 },
		{ "a.com", "[2606:4700::1111]", 443, "address-literal", 0 },
		{ "", "127.0.0.1", 80, "address-literal", 0 },
		{ "", "127.1", 80, "address-literal", 0 },
		{ "127.0.0.1", "127.1", 80, "address-literal", 0 },
		{ "127.0.0.1", "0x7f000001", 80, "address-literal", 0 },
		{ "127.0.0.1", "2130706433", 80, "address-literal", 0 },
		{ "127.0.0.1", "0177.0.0.1", 80, "address-literal", 0 },
		{ "127.0.0.1", "127.0.0.1.", 80, "address-literal", 0 },
		{ "127.0.0.1", "127.0.0.1", 80, "allowed", 1 },
		{ "127.0.0.1", "[::ffff:127.0.0.1]", 80, "address-literal", 0 },
		{ "127.0.0.1", "[::127.0.0.1]", 80, "address-literal", 0 },
		{ "127.0.0.1", "[64:ff9b::127.0.0.1]", 80, "address-literal", 0 },
		{ "[::1]", "[::1%25lo]", 80, "malformed-host", 0 },
		{ "[::1]", "[::1]", 80, "allowed", 1 },
		{ "[::1]", "[0:0:0:0:0:0:0:1]", 80, "allowed", 1 },
		{ "10.0.0.5:5432", "10.0.0.5", 5432, "allowed", 1 },
		{ "10.0.0.5:5432", "10.0.0.5", 443, "port-not-listed", 1 },
		{ "10.0.0.5:5432", "10.0.0.6", 5432, "address-literal", 0 },
		{ "192.168.7.0/24:443", "192.168.7.0", 443, "allowed", 1 },
		{ "192.168.7.0/24:443", "192.168.7.255", 443, "allowed", 1 },
		{ "192.168.7.0/24:443", "192.168.8.0", 443, "address-literal", 0 },
		{ "192.168.7.0/24:443", "192.168.6.255", 443, "address-literal", 0 },
		{ "10.0.0.0/8 10.0.0.0/24", "10.0.0.1", 443, "allowed", 2 },
		{ "10.0.0.0/8 !10.0.0.0/24", "10.0.0.1", 443, "denied-by-rule", 2 },
		{ "!10.0.0.0/8 10.0.0.1", "10.0.0.1", 443, "denied-by-rule", 1 },
		{ "!10.0.0.0/8:22 10.0.0.1", "10.0.0.1", 443, "allowed", 2 },
		{ "0.0.0.0/0:*", "8.8.8.8", 53, "allowed", 1 },
		{ "0.0.0.0/0:*", "[2606:4700::1]", 53, "address-literal", 0 },
		{ "[::/0]:*", "[2606:4700::1]", 53, "allowed", 1 },
		{ "[::/0]:*", "8.8.8.8", 53, "address-literal", 0 },
		{ "[2001:db8::/33]", "[2001:db8:7fff::1]", 443, "allowed", 1 },
		{ "[2001:db8::/33]", "[2001:db8:8000::1]", 443, "address-literal", 0 },
		/* a wide IPv6 rule does not let IPv4 in by another spelling; one that means the form does, and a deny still holds
		 */
		{ "[::/0]:*", "[::ffff:10.0.0.1]", 443, "address-literal", 0 },
		{ "[::/0]:*", "[2002:a00:1::1]", 443, "address-literal", 0 },
		{ "[::/0]:*", "[64:ff9b::10.0.0.1]", 443, "address-literal", 0 },
		{ "[64:ff9b::/96]", "[64:ff9b::8.8.8.8]", 443, "allowed", 1 },
		{ "[64:ff9b::/96] !10.0.0.0/8", "[64:ff9b::8.8.8.8]", 443, "allowed", 1 },
		{ "[64:ff9b::/96] !10.0.0.0/8", "[64:ff9b::10.0.0.1]", 443, "denied-by-rule", 2 },
		{ "[::ffff:10.0.0.1] !10.0.0.0/8", "[::ffff:10.0.0.1]", 443, "denied-by-rule", 2 },
		/* names do not allow addresses */
		{ "=4 1.2.3.4", "1.2.3.4", 80, "allowed", 2 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i]);
}

static void resolved_addresses(void **state)
{
	static const struct row rows[] = {
		{ "a.com", "8.8.8.8", 443, "allowed", 0 },
		{ "a.com", "2606:4700::1", 443, "allowed", 0 },
		{ "a.com", "127.0.0.1", 443, "special-address", 0 },
		{ "a.com", "10.0.0.5", 443, "special-address", 0 },
		{ "a.com", "169.254.169.254", 80, "special-address", 0 },
		{ "a.com", "0.0.0.0", 443, "special-address", 0 },
		{ "a.com", "255.255.255.255", 443, "special-address", 0 },
		{ "a.com", "198.18.0.1", 443, "special-address", 0 },
		{ "a.com", "::1", 443, "special-address", 0 },
		{ "a.com", "::", 443, "special-address", 0 },
		{ "a.com", "fe80::1", 443, "special-address", 0 },
		{ "a.com", "fd00::1", 443, "special-address", 0 },
		{ "a.com", "::ffff:8.8.8.8", 443, "special-address", 0 },
		{ "a.com", "64:ff9b::8.8.8.8", 443, "special-address", 0 },
		{ "a.com", "2002:808:808::1", 443, "special-address", 0 },
		{ "a.com 10.0.0.5:443", "10.0.0.5", 443, "allowed", 2 },
		{ "a.com 10.0.0.5:443", "10.0.0.5", 80, "special-address", 0 },
		{ "a.com 10.0.0.5:443", "10.0.0.6", 443, "special-address", 0 },
		{ "a.com 10.0.0.0/8", "10.255.0.1", 80, "allowed", 2 },
		{ "a.com 10.0.0.0/8 !10.255.0.0/16", "10.255.0.1", 80, "denied-by-rule", 3 },
		{ "a.com !8.8.8.0/24", "8.8.8.8", 443, "denied-by-rule", 2 },
		{ "a.com !8.8.8.0/24:22", "8.8.8.8", 443, "allowed", 0 },
		{ "a.com 0.0.0.0/0", "127.0.0.1", 443, "allowed", 2 },
		{ "a.com 0.0.0.0/0 [::/0]", "::ffff:127.0.0.1", 443, "special-address", 0 },
		{ "a.com [64:ff9b::/96]:443", "64:ff9b::8.8.8.8", 443, "allowed", 2 },
		{ "a.com [64:ff9b::/96]:443 !8.8.8.8", "64:ff9b::8.8.8.8", 443, "denied-by-rule", 3 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct arena a = { 0 };
		const struct snapshot s = policy_of(&a, r->list);
		struct ip_addr addr;

		assert_true(ip_parse(span_of(r->host), &addr));
		const struct verdict v = policy_decide_address(&s, 0, &addr, r->port);

		if (strcmp(reason_word(v.reason), r->word) != 0 || snapshot_rule_line(&s, v.rule) != r->line)
			fail_msg("[%s] %s:%u -> %s by line %u", r->list, r->host, r->port, reason_word(v.reason),
				 snapshot_rule_line(&s, v.rule));
		assert_int_equal(v.allow, strcmp(r->word, "allowed") == 0);
		arena_free(&a);
	}
}

/* The order of DESIGN 4: an unknown client is told nothing else, a malformed host nothing about the rules. */
static void order_and_unknown_clients(void **state)
{
	struct arena a = { 0 };
	const struct snapshot s = policy_of(&a, "a.com !b.com");
	struct host h;
	const struct ip_addr none = { 0 }, global = { 4, { 8, 8, 8, 8 } };

	assert_int_equal(host_parse(SPAN_LITERAL("a.com"), &h), HOST_OK);
	assert_int_equal(policy_decide(&s, 0, HOST_OK, &h, 443).reason, REASON_ALLOWED);
	assert_int_equal(policy_decide(&s, 1, HOST_OK, &h, 443).reason, REASON_NOT_LISTED);
	assert_int_equal(policy_decide(&s, 2, HOST_OK, &h, 443).reason, REASON_UNKNOWN_CLIENT);
	assert_int_equal(policy_decide(&s, CLIENT_NONE, HOST_OK, &h, 443).reason, REASON_UNKNOWN_CLIENT);
	assert_int_equal(policy_decide(&s, CLIENT_NONE, HOST_MALFORMED, NULL, 443).reason, REASON_UNKNOWN_CLIENT);
	assert_int_equal(policy_decide(&s, 0, HOST_MALFORMED, NULL, 443).reason, REASON_MALFORMED_HOST);
	assert_int_equal(policy_decide(&s, 0, HOST_ODD_ADDRESS, NULL, 443).reason, REASON_ADDRESS_LITERAL);
	assert_int_equal(policy_decide(&s, 0, HOST_OK, NULL, 443).reason, REASON_MALFORMED_HOST);
	host_from_address(&none, &h);
	assert_int_equal(policy_decide(&s, 0, HOST_OK, &h, 443).reason, REASON_MALFORMED_HOST);
	assert_int_equal(policy_decide_address(&s, 0, &none, 443).reason, REASON_SPECIAL_ADDRESS);
	assert_int_equal(policy_decide_address(&s, 2, &global, 443).reason, REASON_UNKNOWN_CLIENT);
	assert_true(policy_decide_address(&s, 0, &global, 443).allow);
	assert_false(policy_decide_address(&s, 0, &global, 8443).any_protocol);
	arena_free(&a);
}

static void deep_names(void **state)
{
	struct arena a = { 0 };
	char deep[254];
	struct host h;

	/* 127 labels, the most there can be; the list's entry is the whole of it, then its last label. */
	for (size_t i = 0; i < 253; i++)
		deep[i] = i % 2 ? '.' : 'a';
	deep[253] = '\0';
	assert_int_equal(host_parse(span_of(deep), &h), HOST_OK);
	const struct snapshot exact = policy_of(&a, arena_printf(&a, "=%s", deep)), tree = policy_of(&a, "a"),
			      below = policy_of(&a, "!*.a.a a");

	assert_true(policy_decide(&exact, 0, HOST_OK, &h, 443).allow);
	assert_true(policy_decide(&tree, 0, HOST_OK, &h, 443).allow);
	assert_int_equal(policy_decide(&below, 0, HOST_OK, &h, 443).reason, REASON_DENIED_BY_RULE);
	assert_int_equal(host_parse(span_of(deep + 2), &h), HOST_OK);
	assert_false(policy_decide(&exact, 0, HOST_OK, &h, 443).allow);
	arena_free(&a);
}

/* Names found by search whose hashes have the same tag: only the comparison of the names themselves tells them apart. */
static void colliding_hashes(void **state)
{
	static const char *const pairs[][2] = { { "a.comd9u75hm", "a.com" }, { "n00f4745.com", "n00a6023.com" } };

	for (size_t i = 0; i < 2; i++) {
		const uint64_t listed = hash_name(pairs[i][0], strlen(pairs[i][0])),
			       asked = hash_name(pairs[i][1], strlen(pairs[i][1]));
		unsigned met = 0;

		assert_int_equal((uint32_t)listed, (uint32_t)asked);
		for (uint32_t others = 0; others < 40; others++) {
			struct arena a = { 0 };
			char list[400] = "";
			struct host h;

			for (uint32_t k = 0; k < others; k++)
				(void)snprintf(list + strlen(list), sizeof list - strlen(list), "f%u ", k);
			const struct snapshot s = policy_of(&a, arena_printf(&a, "%s%s", list, pairs[i][0]));

			met += hash_slot(listed, block_client(&s, 0)->slots) == hash_slot(asked, block_client(&s, 0)->slots);
			assert_int_equal(host_parse(span_of(pairs[i][1]), &h), HOST_OK);
			assert_int_equal(policy_decide(&s, 0, HOST_OK, &h, 443).reason, REASON_NOT_LISTED);
			assert_int_equal(host_parse(span_of(pairs[i][0]), &h), HOST_OK);
			assert_int_equal(policy_decide(&s, 0, HOST_OK, &h, 443).reason, REASON_ALLOWED);
			arena_free(&a);
		}
		assert_true(met > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(literals),
		cmocka_unit_test(resolved_addresses),
		cmocka_unit_test(order_and_unknown_clients),
		cmocka_unit_test(deep_names),
		cmocka_unit_test(colliding_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
