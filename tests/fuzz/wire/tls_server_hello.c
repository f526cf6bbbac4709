/* A server's first words. No verdict on a prefix is taken back by what follows, and only a message with the one random number of a
 * HelloRetryRequest is one. The same bytes as what stands between greetings: what is passed is whole records of harmless types. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/tls_server_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span copy_of(const uint8_t *p, size_t n)
{
	char *copy = malloc(n ? n : 1);

	assert(copy);
	memcpy(copy, p, n);
	return (struct span) { copy, n };
}

static enum wire_result parse(const uint8_t *p, size_t n, struct tls_server_hello *h)
{
	const struct span s = copy_of(p, n);
	const enum wire_result r = tls_server_hello_parse(s, h);

	free((void *)s.p);
	return r;
}

static void check_between(const uint8_t *data, size_t size, bool early_data)
{
	const struct span s = copy_of(data, size);
	size_t passed = 0, at = 0;
	const enum wire_result r = tls_between_parse(s, early_data, &passed);

	assert(passed <= size);
	while (at < passed) {
		assert(data[at] == 20 || data[at] == 21 || (early_data && data[at] == 23));
		at += 5 + ((size_t)data[at + 3] << 8 | data[at + 4]);
	}
	assert(at == passed);
	assert(r != WIRE_DONE || data[at] == 22);
	free((void *)s.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_server_hello whole, part;
	const enum wire_result r = parse(data, size, &whole);
	const size_t step = size > 256 ? size / 64 : 1;

	if (r == WIRE_DONE && whole.retry)
		assert(whole.size <= size && parse(data, whole.size, &part) == WIRE_DONE &&
		       parse(data, whole.size - 1, &part) == WIRE_MORE);
	for (size_t n = 0; n < size; n += step) {
		const enum wire_result p = parse(data, n, &part);

		assert(p == WIRE_MORE || p == r);
		if (p == WIRE_DONE)
			assert(part.retry == whole.retry && part.size == whole.size);
	}
	check_between(data, size, true);
	check_between(data, size, false);
	return 0;
}
