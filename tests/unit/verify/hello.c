/* What probes say, read back by the house's own parsers; and what they hear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verify/hello.h"
#include "wire/dns_msg.h"
#include "wire/tls_hello.h"

static const uint8_t random_bytes[64] = { 1, 2, 3 };

static void greets(void **state)
{
	char out[1024];
	struct tls_hello hello;
	const size_t n = hello_write("www.example.com", random_bytes, out, sizeof out);

	assert_true(n > 150);
	assert_int_equal(tls_hello_parse((struct span) { out, n }, &hello), WIRE_DONE);
	assert_string_equal(hello.name, "www.example.com");
	assert_false(hello.has_ech);
}

static void greets_without_a_name(void **state)
{
	char out[1024];
	struct tls_hello hello;
	const size_t n = hello_write(NULL, random_bytes, out, sizeof out);

	assert_int_equal(tls_hello_parse((struct span) { out, n }, &hello), WIRE_DONE);
	assert_int_equal(hello.name_length, 0);
	for (size_t small = 0; small < n; small++)
		assert_int_equal(hello_write(NULL, random_bytes, out, small), 0);
}

static void asks(void **state)
{
	char out[300];
	struct dns_question q;
	int rcode;
	const size_t n = question_write("a.verify-1.invalid", DNS_AAAA, 4711, out, sizeof out);

	assert_int_equal(dns_question_parse((struct span) { out, n }, &q, &rcode), WIRE_DONE);
	assert_string_equal(q.name, "a.verify-1.invalid");
	assert_int_equal(q.type, DNS_AAAA);
	assert_int_equal(q.id, 4711);
	assert_int_equal(question_write("a..b", DNS_A, 1, out, sizeof out), 0);
	assert_int_equal(question_write("abc", DNS_A, 1, out, 12), 0);
}

static size_t answer_to(const char *name, enum dns_rcode rcode, struct span address, char *out, size_t size)
{
	char question[300];
	struct dns_question q;
	int bad;
	const size_t n = question_write(name, address.n == 16 ? DNS_AAAA : DNS_A, 7, question, sizeof question);

	assert_int_equal(dns_question_parse((struct span) { question, n }, &q, &bad), WIRE_DONE);
	return dns_answer_write(&q, rcode, address, 60, out, size);
}

static void hears_an_address(void **state)
{
	char out[DNS_ANSWER_MAX];
	struct dns_reply r;
	const size_t n = answer_to("proxy-pod", DNS_NOERROR, SPAN_LITERAL("\xc6\x12\0\1"), out, sizeof out);
	const struct ip_addr gate = { .family = 4, .bytes = { 198, 18, 0, 1 } };

	assert_true(dns_reply_read((struct span) { out, n }, 7, &r));
	assert_int_equal(r.answers, 1);
	assert_true(ip_equal(&r.address, &gate));
	assert_false(dns_reply_read((struct span) { out, n }, 8, &r));
	for (size_t cut = 0; cut < n; cut++)
		assert_false(dns_reply_read((struct span) { out, cut }, 7, &r));
}

static void hears_a_refusal(void **state)
{
	char out[DNS_ANSWER_MAX];
	struct dns_reply r;
	const size_t n = answer_to("x.invalid", DNS_NXDOMAIN, (struct span) { 0 }, out, sizeof out);

	assert_true(dns_reply_read((struct span) { out, n }, 7, &r));
	assert_int_equal(r.answers, 0);
	assert_int_equal(r.rcode, DNS_NXDOMAIN);
	assert_int_equal(r.address.family, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greets),           cmocka_unit_test(greets_without_a_name), cmocka_unit_test(asks),
		cmocka_unit_test(hears_an_address), cmocka_unit_test(hears_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
