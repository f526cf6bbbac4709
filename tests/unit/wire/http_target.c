/* Request targets: each form, and everything that could hide a second host in one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/http_target.h"

struct row {
	const char *target;
	bool connect;
	enum http_target_form form;
	const char *authority, *path;
};

static const struct row good[] = {
	{ "/", false, HTTP_TARGET_ORIGIN, "", "/" },
	{ "/a/b?c=d&e[f]=%20:@!$'()*+,;~", false, HTTP_TARGET_ORIGIN, "", "/a/b?c=d&e[f]=%20:@!$'()*+,;~" },
	{ "//b.test/", false, HTTP_TARGET_ORIGIN, "", "//b.test/" },
	{ "/http://b.test/", false, HTTP_TARGET_ORIGIN, "", "/http://b.test/" },
	{ "*", false, HTTP_TARGET_ASTERISK, "", "*" },
	{ "http://a.test/x?y", false, HTTP_TARGET_ABSOLUTE, "a.test", "/x?y" },
	{ "HtTp://A.test:8080/", false, HTTP_TARGET_ABSOLUTE, "A.test:8080", "/" },
	{ "http://a.test", false, HTTP_TARGET_ABSOLUTE, "a.test", "/" },
	{ "http://a.test//x@y", false, HTTP_TARGET_ABSOLUTE, "a.test", "//x@y" },
	{ "http://[2001:db8::1]:80/x", false, HTTP_TARGET_ABSOLUTE, "[2001:db8::1]:80", "/x" },
	{ "http://a.test:/x", false, HTTP_TARGET_ABSOLUTE, "a.test:", "/x" }, /* policy/host.h refuses the empty port */
	{ "a.test:443", true, HTTP_TARGET_AUTHORITY, "a.test:443", "" },
	{ "[2001:db8::1]:443", true, HTTP_TARGET_AUTHORITY, "[2001:db8::1]:443", "" },
};

static const struct row bad[] = {
	{ .target = "" },
	{ .target = "a.test" },
	{ .target = "a.test:443" },
	{ .target = "**" },
	{ .target = "?x" },
	{ .target = "https://a.test/" },
	{ .target = "ftp://a.test/" },
	{ .target = "http:/a.test/" },
	{ .target = "http:a.test" },
	{ .target = "http://" },
	{ .target = "http:///x" },
	{ .target = "http://:80/" },
	{ .target = "http://?x" },
	{ .target = "http://a.test?x" },
	{ .target = "http://a.test#x" },
	{ .target = "http://a.test/#x" },
	{ .target = "/#x" },
	{ .target = "http://u@a.test/" },
	{ .target = "http://a.test@b.test/" },
	{ .target = "http://u:p@a.test/" },
	{ .target = "http://a.test\\@b.test/" },
	{ .target = "http://a.test\\x" },
	{ .target = "http:\\\\a.test\\" },
	{ .target = "/\\a" },
	{ .target = "http://a%2etest/" },
	{ .target = "http://a.test%00.b.test/" },
	{ .target = "http://[fe80::1%25eth0]/" },
	{ .target = "http://a b.test/" },
	{ .target = "http://a\tb/" },
	{ .target = "http://\xc3\xa4.test/" },
	{ .target = "http://a.test/\xc3\xa4" },
	{ .target = "/%" },
	{ .target = "/%4" },
	{ .target = "/%4g" },
	{ .target = "/%%41" },
	{ .target = "/a%zz" },
	{ .target = "/a b" },
	{ .target = "/<x>" },
	{ .target = "/\"x\"" },
	{ .target = "/{x}" },
	{ .target = "/x|y" },
	{ .target = "/x^y" },
	{ .target = "/`x`" },
	{ .target = "/x\x01" },
	{ .target = "/x\x7f" },
	{ .target = "", .connect = true },
	{ .target = "a.test", .connect = true },
	{ .target = "a.test:", .connect = true },
	{ .target = ":443", .connect = true },
	{ .target = "443", .connect = true },
	{ .target = "a.test:+443", .connect = true },
	{ .target = "a.test:443443", .connect = true },
	{ .target = "a.test:https", .connect = true },
	{ .target = "a.test:443/", .connect = true },
	{ .target = "/a.test:443", .connect = true },
	{ .target = "http://a.test:443", .connect = true },
	{ .target = "u@a.test:443", .connect = true },
	{ .target = "a.test:443?x", .connect = true },
	{ .target = "a.test#:443", .connect = true },
	{ .target = "a.test\\:443", .connect = true },
	{ .target = "a%2etest:443", .connect = true },
	{ .target = "*", .connect = true },
};

static void each_form_is_taken_apart(void **state)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const struct span s = exact(good[i].target, strlen(good[i].target));
		struct http_target t;

		if (!http_target_parse(s, good[i].connect, &t))
			fail_msg("%s: refused", good[i].target);
		if (t.form != good[i].form || !span_eq(t.authority, span_of(good[i].authority)) ||
		    !span_eq(t.path, span_of(good[i].path)))
			fail_msg("%s: form %d, authority \"%.*s\", path \"%.*s\"", good[i].target, t.form, (int)t.authority.n,
				 t.authority.p, (int)t.path.n, t.path.p);
		assert_int_equal(t.path_absent, strcmp(good[i].target, "http://a.test") == 0);
		exact_free(s);
	}
}

static void whatever_hides_something_is_refused(void **state)
{
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const struct span s = exact(bad[i].target, strlen(bad[i].target));
		struct http_target t;

		if (http_target_parse(s, bad[i].connect, &t))
			fail_msg("%s: passes", bad[i].target);
		exact_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_taken_apart),
		cmocka_unit_test(whatever_hides_something_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
