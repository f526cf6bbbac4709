/* A server's first words and what may stand around greetings, put together here byte by byte from the RFC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/tls_server_hello.h"

enum { BODY = 38 };

struct bytes {
	uint8_t p[200000];
	size_t n;
};

/* RFC 8446 4.1.3, as it is printed there. */
static const uint8_t retry_random[] = { 0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C,
					0x02, 0x1E, 0x65, 0xB8, 0x91, 0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB,
					0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C };

static void put(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

/* A message of `body` bytes, the first of them version and random. */
static struct bytes message(bool retry, size_t body)
{
	struct bytes m = { .n = 4 + body };

	memcpy(m.p, (uint8_t[]) { 2, 0, (uint8_t)(body >> 8), (uint8_t)body, 3, 3 }, 6);
	for (unsigned i = 0; i < 32; i++)
		m.p[6 + i] = retry ? retry_random[i] : (uint8_t)i;
	return m;
}

static struct bytes records(const struct bytes *m, size_t each)
{
	struct bytes r = { .n = 0 };

	for (size_t at = 0; at < m->n; at += each) {
		const size_t n = each < m->n - at ? each : m->n - at;

		put(&r, (uint8_t[]) { 22, 3, 3, (uint8_t)(n >> 8), (uint8_t)n }, 5);
		put(&r, m->p + at, n);
	}
	return r;
}

static struct tls_server_hello hello;

static enum wire_result parse(const struct bytes *b, size_t n)
{
	const struct span s = exact(b->p, n);
	const enum wire_result r = tls_server_hello_parse(s, &hello);

	exact_free(s);
	return r;
}

static enum wire_result between(const struct bytes *b, size_t n, bool early_data, size_t *ret_size)
{
	const struct span s = exact(b->p, n);
	const enum wire_result r = tls_between_parse(s, early_data, ret_size);

	exact_free(s);
	return r;
}

static void a_server_hello_is_known_as_soon_as_its_random_is_there(void **state)
{
	const struct bytes m = message(false, 90);

	for (size_t each = 1; each <= 100; each++) {
		const struct bytes r = records(&m, each);
		const size_t known = 38 + 5 * ((38 + each - 1) / each);

		for (size_t n = 0; n <= r.n; n++) {
			assert_int_equal(parse(&r, n), n < known ? WIRE_MORE : WIRE_DONE);
			assert_false(hello.retry);
		}
	}
}

static void a_retry_is_awaited_to_its_end_in_any_segmentation(void **state)
{
	const struct bytes m = message(true, 90);

	for (size_t each = 1; each <= 100; each++) {
		struct bytes r = records(&m, each);
		const size_t all = r.n;

		put(&r, "\x14\3\3\0\1\1", 6);
		for (size_t n = 0; n < all; n++)
			assert_int_equal(parse(&r, n), WIRE_MORE);
		for (size_t n = all; n <= r.n; n++) {
			assert_int_equal(parse(&r, n), WIRE_DONE);
			assert_true(hello.retry);
			assert_int_equal(hello.size, all);
		}
	}
}

static void one_other_bit_of_the_random_is_no_retry(void **state)
{
	const struct bytes m = message(true, 90);

	for (size_t i = 0; i < 32; i++) {
		struct bytes other = m;

		other.p[6 + i] ^= 0x10;
		const struct bytes r = records(&other, 16384);

		assert_int_equal(parse(&r, r.n), WIRE_DONE);
		assert_false(hello.retry);
	}
}

static void wrong_bytes_are_refused(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
	} pokes[] = {
		{ "alert", 0, 21 },       { "application data", 0, 23 },  { "plain text", 0, 'H' },  { "record major", 1, 2 },
		{ "record minor", 2, 5 }, { "record too long", 3, 0x41 }, { "hello request", 5, 0 }, { "client hello", 5, 1 },
		{ "certificate", 5, 11 }, { "message of 64 KiB", 6, 1 },  { "of 40 KiB", 7, 160 },   { "too short", 8, 37 },
		{ "SSL 2", 9, 2 },
	};
	const struct bytes m = message(true, 90), good = records(&m, 16384);

	assert_int_equal(parse(&good, good.n), WIRE_DONE);
	for (size_t i = 0; i < sizeof pokes / sizeof *pokes; i++) {
		struct bytes r = good;

		r.p[pokes[i].at] = pokes[i].value;
		if (parse(&r, r.n) != WIRE_BAD)
			fail_msg("%s: passes", pokes[i].what);
	}
	assert_int_equal(tls_server_hello_parse(SPAN_LITERAL("\x16\3\3\0\0"), &hello), WIRE_BAD);
}

