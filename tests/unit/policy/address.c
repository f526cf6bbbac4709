/* Addresses: strict parsing (libc's inet_pton as oracle), RFC 5952 text, and each row of the special-purpose registries with its
 * first and last address and its neighbours. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "policy/address.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a = { 0 };

	if (!ip_parse(span_of(text), &a))
		fail_msg("'%s' was not parsed", text);
	return a;
}

static void canonical_text(void **state)
{
	static const char *const cases[][2] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "1.2.3.4", "1.2.3.4" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "0:0:0:0:0:0:0:0", "::" },
		{ "2001:DB8::0001", "2001:db8::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
		{ "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
		{ "::ffff:1.2.3.4", "::ffff:1.2.3.4" },
		{ "::ffff:102:304", "::ffff:1.2.3.4" },
		{ "::1.2.3.4", "::102:304" },
		{ "64:ff9b::1.2.3.4", "64:ff9b::102:304" },
		{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "a:b:c:d:e:f:0:1", "a:b:c:d:e:f:0:1" },
		{ "fe80:0:0:0:1:0:0:0", "fe80::1:0:0:0" },
	};
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ip_addr a = addr(cases[i][0]);
		const struct ip_addr again = addr(ip_format(&a, text));

		assert_string_equal(text, cases[i][1]);
		assert_true(ip_equal(&a, &again));
	}
}

static void odd_spellings_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		".",
		"1",
		"1.2.3",
		"1.2.3.",
		"1.2.3.4.",
		"1.2.3.4.5",
		".1.2.3.4",
		"1..2.3",
		"1.2.3.256",
		"1.2.3.999",
		"1.2.3.1000",
		"01.2.3.4",
		"1.2.3.04",
		"00.0.0.0",
		"0x1.2.3.4",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4/32",
		"+1.2.3.4",
		"-1.2.3.4",
		"1.2.3.a",
		"127.1",
		"2130706433",
		"0x7f000001",
		"0177.0.0.1",
		":",
		":::",
		"1:",
		":1",
		"1:2",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::",
		"::1:2:3:4:5:6:7:8",
		"1::2::3",
		"1:::2",
		"12345::",
		"::12345",
		"g::",
		"::1%eth0",
		"::1%25eth0",
		"[::1]",
		"::1/128",
		"::1.2.3",
		"::1.2.3.4.5",
		"::01.2.3.4",
		"::1.2.3.256",
		"1.2.3.4::",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4",
		"1:2:3:4:5:1.2.3.4",
		"::-1",
		"::+1",
		"::1 ",
		"\xd9\xa1.2.3.4",
		"::0x1",
		"fe80::1::",
		"1:2:3:4:5:6:7:",
		":1:2:3:4:5:6:7",
	};
	struct ip_addr a = { .family = 99 };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t bytes[16];

		if (ip_parse(span_of(cases[i]), &a))
			fail_msg("'%s' was parsed", cases[i]);
		if (inet_pton(strchr(cases[i], ':') ? AF_INET6 : AF_INET, cases[i], bytes) == 1)
			fail_msg("'%s' is an address to libc", cases[i]);
	}
	assert_int_equal(a.family, 99);
	assert_false(ip_parse((struct span) { "1.2.3.4\0", 8 }, &a));
	assert_false(ip_parse((struct span) { "::1\0", 4 }, &a));
	assert_false(ip_parse((struct span) { NULL, 0 }, &a));
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Random texts over the alphabet of addresses, mostly wrong ones, mean to us what they mean to libc. */
static void agrees_with_libc(void **state)
{
	static const char alphabet[] = "0123456789abF:::::....";
	uint64_t x = 88172645463325252;
	unsigned parsed = 0;

	for (unsigned i = 0; i < 600000; i++) {
		char text[48], back[INET6_ADDRSTRLEN], ours[IP_TEXT_MAX];
		uint8_t bytes[16] = { 0 };
		struct ip_addr a = { 0 };
		size_t n = 0;

		if (i % 2) {
			for (unsigned k = 0; k < 16; k++)
				bytes[k] = (next_random(&x) & 3) < 2 ? 0 : (uint8_t)next_random(&x);
			(void)inet_ntop(i % 4 == 1 ? AF_INET : AF_INET6, bytes, text, sizeof text);
			n = strlen(text);
			if (i % 8 > 4)
				text[next_random(&x) % n] = alphabet[next_random(&x) % (sizeof alphabet - 1)];
			memset(bytes, 0, sizeof bytes);
		} else {
			n = 3 + next_random(&x) % 9;
			for (size_t k = 0; k < n; k++)
				text[k] = alphabet[next_random(&x) % (sizeof alphabet - 1)];
			text[n] = '\0';
		}
		const bool six = strchr(text, ':');
		const bool theirs = inet_pton(six ? AF_INET6 : AF_INET, text, bytes) == 1;

		if (ip_parse((struct span) { text, n }, &a) != theirs)
			fail_msg("'%s': libc says %d", text, theirs);
		if (!theirs)
			continue;
		parsed++;
		assert_memory_equal(a.bytes, bytes, 16);
		assert_int_equal(a.family, six ? 6 : 4);
		(void)inet_ntop(six ? AF_INET6 : AF_INET, bytes, back, sizeof back);
		(void)ip_format(&a, ours);
		/* libc writes ::1.2.3.4 with dots, which RFC 5952 5 leaves to known prefixes. */
		if (!(strchr(back, '.') && six && !strstr(back, "ffff:")))
			assert_string_equal(ours, back);
	}
	assert_true(parsed > 100000);
}

