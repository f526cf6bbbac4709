/* TLS greetings. No verdict on a prefix is taken back by what follows; and the greeting's message, cut anew into records of
 * another size, says the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum wire_result parse(const uint8_t *p, size_t n, struct tls_hello *h)
{
	char *copy = malloc(n ? n : 1);
	enum wire_result r;

	assert(copy);
	memcpy(copy, p, n);
	r = tls_hello_parse((struct span) { copy, n }, h);
	free(copy);
	return r;
}

/* The handshake bytes out of the records of an accepted greeting. */
static size_t unpack(const uint8_t *p, size_t n, uint8_t *out)
{
	size_t at = 0, have = 0;

	while (have < 4 || have < 4 + ((size_t)out[2] << 8 | out[3])) {
		const size_t size = (size_t)p[at + 3] << 8 | p[at + 4];

		assert(at + 5 + size <= n);
		memcpy(out + have, p + at + 5, size);
		have += size;
		at += 5 + size;
	}
	return have;
}

static size_t pack(const uint8_t *message, size_t n, size_t each, uint8_t *out)
{
	size_t to = 0;

	for (size_t at = 0; at < n; at += each) {
		const size_t size = each < n - at ? each : n - at;

		memcpy(out + to, "\x16\x03\x03", 3);
		out[to + 3] = (uint8_t)(size >> 8);
		out[to + 4] = (uint8_t)size;
		memcpy(out + to + 5, message + at, size);
		to += size + 5;
	}
	return to;
}

static void check_segments(const uint8_t *data, size_t size, const struct tls_hello *want)
{
	static uint8_t message[TLS_HELLO_MAX], packed[6 * TLS_HELLO_MAX];
	static const size_t sizes[] = { 16384, 1, 5, 64 };
	const size_t n = unpack(data, size, message);

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const size_t m = pack(message, n, sizes[i], packed);
		struct tls_hello h = { .name_length = 0 };

		if (m > TLS_HELLO_MAX)
			continue;
		assert(parse(packed, m - 1, &h) == WIRE_MORE);
		assert(parse(packed, m, &h) == WIRE_DONE);
		assert(h.name_length == want->name_length && strcmp(h.name, want->name) == 0 && h.has_ech == want->has_ech &&
		       h.size == m);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_hello whole = { .name_length = 0 }, part = { .name_length = 0 };
	const enum wire_result r = parse(data, size, &whole);
	const size_t step = size > 256 ? size / 64 : 1;

	if (r == WIRE_DONE)
		assert(whole.name_length < sizeof whole.name && strlen(whole.name) == whole.name_length && whole.size <= size);
	for (size_t n = 0; n < size; n += step) {
		const enum wire_result p = parse(data, n, &part);

		if (p == WIRE_MORE)
			continue;
		assert(p == r);
		if (p == WIRE_DONE)
			assert(strcmp(part.name, whole.name) == 0 && part.has_ech == whole.has_ech && part.size == whole.size);
	}
	if (r == WIRE_DONE)
		check_segments(data, size, &whole);
	return 0;
}
