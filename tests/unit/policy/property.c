/* Random lists and random requests: the compiled block must decide as a naive reading of the same rules does, to the very rule.
 * The reference goes through all rules and compares text; it shares no code with the block but the address primitives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy/decide.h"

enum { RULES_MOST = 24, CLIENTS = 3, ROUNDS = 4000, REQUESTS = 60 };

static uint64_t seed;

static unsigned pick(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 16) % n);
}

static const char *random_name(struct arena *a)
{
	static const char *const labels[] = { "a", "b", "ab", "com", "a-b" };
	char text[64] = "";
	const unsigned n = 1 + pick(5);

	for (unsigned i = 0; i < n; i++) {
		strcat(text, labels[pick(5)]);
		strcat(text, i + 1 < n ? "." : "");
	}
	return arena_strdup(a, text);
}

static struct ip_addr random_addr(void)
{
	static const uint8_t bytes[] = { 0, 1, 8, 10, 127, 255 };
	static const uint8_t forms[][12] = {
		{ 0x20, 0x01, 0x0d, 0xb8 }, { [10] = 0xff, 0xff }, { 0x00, 0x64, 0xff, 0x9b }, { 0 }, { 0x26, 0x06 },
		{ 0x20, 0x02, 10 },
	};
	struct ip_addr a = { .family = pick(2) ? 4 : 6 };

	if (a.family == 6)
		memcpy(a.bytes, forms[pick(6)], 12);
	for (unsigned i = a.family == 4 ? 0 : 12; i < (a.family == 4 ? 4U : 16U); i++)
		a.bytes[i] = bytes[pick(6)];
	return a;
}

static struct ip_net random_net(void)
{
	static const uint8_t prefixes[2][6] = { { 0, 7, 8, 24, 31, 32 }, { 0, 16, 33, 96, 127, 128 } };
	struct ip_net n = { .addr = random_addr() };

	n.prefix = prefixes[n.addr.family == 6][pick(6)];
	for (unsigned bit = n.prefix; bit < 128; bit++)
		n.addr.bytes[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
	return n;
}

static uint16_t random_port(void)
{
	static const uint16_t ports[] = { 22, 80, 443, 8000, 8050, 65535 };

	return ports[pick(6)];
}

static struct rule random_rule(struct arena *a, uint32_t line)
{
	struct rule r = { .deny = pick(4) == 0, .match = pick(4), .file = "f", .line = line };
	struct port_range *ports = arena_array(a, 3, sizeof *ports);

	if (r.match == RULE_NETWORK)
		r.net = random_net();
	else
		r.name = random_name(a);
	r.port_count = pick(3) ? 0 : pick(3) + 1;
	for (size_t i = 0; i < r.port_count; i++) {
		const uint16_t x = random_port(), y = random_port();

		ports[i] = x < y ? (struct port_range) { x, y } : (struct port_range) { y, pick(2) ? x : y };
	}
	r.ports = ports;
	return r;
}

/* How much of the request the rule names, 0 when it does not: the longer, the more specific. */
static unsigned specificity(const struct rule *r, const struct host *h)
{
	if (h->kind == HOST_ADDRESS)
		return r->match == RULE_NETWORK && ip_in_net(&h->addr, &r->net) ? 1U + r->net.prefix : 0;
	if (r->match == RULE_NETWORK)
		return 0;
	const size_t n = strlen(r->name);
	const bool whole = strcmp(h->text, r->name) == 0;
	const bool under = h->length > n && h->text[h->length - n - 1] == '.' && strcmp(h->text + h->length - n, r->name) == 0;

	return (whole && r->match != RULE_BELOW) || (under && r->match != RULE_EXACT) ? 1 + (unsigned)n : 0;
}

static bool names_port(const struct rule *r, uint16_t port)
{
	bool named = r->port_count == 0 && (r->deny || port == 80 || port == 443);

	for (size_t i = 0; i < r->port_count; i++)
		named |= port >= r->ports[i].first && port <= r->ports[i].last;
	return named;
}

/* The most specific rule of the kind, then the first; RULE_NONE. Of an address in disguise only deny rules of the inner address
 * and rules inside the form's block count. */
static uint32_t best_rule(const struct rule *rules, size_t count, const struct host *h, uint16_t port, bool deny, bool with_port)
{
	struct ip_addr inner;
	struct ip_net form;
	const bool disguised = h->kind == HOST_ADDRESS && ip_embedded(&h->addr, &inner, &form);
	uint32_t best = RULE_NONE;
	unsigned most = 0;

	for (uint32_t i = 0; i < count; i++) {
		unsigned score = specificity(&rules[i], h);

		if (disguised && !deny && rules[i].match == RULE_NETWORK && rules[i].net.prefix < form.prefix)
			score = 0;
		if (disguised && deny) {
			struct host as_inner;

			host_from_address(&inner, &as_inner);
			const unsigned inside = specificity(&rules[i], &as_inner);

			score = inside ? 1000 + inside : score;
		}
		if (rules[i].deny == deny && score > most && names_port(&rules[i], port) == with_port) {
			most = score;
			best = i;
		}
	}
	return best;
}

