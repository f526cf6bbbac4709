/* Address texts: what is parsed is what libc parses, and its canonical text parses to the same address. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>

#include "policy/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_net(struct span text)
{
	struct ip_net net, again;
	char buf[IP_TEXT_MAX + 8];
	size_t n;

	if (!ip_net_parse(text, &net))
		return;
	check(ip_in_net(&net.addr, &net) && net.prefix <= (net.addr.family == 4 ? 32 : 128));
	n = strlen(ip_format(&net.addr, buf));
	buf[n++] = '/';
	for (unsigned unit = net.prefix >= 100 ? 100 : net.prefix >= 10 ? 10 : 1; unit; unit /= 10)
		buf[n++] = (char)('0' + net.prefix / unit % 10);
	check(ip_net_parse((struct span) { buf, n }, &again) && again.prefix == net.prefix && ip_equal(&again.addr, &net.addr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span text = { (const char *)data, size };
	struct ip_addr a, again, inner;
	struct ip_net form;
	uint8_t bytes[16] = { 0 };
	char buf[IP_TEXT_MAX], c[64] = "";
	const bool ok = ip_parse(text, &a), plain = size < sizeof c && !(size && memchr(data, '\0', size));

	if (plain && size)
		memcpy(c, data, size);
	if (plain)
		check(ok == (inet_pton(strchr(c, ':') ? AF_INET6 : AF_INET, c, bytes) == 1));
	check_net(text);
	if (!ok)
		return 0;
	check(plain && memcmp(bytes, a.bytes, 16) == 0);
	check(ip_parse(span_of(ip_format(&a, buf)), &again) && ip_equal(&a, &again));
	if (ip_embedded(&a, &inner, &form))
		check(ip_special(&a) && ip_in_net(&a, &form) && inner.family == 4);
	return 0;
}
