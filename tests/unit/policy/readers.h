/* Every reader of a policy block, called with everything it can be asked: for blocks that somebody has tampered with. What they
 * answer does not matter here; that they stay inside the block is what the sanitizers see. */
#ifndef STOCKADE_TESTS_POLICY_READERS_H
#define STOCKADE_TESTS_POLICY_READERS_H

#include <stdlib.h>

#include "policy/decide.h"

static inline void readers_ask(const struct snapshot *s, uint32_t client)
{
	static const char *const hosts[] = { "a",
					     "b.a",
					     "example.com",
					     "www.example.com",
					     "x.y.z.python.org",
					     "10.0.0.5",
					     "192.168.7.9",
					     "[2001:db8::1]",
					     "[::ffff:10.0.0.5]",
					     "[::1]",
					     "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a" };
	static const uint16_t ports[] = { 0, 80, 443, 8000, 65535 };

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct host h;

		if (host_parse(span_of(hosts[i]), &h) != HOST_OK)
			abort();
		for (size_t k = 0; k < sizeof ports / sizeof *ports; k++) {
			const struct verdict v = policy_decide(s, client, HOST_OK, &h, ports[k]);

			if (v.allow != (v.reason == REASON_ALLOWED) || (v.any_protocol && !v.allow))
				abort();
			if (h.kind == HOST_ADDRESS)
				(void)policy_decide_address(s, client, &h.addr, ports[k]);
		}
	}
}

/* A block that opens has at most as many rules as it has bytes; `most` bounds the walk for the fuzzer's sake. */
static inline size_t readers_call_all(const struct snapshot *s, uint32_t most)
{
	const uint32_t clients = snapshot_client_count(s);
	struct ip_addr v4, v6;
	char text[400];
	size_t sum = 0;

	for (uint32_t i = 0; i < clients + 1 && i < most; i++) {
		const char *name = snapshot_client_name(s, i);

		if (name)
			sum += strlen(name) + snapshot_client(s, span_of(name));
		sum += snapshot_rule_count(s, i);
		readers_ask(s, i);
	}
	readers_ask(s, CLIENT_NONE);
	for (uint32_t i = 0; i < most; i++) {
		const char *file = snapshot_rule_file(s, i);

		if (!file)
			break;
		sum += strlen(file) + snapshot_rule_line(s, i) + strlen(snapshot_rule_text(s, i, text, sizeof text)) +
		       strlen(snapshot_rule_text(s, i, text, 5));
	}
	sum += snapshot_name(s, SPAN_LITERAL("cli-pod"), &v4, &v6) + snapshot_name(s, SPAN_LITERAL(""), &v4, &v6);
	sum += snapshot_client(s, SPAN_LITERAL("zzz")) + snapshot_is_gate(s, &(struct ip_addr) { .family = 4 });
	return sum;
}

#endif
