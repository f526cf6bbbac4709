/* A decision looks each suffix of the host up in the client's table, or each prefix length that the client uses: the cost
 * depends on the host's labels, hardly on the length of the list. All slots are asked for before the first is read, so that
 * their cache misses overlap. Of equal rules the most specific and then the first written is named. */
#include "policy/decide.h"

#include "policy/block.h"

/* What has been found so far. A deny ends the search; an allow must wait for it. */
struct search {
	const struct snapshot *s;
	const struct block_client *client;
	uint16_t port;
	uint32_t denied, allowed, other_port; /* rules, or NO_RULE */
};

struct suffix {
	uint64_t hash;
	uint32_t slot;
	uint8_t at, length;
};

enum { LABELS_MAX = 127 };

static struct verdict refuse(enum reason reason, uint32_t rule)
{
	return (struct verdict) { .reason = reason, .rule = rule };
}

static struct verdict let_pass(uint32_t rule, uint16_t port)
{
	/* Without a rule, or by a rule's default ports, nothing but HTTP and TLS was allowed. */
	const bool named = rule != RULE_NONE && port != 80 && port != 443;

	return (struct verdict) { .allow = true, .any_protocol = named, .reason = REASON_ALLOWED, .rule = rule };
}

static void take_rule(struct search *q, uint32_t rule)
{
	const struct block_rule *r = block_rule(q->s, rule);

	if (!block_port_matches(q->s, r, q->port)) {
		if (!r->deny && q->other_port == NO_RULE)
			q->other_port = rule;
	} else if (r->deny) {
		if (q->denied == NO_RULE)
			q->denied = rule;
	} else if (q->allowed == NO_RULE) {
		q->allowed = rule;
	}
}

/* The first rule of the slot's chain that fits tag and key; key_fits compares the key itself. */
static uint32_t find_chain(const struct search *q, uint64_t hash, uint32_t at,
			   bool (*key_fits)(const struct search *, const struct block_rule *, const void *), const void *key)
{
	const struct block_slot *slots = (const struct block_slot *)block_section(q->s, SECTION_SLOTS) + q->client->first_slot;

	for (uint32_t tries = 0; tries < q->client->slots && slots[at].rule != NO_RULE; tries++) {
		if (slots[at].tag == (uint32_t)hash && key_fits(q, block_rule(q->s, slots[at].rule), key))
			return slots[at].rule;
		at = at + 1 < q->client->slots ? at + 1 : 0;
	}
	return NO_RULE;
}

static bool name_fits(const struct search *q, const struct block_rule *r, const void *key)
{
	const struct span *name = key;
	const char *text = block_string(q->s, r->key);

	return r->match != RULE_NETWORK && strncmp(text, name->p, name->n) == 0 && text[name->n] == '\0';
}

static bool network_fits(const struct search *q, const struct block_rule *r, const void *key)
{
	return r->match == RULE_NETWORK && memcmp(block_network(q->s, r->key), key, sizeof(struct block_network)) == 0;
}

/* The host's suffixes from the last label to the whole name, at most as many labels as the client's longest rule has. */
static size_t list_suffixes(const struct search *q, const struct host *host, struct suffix ret[static LABELS_MAX])
{
	const struct block_slot *slots = (const struct block_slot *)block_section(q->s, SECTION_SLOTS) + q->client->first_slot;
	const size_t most = q->client->most_labels < LABELS_MAX ? q->client->most_labels : LABELS_MAX;
	uint64_t hash = 0;
	size_t n = 0;

	if (q->client->slots == 0)
		return 0;
	for (size_t at = host->length; at-- > 0 && n < most;) {
		hash = hash_step(hash, host->text[at]);
		if (at != 0 && host->text[at - 1] != '.')
			continue;
		const uint64_t done = hash_done(hash);

		ret[n] = (struct suffix) { done, hash_slot(done, q->client->slots), (uint8_t)at, (uint8_t)(host->length - at) };
		__builtin_prefetch(&slots[ret[n].slot]);
		n++;
	}
	return n;
}

static void search_name(struct search *q, const struct host *host)
{
	struct suffix suffixes[LABELS_MAX];

	for (size_t i = list_suffixes(q, host, suffixes); i-- > 0 && q->denied == NO_RULE;) {
		const struct suffix *x = &suffixes[i];
		const struct span key = { host->text + x->at, x->length };
		uint32_t rule = find_chain(q, x->hash, x->slot, name_fits, &key);

		while (rule != NO_RULE) {
			const struct block_rule *r = block_rule(q->s, rule);

			if (r->match == RULE_TREE || (r->match == RULE_EXACT) == (x->at == 0))
				take_rule(q, rule);
			rule = r->next;
		}
	}
}

