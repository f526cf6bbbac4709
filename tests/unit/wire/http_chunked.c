/* Chunked bodies: right and odd ones, each fed whole, byte by byte and cut in two at every place, with one outcome. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/http_chunked.h"

#define BYTES(s) s, sizeof(s) - 1

struct row {
	const char *text;
	size_t n;
	enum wire_result want;
	size_t used;
};

static const struct row rows[] = {
	{ BYTES("0\r\n\r\n"), WIRE_DONE, 5 },
	{ BYTES("0\r\n\r\nGET / HTTP/1.1"), WIRE_DONE, 5 },
	{ BYTES("5\r\nhello\r\n0\r\n\r\n"), WIRE_DONE, 15 },
	{ BYTES("A\r\n0123456789\r\n00a\r\n0123456789\r\n000\r\n\r\n"), WIRE_DONE, 39 },
	{ BYTES("0;a=\"b\\\"\\\\;c\";d\r\n\r\n"), WIRE_DONE, 19 },
	{ BYTES("5;x=y;z=\"a b\"\r\nhello\r\n0;last\r\n\r\n"), WIRE_DONE, 32 },
	{ BYTES("1\r\n\r\r\n0\r\n\r\n"), WIRE_DONE, 11 },
	{ BYTES("2\r\n\r\n\r\n0\r\n\r\n"), WIRE_DONE, 12 },
	{ BYTES("0\r\nX: y\r\nZ:\r\n\r\nmore"), WIRE_DONE, 15 },
	{ BYTES("000000000000005\r\nhello\r\n0\r\n\r\n"), WIRE_DONE, 29 },
	{ BYTES(""), WIRE_MORE, 0 },
	{ BYTES("5\r\nhel"), WIRE_MORE, 6 },
	{ BYTES("fffffffffffffff\r\nx"), WIRE_MORE, 18 },
	{ BYTES("0\r\n"), WIRE_MORE, 3 },
	{ BYTES("0\r\n\r"), WIRE_MORE, 4 },
	{ BYTES("\r\n"), WIRE_BAD, 0 },
	{ BYTES(" 5\r\nhello\r\n"), WIRE_BAD, 0 },
	{ BYTES("5 \r\nhello\r\n"), WIRE_BAD, 1 },
	{ BYTES("5\t;x\r\n"), WIRE_BAD, 1 },
	{ BYTES("+5\r\nhello\r\n"), WIRE_BAD, 0 },
	{ BYTES("-5\r\nhello\r\n"), WIRE_BAD, 0 },
	{ BYTES("0x5\r\nhello\r\n"), WIRE_BAD, 1 },
	{ BYTES("5_0\r\n"), WIRE_BAD, 1 },
	{ BYTES("g\r\n"), WIRE_BAD, 0 },
	{ BYTES(";x\r\n"), WIRE_BAD, 0 },
	{ BYTES("0000000000000005\r\n"), WIRE_BAD, 15 },
	{ BYTES("10000000000000005\r\n"), WIRE_BAD, 15 },
	{ BYTES("5\nhello\r\n"), WIRE_BAD, 1 },
	{ BYTES("5\rhello\r\n"), WIRE_BAD, 2 },
	{ BYTES("5;\r\nhello"), WIRE_BAD, 2 },
	{ BYTES("5;;a\r\nhello"), WIRE_BAD, 2 },
	{ BYTES("5;=b\r\nhello"), WIRE_BAD, 2 },
	{ BYTES("5;a=\r\nhello"), WIRE_BAD, 4 },
	{ BYTES("5;a==\r\nhello"), WIRE_BAD, 4 },
	{ BYTES("5;a=b=c\r\nhello"), WIRE_BAD, 5 },
	{ BYTES("5;a \r\nhello"), WIRE_BAD, 3 },
	{ BYTES("5; a\r\nhello"), WIRE_BAD, 2 },
	{ BYTES("5;a= b\r\nhello"), WIRE_BAD, 4 },
	{ BYTES("5;a\"b\"\r\nhello"), WIRE_BAD, 3 },
	{ BYTES("5;a=\"b\r\nhello"), WIRE_BAD, 6 },
	{ BYTES("5;a=\"b\\\r\nhello"), WIRE_BAD, 7 },
	{ BYTES("5;a=\"b\"c\r\nhello"), WIRE_BAD, 7 },
	{ BYTES("5;a=\"b\"\t\r\nhello"), WIRE_BAD, 7 },
	{ BYTES("5;a=\"\xc3\xa4\"\r\nhello"), WIRE_BAD, 5 },
	{ BYTES("5;a\nhello\r\n"), WIRE_BAD, 3 },
	{ BYTES("5;a\r\r\nhello"), WIRE_BAD, 4 },
	{ BYTES("5;a\0\r\nhello"), WIRE_BAD, 3 },
	{ BYTES("5;a\x7f\r\nhello"), WIRE_BAD, 3 },
	{ BYTES("5;\xc3\xa4\r\nhello"), WIRE_BAD, 2 },
	{ BYTES("5\0\r\nhello\r\n"), WIRE_BAD, 1 },
	{ BYTES("5\r\nhelloX\r\n0\r\n\r\n"), WIRE_BAD, 8 },
	{ BYTES("5\r\nhello\n0\r\n\r\n"), WIRE_BAD, 8 },
	{ BYTES("5\r\nhello\rX"), WIRE_BAD, 9 },
	{ BYTES("5\r\nhello0\r\n\r\n"), WIRE_BAD, 8 },
	{ BYTES("0\r\n\n"), WIRE_BAD, 3 },
	{ BYTES("0\r\n X: y\r\n\r\n"), WIRE_BAD, 3 },
	{ BYTES("0\r\nX: y\r\n z\r\n\r\n"), WIRE_BAD, 9 },
	{ BYTES("0\r\nX : y\r\n\r\n"), WIRE_BAD, 4 },
	{ BYTES("0\r\n: y\r\n\r\n"), WIRE_BAD, 3 },
	{ BYTES("0\r\nX\r\n\r\n"), WIRE_BAD, 4 },
	{ BYTES("0\r\nX: y\n\r\n"), WIRE_BAD, 7 },
	{ BYTES("0\r\nX: y\rz\r\n"), WIRE_BAD, 8 },
	{ BYTES("0\r\nX: \0\r\n\r\n"), WIRE_BAD, 6 },
	{ BYTES("0\r\n\rX"), WIRE_BAD, 4 },
	/* trailers that would reframe the message (RFC 9110 6.5.1), and names that only look like those */
	{ BYTES("0\r\nContent-Length: 1\r\n\r\n"), WIRE_BAD, 17 },
	{ BYTES("0\r\nX: y\r\ntransfer-ENCODING:chunked\r\n\r\n"), WIRE_BAD, 26 },
	{ BYTES("0\r\nTransfer_Encoding: chunked\r\n\r\n"), WIRE_BAD, 20 },
	{ BYTES("0\r\nHost: a\r\n\r\n"), WIRE_BAD, 7 },
	{ BYTES("0\r\nTE: a\r\n\r\n"), WIRE_BAD, 5 },
	{ BYTES("0\r\nHosts: a\r\nContent-Lengt: 1\r\nT: a\r\n\r\n"), WIRE_DONE, 39 },
};

