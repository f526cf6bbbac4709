/* SOCKS greetings and requests. The first byte chooses which. No verdict on a prefix is taken back by what follows, a whole message is
 * as long as its own bytes say, and a request put together again from what was read is what was given. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answer {
	enum wire_result result;
	enum socks_bad bad;
	struct socks_greeting greeting;
	struct socks_request request;
};

/* In memory of exactly that size; the address's span is not for use afterwards. */
static struct answer parse(bool greeting, const uint8_t *p, size_t n)
{
	struct answer a = { .bad = SOCKS_BAD_NONE };
	char *copy = malloc(n ? n : 1);

	assert(copy);
	memcpy(copy, p, n);
	a.result = greeting ? socks_greeting_parse((struct span) { copy, n }, &a.greeting, &a.bad)
			    : socks_request_parse((struct span) { copy, n }, &a.request, &a.bad);
	if (a.result == WIRE_DONE && !greeting)
		a.request.address.p = (const char *)p + (a.request.address.p - copy);
	free(copy);
	return a;
}

static void check_request(const uint8_t *p, const struct socks_request *q)
{
	const size_t at = q->type == SOCKS_NAME ? 5 : 4;

	assert(p[0] == 5 && p[1] == q->command && p[2] == 0 && p[3] == q->type);
	assert(q->address.p == (const char *)p + at && q->size == at + q->address.n + 2);
	assert(q->type == SOCKS_ADDRESS_V4   ? q->address.n == 4
	       : q->type == SOCKS_ADDRESS_V6 ? q->address.n == 16
					     : q->address.n == p[4] && q->address.n > 0 && q->address.n <= SOCKS_NAME_MAX);
	assert(p[q->size - 2] == q->port >> 8 && p[q->size - 1] == (q->port & 0xff));
}

static void check_greeting(const uint8_t *p, const struct socks_greeting *g)
{
	bool none = false;

	assert(p[0] == 5 && p[1] > 0 && g->size == 2U + p[1]);
	for (size_t i = 2; i < g->size; i++)
		none = none || p[i] == 0;
	assert(g->offers_none == none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const bool greeting = size > 0 && data[0] == 'G';
	const uint8_t *p = data + (size > 0);
	const size_t n = size - (size > 0);
	const struct answer whole = parse(greeting, p, n);
	const size_t needed = greeting ? whole.greeting.size : whole.request.size;

	assert((whole.result == WIRE_BAD) == (whole.bad != SOCKS_BAD_NONE));
	if (whole.result == WIRE_DONE && greeting)
		check_greeting(p, &whole.greeting);
	else if (whole.result == WIRE_DONE)
		check_request(p, &whole.request);
	for (size_t i = 0; i < n && i < 300; i++) {
		const struct answer part = parse(greeting, p, i);

		if (whole.result == WIRE_DONE)
			assert(part.result == (i < needed ? WIRE_MORE : WIRE_DONE));
		else
			assert(part.result == WIRE_MORE || (part.result == whole.result && part.bad == whole.bad));
	}
	return 0;
}
