/* Chunked bodies. The outcome and the number of bytes used are the same when fed whole, byte by byte, or cut in pieces; and
 * what is accepted to its end, a naive reader accepts with the same end. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/http_chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces of `step` bytes, each in memory of its own. */
static enum wire_result feed(struct span in, size_t step, size_t *ret_used)
{
	struct http_chunked c = { 0 };
	enum wire_result r = WIRE_MORE;
	size_t at = 0;

	while (r == WIRE_MORE && at < in.n) {
		const size_t n = step < in.n - at ? step : in.n - at;
		char *copy = malloc(n);
		size_t used;

		assert(copy);
		memcpy(copy, in.p + at, n);
		r = http_chunked_feed(&c, (struct span) { copy, n }, &used);
		free(copy);
		assert(used <= n && (r != WIRE_MORE || used == n));
		at += used;
	}
	*ret_used = at;
	return r;
}

/* Where the body ends, read the lax way: size by strtoull, lines by their LF. */
static size_t naive_end(const char *p, size_t n)
{
	size_t at = 0;

	for (;;) {
		char *text = strndup(p + at, n - at);
		const unsigned long long chunk = strtoull(text, NULL, 16);
		const char *lf = memchr(p + at, '\n', n - at);

		free(text);
		at = (size_t)(lf - p) + 1;
		if (chunk == 0)
			break;
		at += chunk + 2;
	}
	for (;;) {
		const size_t start = at;
		const char *lf = memchr(p + at, '\n', n - at);

		at = (size_t)(lf - p) + 1;
		if (at - start == 2)
			return at;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = { (const char *)data, size };
	const size_t steps[] = { 1, 2, 3, 7, size / 2 + 1, size > 0 ? 1 + data[size - 1] : 1 };
	size_t used, used_again;
	const enum wire_result r = feed(in, size + 1, &used);

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		assert(feed(in, steps[i], &used_again) == r);
		assert(used_again == used);
	}
	if (r == WIRE_DONE)
		assert(naive_end(in.p, in.n) == used);
	return 0;
}
