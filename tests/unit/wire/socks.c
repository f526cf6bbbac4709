/* SOCKS 5: each message cut at each byte, and everything that RFC 1928 does not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/socks.h"

#define BYTES(s)                 \
	{                        \
		s, sizeof(s) - 1 \
	}

struct greeting_row {
	struct span bytes;
	bool offers_none;
};

static const struct greeting_row greetings[] = {
	{ BYTES("\5\1\0"), true },     { BYTES("\5\1\2"), false },     { BYTES("\5\2\0\2"), true },  { BYTES("\5\3\2\1\0"), true },
	{ BYTES("\5\3\0\0\0"), true }, { BYTES("\5\2\1\x80"), false }, { BYTES("\5\1\xff"), false },
};

struct bad_row {
	struct span bytes; /* the last of them is the one that is wrong */
	enum socks_bad bad;
};

static const struct bad_row bad_greetings[] = {
	{ BYTES("\0"), SOCKS_BAD_VERSION }, { BYTES("\4"), SOCKS_BAD_VERSION },   { BYTES("\6"), SOCKS_BAD_VERSION },
	{ BYTES("G"), SOCKS_BAD_VERSION },  { BYTES("\x85"), SOCKS_BAD_VERSION }, { BYTES("\5\0"), SOCKS_BAD_METHODS },
};

struct request_row {
	struct span bytes;
	uint8_t command;
	enum socks_address_type type;
	struct span address;
	uint16_t port;
};

