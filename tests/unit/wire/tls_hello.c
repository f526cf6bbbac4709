/* TLS greetings, put together here byte by byte from the RFCs: each prefix, each segmentation into records, each wrong length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/tls_hello.h"

struct bytes {
	uint8_t p[100000];
	size_t n;
};

static void put(struct bytes *b, const void *p, size_t n)
{
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_number(struct bytes *b, unsigned size, size_t v)
{
	while (size-- > 0)
		b->p[b->n++] = (uint8_t)(v >> (8 * size));
}

static void put_extension(struct bytes *b, unsigned type, const void *p, size_t n)
{
	put_number(b, 2, type);
	put_number(b, 2, n);
	put(b, p, n);
}

static void put_server_name(struct bytes *b, const char *name, size_t n)
{
	put_number(b, 2, 0);
	put_number(b, 2, n + 5);
	put_number(b, 2, n + 3);
	put_number(b, 1, 0);
	put_number(b, 2, n);
	put(b, name, n);
}

/* The handshake message around the given extensions; NULL: without any. `behind` bytes of zero follow them. */
static struct bytes message_with(const struct bytes *extensions, unsigned session, size_t behind)
{
	static const uint8_t suites[] = { 0x1a, 0x1a, 0x13, 0x01, 0x13, 0x02 }; /* the first is GREASE */
	struct bytes b = { .n = 0 }, m = { .n = 0 };

	put_number(&b, 2, 0x0303);
	for (unsigned i = 0; i < 32; i++)
		put_number(&b, 1, i);
	put_number(&b, 1, session);
	for (unsigned i = 0; i < session; i++)
		put_number(&b, 1, 0x80 + i);
	put_number(&b, 2, sizeof suites);
	put(&b, suites, sizeof suites);
	put_number(&b, 2, 0x0100);
	if (extensions) {
		put_number(&b, 2, extensions->n);
		put(&b, extensions->p, extensions->n);
	}
	memset(b.p + b.n, 0, behind);
	b.n += behind;
	put_number(&m, 1, 1);
	put_number(&m, 3, b.n);
	put(&m, b.p, b.n);
	return m;
}

static struct bytes message(const struct bytes *extensions)
{
	return message_with(extensions, 32, 0);
}

/* The message in records of at most `each` bytes. */
static struct bytes records(const struct bytes *m, size_t each)
{
	struct bytes r = { .n = 0 };

	for (size_t at = 0; at < m->n; at += each) {
		const size_t n = each < m->n - at ? each : m->n - at;

		put_number(&r, 1, 22);
		put_number(&r, 2, 0x0301);
		put_number(&r, 2, n);
		put(&r, m->p + at, n);
	}
	return r;
}

static struct bytes usual_extensions(void)
{
	struct bytes e = { .n = 0 };

	put_extension(&e, 0x2a2a, "", 0); /* GREASE */
	put_extension(&e, 23, "", 0);
	put_server_name(&e, "Storage.GoogleAPIs.com", 22);
	put_extension(&e, 16, "\0\x0c\x02h2\x08http/1.1", 14);
	put_extension(&e, 0x8a8a, "\0", 1);
	return e;
}

static struct tls_hello hello;

static enum wire_result parse(const struct bytes *b, size_t n)
{
	const struct span s = exact(b->p, n);
	const enum wire_result r = tls_hello_parse(s, &hello);

	exact_free(s);
	return r;
}

static enum wire_result parse_extensions(const struct bytes *e)
{
	const struct bytes m = message(e), r = records(&m, 16384);
	const struct bytes in_pieces = records(&m, 9);
	const enum wire_result whole = parse(&r, r.n);

	assert_int_equal(parse(&in_pieces, in_pieces.n), whole);
	return whole;
}

static void the_name_is_found_in_any_segmentation(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 5, 7, 32, 100, 16384 };
	const struct bytes e = usual_extensions(), m = message(&e);

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct bytes r = records(&m, sizes[i]);
		const size_t n = r.n;

		put(&r, "\x14\x03\x03\0\x01\x01\x17\x03\x03garbage", 16); /* early data behind it is not ours to judge */
		for (size_t at = 0; at < n; at++)
			if (parse(&r, at) != WIRE_MORE)
				fail_msg("records of %zu: not MORE after %zu of %zu bytes", sizes[i], at, n);
		for (size_t at = n; at <= r.n; at++) {
			memset(&hello, 'x', sizeof hello);
			assert_int_equal(parse(&r, at), WIRE_DONE);
			assert_string_equal(hello.name, "Storage.GoogleAPIs.com");
			assert_int_equal(hello.name_length, 22);
			assert_false(hello.has_ech);
		}
	}
}