static struct verdict naive(const struct rule *rules, size_t count, const struct host *h, uint16_t port)
{
	const uint32_t denied = best_rule(rules, count, h, port, true, true),
		       allowed = best_rule(rules, count, h, port, false, true),
		       other = best_rule(rules, count, h, port, false, false);

	if (denied != RULE_NONE)
		return (struct verdict) { .reason = REASON_DENIED_BY_RULE, .rule = denied };
	if (allowed != RULE_NONE)
		return (struct verdict) { true, port != 80 && port != 443, REASON_ALLOWED, allowed };
	if (other != RULE_NONE)
		return (struct verdict) { .reason = REASON_PORT_NOT_LISTED, .rule = other };
	return (struct verdict) { .reason = h->kind == HOST_ADDRESS ? REASON_ADDRESS_LITERAL : REASON_NOT_LISTED,
				  .rule = RULE_NONE };
}

static struct verdict naive_address(const struct rule *rules, size_t count, const struct host *h, uint16_t port)
{
	const struct verdict v = naive(rules, count, h, port);

	if (v.allow || v.reason == REASON_DENIED_BY_RULE)
		return v;
	if (ip_special(&h->addr))
		return (struct verdict) { .reason = REASON_SPECIAL_ADDRESS, .rule = RULE_NONE };
	return (struct verdict) { true, false, REASON_ALLOWED, RULE_NONE };
}

static unsigned tally[REASON_COUNT];

static void expect_same(const struct snapshot *s, struct verdict got, struct verdict want, uint32_t first_rule,
			const struct host *h, uint16_t port)
{
	char text[300] = "-", other[300] = "-";

	if (want.rule != RULE_NONE)
		want.rule += first_rule;
	if (got.allow != want.allow || got.reason != want.reason || got.rule != want.rule || got.any_protocol != want.any_protocol)
		fail_msg("%s:%u: %s by %u %s, reference says %s by %u %s", h->text, port, reason_word(got.reason), got.rule,
			 snapshot_rule_text(s, got.rule, text, sizeof text), reason_word(want.reason), want.rule,
			 snapshot_rule_text(s, want.rule, other, sizeof other));
	tally[got.reason]++;
}

static void one_round(void)
{
	struct arena a = { 0 };
	struct policy_builder *b = policy_builder_new(&a);
	struct rule rules[CLIENTS][RULES_MOST];
	size_t counts[CLIENTS];
	uint32_t first[CLIENTS], total = 0;
	struct snapshot s;

	for (unsigned c = 0; c < CLIENTS; c++) {
		(void)policy_builder_client(b, arena_printf(&a, "pod-%u", c));
		first[c] = total;
		counts[c] = pick(RULES_MOST + 1);
		total += (uint32_t)counts[c];
		for (size_t i = 0; i < counts[c]; i++)
			rules[c][i] = random_rule(&a, (uint32_t)i);
	}
	/* Added in turns, as lists of several clients may be. */
	for (size_t i = 0; i < RULES_MOST; i++)
		for (unsigned c = 0; c < CLIENTS; c++)
			if (i < counts[c])
				policy_builder_rule(b, c, &rules[c][i]);
	assert_true(snapshot_open(policy_builder_finish(b), &s));
	for (unsigned i = 0; i < REQUESTS; i++) {
		const unsigned c = pick(CLIENTS);
		const uint16_t port = random_port();
		struct host h;

		if (pick(2)) {
			assert_int_equal(host_parse(span_of(random_name(&a)), &h), HOST_OK);
		} else {
			const struct ip_addr addr = random_addr();

			host_from_address(&addr, &h);
			expect_same(&s, policy_decide_address(&s, c, &addr, port), naive_address(rules[c], counts[c], &h, port),
				    first[c], &h, port);
		}
		expect_same(&s, policy_decide(&s, c, HOST_OK, &h, port), naive(rules[c], counts[c], &h, port), first[c], &h, port);
	}
	arena_free(&a);
}

static void decides_as_the_reference(void **state)
{
	static const enum reason seen[] = { REASON_ALLOWED,        REASON_NOT_LISTED,      REASON_PORT_NOT_LISTED,
					    REASON_DENIED_BY_RULE, REASON_ADDRESS_LITERAL, REASON_SPECIAL_ADDRESS };

	seed = 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < ROUNDS; i++)
		one_round();
	/* A test in which some verdict never comes out shows nothing about it. */
	for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
		print_message("%s: %u\n", reason_word(seen[i]), tally[seen[i]]);
		assert_true(tally[seen[i]] > 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decides_as_the_reference) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
