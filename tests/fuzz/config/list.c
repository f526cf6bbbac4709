/* A list's text. Each rule that is read must be in canonical form, so that reading it again gives the same. */
#include <assert.h>
#include <stdint.h>

#include "config/project.h"
#include "policy/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct rule *r)
{
	struct host h;

	assert(r->line > 0 && r->file);
	for (size_t i = 0; i < r->port_count; i++)
		assert(r->ports[i].first >= 1 && r->ports[i].first <= r->ports[i].last);
	if (r->match == RULE_NETWORK) {
		assert(r->net.addr.family == 4 || r->net.addr.family == 6);
		assert(r->net.prefix <= (r->net.addr.family == 4 ? 32 : 128));
		return;
	}
	assert(host_parse(span_of(r->name), &h) == HOST_OK && h.kind == HOST_NAME && strcmp(h.text, r->name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct rule *rules = NULL;
	size_t count = 0;
	struct err err = { 0 };

	if (config_list_parse((struct span) { (const char *)data, size }, "x.lst", &a, &rules, &count, &err) < 0)
		assert(count == 0 && err.class == ERR_INPUT && err.text[0]);
	for (size_t i = 0; i < count; i++)
		check(&rules[i]);
	arena_free(&a);
	return 0;
}
