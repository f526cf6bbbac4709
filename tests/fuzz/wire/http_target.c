/* Request targets. What passes consists of safe bytes only, and put together again is what was given. The first byte chooses
 * CONNECT or not. */
#include <assert.h>
#include <stdint.h>

#include "wire/http_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_absolute(struct span in, const struct http_target *t)
{
	const struct span rest = span_skip(in, 7);

	assert(span_eq_nocase(span_first(in, 7), SPAN_LITERAL("http://")));
	assert(t->authority.p == rest.p && t->authority.n > 0 && t->path.p[0] == '/');
	assert(t->path_absent ? t->authority.n == rest.n : t->authority.n + t->path.n == rest.n);
	assert(t->path_absent || t->path.p == rest.p + t->authority.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_target t;
	const bool connect = size > 0 && data[0] == 'C';
	const struct span in = { (const char *)data + (size > 0), size - (size > 0) };

	if (!http_target_parse(in, connect, &t))
		return 0;
	for (size_t i = 0; i < in.n; i++)
		assert((uint8_t)in.p[i] > ' ' && (uint8_t)in.p[i] < 0x7f && !memchr("\\#\"<>^`{|}", in.p[i], 10));
	for (size_t i = 0; i < t.authority.n; i++)
		assert(!memchr("@/?%", t.authority.p[i], 4));
	assert(connect == (t.form == HTTP_TARGET_AUTHORITY));
	if (t.form == HTTP_TARGET_ABSOLUTE)
		check_absolute(in, &t);
	else if (t.form == HTTP_TARGET_AUTHORITY)
		assert(span_eq(t.authority, in) && t.path.n == 0 && memchr(in.p, ':', in.n));
	else
		assert(span_eq(t.path, in) && t.authority.n == 0 && (in.p[0] == '/' || in.n == 1));
	return 0;
}
