/* DNS questions: names, odd headers, broken sections; answers byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/dns_msg.h"

#define HEADER(extra) "\x12\x34\x01\x10\0\1\0\0\0\0\0" extra
#define NAME          "\x0aStorage-01\x04test\0"
#define A_IN          "\0\1\0\1"
#define OPT           "\0\0\x29\x04\xd0\0\0\x80\0\0\0"
#define BYTES(s)      s, sizeof(s) - 1

static struct dns_question question;

static enum wire_result parse(const char *p, size_t n, int *ret_rcode)
{
	const struct span s = exact(p, n);
	const enum wire_result r = dns_question_parse(s, &question, ret_rcode);

	exact_free(s);
	return r;
}

static void a_question_is_read(void **state)
{
	static const char text[] = HEADER("\1") NAME "\0\x1c\0\1" OPT;
	int rcode;

	assert_int_equal(dns_question_parse((struct span) { BYTES(text) }, &question, &rcode), WIRE_DONE);
	assert_int_equal(rcode, DNS_NOERROR);
	assert_int_equal(question.id, 0x1234);
	assert_int_equal(question.flags, 0x0110);
	assert_int_equal(question.type, DNS_AAAA);
	assert_int_equal(question.class, 1);
	assert_true(question.edns);
	assert_string_equal(question.name, "storage-01.test");
	assert_int_equal(question.name_length, 15);
	assert_memory_equal(question.wire_name.p, NAME, 17);
	assert_int_equal(question.wire_name.n, 17);
	for (size_t n = 0; n < sizeof text - 1; n++) {
		assert_int_equal(parse(text, n, &rcode), WIRE_BAD);
		assert_int_equal(rcode, n < 12 ? -1 : DNS_FORMERR);
	}
}

struct name_row {
	const char *wire;
	size_t n;
	const char *text;
};

static const struct name_row names[] = {
	{ BYTES("\0"), "" },
	{ BYTES("\3wWw\0"), "www" },
	{ BYTES("\3a.b\1c\0"), "a\\046b.c" },
	{ BYTES("\4a\\\"b\0"), "a\\092\\034b" },
	{ BYTES("\5a \0\xff\x7f\0"), "a\\032\\000\\255\\127" },
	{ BYTES("\6_;()@$\0"), "_\\059\\040\\041\\064\\036" },
};

static void names_are_safe_text(void **state)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char text[64] = HEADER("\0");
		int rcode;

		memcpy(text + 12, names[i].wire, names[i].n);
		memcpy(text + 12 + names[i].n, A_IN, 4);
		assert_int_equal(parse(text, 16 + names[i].n, &rcode), WIRE_DONE);
		assert_string_equal(question.name, names[i].text);
		assert_int_equal(question.name_length, strlen(names[i].text));
	}
}

struct bad_row {
	const char *what;
	const char *text;
	size_t n;
	int rcode;
};

static const struct bad_row bad[] = {
	{ "nothing", BYTES(""), -1 },
	{ "an answer", BYTES("\x12\x34\x81\0\0\1\0\0\0\0\0\0" NAME A_IN), -1 },
	{ "an answer of 12 bytes", BYTES("\x12\x34\x80\0\0\0\0\0\0\0\0\0"), -1 },
	{ "inverse query", BYTES("\x12\x34\x08\0\0\1\0\0\0\0\0\0" NAME A_IN), DNS_NOTIMP },
	{ "update", BYTES("\x12\x34\x28\0\0\1\0\0\0\0\0\0" NAME A_IN), DNS_NOTIMP },
	{ "no question", BYTES("\x12\x34\1\0\0\0\0\0\0\0\0\0"), DNS_FORMERR },
	{ "two questions", BYTES("\x12\x34\1\0\0\2\0\0\0\0\0\0" NAME A_IN NAME A_IN), DNS_FORMERR },
	{ "an answer in it", BYTES("\x12\x34\1\0\0\1\0\1\0\0\0\0" NAME A_IN NAME A_IN "\0\0\0\0\0\0"), DNS_FORMERR },
	{ "authority in it", BYTES("\x12\x34\1\0\0\1\0\0\0\1\0\0" NAME A_IN NAME A_IN "\0\0\0\0\0\0"), DNS_FORMERR },
	{ "256 questions", BYTES("\x12\x34\1\0\1\1\0\0\0\0\0\0" NAME A_IN), DNS_FORMERR },
	{ "bytes behind", BYTES(HEADER("\0") NAME A_IN "x"), DNS_FORMERR },
	{ "OPT uncounted", BYTES(HEADER("\0") NAME A_IN OPT), DNS_FORMERR },
	{ "OPT missing", BYTES(HEADER("\1") NAME A_IN), DNS_FORMERR },
	{ "two OPT", BYTES(HEADER("\2") NAME A_IN OPT OPT), DNS_FORMERR },
	{ "two counted, none there", BYTES(HEADER("\2") NAME A_IN), DNS_FORMERR },
	{ "OPT not at the root", BYTES(HEADER("\1") NAME A_IN "\1\0\x29\x04\xd0\0\0\x80\0\0\0"), DNS_FORMERR },
	{ "OPT with a name", BYTES(HEADER("\1") NAME A_IN "\1a" OPT), DNS_FORMERR },
	{ "OPT version 1", BYTES(HEADER("\1") NAME A_IN "\0\0\x29\x04\xd0\0\1\0\0\0\0"), DNS_FORMERR },
	{ "OPT too long", BYTES(HEADER("\1") NAME A_IN "\0\0\x29\x04\xd0\0\0\0\0\0\4xy"), DNS_FORMERR },
	{ "bytes behind OPT", BYTES(HEADER("\1") NAME A_IN OPT "x"), DNS_FORMERR },
	{ "other record", BYTES(HEADER("\1") NAME A_IN "\0\0\1\0\1\0\0\0\0\0\0"), DNS_FORMERR },
	{ "pointer", BYTES(HEADER("\0") "\xc0\x0c" A_IN), DNS_FORMERR },
	{ "pointer after a label", BYTES(HEADER("\0") "\1a\xc0\x0c" A_IN), DNS_FORMERR },
	{ "label of 64",
	  BYTES(HEADER("\0") "\x40"
			     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0" A_IN),
	  DNS_FORMERR },
	{ "label past the end",
	  BYTES(HEADER("\0") "\x3f"
			     "abc\0" A_IN),
	  DNS_FORMERR },
	{ "name without end", BYTES(HEADER("\0") "\3abc"), DNS_FORMERR },
};

static void odd_messages_are_refused(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int rcode = 99;
		const enum wire_result r = parse(bad[i].text, bad[i].n, &rcode);

		if (r != WIRE_BAD || rcode != bad[i].rcode)
			fail_msg("%s: result %d, rcode %d", bad[i].what, r, rcode);
	}
}

/* A name of `n` bytes on the wire, of labels of 63 and one for the rest. */
static size_t long_query(char *text, size_t n)
{
	size_t at = 12;

	memcpy(text, HEADER("\0"), 12);
	for (size_t left = n - 1; left > 0;) {
		const size_t label = left > 64 ? 63 : left - 1;

		text[at] = (char)label;
		memset(text + at + 1, '\xff', label);
		at += label + 1;
		left -= label + 1;
	}
	text[at++] = 0;
	memcpy(text + at, A_IN, 4);
	return at + 4;
}