static void a_greeting_may_have_no_name(void **state)
{
	struct bytes e = { .n = 0 }, m = message(NULL), r = records(&m, 16384);

	assert_int_equal(parse(&r, r.n), WIRE_DONE); /* no extensions field at all */
	assert_int_equal(hello.name_length, 0);
	assert_string_equal(hello.name, "");
	assert_int_equal(parse_extensions(&e), WIRE_DONE); /* an empty one */
	put_extension(&e, 43, "\x02\x03\x04", 3);
	put_extension(&e, 0xfe0d, "abc", 3);
	assert_int_equal(parse_extensions(&e), WIRE_DONE);
	assert_int_equal(hello.name_length, 0);
	assert_true(hello.has_ech);
	put_extension(&e, 0xfe0d, "abc", 3);
	assert_int_equal(parse_extensions(&e), WIRE_BAD);
}

static void a_name_has_its_bounds(void **state)
{
	char name[300];
	struct bytes e = { .n = 0 };

	memset(name, 'a', sizeof name);
	put_server_name(&e, name, 255);
	assert_int_equal(parse_extensions(&e), WIRE_DONE);
	assert_int_equal(hello.name_length, 255);
	e.n = 0;
	put_server_name(&e, name, 256);
	assert_int_equal(parse_extensions(&e), WIRE_BAD);
	e.n = 0;
	put_server_name(&e, "", 0);
	assert_int_equal(parse_extensions(&e), WIRE_BAD);
	e.n = 0;
	put_server_name(&e, "a.test\0b", 8);
	assert_int_equal(parse_extensions(&e), WIRE_BAD);
	e.n = 0;
	put_server_name(&e, "\0", 1);
	assert_int_equal(parse_extensions(&e), WIRE_BAD);
	e.n = 0;
	put_server_name(&e, "\xc3\xa4 b/", 5); /* what a name is, policy/host.h says */
	assert_int_equal(parse_extensions(&e), WIRE_DONE);
}

struct row {
	const char *what;
	const char *body;
	size_t n;
};

static const struct row bad_server_names[] = {
	{ "empty", "", 0 },
	{ "half a length", "\0", 1 },
	{ "empty list", "\0\0", 2 },
	{ "list shorter than extension", "\0\4\0\0\1ab", 7 },
	{ "list longer than extension", "\0\7\0\0\1a", 6 },
	{ "name longer than list", "\0\4\0\0\2a", 6 },
	{ "name shorter than list", "\0\5\0\0\1ab", 7 },
	{ "other type", "\0\4\1\0\1a", 6 },
	{ "two names", "\0\x08\0\0\1a\0\0\1b", 10 },
	{ "name and other type", "\0\x08\0\0\1a\1\0\1b", 10 },
	{ "no name in the entry", "\0\1\0", 3 },
};

static void two_names_or_lying_lengths_are_refused(void **state)
{
	struct bytes e = { .n = 0 };

	put_extension(&e, 0, "\0\4\0\0\1a", 6); /* the control: all else below differs from this */
	assert_int_equal(parse_extensions(&e), WIRE_DONE);
	assert_string_equal(hello.name, "a");
	put_extension(&e, 0, "\0\4\0\0\1a", 6);
	assert_int_equal(parse_extensions(&e), WIRE_BAD);
	for (size_t i = 0; i < sizeof bad_server_names / sizeof *bad_server_names; i++) {
		e.n = 0;
		put_extension(&e, 0, bad_server_names[i].body, bad_server_names[i].n);
		if (parse_extensions(&e) != WIRE_BAD)
			fail_msg("%s: passes", bad_server_names[i].what);
	}
}

struct poke {
	const char *what;
	size_t at;
	uint8_t value;
};

/* Offsets: record 0-4, message 5-8, version 9-10, random 11-42, session 43-75, suites 76-83, compression 84-85, extensions 86. */
static const struct poke pokes[] = {
	{ "alert record", 0, 21 },
	{ "application data", 0, 23 },
	{ "not TLS", 0, 'G' },
	{ "SSLv2", 0, 0x80 },
	{ "record major", 1, 2 },
	{ "record minor", 2, 5 },
	{ "record too long", 3, 0x41 },
	{ "ServerHello", 5, 2 },
	{ "message of 64 KiB", 6, 1 },
	{ "message of 40 KiB", 7, 160 },
	{ "major", 9, 2 },
	{ "SSL 3.0", 10, 0 },
	{ "minor", 10, 5 },
	{ "session of 33", 43, 33 },
	{ "odd suites", 77, 5 },
	{ "no suites", 77, 0 },
	{ "suites beyond", 76, 200 },
	{ "no compression", 84, 0 },
	{ "only deflate", 85, 1 },
	{ "extensions beyond", 86, 99 },
	{ "extensions short", 87, 1 },
};

