/* A refusal is one only when the gate itself says so, with the right word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verify/answer.h"

#define REFUSAL                                                                                              \
	"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nProxy-Status: stockade; error=http_request_denied; " \
	"details=\"not-listed\"\r\n\r\n"

static struct answer read_it(const char *text)
{
	struct answer a;

	assert_int_equal(answer_parse(span_of(text), false, &a), 1);
	return a;
}

static void reads_a_refusal(void **state)
{
	const struct answer a = read_it(REFUSAL "rest");

	assert_int_equal(a.status, 403);
	assert_true(a.from_gate);
	assert_string_equal(a.reason, "not-listed");
	assert_int_equal(a.size, sizeof REFUSAL - 1);
}

static void an_origin_is_not_the_gate(void **state)
{
	assert_false(read_it("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").from_gate);
	assert_false(read_it("HTTP/1.1 403 No\r\nContent-Length: 0\r\nProxy-Status: other; error=x; details=\"not-listed\"\r\n\r\n")
			     .from_gate);
	/* Named as a hop on the way, without an error: the answer is the origin's. */
	assert_false(read_it("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nProxy-Status: stockade\r\n\r\n").from_gate);
	assert_string_equal(
		read_it("HTTP/1.1 403 No\r\nContent-Length: 0\r\nProxy-Status: stockade; error=x; details=\"\r\n\r\n").reason, "");
}

static void needs_a_whole_head(void **state)
{
	struct answer a;

	for (size_t n = 0; n < sizeof REFUSAL - 1; n++)
		assert_int_equal(answer_parse((struct span) { REFUSAL, n }, false, &a), 0);
	assert_int_equal(answer_parse(span_of("\x15\x03\x03"), false, &a), -1);
	assert_int_equal(answer_parse(span_of("witness\n"), false, &a), -1);
}

static void words_are_whole(void **state)
{
	const struct answer a = read_it(REFUSAL);

	assert_true(answer_reason_in(&a, "not-listed"));
	assert_true(answer_reason_in(&a, "port-not-listed not-listed"));
	assert_false(answer_reason_in(&a, "port-not-listed"));
	assert_false(answer_reason_in(&a, "not-listed-yet"));
	assert_false(answer_reason_in(&(struct answer) { .from_gate = true }, "not-listed"));
}

static void a_failure_beyond_was_allowed(void **state)
{
	assert_true(answer_failed_beyond(&(struct answer) { .from_gate = true, .reason = "resolve-failed" }));
	assert_false(answer_failed_beyond(&(struct answer) { .from_gate = true, .reason = "special-address" }));
	assert_false(answer_failed_beyond(&(struct answer) { .from_gate = false, .reason = "resolve-failed" }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_refusal),
		cmocka_unit_test(an_origin_is_not_the_gate),
		cmocka_unit_test(needs_a_whole_head),
		cmocka_unit_test(words_are_whole),
		cmocka_unit_test(a_failure_beyond_was_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