static const struct request_row requests[] = {
	{ BYTES("\5\1\0\1\xc0\0\2\7\1\xbb"), SOCKS_CONNECT, SOCKS_ADDRESS_V4, BYTES("\xc0\0\2\7"), 443 },
	{ BYTES("\5\1\0\1\0\0\0\0\0\0"), SOCKS_CONNECT, SOCKS_ADDRESS_V4, BYTES("\0\0\0\0"), 0 },
	{ BYTES("\5\1\0\3\1a\0\x50"), SOCKS_CONNECT, SOCKS_NAME, BYTES("a"), 80 },
	{ BYTES("\5\1\0\3\6a.test\xff\xff"), SOCKS_CONNECT, SOCKS_NAME, BYTES("a.test"), 65535 },
	{ BYTES("\5\1\0\3\4a\0.b\0\x16"), SOCKS_CONNECT, SOCKS_NAME, BYTES("a\0.b"), 22 }, /* policy/host.h refuses the NUL */
	{ BYTES("\5\1\0\4 \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1\1\xbb"), SOCKS_CONNECT, SOCKS_ADDRESS_V6,
	  BYTES(" \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), 443 },
	{ BYTES("\5\2\0\1\xc0\0\2\7\0\0"), SOCKS_BIND, SOCKS_ADDRESS_V4, BYTES("\xc0\0\2\7"), 0 },
	{ BYTES("\5\3\0\3\1a\0\0"), SOCKS_UDP_ASSOCIATE, SOCKS_NAME, BYTES("a"), 0 },
	{ BYTES("\5\0\0\3\1a\0\x50"), 0, SOCKS_NAME, BYTES("a"), 80 },
	{ BYTES("\5\xf0\0\3\1a\0\0"), 0xf0, SOCKS_NAME, BYTES("a"), 0 },
};

static const struct bad_row bad_requests[] = {
	{ BYTES("\1"), SOCKS_BAD_VERSION },
	{ BYTES("\4"), SOCKS_BAD_VERSION },
	{ BYTES("\0"), SOCKS_BAD_VERSION },
	{ BYTES("\5\1\1"), SOCKS_BAD_RESERVED },
	{ BYTES("\5\1\xff"), SOCKS_BAD_RESERVED },
	{ BYTES("\5\1\0\0"), SOCKS_BAD_ADDRESS_TYPE },
	{ BYTES("\5\1\0\2"), SOCKS_BAD_ADDRESS_TYPE },
	{ BYTES("\5\1\0\5"), SOCKS_BAD_ADDRESS_TYPE },
	{ BYTES("\5\1\0\x83"), SOCKS_BAD_ADDRESS_TYPE },
	{ BYTES("\5\1\0\xff"), SOCKS_BAD_ADDRESS_TYPE },
	{ BYTES("\5\1\0\3\0"), SOCKS_BAD_NAME_LENGTH },
	{ BYTES("\5\1\0\3\xfe"), SOCKS_BAD_NAME_LENGTH },
	{ BYTES("\5\1\0\3\xff"), SOCKS_BAD_NAME_LENGTH },
};

enum { ROOM = 512 };

/* The bytes, and then some that belong to nobody; in memory of exactly that size. */
static struct span followed_by(struct span s, const char *more)
{
	char whole[ROOM];

	memcpy(whole, s.p, s.n);
	memcpy(whole + s.n, more, strlen(more));
	return exact(whole, s.n + strlen(more));
}

static enum wire_result greet(struct span s, struct socks_greeting *g, enum socks_bad *b)
{
	const struct span copy = exact(s.p, s.n);
	const enum wire_result r = socks_greeting_parse(copy, g, b);

	exact_free(copy);
	return r;
}

static void check_greeting(const struct greeting_row *row, const char *more)
{
	const struct span in = followed_by(row->bytes, more);
	struct socks_greeting g = { .size = 1 };
	enum socks_bad b = SOCKS_BAD_NONE;

	assert_int_equal(greet(in, &g, &b), WIRE_DONE);
	assert_int_equal(g.size, row->bytes.n);
	assert_int_equal(g.offers_none, row->offers_none);
	exact_free(in);
}

static void a_greeting_is_read_whole_or_not_at_all(void **state)
{
	for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++) {
		struct socks_greeting g;
		enum socks_bad b;

		for (size_t n = 0; n < greetings[i].bytes.n; n++)
			assert_int_equal(greet(span_first(greetings[i].bytes, n), &g, &b), WIRE_MORE);
		check_greeting(&greetings[i], "");
		check_greeting(&greetings[i], "\5\1");
	}
}

static void a_greeting_may_have_255_methods(void **state)
{
	char many[2 + 255] = { 5, (char)255 };
	struct socks_greeting g;
	enum socks_bad b;

	memset(many + 2, 9, 255);
	assert_int_equal(greet((struct span) { many, 256 }, &g, &b), WIRE_MORE);
	assert_int_equal(greet((struct span) { many, 257 }, &g, &b), WIRE_DONE);
	assert_false(g.offers_none);
	many[256] = 0;
	assert_int_equal(greet((struct span) { many, 257 }, &g, &b), WIRE_DONE);
	assert_true(g.offers_none);
	assert_int_equal(g.size, 257);
}

static void check_bad(const struct bad_row *row, size_t at, bool greeting)
{
	for (size_t n = 0; n <= row->bytes.n; n++) {
		const struct span in = exact(row->bytes.p, n);
		struct socks_greeting g;
		struct socks_request q;
		enum socks_bad b = SOCKS_BAD_NONE;
		const enum wire_result r = greeting ? socks_greeting_parse(in, &g, &b) : socks_request_parse(in, &q, &b);

		if (r != (n < row->bytes.n ? WIRE_MORE : WIRE_BAD) || b != (n < row->bytes.n ? SOCKS_BAD_NONE : row->bad))
			fail_msg("row %zu, %zu bytes: %d, \"%s\"", at, n, r, socks_bad_text(b));
		exact_free(in);
	}
}

static void a_wrong_byte_is_refused_when_it_comes(void **state)
{
	for (size_t i = 0; i < sizeof bad_greetings / sizeof *bad_greetings; i++)
		check_bad(&bad_greetings[i], i, true);
	for (size_t i = 0; i < sizeof bad_requests / sizeof *bad_requests; i++)
		check_bad(&bad_requests[i], i, false);
}

static void check_request(const struct request_row *row, const char *more)
{
	const struct span in = followed_by(row->bytes, more);
	struct socks_request q = { .size = 1 };
	enum socks_bad b = SOCKS_BAD_NONE;

	assert_int_equal(socks_request_parse(in, &q, &b), WIRE_DONE);
	assert_int_equal(q.command, row->command);
	assert_int_equal(q.type, row->type);
	assert_true(span_eq(q.address, row->address));
	assert_int_equal(q.port, row->port);
	assert_int_equal(q.size, row->bytes.n);
	exact_free(in);
}

static void a_request_is_read_whole_or_not_at_all(void **state)
{
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		struct socks_request q;
		enum socks_bad b;

		for (size_t n = 0; n < requests[i].bytes.n; n++) {
			const struct span in = exact(requests[i].bytes.p, n);

			assert_int_equal(socks_request_parse(in, &q, &b), WIRE_MORE);
			exact_free(in);
		}
		check_request(&requests[i], "");
		check_request(&requests[i], "\x16\3\1");
	}
}

