#include "verify/candidate.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/decide.h"

enum { RULES_LOOKED_AT = 64 };

bool candidate_entry(const char *entry, char ret_name[static 254], bool *ret_self, bool *ret_below, uint16_t *ret_port)
{
	struct ip_addr address;

	if (entry[0] == '!' || entry[0] == '[')
		return false;
	*ret_self = strncmp(entry, "*.", 2) != 0;
	*ret_below = entry[0] != '=';
	entry += !*ret_self ? 2 : !*ret_below ? 1 : 0;

	const size_t n = strcspn(entry, ":/");

	if (n == 0 || n >= 254 || entry[n] == '/')
		return false;
	memcpy(ret_name, entry, n);
	ret_name[n] = '\0';
	if (ip_parse(span_of(ret_name), &address))
		return false;
	*ret_port = 0;
	if (entry[n] == ':' && entry[n + 1] != '*')
		*ret_port = (uint16_t)strtoul(entry + n + 1, NULL, 10);
	return true;
}

struct finder {
	const struct snapshot *s;
	uint32_t client;
	struct candidate *list;
	size_t count, room;
};

static void take(struct finder *f, const char *below, const char *tree, uint16_t port)
{
	struct candidate c = { .port = port };
	struct host host;

	if (f->count == f->room)
		return;
	const int n = snprintf(c.host, sizeof c.host, "%s%s", below, tree);

	if (n < 0 || (size_t)n >= sizeof c.host || host_parse(span_of(c.host), &host) != HOST_OK || host.kind != HOST_NAME ||
	    !policy_decide(f->s, f->client, HOST_OK, &host, port).allow)
		return;
	for (size_t i = 0; i < f->count; i++)
		if (f->list[i].port == port && strcmp(f->list[i].host, host.text) == 0)
			return;
	memcpy(c.host, host.text, sizeof host.text);
	(void)snprintf(c.tree, sizeof c.tree, "%s", tree);
	f->list[f->count++] = c;
}

static void take_entry(struct finder *f, const char *entry)
{
	static const char *const below[] = { "www.", "api.", "storage.", "pypi.", "static." };
	char name[254];
	bool self, deeper;
	uint16_t port;

	if (!candidate_entry(entry, name, &self, &deeper, &port))
		return;
	const uint16_t ports[] = { 443, 80, port };
	const size_t n = port ? 3 : 2, before = f->count;

	for (size_t i = 0; i < n && self; i++)
		take(f, "", name, ports[i]);
	/* A name on its own is most often there; the others are guesses. */
	for (size_t k = 0; k < sizeof below / sizeof *below && deeper && f->count < before + CANDIDATES_MAX / 2; k++)
		for (size_t i = 0; i < n; i++)
			take(f, below[k], name, ports[i]);
}

size_t candidates_find(const struct snapshot *s, uint32_t client, struct candidate ret[static CANDIDATES_MAX])
{
	struct finder f = { s, client, ret, 0, CANDIDATES_MAX };
	const uint32_t count = snapshot_rule_count(s, client);
	uint32_t first = 0;
	char entry[512];

	/* The rules of a generation are numbered client by client. */
	for (uint32_t c = 0; c < client && c < snapshot_client_count(s); c++)
		first += snapshot_rule_count(s, c);
	for (uint32_t i = 0; i < count && i < RULES_LOOKED_AT; i++)
		take_entry(&f, snapshot_rule_text(s, first + i, entry, sizeof entry));
	return f.count;
}
