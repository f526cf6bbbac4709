/* Hosts and ports: what is accepted is canonical, in our alphabet and lengths, and parses to itself; what is refused leaves the
 * outputs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* The text as a client would write it. */
static size_t written(const struct host *h, char buf[static 300])
{
	const bool six = h->kind == HOST_ADDRESS && h->addr.family == 6;

	return (size_t)snprintf(buf, 300, "%s%s%s", six ? "[" : "", h->text, six ? "]" : "");
}

static void check_host(const struct host *h)
{
	char buf[300];
	struct host again;

	check(h->length == strlen(h->text) && h->length >= 1 && h->length <= 253);
	if (h->kind == HOST_NAME) {
		check(strspn(h->text, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == h->length);
		check(h->text[0] != '.' && h->text[h->length - 1] != '.' && !strstr(h->text, ".."));
		check(!ip_parse(span_of(h->text), &again.addr));
	}
	check(host_parse((struct span) { buf, written(h, buf) }, &again) == HOST_OK);
	check(host_equal(h, &again) && strcmp(h->text, again.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span raw = { (const char *)data, size };
	struct host h = { .length = 211 };
	uint16_t port = 0, again_port = 0;

	if (host_parse(raw, &h) == HOST_OK)
		check_host(&h);
	else
		check(h.length == 211);
	for (unsigned standard = 0; standard < 444; standard += 443) {
		char buf[300];
		struct host again;
		size_t n;

		h.length = 211;
		port = 7;
		if (host_port_parse(raw, (uint16_t)standard, &h, &port) != HOST_OK) {
			check(h.length == 211 && port == 7);
			continue;
		}
		check(port != 0);
		check_host(&h);
		n = written(&h, buf);
		n += (size_t)snprintf(buf + n, sizeof buf - n, ":%u", port);
		check(host_port_parse((struct span) { buf, n }, 0, &again, &again_port) == HOST_OK);
		check(host_equal(&h, &again) && port == again_port);
	}
	return 0;
}
