/* Message heads: every odd form as a row with the word it is refused by, each beside a row that is right; framing, Connection
 * and hop-by-hop by table; every prefix of every row judged in agreement with the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/http_head.h"

#define GET      "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"
#define POST     "POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"
#define OLD      "POST http://a.test/ HTTP/1.0\r\n"
#define OK       "HTTP/1.1 200 OK\r\n"
#define END      "\r\n"
#define BYTES(s) s, sizeof(s) - 1

struct bad_row {
	const char *text;
	size_t n;
	enum http_bad want;
};

static const struct bad_row bad_requests[] = {
	/* the request line */
	{ BYTES("\r\n" GET END), HTTP_BAD_REQUEST_LINE },
	{ BYTES("\n" GET END), HTTP_BAD_REQUEST_LINE },
	{ BYTES(" " GET END), HTTP_BAD_METHOD },
	{ BYTES("GET\r\n\r\n"), HTTP_BAD_REQUEST_LINE },
	{ BYTES("GET /\r\n\r\n"), HTTP_BAD_REQUEST_LINE },
	{ BYTES("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_REQUEST_LINE },
	{ BYTES("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_REQUEST_LINE },
	{ BYTES("GET / x HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_REQUEST_LINE },
	{ BYTES("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), HTTP_BAD_REQUEST_LINE },
	{ BYTES("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_METHOD },
	{ BYTES("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_TARGET },
	{ BYTES("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_METHOD },
	{ BYTES("G\0T / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_METHOD },
	{ BYTES("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_METHOD },
	{ BYTES("head / HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_METHOD },
	{ BYTES("Connect a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_METHOD },
	{ BYTES("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_TARGET },
	{ BYTES("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_TARGET },
	{ BYTES("GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_TARGET },
	{ BYTES("GET /\r HTTP/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_LINE_END },
	{ BYTES("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("GET / HTTP/1.\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("GET / http/1.1\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n"), HTTP_BAD_LINE_END },
	/* line ends, folds, names, values */
	{ BYTES("GET / HTTP/1.1\r\nHost: a\n\r\n"), HTTP_BAD_LINE_END },
	{ BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), HTTP_BAD_LINE_END },
	{ BYTES(GET "A: b\rC: d\r\n" END), HTTP_BAD_LINE_END },
	{ BYTES(GET "A: b\r\r\n" END), HTTP_BAD_LINE_END },
	{ BYTES(GET "A\r: b\r\n" END), HTTP_BAD_LINE_END },
	{ BYTES(GET "A: b\r\n c\r\n" END), HTTP_BAD_OBS_FOLD },
	{ BYTES(GET "A: b\r\n\tc\r\n" END), HTTP_BAD_OBS_FOLD },
	{ BYTES(GET "A: b\r\n \r\n" END), HTTP_BAD_OBS_FOLD },
	{ BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), HTTP_BAD_OBS_FOLD },
	{ BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), HTTP_BAD_FIELD_NAME },
	{ BYTES(POST "Content-Length : 5\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(POST "Content-Length\t: 5\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(POST "Transfer-Encoding : chunked\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(POST "Content_Length: 5\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(POST "TRANSFER_ENCODING: chunked\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(GET ": b\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(GET "nothing\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(GET "A B: c\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(GET "A\0: c\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(GET "\xef\xbb\xbf"
		    "A: c\r\n" END),
	  HTTP_BAD_FIELD_NAME },
	{ BYTES(GET "A\xe4: c\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(GET "A(b): c\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(GET "A: b\0c\r\n" END), HTTP_BAD_FIELD_VALUE },
	{ BYTES(GET "A: b\x01\r\n" END), HTTP_BAD_FIELD_VALUE },
	{ BYTES(GET "A: b\x0b\r\n" END), HTTP_BAD_FIELD_VALUE },
	{ BYTES(GET "A: \x7f\r\n" END), HTTP_BAD_FIELD_VALUE },
	{ BYTES(GET "A: \x1b[2J\r\n" END), HTTP_BAD_FIELD_VALUE },
	/* Host */
	{ BYTES("GET / HTTP/1.1\r\n\r\n"), HTTP_BAD_HOST_MISSING },
	{ BYTES(GET "Host: a.test\r\n" END), HTTP_BAD_HOST_TWICE },
	{ BYTES(GET "hOST: b.test\r\n" END), HTTP_BAD_HOST_TWICE },
	{ BYTES("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), HTTP_BAD_HOST_TWICE },
	/* Content-Length */
	{ BYTES(POST "Content-Length: +5\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: -5\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 0x5\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 5, 5\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 5,5\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 5 5\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 5.0\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 5e1\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 1_0\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 05\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 00\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: \r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: five\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: \"5\"\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 5;x\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: \xef\xbc\x95\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 9223372036854775808\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 18446744073709551621\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END), HTTP_BAD_LENGTH_TWICE },
	{ BYTES(POST "Content-Length: 5\r\ncontent-length: 6\r\n" END), HTTP_BAD_LENGTH_TWICE },
	{ BYTES(OLD "Content-Length: 5\r\nContent-Length: 5\r\n" END), HTTP_BAD_LENGTH_TWICE },
	{ BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END), HTTP_BAD_LENGTH_AND_CODING },
	{ BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n" END), HTTP_BAD_LENGTH_AND_CODING },
	/* Transfer-Encoding */
	{ BYTES(POST "Transfer-Encoding: gzip\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: gzip, chunked\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: chunked, chunked\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: chunked, identity\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: identity\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: ,chunked\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: chunked,\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: \"chunked\"\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: chunked;q=1\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: xchunked\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: chun\xc4\xb1ked\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: chun\xe2\x84\xaa"
		     "ed\r\n" END),
	  HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: \r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: \x0b"
		     "chunked\r\n" END),
	  HTTP_BAD_FIELD_VALUE },
	{ BYTES(POST "Transfer-Encoding:\r\n chunked\r\n" END), HTTP_BAD_CODING }, /* the fold would be next */
	{ BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END), HTTP_BAD_CODING },
	{ BYTES(POST "Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\n" END), HTTP_BAD_CODING },
	{ BYTES(OLD "Transfer-Encoding: chunked\r\n" END), HTTP_BAD_CODING_IN_1_0 },
	/* bodies where there is none */
	{ BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\n"), HTTP_BAD_CONNECT_BODY },
	{ BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_BAD_CONNECT_BODY },
	{ BYTES("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"), HTTP_BAD_CONNECT_BODY },
	/* Expect, Connection */
	{ BYTES(POST "Content-Length: 5\r\nExpect: 200-ok\r\n" END), HTTP_BAD_EXPECT },
	{ BYTES(POST "Content-Length: 5\r\nExpect: 100-continue, x\r\n" END), HTTP_BAD_EXPECT },
	{ BYTES(POST "Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n" END), HTTP_BAD_EXPECT },
	{ BYTES(GET "Connection: close;x\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: a b\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: \"close\"\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: close, @\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: Host\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: close, HOST\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(POST "Content-Length: 5\r\nConnection: Content-Length\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(POST "Connection: keep-alive ,\tcontent-length\r\nContent-Length: 5\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(POST "Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: Content-Type\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: close\r\nConnection: Trailer\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES(GET "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\nConnection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\r\n" END),
	  HTTP_BAD_CONNECTION },
	/* other protocols */
	{ BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), HTTP_BAD_METHOD },
	{ BYTES("\x05\x01\x00"), HTTP_BAD_METHOD },
	{ BYTES("\0"), HTTP_BAD_METHOD },
	{ BYTES("SSH-2.0-OpenSSH_9.2\r\n"), HTTP_BAD_REQUEST_LINE },
	{ BYTES("\x7f\x45LF"), HTTP_BAD_METHOD },
};

static const struct bad_row bad_replies[] = {
	{ BYTES("\r\n" OK END), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 20\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 2000 OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 200OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1  200 OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 099 OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 600 OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 2x0 OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 200 O\0K\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("HTTP/1.1 200 O\rK\r\n\r\n"), HTTP_BAD_LINE_END },
	{ BYTES("HTTP/1.1 200 OK\n\r\n"), HTTP_BAD_LINE_END },
	{ BYTES("HTTP/1.2 200 OK\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("HTTP/2 200\r\n\r\n"), HTTP_BAD_VERSION },
	{ BYTES("http/1.1 200 OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("ICY 200 OK\r\n\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES("SSH-2.0-x\r\n"), HTTP_BAD_STATUS_LINE },
	{ BYTES(OK "Content-Length: 5\r\nContent-Length: 5\r\n" END), HTTP_BAD_LENGTH_TWICE },
	{ BYTES(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END), HTTP_BAD_LENGTH_AND_CODING },
	{ BYTES(OK "Content-Length: 5, 5\r\n" END), HTTP_BAD_LENGTH },
	{ BYTES(OK "Transfer-Encoding: gzip, chunked\r\n" END), HTTP_BAD_CODING },
	{ BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_BAD_CODING_IN_1_0 },
	{ BYTES(OK "A : b\r\n" END), HTTP_BAD_FIELD_NAME },
	{ BYTES(OK "A: b\r\n c\r\n" END), HTTP_BAD_OBS_FOLD },
	{ BYTES(OK "Content-Length: 5\r\nConnection: content-length\r\n" END), HTTP_BAD_CONNECTION },
	{ BYTES("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"), HTTP_BAD_LENGTH },
	{ BYTES("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_BAD_CODING },
};

static struct http_head head;

static enum wire_result parse(bool reply, const char *p, size_t n, enum http_bad *ret_bad)
{
	const struct span s = exact(p, n);
	const enum wire_result r =
		reply ? http_reply_parse(s, false, false, &head, ret_bad) : http_request_parse(s, &head, ret_bad);

	exact_free(s); /* what is looked at later: numbers only */
	return r;
}

static void check_bad(bool reply, const struct bad_row *row, size_t index)
{
	enum http_bad bad = HTTP_BAD_NONE;
	const enum wire_result r = parse(reply, row->text, row->n, &bad);

	if (r != WIRE_BAD || bad != row->want)
		fail_msg("row %zu: result %d, \"%s\"; wanted \"%s\"", index, r, http_bad_text(bad), http_bad_text(row->want));
	for (size_t n = 0; n < row->n; n++)
		if (parse(reply, row->text, n, &bad) == WIRE_DONE)
			fail_msg("row %zu: done after %zu bytes", index, n);
}

static void odd_forms_are_refused_by_name(void **state)
{
	for (size_t i = 0; i < sizeof bad_requests / sizeof *bad_requests; i++)
		check_bad(false, &bad_requests[i], i);
	for (size_t i = 0; i < sizeof bad_replies / sizeof *bad_replies; i++)
		check_bad(true, &bad_replies[i], i);
	for (int b = HTTP_BAD_NONE + 1; b < HTTP_BAD_COUNT; b++)
		assert_true(strlen(http_bad_text((enum http_bad)b)) > 10);
	assert_string_equal(http_bad_text(HTTP_BAD_COUNT), "");
}

static void no_control_byte_passes_anywhere(void **state)
{
	static const char good[] = GET "Name: value\r\n" END;
	static const size_t places[] = { 1, 6, 22, 30, sizeof(GET) + 1, sizeof(GET) + 8 };
	enum http_bad bad;
	char text[sizeof good];

	assert_int_equal(parse(false, good, sizeof good - 1, &bad), WIRE_DONE);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		for (int c = 0; c < 0x80; c = c == 0x1f ? 0x7f : c + 1) {
			memcpy(text, good, sizeof good);
			text[places[i]] = (char)c;
			if (c == '\t' && i == 5)
				continue; /* HTAB is right in a value */
			if (parse(false, text, sizeof good - 1, &bad) != WIRE_BAD)
				fail_msg("byte 0x%02x at %zu passes", (unsigned)c, places[i]);
		}
}

struct good_row {
	const char *text;
	enum http_framing framing;
	uint64_t length;
	bool persistent, expect;
	const char *upgrade; /* NULL: none */
};

static const struct good_row good_requests[] = {
	{ GET END, HTTP_BODY_NONE, 0, true, false, NULL },
	{ "GET / HTTP/1.0\r\n\r\n", HTTP_BODY_NONE, 0, false, false, NULL },
	{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", HTTP_BODY_NONE, 0, true, false, NULL },
	{ "GET / HTTP/1.0\r\nConnection: Keep-Alive, close\r\n\r\n", HTTP_BODY_NONE, 0, false, false, NULL },
	{ GET "Connection: CLOSE\r\n" END, HTTP_BODY_NONE, 0, false, false, NULL },
	{ GET "Connection: x,\t, close ,\r\n" END, HTTP_BODY_NONE, 0, false, false, NULL },
	{ GET "Connection: closed\r\n" END, HTTP_BODY_NONE, 0, true, false, NULL },
	{ GET "Connection:\r\n" END, HTTP_BODY_NONE, 0, true, false, NULL },
	{ POST "Content-Length: 0\r\n" END, HTTP_BODY_LENGTH, 0, true, false, NULL },
	{ POST "content-LENGTH:\t 42 \t\r\n" END, HTTP_BODY_LENGTH, 42, true, false, NULL },
	{ POST "Content-Length: 9223372036854775807\r\n" END, HTTP_BODY_LENGTH, INT64_MAX, true, false, NULL },
	{ POST "Transfer-Encoding: chunked\r\n" END, HTTP_BODY_CHUNKED, 0, true, false, NULL },
	{ POST "TRANSFER-encoding:CHUNKED\r\n" END, HTTP_BODY_CHUNKED, 0, true, false, NULL },
	{ POST "Content-Length: 3\r\nExpect: 100-Continue\r\n" END, HTTP_BODY_LENGTH, 3, true, true, NULL },
	{ GET "Expect: 100-continue\r\n" END, HTTP_BODY_NONE, 0, true, false, NULL },
	{ OLD "Content-Length: 3\r\nExpect: 100-continue\r\n" END, HTTP_BODY_LENGTH, 3, false, false, NULL },
	{ GET "Connection: Upgrade\r\nUpgrade: websocket\r\n" END, HTTP_BODY_NONE, 0, true, false, "websocket" },
	{ GET "Upgrade: websocket\r\n" END, HTTP_BODY_NONE, 0, true, false, NULL },
	{ GET "Connection: Upgrade\r\n" END, HTTP_BODY_NONE, 0, true, false, NULL },
	{ GET "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n" END, HTTP_BODY_NONE, 0, true, false, NULL },
	{ "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", HTTP_BODY_NONE, 0, false, false, NULL },
	{ "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 0\r\n\r\n", HTTP_BODY_LENGTH, 0, true, false, NULL },
	{ "M-SEARCH!#$%&'*+.^_`|~09 * HTTP/1.1\r\nHost:\r\n\r\n", HTTP_BODY_NONE, 0, true, false, NULL },
	{ GET "A: \xff\xfe caf\xc3\xa9 \"q\" \t x\r\nEmpty:\r\n" END, HTTP_BODY_NONE, 0, true, false, NULL },
};

static void check_good(const struct good_row *row)
{
	const size_t n = strlen(row->text);
	struct span s = exact(row->text, n);
	enum http_bad bad;

	if (http_request_parse(s, &head, &bad) != WIRE_DONE)
		fail_msg("%s: %s", row->text, http_bad_text(bad));
	assert_int_equal(bad, HTTP_BAD_NONE);
	assert_int_equal(head.size, n);
	if (head.framing != row->framing || head.length != row->length)
		fail_msg("%s: framing %d, length %ju", row->text, head.framing, (uintmax_t)head.length);
	if (head.persistent != row->persistent || head.expect_continue != row->expect)
		fail_msg("%s: persistent %d, expect %d", row->text, head.persistent, head.expect_continue);
	if (row->upgrade ? !head.upgrade.p || !span_eq(head.upgrade, span_of(row->upgrade)) : head.upgrade.p != NULL)
		fail_msg("%s: upgrade \"%.*s\"", row->text, (int)head.upgrade.n, head.upgrade.p);
	exact_free(s);
	for (size_t i = 0; i < n; i++) {
		s = exact(row->text, i);
		if (http_request_parse(s, &head, &bad) != WIRE_MORE)
			fail_msg("%s: not MORE after %zu bytes", row->text, i);
		exact_free(s);
	}
}

static void right_requests_are_read(void **state)
{
	for (size_t i = 0; i < sizeof good_requests / sizeof *good_requests; i++)
		check_good(&good_requests[i]);
}

static void a_request_is_taken_apart(void **state)
{
	static const char text[] = "GET /p?q HTTP/1.1\r\nHost:\t a.test:80 \r\nX-Empty:\r\nX: a  b\t \r\n\r\nNEXT / HTTP/1.1\r\n";
	enum http_bad bad;

	assert_int_equal(http_request_parse(span_of(text), &head, &bad), WIRE_DONE);
	assert_true(span_eq(head.method, SPAN_LITERAL("GET")));
	assert_true(span_eq(head.target, SPAN_LITERAL("/p?q")));
	assert_true(span_eq(head.host, SPAN_LITERAL("a.test:80")));
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.field_count, 3);
	assert_int_equal(head.size, strstr(text, "NEXT") - text);
	assert_true(span_eq(head.fields[1].name, SPAN_LITERAL("X-Empty")));
	assert_true(span_eq(head.fields[1].value, SPAN_LITERAL("")));
	assert_true(span_eq(http_field_find(&head, SPAN_LITERAL("x"))->value, SPAN_LITERAL("a  b")));
	assert_null(http_field_find(&head, SPAN_LITERAL("y")));
}

struct reply_row {
	const char *text;
	bool for_head, for_connect;
	enum http_framing framing;
	uint64_t length;
	bool persistent;
};

static const struct reply_row replies[] = {
	{ OK "Content-Length: 7\r\n" END, false, false, HTTP_BODY_LENGTH, 7, true },
	{ OK "Content-Length: 7\r\n" END, true, false, HTTP_BODY_NONE, 0, true },
	{ OK "Transfer-Encoding: chunked\r\n" END, false, false, HTTP_BODY_CHUNKED, 0, true },
	{ OK "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n" END, false, false, HTTP_BODY_CHUNKED, 0, true },
	{ OK "Transfer-Encoding: chunked\r\n" END, true, false, HTTP_BODY_NONE, 0, true },
	{ OK END, false, false, HTTP_BODY_CLOSE, 0, false },
	{ OK END, true, false, HTTP_BODY_NONE, 0, true },
	{ OK END, false, true, HTTP_BODY_NONE, 0, true },
	{ OK "Content-Length: 7\r\n" END, false, true, HTTP_BODY_NONE, 0, true },
	{ "HTTP/1.1 407 No\r\nContent-Length: 7\r\n\r\n", false, true, HTTP_BODY_LENGTH, 7, true },
	{ "HTTP/1.1 204 No Content\r\n\r\n", false, false, HTTP_BODY_NONE, 0, true },
	{ "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", false, false, HTTP_BODY_NONE, 0, true },
	{ "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, false, HTTP_BODY_NONE, 0, false },
	{ "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false, false, HTTP_BODY_NONE, 0, false },
	{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, false, HTTP_BODY_NONE, 0, true },
	{ "HTTP/1.1 100 Continue\r\n\r\n", false, false, HTTP_BODY_NONE, 0, true },
	{ "HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false, false, HTTP_BODY_NONE, 0, true },
	{ "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", false, false, HTTP_BODY_LENGTH, 1, true },
	{ "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n", false, false, HTTP_BODY_LENGTH, 1, true },
	{ "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false, false, HTTP_BODY_LENGTH, 1, false },
	{ "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", false, false, HTTP_BODY_LENGTH, 1, true },
	{ "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false, false, HTTP_BODY_CLOSE, 0, false },
	{ OK "Connection: close\r\nContent-Length: 1\r\n" END, false, false, HTTP_BODY_LENGTH, 1, false },
	{ OK "Host: a\r\nHost: b\r\nExpect: x\r\nContent-Length: 1\r\n" END, false, false, HTTP_BODY_LENGTH, 1, true },
};

static void replies_are_framed(void **state)
{
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		const struct reply_row *row = &replies[i];
		enum http_bad bad;

		if (http_reply_parse(span_of(row->text), row->for_head, row->for_connect, &head, &bad) != WIRE_DONE)
			fail_msg("%s: %s", row->text, http_bad_text(bad));
		assert_int_equal(head.size, strlen(row->text));
		assert_int_equal(head.status, atoi(row->text + 9));
		if (head.framing != row->framing || head.length != row->length || head.persistent != row->persistent)
			fail_msg("%s: framing %d, length %ju, persistent %d", row->text, head.framing, (uintmax_t)head.length,
				 head.persistent);
		for (size_t n = 0; n < strlen(row->text); n++)
			if (parse(true, row->text, n, &bad) != WIRE_MORE)
				fail_msg("%s: not MORE after %zu bytes", row->text, n);
	}
	enum http_bad bad;
	assert_int_equal(http_reply_parse(SPAN_LITERAL("HTTP/1.1 404 Not  Found\xe4\r\n\r\n"), false, false, &head, &bad),
			 WIRE_DONE);
	assert_true(span_eq(head.reason, SPAN_LITERAL("Not  Found\xe4")));
}

/* Fields whose value is "drop" must be dropped, all others kept. */
static const char *const hop_requests[] = {
	GET "Connection: x-a, Keep-Alive\r\nX-A: drop\r\nx-a: drop\r\nX-AB: keep\r\nKeep-Alive: drop\r\n" END,
	GET "Proxy-Connection: drop\r\nProxy-Authorization: drop\r\nproxy-x: drop\r\nProxy: keep\r\nTE: drop\r\n" END,
	GET "Upgrade: drop\r\nTrailer: keep\r\nCookie: keep\r\nAuthorization: keep\r\nVia: keep\r\n" END,
	POST "Content-Length: 4\r\nContent-Type: keep\r\n" END,
	GET "X-Last: drop\r\nConnection: close\r\nConnection: x-last\r\n" END,
	GET "Connection: te, upgrade, cookie\r\nTE: drop\r\nCookie: drop\r\nCookie2: keep\r\n" END,
};

static void hop_by_hop_fields_are_told(void **state)
{
	enum http_bad bad;

	for (size_t row = 0; row < sizeof hop_requests / sizeof *hop_requests; row++) {
		assert_int_equal(http_request_parse(span_of(hop_requests[row]), &head, &bad), WIRE_DONE);
		for (size_t i = 0; i < head.field_count; i++) {
			const struct http_field *f = &head.fields[i];
			const bool want = span_eq(f->value, SPAN_LITERAL("drop")) || span_eq(f->name, SPAN_LITERAL("Host")) ||
					  span_eq(f->name, SPAN_LITERAL("Connection"));

			if (http_field_is_hop_by_hop(&head, i) != want)
				fail_msg("row %zu: %.*s %s", row, (int)f->name.n, f->name.p, want ? "kept" : "dropped");
		}
	}
	assert_int_equal(http_request_parse(SPAN_LITERAL(OLD "Expect: 100-continue\r\nContent-Length: 1\r\n" END), &head, &bad),
			 WIRE_DONE);
	assert_true(http_field_is_hop_by_hop(&head, 0));
	assert_false(http_field_is_hop_by_hop(&head, 1));
	assert_int_equal(http_reply_parse(SPAN_LITERAL("HTTP/1.1 204 x\r\nHost: a\r\nContent-Length: 0\r\nProxy-Status: x\r\n\r\n"),
					  false, false, &head, &bad),
			 WIRE_DONE);
	assert_false(http_field_is_hop_by_hop(&head, 0));
	assert_true(http_field_is_hop_by_hop(&head, 1));
	assert_true(http_field_is_hop_by_hop(&head, 2));
}

static size_t make_fields(char *text, size_t count)
{
	size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");

	for (size_t i = 1; i < count; i++)
		n += (size_t)sprintf(text + n, "N%zu: v\r\n", i);
	return n + (size_t)sprintf(text + n, "\r\n");
}

static void limits_hold_exactly(void **state)
{
	static char text[HTTP_HEAD_MAX + 64];
	enum http_bad bad;
	size_t n = make_fields(text, HTTP_FIELDS_MAX);

	assert_int_equal(http_request_parse((struct span) { text, n }, &head, &bad), WIRE_DONE);
	assert_int_equal(head.field_count, HTTP_FIELDS_MAX);
	n = make_fields(text, HTTP_FIELDS_MAX + 1);
	assert_int_equal(http_request_parse((struct span) { text, n }, &head, &bad), WIRE_BAD);
	assert_int_equal(bad, HTTP_BAD_TOO_MANY_FIELDS);
	/* The last field of all can be named by Connection: the bit is there. */
	n = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\n");
	for (size_t i = 2; i < HTTP_FIELDS_MAX; i++)
		n += (size_t)sprintf(text + n, i == HTTP_FIELDS_MAX - 1 ? "X: v\r\n" : "Y: v\r\n");
	n += (size_t)sprintf(text + n, "\r\n");
	assert_int_equal(http_request_parse((struct span) { text, n }, &head, &bad), WIRE_DONE);
	assert_true(http_field_is_hop_by_hop(&head, HTTP_FIELDS_MAX - 1));
	assert_false(http_field_is_hop_by_hop(&head, HTTP_FIELDS_MAX - 2));

	for (size_t over = 0; over <= 1; over++) { /* a head of exactly 64 KiB, and one more */
		const size_t size = HTTP_HEAD_MAX + over;

		memset(text, 'v', sizeof text);
		memcpy(text, GET "A: ", sizeof GET + 2);
		memcpy(text + size - 4, "\r\n\r\n", 4);
		assert_int_equal(http_request_parse((struct span) { text, size }, &head, &bad), over ? WIRE_BAD : WIRE_DONE);
		assert_int_equal(bad, over ? HTTP_BAD_TOO_LARGE : HTTP_BAD_NONE);
		assert_int_equal(http_request_parse((struct span) { text, HTTP_HEAD_MAX - 1 }, &head, &bad), WIRE_MORE);
	}
}

static void garbage_is_refused_by_its_first_bytes(void **state)
{
	enum http_bad bad;

	assert_int_equal(http_request_parse(SPAN_LITERAL("\x16"), &head, &bad), WIRE_BAD);
	assert_int_equal(http_request_parse(SPAN_LITERAL("GET http://a\x01"), &head, &bad), WIRE_BAD);
	assert_int_equal(http_request_parse(SPAN_LITERAL("GET / FTP"), &head, &bad), WIRE_BAD);
	assert_int_equal(http_reply_parse(SPAN_LITERAL("SSH"), false, false, &head, &bad), WIRE_BAD);
	assert_int_equal(http_reply_parse(SPAN_LITERAL("HTTP/1.1 9"), false, false, &head, &bad), WIRE_MORE);
	assert_int_equal(http_request_parse((struct span) { NULL, 0 }, &head, &bad), WIRE_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_forms_are_refused_by_name),
		cmocka_unit_test(no_control_byte_passes_anywhere),
		cmocka_unit_test(right_requests_are_read),
		cmocka_unit_test(a_request_is_taken_apart),
		cmocka_unit_test(replies_are_framed),
		cmocka_unit_test(hop_by_hop_fields_are_told),
		cmocka_unit_test(limits_hold_exactly),
		cmocka_unit_test(garbage_is_refused_by_its_first_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
