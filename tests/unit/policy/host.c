/* Hosts and ports: what is canonical, what is an address in disguise, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "policy/host.h"
#include "policy/reason.h"

#define A10      "aaaaaaaaaa"
#define LABEL_63 A10 A10 A10 A10 A10 A10 "aaa"
#define NAME_253 LABEL_63 "." LABEL_63 "." LABEL_63 "." A10 A10 A10 A10 A10 A10 "a"

static void good_hosts(void **state)
{
	static const struct {
		const char *raw, *text;
		enum host_kind kind;
	} cases[] = {
		{ "googleapis.com", "googleapis.com", HOST_NAME },
		{ "GoogleAPIs.COM", "googleapis.com", HOST_NAME },
		{ "googleapis.com.", "googleapis.com", HOST_NAME },
		{ "localhost", "localhost", HOST_NAME },
		{ "a", "a", HOST_NAME },
		{ "_dmarc.example.com", "_dmarc.example.com", HOST_NAME },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example", HOST_NAME },
		{ "-a-.b-", "-a-.b-", HOST_NAME },
		{ "1.2.3.4.example", "1.2.3.4.example", HOST_NAME },
		{ "0x7f.example", "0x7f.example", HOST_NAME },
		{ "1e3", "1e3", HOST_NAME },
		{ "x0", "x0", HOST_NAME },
		{ "00x1", "00x1", HOST_NAME },
		{ "1-1", "1-1", HOST_NAME },
		{ LABEL_63, LABEL_63, HOST_NAME },
		{ NAME_253, NAME_253, HOST_NAME },
		{ NAME_253 ".", NAME_253, HOST_NAME },
		{ "1.2.3.4", "1.2.3.4", HOST_ADDRESS },
		{ "127.0.0.1", "127.0.0.1", HOST_ADDRESS },
		{ "255.255.255.255", "255.255.255.255", HOST_ADDRESS },
		{ "[::1]", "::1", HOST_ADDRESS },
		{ "[2001:DB8:0:0::1]", "2001:db8::1", HOST_ADDRESS },
		{ "[::ffff:1.2.3.4]", "::ffff:1.2.3.4", HOST_ADDRESS },
		{ "[::FFFF:102:304]", "::ffff:1.2.3.4", HOST_ADDRESS },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct host h;

		if (host_parse(span_of(cases[i].raw), &h) != HOST_OK)
			fail_msg("'%s' was refused", cases[i].raw);
		assert_string_equal(h.text, cases[i].text);
		assert_int_equal(h.length, strlen(h.text));
		assert_int_equal(h.kind, cases[i].kind);
	}
}

static void refused_hosts(void **state)
{
	static const struct {
		struct span raw;
		enum host_result result;
	} cases[] = {
#define CASE(s, r) { { (s), sizeof(s) - 1 }, (r) }
#define BAD(s)     CASE(s, HOST_MALFORMED)
#define ODD(s)     CASE(s, HOST_ODD_ADDRESS)
		BAD(""),
		BAD("."),
		BAD(".."),
		BAD(".com"),
		BAD("a..b"),
		BAD("a.b.."),
		BAD("a b"),
		BAD(" a"),
		BAD("a "),
		BAD("a\tb"),
		BAD("a\n"),
		BAD("a\r\nb"),
		BAD("\0"),
		BAD("a\0b"),
		BAD("example.com\0.evil.com"),
		BAD("example.com\0"),
		BAD("a%2eb"),
		BAD("a%00"),
		BAD("%61"),
		BAD("user@example.com"),
		BAD("user:pw@example.com"),
		BAD("a\\b"),
		BAD("a/b"),
		BAD("a?b"),
		BAD("a#b"),
		BAD("a:b"),
		BAD("a:80"),
		BAD("*"),
		BAD("*.com"),
		BAD("=a.com"),
		BAD("!a.com"),
		BAD("a,b"),
		BAD("a;b"),
		BAD("(a)"),
		BAD("b\xc3\xbc"
		    "cher.example"),
		BAD("\xe3\x80\x82"),
		BAD("a\xe3\x80\x82"
		    "com"),
		BAD("\xef\xbd\x81.com"),
		BAD("\xff"),
		BAD("a\x7f"),
		BAD("a\x80"
		    "b"),
		BAD("\xe2\x84\xaa.com"),
		BAD(LABEL_63 "a"),
		BAD("x." LABEL_63 "a.com"),
		BAD(NAME_253 "a"),
		BAD(NAME_253 "a."),
		BAD(NAME_253 ".."),
		BAD("["),
		BAD("]"),
		BAD("[]"),
		BAD("[::1"),
		BAD("::1]"),
		BAD("::1"),
		BAD("[::1]."),
		BAD("[::1]x"),
		BAD("[::1%25eth0]"),
		BAD("[::1%eth0]"),
		BAD("[::1%1]"),
		BAD("[1.2.3.4]"),
		BAD("[example.com]"),
		BAD("[[::1]]"),
		BAD("[:::]"),
		BAD("[::1 ]"),
		BAD("[ ::1]"),
		BAD("[::ffff:127.1]"),
		BAD("[::ffff:0x7f.0.0.1]"),
		BAD("[v1.x]"),
		BAD("[::1]\0"),
		BAD("[::\0"
		    "1]"),
		BAD("2001:db8::1"),
		BAD("\xd9\xa1.\xd9\xa2.3.4"),
		BAD("\xe2\x91\xa0.2.3.4"),
		BAD("127\xe3\x80\x82"
		    "0.0.1"),
		BAD("1..4"),
		BAD("127.0.0.1.."),
		BAD("+1.2.3.4"),
		BAD(".1.2.3.4"),
		ODD("127.1"),
		ODD("127.0.1"),
		ODD("0x7f000001"),
		ODD("0X7F000001"),
		ODD("0x7f.1"),
		ODD("0x7f.0.0.1"),
		ODD("127.0.0.0x1"),
		ODD("2130706433"),
		ODD("0177.0.0.1"),
		ODD("017700000001"),
		ODD("127.0.0.01"),
		ODD("00.0.0.0"),
		ODD("0"),
		ODD("1"),
		ODD("00"),
		ODD("0x"),
		ODD("0x."),
		ODD("0xg"),
		ODD("foo.0x"),
		ODD("foo.1"),
		ODD("example.com.1"),
		ODD("foo.0x4"),
		ODD("foo.09"),
		ODD("foo.2.3.4"),
		ODD("256.1.1.1"),
		ODD("1.2.3.4.5"),
		ODD("1.2.3"),
		ODD("1.2"),
		ODD("1.2.3.256"),
		ODD("99999999999"),
		ODD("1.2.3.4."),
		ODD("127.1."),
		ODD("2130706433."),
		ODD("_.1"),
		ODD("a-b.1"),
		ODD("1.2.3.08"),
		ODD("4294967296"),
		ODD("340282366920938463463374607431768211456"),
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct host h, before;

		memset(&h, 0x5a, sizeof h);
		before = h;
		const enum host_result got = host_parse(cases[i].raw, &h);

		if (got != cases[i].result)
			fail_msg("'%s' (%zu): %d, not %d", cases[i].raw.p, i, (int)got, (int)cases[i].result);
		assert_memory_equal(&h, &before, sizeof h);
	}
	assert_int_equal(host_parse((struct span) { NULL, 0 }, &(struct host) { 0 }), HOST_MALFORMED);
}

/* Every single byte, in the middle of a name, is either part of our alphabet or refused. */
static void alphabet(void **state)
{
	for (unsigned c = 0; c < 256; c++) {
		const char raw[3] = { 'a', (char)c, 'b' };
		const bool ours = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
				  c == '_' || c == '.';
		struct host h;

		assert_int_equal(host_parse((struct span) { raw, 3 }, &h), ours ? HOST_OK : HOST_MALFORMED);
	}
}