static void a_name_may_have_253_bytes(void **state)
{
	char bytes[5 + 253 + 2] = { 5, 1, 0, 3, (char)253 };
	struct socks_request q;
	enum socks_bad b;

	memset(bytes + 5, 'a', 253);
	bytes[259] = 80;
	for (size_t n = 5; n < sizeof bytes; n++)
		assert_int_equal(socks_request_parse((struct span) { bytes, n }, &q, &b), WIRE_MORE);
	assert_int_equal(socks_request_parse((struct span) { bytes, sizeof bytes }, &q, &b), WIRE_DONE);
	assert_int_equal(q.address.n, SOCKS_NAME_MAX);
	assert_ptr_equal(q.address.p, bytes + 5);
	assert_int_equal(q.port, 80);
}

static void the_answers_are_what_the_rfc_says(void **state)
{
	static const char refused[] = "\5\2\0\1\0\0\0\0\0\0", done[] = "\5\0\0\1\0\0\0\0\0\0";
	static const char type[] = "\5\x8\0\1\0\0\0\0\0\0";
	char method[SOCKS_METHOD_SIZE], reply[SOCKS_REPLY_SIZE];

	socks_method_write(SOCKS_METHOD_NONE, method);
	assert_memory_equal(method, "\5\0", 2);
	socks_method_write(SOCKS_METHOD_REFUSED, method);
	assert_memory_equal(method, "\5\xff", 2);
	socks_reply_write(SOCKS_NOT_ALLOWED, reply);
	assert_memory_equal(reply, refused, sizeof reply);
	socks_reply_write(SOCKS_SUCCEEDED, reply);
	assert_memory_equal(reply, done, sizeof reply);
	socks_reply_write(SOCKS_ADDRESS_TYPE_NOT_SUPPORTED, reply);
	assert_memory_equal(reply, type, sizeof reply);
}

static void each_fault_has_a_text(void **state)
{
	assert_string_equal(socks_bad_text(SOCKS_BAD_NONE), "");
	for (int b = SOCKS_BAD_NONE + 1; b < SOCKS_BAD_COUNT; b++)
		assert_true(strlen(socks_bad_text((enum socks_bad)b)) > 10);
	assert_string_equal(socks_bad_text(SOCKS_BAD_COUNT), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_greeting_is_read_whole_or_not_at_all),
		cmocka_unit_test(a_greeting_may_have_255_methods),
		cmocka_unit_test(a_wrong_byte_is_refused_when_it_comes),
		cmocka_unit_test(a_request_is_read_whole_or_not_at_all),
		cmocka_unit_test(a_name_may_have_253_bytes),
		cmocka_unit_test(the_answers_are_what_the_rfc_says),
		cmocka_unit_test(each_fault_has_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
