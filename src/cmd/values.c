#include "cmd/values.h"

#include <stdlib.h>

#include "cmd/say.h"
#include "policy/host.h"

enum { DURATION_MAX_MS = 1000 * 60 * 60 * 24 * 20 };

/* Digits at the start of text; *rest is what follows. */
static bool leading_number(const char *text, uint64_t *ret, const char **rest)
{
	const size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 15)
		return false;
	*ret = strtoull(text, NULL, 10);
	*rest = text + n;
	return true;
}

bool size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	const char *rest;
	uint64_t n;

	if (!leading_number(text, &n, &rest) || n == 0)
		return false;
	const char unit = ascii_lower(rest[0]);

	if (unit) {
		unsigned shift = 0;

		for (unsigned i = 0; units[i]; i++)
			if (ascii_lower(units[i]) == unit)
				shift = 10 * (i + 1);
		if (shift == 0 || (strcmp(rest + 1, "") != 0 && strcmp(rest + 1, "i") != 0 && strcmp(rest + 1, "iB") != 0))
			return false;
		if (n > UINT64_MAX >> (shift + 1))
			return false;
		n <<= shift;
	}
	*ret = n;
	return true;
}

bool duration_parse(const char *text, uint32_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 60 * 60 * 1000 } };
	const char *rest;
	uint64_t n;

	if (!leading_number(text, &n, &rest) || n == 0 || n > DURATION_MAX_MS)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(units[i].unit, rest) == 0 && n * units[i].ms <= DURATION_MAX_MS) {
			*ret_ms = (uint32_t)(n * units[i].ms);
			return true;
		}
	return false;
}

int dns_check(const char *verb, const struct strings *dns)
{
	for (size_t i = 0; i < dns->count; i++) {
		const struct span text = span_of(dns->items[i]);
		struct ip_addr address;
		struct host host;
		uint16_t port;

		if (ip_parse(text, &address) || (host_port_parse(text, 53, &host, &port) == HOST_OK && host.kind == HOST_ADDRESS))
			continue;
		return say_error(verb, "--dns takes an address, as in 1.2.3.4, 1.2.3.4:5353 or [2001:db8::1]:53, not '%.60s'",
				 dns->items[i]);
	}
	return -1;
}

int limits_read(const char *verb, const struct strings *given, struct gate_limits *ret)
{
	struct err err;

	limits_default(ret);
	for (size_t i = 0; i < given->count; i++)
		if (limits_set(ret, given->items[i], &err) < 0)
			return say_error(verb, "--limit %.80s: %s", given->items[i], err.text);
	return -1;
}