static void a_name_has_255_bytes_at_most(void **state)
{
	char text[512], out[DNS_ANSWER_MAX];
	int rcode;
	size_t n = long_query(text, 255);

	assert_int_equal(dns_question_parse((struct span) { text, n }, &question, &rcode), WIRE_DONE);
	assert_int_equal(question.wire_name.n, 255);
	assert_int_equal(question.name_length, 4 * 250 + 3);
	question.type = DNS_AAAA;
	question.edns = true;
	assert_int_equal(dns_answer_write(&question, DNS_NOERROR, SPAN_LITERAL("0123456789abcdef"), 5, out, sizeof out),
			 DNS_ANSWER_MAX);
	assert_int_equal(dns_answer_write(&question, DNS_NOERROR, SPAN_LITERAL("0123456789abcdef"), 5, out, sizeof out - 1), 0);
	n = long_query(text, 256);
	assert_int_equal(parse(text, n, &rcode), WIRE_BAD);
}

static void answers_are_exact(void **state)
{
	static const char query[] = HEADER("\1") NAME A_IN OPT;
	static const char full[] = "\x12\x34\x85\x90\0\1\0\1\0\0\0\1" NAME A_IN "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc6\x12\0\1"
				   "\0\0\x29\x04\xd0\0\0\0\0\0\0";
	static const char none[] = "\x12\x34\x85\x93\0\1\0\0\0\0\0\0" NAME A_IN;
	char out[512];
	int rcode;

	assert_int_equal(dns_question_parse((struct span) { BYTES(query) }, &question, &rcode), WIRE_DONE);
	assert_int_equal(dns_answer_write(&question, DNS_NOERROR, SPAN_LITERAL("\xc6\x12\0\1"), 60, out, sizeof out),
			 sizeof full - 1);
	assert_memory_equal(out, full, sizeof full - 1);
	assert_int_equal(dns_answer_write(&question, DNS_NOERROR, SPAN_LITERAL("0123456789abcdef"), 60, out, sizeof out), 0);
	assert_int_equal(dns_answer_write(&question, DNS_NOERROR, SPAN_LITERAL("abc"), 60, out, sizeof out), 0);
	question.edns = false;
	assert_int_equal(dns_answer_write(&question, DNS_NXDOMAIN, (struct span) { NULL, 0 }, 60, out, sizeof out),
			 sizeof none - 1);
	assert_memory_equal(out, none, sizeof none - 1);
	assert_int_equal(dns_answer_write(&question, DNS_NXDOMAIN, (struct span) { NULL, 0 }, 60, out, sizeof none - 2), 0);
	assert_int_equal(dns_error_write((struct span) { BYTES(query) }, DNS_FORMERR, out, sizeof out), 12);
	assert_memory_equal(out, "\x12\x34\x81\x01\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(dns_error_write((struct span) { query, 11 }, DNS_FORMERR, out, sizeof out), 0);
	assert_int_equal(dns_error_write((struct span) { BYTES(query) }, DNS_FORMERR, out, 11), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_read),       cmocka_unit_test(names_are_safe_text),
		cmocka_unit_test(odd_messages_are_refused), cmocka_unit_test(a_name_has_255_bytes_at_most),
		cmocka_unit_test(answers_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