static void networks(void **state)
{
	static const char *const good[] = { "0.0.0.0/0",      "10.0.0.0/8",       "10.0.0.5", "10.0.0.5/32",
					    "192.168.7.0/24", "192.168.7.128/25", "::/0",     "2001:db8::/32",
					    "2001:db8::1",    "fe80::/10",        "::1/128" };
	static const char *const bad[] = { "",
					   "/",
					   "/8",
					   "10.0.0.0/",
					   "10.0.0.0/08",
					   "10.0.0.0/33",
					   "10.0.0.0/-1",
					   "10.0.0.0/8 ",
					   "10.0.0.0/8/8",
					   "10.0.0.1/8",
					   "10.0.0.0/+8",
					   "10/8",
					   "10.0.0.0/999",
					   "10.1.0.0/15",
					   "::/129",
					   "2001:db8::1/32",
					   "[2001:db8::]/32",
					   "::1%lo/128",
					   "10.0.0.0/255.0.0.0",
					   "10.0.0.0/0x8",
					   "128.0.0.0/0",
					   "::/1288" };
	struct ip_net net = { .prefix = 77 };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (ip_net_parse(span_of(bad[i]), &net))
			fail_msg("'%s' was parsed", bad[i]);
	assert_int_equal(net.prefix, 77);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!ip_net_parse(span_of(good[i]), &net))
			fail_msg("'%s' was not parsed", good[i]);
	assert_true(ip_net_parse(SPAN_LITERAL("192.168.6.0/23"), &net));
	const struct ip_addr in = addr("192.168.7.255"), low = addr("192.168.5.255"), high = addr("192.168.8.0"),
			     six = addr("::ffff:192.168.7.1");

	assert_true(ip_in_net(&in, &net));
	assert_false(ip_in_net(&low, &net));
	assert_false(ip_in_net(&high, &net));
	assert_false(ip_in_net(&six, &net));
	assert_true(ip_net_parse(SPAN_LITERAL("::/0"), &net));
	assert_true(ip_in_net(&six, &net));
	assert_false(ip_in_net(&in, &net));
}