static void nothing_follows_a_retry_in_its_record(void **state)
{
	struct bytes m = message(true, 90), plain = message(false, 90), r;

	put(&m, "\x0b\0\0\0", 4);
	put(&plain, "\x0b\0\0\0", 4);
	r = records(&m, 16384);
	assert_int_equal(parse(&r, r.n), WIRE_BAD);
	assert_int_equal(parse(&r, 5 + BODY), WIRE_BAD);
	r = records(&plain, 16384); /* after a ServerHello it may */
	assert_int_equal(parse(&r, r.n), WIRE_DONE);
	m = message(true, 90);
	r = records(&m, 50);
	memmove(r.p + 55 + 6, r.p + 55, r.n - 55);
	memcpy(r.p + 55, "\x14\3\3\0\1\1", 6); /* nor a record between its pieces */
	r.n += 6;
	assert_int_equal(parse(&r, 55), WIRE_MORE);
	assert_int_equal(parse(&r, 56), WIRE_BAD);
}

static void a_retry_has_16_kib(void **state)
{
	const struct bytes most = message(true, TLS_RETRY_MAX - 9), more = message(true, TLS_RETRY_MAX - 8);
	struct bytes r = records(&most, 16384);

	assert_int_equal(parse(&r, r.n), WIRE_DONE);
	assert_int_equal(hello.size, TLS_RETRY_MAX);
	r = records(&more, 16384);
	assert_int_equal(parse(&r, r.n), WIRE_BAD);
	r = records(&most, 100);
	assert_int_equal(parse(&r, TLS_RETRY_MAX - 1), WIRE_MORE);
	assert_int_equal(parse(&r, TLS_RETRY_MAX), WIRE_BAD);
}

static void what_stands_between_is_told_by_whole_records(void **state)
{
	struct bytes b = { .n = 0 };
	size_t size;

	put(&b, "\x14\3\3\0\1\1", 6);
	put(&b, "\x15\3\3\0\2\1\x70", 7);
	put(&b, "\x17\3\3\0\3abc", 8);
	put(&b, "\x16\3\1", 3);
	for (size_t n = 0; n <= b.n; n++) {
		const enum wire_result r = between(&b, n, true, &size);

		assert_int_equal(r, n <= 21 ? WIRE_MORE : WIRE_DONE);
		assert_int_equal(size, n < 6 ? 0 : n < 13 ? 6 : n < 21 ? 13 : 21);
	}
	assert_int_equal(between(&b, b.n, false, &size), WIRE_BAD); /* application data */
	assert_int_equal(size, 13);
	assert_int_equal(between(&b, 14, false, &size), WIRE_BAD);
}

static void nothing_else_stands_between(void **state)
{
	static const struct {
		const char *what, *bytes;
		size_t n;
	} bad[] = {
		{ "plain text", "STARTTLS\r\n", 10 },
		{ "heartbeat", "\x18", 1 },
		{ "SSLv2", "\x80", 1 },
		{ "major", "\x14\2", 2 },
		{ "minor", "\x14\3\5", 3 },
		{ "two changes", "\x14\3\3\0\2", 5 },
		{ "no change", "\x14\3\3\0\0", 5 },
		{ "half an alert", "\x15\3\3\0\1", 5 },
		{ "sealed alert", "\x15\3\3\0\x13", 5 },
		{ "empty data", "\x17\3\3\0\0", 5 },
		{ "data too large", "\x17\3\3\x41\1", 5 },
	};
	struct bytes b = { .n = 0 };
	size_t size;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		b.n = 0;
		put(&b, bad[i].bytes, bad[i].n);
		if (between(&b, b.n, true, &size) != WIRE_BAD || size != 0)
			fail_msg("%s: passes", bad[i].what);
	}
	b.n = 0;
	put(&b, "\x17\3\3\x41\0", 5); /* 16 KiB and 256 bytes, sealed */
	assert_int_equal(between(&b, b.n, true, &size), WIRE_MORE);
	b.n += 0x4100;
	assert_int_equal(between(&b, b.n, true, &size), WIRE_MORE);
	assert_int_equal(size, b.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_hello_is_known_as_soon_as_its_random_is_there),
		cmocka_unit_test(a_retry_is_awaited_to_its_end_in_any_segmentation),
		cmocka_unit_test(one_other_bit_of_the_random_is_no_retry),
		cmocka_unit_test(wrong_bytes_are_refused),
		cmocka_unit_test(nothing_follows_a_retry_in_its_record),
		cmocka_unit_test(a_retry_has_16_kib),
		cmocka_unit_test(what_stands_between_is_told_by_whole_records),
		cmocka_unit_test(nothing_else_stands_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