static void ports(void **state)
{
	static const char *const bad[] = { "",    "0",   "00",  "01",  "080", "65536", "99999", "100000",
					   "+80", "-80", " 80", "80 ", "8o",  "0x50",  "80.",   "*" };
	uint16_t port = 7;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (port_parse(span_of(bad[i]), &port))
			fail_msg("'%s' is no port", bad[i]);
	assert_false(port_parse((struct span) { "80\0", 3 }, &port));
	assert_int_equal(port, 7);
	for (unsigned i = 1; i <= 65535; i++) {
		char text[8];

		(void)snprintf(text, sizeof text, "%u", i);
		assert_true(port_parse(span_of(text), &port));
		assert_int_equal(port, i);
	}
}

static void hosts_with_ports(void **state)
{
	static const struct {
		const char *raw;
		uint16_t standard;
		const char *text; /* NULL: refused with `result` */
		unsigned port;
		enum host_result result;
	} cases[] = {
		{ "example.com:443", 0, "example.com", 443, HOST_OK },
		{ "example.com.:8443", 0, "example.com", 8443, HOST_OK },
		{ "example.com", 80, "example.com", 80, HOST_OK },
		{ "[::1]:65535", 0, "::1", 65535, HOST_OK },
		{ "[::1]", 443, "::1", 443, HOST_OK },
		{ "1.2.3.4:1", 0, "1.2.3.4", 1, HOST_OK },
		{ "example.com", 0, NULL, 0, HOST_MALFORMED },
		{ "[::1]", 0, NULL, 0, HOST_MALFORMED },
		{ "example.com:", 80, NULL, 0, HOST_MALFORMED },
		{ "example.com:0", 80, NULL, 0, HOST_MALFORMED },
		{ "example.com:65536", 80, NULL, 0, HOST_MALFORMED },
		{ "example.com:443:443", 80, NULL, 0, HOST_MALFORMED },
		{ "example.com:+443", 80, NULL, 0, HOST_MALFORMED },
		{ "example.com:0443", 80, NULL, 0, HOST_MALFORMED },
		{ "example.com: 443", 80, NULL, 0, HOST_MALFORMED },
		{ "example.com :443", 80, NULL, 0, HOST_MALFORMED },
		{ "user@example.com:443", 80, NULL, 0, HOST_MALFORMED },
		{ "user:pw@example.com", 80, NULL, 0, HOST_MALFORMED },
		{ ":443", 80, NULL, 0, HOST_MALFORMED },
		{ "", 80, NULL, 0, HOST_MALFORMED },
		{ ":", 80, NULL, 0, HOST_MALFORMED },
		{ "::1:443", 80, NULL, 0, HOST_MALFORMED },
		{ "[::1]443", 80, NULL, 0, HOST_MALFORMED },
		{ "[::1]x:443", 80, NULL, 0, HOST_MALFORMED },
		{ "[::1:443", 80, NULL, 0, HOST_MALFORMED },
		{ "[::1%25eth0]:443", 80, NULL, 0, HOST_MALFORMED },
		{ "a[::1]:443", 80, NULL, 0, HOST_MALFORMED },
		{ "127.1:80", 80, NULL, 0, HOST_ODD_ADDRESS },
		{ "0x7f000001:80", 80, NULL, 0, HOST_ODD_ADDRESS },
		{ "2130706433", 80, NULL, 0, HOST_ODD_ADDRESS },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct host h = { .length = 99 };
		uint16_t port = 7;
		const enum host_result got = host_port_parse(span_of(cases[i].raw), cases[i].standard, &h, &port);

		if (got != cases[i].result)
			fail_msg("'%s': %d, not %d", cases[i].raw, (int)got, (int)cases[i].result);
		if (got == HOST_OK) {
			assert_string_equal(h.text, cases[i].text);
			assert_int_equal(port, cases[i].port);
		} else {
			assert_int_equal(h.length, 99);
			assert_int_equal(port, 7);
		}
	}
}