/* First and last address of each block, and its name. */
static void special_blocks(void **state)
{
	static const struct {
		const char *first, *last, *word;
	} blocks[] = {
		{ "0.0.0.0", "0.0.0.0", "unspecified" },
		{ "0.0.0.1", "0.255.255.255", "this-network" },
		{ "10.0.0.0", "10.255.255.255", "private-use" },
		{ "100.64.0.0", "100.127.255.255", "shared-address-space" },
		{ "127.0.0.0", "127.255.255.255", "loopback" },
		{ "169.254.0.0", "169.254.255.255", "link-local" },
		{ "169.254.169.254", "169.254.169.254", "link-local" },
		{ "172.16.0.0", "172.31.255.255", "private-use" },
		{ "192.0.0.0", "192.0.0.7", "ipv4-service-continuity" },
		{ "192.0.0.8", "192.0.0.8", "ipv4-dummy" },
		{ "192.0.0.9", "192.0.0.9", "port-control-anycast" },
		{ "192.0.0.10", "192.0.0.10", "turn-anycast" },
		{ "192.0.0.11", "192.0.0.169", "ietf-protocol" },
		{ "192.0.0.170", "192.0.0.171", "nat64-discovery" },
		{ "192.0.0.172", "192.0.0.255", "ietf-protocol" },
		{ "192.0.2.0", "192.0.2.255", "documentation" },
		{ "192.31.196.0", "192.31.196.255", "as112" },
		{ "192.52.193.0", "192.52.193.255", "amt" },
		{ "192.88.99.0", "192.88.99.255", "6to4-relay" },
		{ "192.168.0.0", "192.168.255.255", "private-use" },
		{ "192.175.48.0", "192.175.48.255", "as112" },
		{ "198.18.0.0", "198.19.255.255", "benchmarking" },
		{ "198.51.100.0", "198.51.100.255", "documentation" },
		{ "203.0.113.0", "203.0.113.255", "documentation" },
		{ "224.0.0.0", "239.255.255.255", "multicast" },
		{ "240.0.0.0", "255.255.255.254", "reserved" },
		{ "255.255.255.255", "255.255.255.255", "broadcast" },
		{ "168.63.129.16", "168.63.129.16", "cloud-metadata" },
		{ "100.100.100.200", "100.100.100.200", "shared-address-space" }, /* other clouds' metadata */
		{ "192.0.0.192", "192.0.0.192", "ietf-protocol" },
		{ "fd00:ec2::254", "fd20:ce::254", "unique-local" },
		{ "::", "::", "unspecified" },
		{ "::1", "::1", "loopback" },
		{ "::2", "::ffff:ffff", "ipv4-compatible" },
		{ "::ffff:0.0.0.0", "::ffff:255.255.255.255", "ipv4-mapped" },
		{ "::ffff:8.8.8.8", "::ffff:808:808", "ipv4-mapped" },
		{ "::ffff:0:0:0", "::ffff:0:ffff:ffff", "ipv4-translated" },
		{ "64:ff9b::", "64:ff9b::ffff:ffff", "nat64" },
		{ "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "nat64-local" },
		{ "100::", "100::ffff:ffff:ffff:ffff", "discard-only" },
		{ "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "dummy-prefix" },
		{ "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "teredo" },
		{ "2001:1::1", "2001:1::1", "port-control-anycast" },
		{ "2001:1::2", "2001:1::2", "turn-anycast" },
		{ "2001:1::3", "2001:1::3", "dns-sd-anycast" },
		{ "2001:1::4", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", "ietf-protocol" },
		{ "2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking" },
		{ "2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", "amt" },
		{ "2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff", "as112" },
		{ "2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "orchid" },
		{ "2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "orchidv2" },
		{ "2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "drone-remote-id" },
		{ "2001:40::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "ietf-protocol" },
		{ "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation" },
		{ "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4" },
		{ "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "as112" },
		{ "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation" },
		{ "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "segment-routing" },
		{ "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique-local" },
		{ "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local" },
		{ "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local" },
		{ "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast" },
		{ "0:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not-global-unicast" },
		{ "100:0:0:2::", "100:0:0:2::", "not-global-unicast" },
		{ "64:ff9b:0:0:0:1::", "64:ff9b:0:0:0:1::", "not-global-unicast" },
		{ "4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not-global-unicast" },
		{ "5f01::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not-global-unicast" },
		{ "fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not-global-unicast" },
	};

	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
		const struct ip_addr first = addr(blocks[i].first), last = addr(blocks[i].last);

		if (!ip_special(&first) || !ip_special(&last))
			fail_msg("%s-%s is not special", blocks[i].first, blocks[i].last);
		assert_string_equal(ip_special(&first), blocks[i].word);
		assert_string_equal(ip_special(&last), blocks[i].word);
	}
}

static void ordinary_addresses_are_not_special(void **state)
{
	static const char *const cases[] = {
		"1.0.0.0",
		"8.8.8.8",
		"9.255.255.255",
		"11.0.0.0",
		"100.63.255.255",
		"100.128.0.0",
		"126.255.255.255",
		"128.0.0.0",
		"168.63.129.15",
		"168.63.129.17",
		"169.253.255.255",
		"169.255.0.0",
		"172.15.255.255",
		"172.32.0.0",
		"191.255.255.255",
		"192.0.1.0",
		"192.0.3.0",
		"192.31.195.255",
		"192.31.197.0",
		"192.52.192.255",
		"192.52.194.0",
		"192.88.98.255",
		"192.88.100.0",
		"192.167.255.255",
		"192.169.0.0",
		"192.175.47.255",
		"192.175.49.0",
		"198.17.255.255",
		"198.20.0.0",
		"198.51.99.255",
		"198.51.101.0",
		"203.0.112.255",
		"203.0.114.0",
		"223.255.255.255",
		"2000::",
		"2001:200::",
		"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:db9::",
		"2003::",
		"2606:4700::1111",
		"2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
		"2620:4f:8001::",
		"2a00:1450:4001::200e",
		"3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"3fff:1000::",
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct ip_addr a = addr(cases[i]);

		if (ip_special(&a))
			fail_msg("%s is special: %s", cases[i], ip_special(&a));
	}
	assert_string_equal(ip_special(&(struct ip_addr) { 0 }), "not-an-address");
}

static void embedded_addresses_are_found(void **state)
{
	static const char *const forms[] = { "::ffff:10.1.2.3",         "::ffff:0:10.1.2.3",   "::10.1.2.3",
					     "64:ff9b::10.1.2.3",       "64:ff9b:1::10.1.2.3", "2002:a01:203::1",
					     "2001:0:1:2:3:4:f5fe:fdfc" };
	struct ip_addr inner;
	struct ip_net form;

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		const struct ip_addr a = addr(forms[i]), want = addr("10.1.2.3");

		assert_true(ip_embedded(&a, &inner, &form));
		assert_true(ip_equal(&inner, &want));
		assert_true(ip_in_net(&a, &form));
		assert_non_null(ip_special(&a));
	}
	const struct ip_addr plain = addr("2606:4700::1"), four = addr("10.1.2.3");

	assert_false(ip_embedded(&plain, &inner, &form));
	assert_false(ip_embedded(&four, &inner, &form));
}

static bool in_any(const struct ip_addr *a, bool (*next)(size_t, struct ip_net *))
{
	struct ip_net net;

	for (size_t i = 0; next(i, &net); i++)
		if (ip_in_net(a, &net))
			return true;
	return false;
}

/* The table as networks says what ip_special says, of each network's first and last address, their neighbours, and at random. */
static void networks_say_the_same(void **state)
{
	struct ip_net net, form;
	struct ip_addr inner;
	uint64_t seed = 1;
	size_t special = 0, count = 0;

	for (size_t i = 0; ip_special_net(i, &net); i++)
		for (int step = -1; step <= 1; step++)
			for (int last = 0; last < 2; last++) {
				struct ip_addr a = net.addr;
				const unsigned bytes = a.family == 4 ? 4 : 16;

				for (unsigned bit = net.prefix; last && bit < bytes * 8; bit++)
					a.bytes[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
				for (unsigned at = bytes, carry = 1; step && at-- > 0 && carry;) {
					a.bytes[at] = (uint8_t)(a.bytes[at] + step);
					carry = a.bytes[at] == (step > 0 ? 0 : 0xff);
				}
				assert_int_equal(in_any(&a, ip_special_net), ip_special(&a) != NULL);
				assert_int_equal(in_any(&a, ip_embedded_net), ip_embedded(&a, &inner, &form));
			}
	for (unsigned i = 0; i < 200000; i++) {
		struct ip_addr a = { .family = i % 2 ? 4 : 6 };

		for (unsigned k = 0; k < (i % 2 ? 4U : 16U); k++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			a.bytes[k] = seed >> 60 < 6 ? 0 : (uint8_t)(seed >> 40);
		}
		count++;
		special += ip_special(&a) != NULL;
		assert_int_equal(in_any(&a, ip_special_net), ip_special(&a) != NULL);
		assert_int_equal(in_any(&a, ip_embedded_net), ip_embedded(&a, &inner, &form));
	}
	assert_true(special > count / 20 && special < count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_say_the_same),
		cmocka_unit_test(canonical_text),
		cmocka_unit_test(odd_spellings_are_refused),
		cmocka_unit_test(agrees_with_libc),
		cmocka_unit_test(networks),
		cmocka_unit_test(special_blocks),
		cmocka_unit_test(ordinary_addresses_are_not_special),
		cmocka_unit_test(embedded_addresses_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