/* In pieces: `first` bytes, then `step` at a time. */
static enum wire_result feed(const struct row *row, size_t first, size_t step, size_t *ret_used)
{
	struct http_chunked c = { 0 };
	enum wire_result r = WIRE_MORE;
	size_t at = 0, size = first;

	do {
		const size_t n = size < row->n - at ? size : row->n - at;
		const struct span s = exact(row->text + at, n);
		size_t used = SIZE_MAX;

		r = http_chunked_feed(&c, s, &used);
		exact_free(s);
		assert_true(used <= n && (r != WIRE_MORE || used == n));
		at += used;
		size = step;
	} while (r == WIRE_MORE && at < row->n);
	*ret_used = at;
	return r;
}

static void each_body_ends_where_it_ends_however_cut(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];

		for (size_t cut = 0; cut <= row->n; cut++) {
			for (int bytewise = 0; bytewise <= 1; bytewise++) {
				size_t used;
				const enum wire_result r = feed(row, cut, bytewise ? 1 : row->n, &used);

				if (r != row->want || used != row->used)
					fail_msg("row %zu cut at %zu: result %d after %zu bytes", i, cut, r, used);
			}
		}
	}
}

static void an_end_is_for_ever(void **state)
{
	struct http_chunked c = { 0 }, d = { 0 };
	size_t used;

	assert_int_equal(http_chunked_feed(&c, SPAN_LITERAL("0\r\n\r\n"), &used), WIRE_DONE);
	assert_int_equal(http_chunked_feed(&c, SPAN_LITERAL("5\r\n"), &used), WIRE_DONE);
	assert_int_equal(used, 0);
	assert_int_equal(http_chunked_feed(&d, SPAN_LITERAL("x"), &used), WIRE_BAD);
	assert_int_equal(http_chunked_feed(&d, SPAN_LITERAL("0\r\n\r\n"), &used), WIRE_BAD);
	assert_int_equal(used, 0);
}

static enum wire_result feed_line(size_t line, size_t trailer)
{
	static char text[HTTP_CHUNK_LINE_MAX + HTTP_TRAILERS_MAX + 64];
	struct http_chunked c = { 0 };
	size_t n = 0, used;

	memset(text, 'x', sizeof text);
	memcpy(text, "0;", 2);
	memcpy(text + line - 2, "\r\n", 2);
	n = line;
	if (trailer > 2) {
		memcpy(text + n, "A:", 2);
		memcpy(text + n + trailer - 4, "\r\n", 2);
	}
	memcpy(text + n + trailer - 2, "\r\n", 2);
	return http_chunked_feed(&c, (struct span) { text, n + trailer }, &used);
}

static void limits_hold_exactly(void **state)
{
	struct http_chunked many = { 0 };
	size_t used;

	for (unsigned i = 0; i < 1000; i++) /* a limit is a line's, not the body's */
		assert_int_equal(http_chunked_feed(&many, SPAN_LITERAL("000001;x\r\n.\r\n"), &used), WIRE_MORE);
	assert_int_equal(feed_line(HTTP_CHUNK_LINE_MAX, 2), WIRE_DONE);
	assert_int_equal(feed_line(HTTP_CHUNK_LINE_MAX + 1, 2), WIRE_BAD);
	assert_int_equal(feed_line(5, HTTP_TRAILERS_MAX), WIRE_DONE);
	assert_int_equal(feed_line(5, HTTP_TRAILERS_MAX + 1), WIRE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_body_ends_where_it_ends_however_cut),
		cmocka_unit_test(an_end_is_for_ever),
		cmocka_unit_test(limits_hold_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