/* The address with all bits after the prefix cleared. */
static struct block_network network_of(const struct ip_addr *a, unsigned prefix)
{
	struct block_network n = { .family = a->family, .prefix = (uint8_t)prefix };

	memcpy(n.bytes, a->bytes, prefix / 8);
	if (prefix % 8)
		n.bytes[prefix / 8] = a->bytes[prefix / 8] & (uint8_t)(0xff00U >> prefix % 8);
	return n;
}

static bool has_prefix(const struct block_client *c, unsigned family, unsigned prefix)
{
	return (family == 4 ? c->prefixes_v4 >> prefix : c->prefixes_v6[prefix / 64] >> prefix % 64) & 1;
}

/* `least`: the shortest prefix whose allow rules count. */
static void search_address(struct search *q, const struct ip_addr *a, unsigned least)
{
	if (q->client->slots == 0)
		return;
	for (unsigned prefix = (a->family == 4 ? 32 : 128) + 1; prefix-- > 0 && q->denied == NO_RULE;) {
		if (!has_prefix(q->client, a->family, prefix))
			continue;
		const struct block_network key = network_of(a, prefix);
		const uint64_t hash = hash_bytes(&key, sizeof key);
		uint32_t rule = find_chain(q, hash, hash_slot(hash, q->client->slots), network_fits, &key);

		for (; rule != NO_RULE; rule = block_rule(q->s, rule)->next)
			if (prefix >= least || block_rule(q->s, rule)->deny)
				take_rule(q, rule);
	}
}

/* An IPv6 address that embeds an IPv4 one may lead there: the deny rules for that count too, and only a rule that means this form
 * (a network inside its block) allows it; ::/0 does not. */
static void search_addresses(struct search *q, const struct ip_addr *a)
{
	struct ip_addr inner;
	struct ip_net form;
	unsigned least = 0;

	if (ip_embedded(a, &inner, &form)) {
		search_address(q, &inner, 33);
		least = form.prefix;
	}
	search_address(q, a, least);
}

static struct search search_begin(const struct snapshot *s, uint32_t client, uint16_t port)
{
	return (struct search) { s, block_client(s, client), port, NO_RULE, NO_RULE, NO_RULE };
}

struct verdict policy_decide(const struct snapshot *s, uint32_t client, enum host_result parsed, const struct host *host,
			     uint16_t port)
{
	if (client >= snapshot_client_count(s))
		return refuse(REASON_UNKNOWN_CLIENT, RULE_NONE);
	if (parsed == HOST_ODD_ADDRESS)
		return refuse(REASON_ADDRESS_LITERAL, RULE_NONE);
	if (parsed != HOST_OK || !host)
		return refuse(REASON_MALFORMED_HOST, RULE_NONE);
	const bool address = host->kind == HOST_ADDRESS;
	struct search q = search_begin(s, client, port);

	if (address && host->addr.family != 4 && host->addr.family != 6)
		return refuse(REASON_MALFORMED_HOST, RULE_NONE);
	if (address)
		search_addresses(&q, &host->addr);
	else
		search_name(&q, host);
	if (q.denied != NO_RULE)
		return refuse(REASON_DENIED_BY_RULE, q.denied);
	if (q.allowed != NO_RULE)
		return let_pass(q.allowed, port);
	if (q.other_port != NO_RULE)
		return refuse(REASON_PORT_NOT_LISTED, q.other_port);
	return refuse(address ? REASON_ADDRESS_LITERAL : REASON_NOT_LISTED, RULE_NONE);
}

struct verdict policy_decide_address(const struct snapshot *s, uint32_t client, const struct ip_addr *a, uint16_t port)
{
	if (client >= snapshot_client_count(s))
		return refuse(REASON_UNKNOWN_CLIENT, RULE_NONE);
	if (a->family != 4 && a->family != 6)
		return refuse(REASON_SPECIAL_ADDRESS, RULE_NONE);
	struct search q = search_begin(s, client, port);

	search_addresses(&q, a);
	if (q.denied != NO_RULE)
		return refuse(REASON_DENIED_BY_RULE, q.denied);
	if (q.allowed == NO_RULE && ip_special(a))
		return refuse(REASON_SPECIAL_ADDRESS, RULE_NONE);
	return let_pass(q.allowed, port);
}