static void equality(void **state)
{
	struct host a, b, c, d;
	struct ip_addr v4;

	assert_int_equal(host_parse(SPAN_LITERAL("A.example."), &a), HOST_OK);
	assert_int_equal(host_parse(SPAN_LITERAL("a.EXAMPLE"), &b), HOST_OK);
	assert_int_equal(host_parse(SPAN_LITERAL("1.2.3.4"), &c), HOST_OK);
	assert_true(ip_parse(SPAN_LITERAL("1.2.3.4"), &v4));
	host_from_address(&v4, &d);
	assert_true(host_equal(&a, &b));
	assert_true(host_equal(&c, &d));
	assert_false(host_equal(&a, &c));
	assert_int_equal(host_parse(SPAN_LITERAL("[::ffff:1.2.3.4]"), &d), HOST_OK);
	assert_false(host_equal(&c, &d));
	assert_int_equal(host_parse(SPAN_LITERAL("b.example"), &b), HOST_OK);
	assert_false(host_equal(&a, &b));
}

static void every_reason_has_a_word_of_its_own(void **state)
{
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		const char *word = reason_word(i);

		assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz-"), strlen(word));
		assert_true(strlen(reason_text(i)) > 10);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(word, reason_word(k));
	}
	assert_string_equal(reason_word(REASON_COUNT), "unknown-reason");
	assert_non_null(reason_text((enum reason)12345));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_hosts),
		cmocka_unit_test(refused_hosts),
		cmocka_unit_test(alphabet),
		cmocka_unit_test(ports),
		cmocka_unit_test(hosts_with_ports),
		cmocka_unit_test(equality),
		cmocka_unit_test(every_reason_has_a_word_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