static void wrong_bytes_are_refused_at_once(void **state)
{
	const struct bytes e = usual_extensions(), m = message(&e), good = records(&m, 16384);

	assert_int_equal(parse(&good, good.n), WIRE_DONE);
	for (size_t i = 0; i < sizeof pokes / sizeof *pokes; i++) {
		struct bytes r = good;

		r.p[pokes[i].at] = pokes[i].value;
		if (parse(&r, r.n) != WIRE_BAD)
			fail_msg("%s: passes", pokes[i].what);
		if (pokes[i].at < 5 && parse(&r, pokes[i].at + 1) != WIRE_BAD)
			fail_msg("%s: not refused at its byte", pokes[i].what);
		for (size_t n = 0; n < r.n; n++)
			if (parse(&r, n) == WIRE_DONE)
				fail_msg("%s: done after %zu bytes", pokes[i].what, n);
	}
	assert_int_equal(tls_hello_parse(SPAN_LITERAL("\x16\x03\x01\0\0"), &hello), WIRE_BAD); /* an empty record */
	assert_int_equal(tls_hello_parse(SPAN_LITERAL("S"), &hello), WIRE_BAD);
	assert_int_equal(tls_hello_parse((struct span) { NULL, 0 }, &hello), WIRE_MORE);
}

static void each_part_has_its_bounds(void **state)
{
	const struct bytes e = usual_extensions();

	for (unsigned session = 0; session <= 40; session++)
		for (size_t behind = 0; behind <= 5; behind++) {
			const struct bytes m = message_with(&e, session, behind), r = records(&m, 16384);

			assert_int_equal(parse(&r, r.n), session <= 32 && behind == 0 ? WIRE_DONE : WIRE_BAD);
		}
}

static void the_record_ends_with_the_greeting(void **state)
{
	const struct bytes e = usual_extensions();
	struct bytes m = message(&e);
	const size_t n = m.n;

	put(&m, "\x14\0\0\0", 4); /* a second message in the same record */
	for (size_t each = 16384; each >= 8; each = each == 16384 ? n + 1 : each == n + 1 ? 8 : 1) {
		const struct bytes r = records(&m, each);
		const enum wire_result want = n % each == 0 ? WIRE_DONE : WIRE_BAD;

		assert_int_equal(parse(&r, r.n), want);
	}
}

static void another_record_in_between_is_refused(void **state)
{
	const struct bytes e = usual_extensions(), m = message(&e);
	struct bytes r = records(&m, 20);

	memmove(r.p + 25 + 7, r.p + 25, r.n - 25);
	memcpy(r.p + 25, "\x15\x03\x01\0\x02\x01\0", 7);
	r.n += 7;
	assert_int_equal(parse(&r, 25), WIRE_MORE);
	assert_int_equal(parse(&r, 26), WIRE_BAD);
	assert_int_equal(parse(&r, r.n), WIRE_BAD);
}

static void it_waits_for_16_kib_and_no_more(void **state)
{
	static const uint8_t zeros[TLS_HELLO_MAX];
	struct bytes e = { .n = 0 }, m, r;
	const size_t most = TLS_HELLO_MAX - 88 - 4; /* of data in the only extension: 88 bytes are before it, 4 are its header */

	for (int over = 0; over <= 1; over++) {
		e.n = 0;
		put_extension(&e, 21, zeros, most + (size_t)over);
		m = message(&e);
		r = records(&m, 16384);
		assert_int_equal(r.n, TLS_HELLO_MAX + over);
		assert_int_equal(parse(&r, r.n), over ? WIRE_BAD : WIRE_DONE);
		assert_int_equal(parse(&r, 100), over ? WIRE_BAD : WIRE_MORE);
	}
	r = records(&m, 1); /* six bytes for one: the limit counts records */
	assert_int_equal(parse(&r, TLS_HELLO_MAX - 1), WIRE_BAD);
	e.n = 0;
	put_extension(&e, 21, zeros, 8000);
	m = message(&e);
	r = records(&m, 4);
	assert_int_equal(parse(&r, TLS_HELLO_MAX - 1), WIRE_MORE);
	assert_int_equal(parse(&r, TLS_HELLO_MAX), WIRE_BAD);
	assert_int_equal(parse(&r, r.n), WIRE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_is_found_in_any_segmentation),
		cmocka_unit_test(a_greeting_may_have_no_name),
		cmocka_unit_test(a_name_has_its_bounds),
		cmocka_unit_test(two_names_or_lying_lengths_are_refused),
		cmocka_unit_test(wrong_bytes_are_refused_at_once),
		cmocka_unit_test(each_part_has_its_bounds),
		cmocka_unit_test(the_record_ends_with_the_greeting),
		cmocka_unit_test(another_record_in_between_is_refused),
		cmocka_unit_test(it_waits_for_16_kib_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
