/* Builds a policy block. Strings, networks and port sets are kept once however often they are used. Nothing depends on the
 * addresses or the time of the build: the same calls give the same bytes. */
#include <assert.h>
#include <stdlib.h>

#include "policy/block.h"

_Static_assert(sizeof(struct block_header) % 8 == 0 && sizeof(struct block_client) == 56 && sizeof(struct block_rule) == 20 &&
		       sizeof(struct block_slot) == 8 && sizeof(struct block_name) == 40 && sizeof(struct block_network) == 20,
	       "the layout has no padding that is not named");

/* Bytes kept once: a growing store, and an open-addressing table of what is in it. */
struct pool {
	char *bytes;
	size_t used, room;
	struct pool_entry {
		uint32_t tag, offset, size; /* size 0: free */
	} * table;
	size_t entries, slots;
};

struct building_client {
	uint32_t name;
	struct block_rule *rules;
	size_t rule_count;
	uint32_t most_labels;
};

struct policy_builder {
	struct arena *arena;
	struct pool strings, networks, ports;
	struct building_client *clients;
	size_t client_count;
	struct block_name *names;
	size_t name_count;
	struct ip_addr gate_v4, gate_v6;
};

static struct pool_entry *pool_find(const struct pool *p, struct pool_entry *table, size_t slots, uint32_t tag, const void *bytes,
				    size_t n)
{
	size_t at = tag & (slots - 1);

	while (table[at].size) {
		const struct pool_entry *e = &table[at];

		if (bytes && e->tag == tag && e->size == n && memcmp(p->bytes + e->offset, bytes, n) == 0)
			break;
		at = (at + 1) & (slots - 1);
	}
	return &table[at];
}

static void pool_grow_table(struct arena *a, struct pool *p)
{
	const size_t slots = p->slots ? p->slots * 4 : 64;
	struct pool_entry *table = arena_array(a, slots, sizeof *table);

	for (size_t i = 0; i < p->slots; i++)
		if (p->table[i].size)
			*pool_find(p, table, slots, p->table[i].tag, NULL, 0) = p->table[i];
	p->table = table;
	p->slots = slots;
}

static void pool_grow_bytes(struct arena *a, struct pool *p, size_t more)
{
	size_t room = p->room ? p->room : 256;

	while (room - p->used < more)
		room *= 2;
	char *bytes = arena_alloc(a, room);

	if (p->used)
		memcpy(bytes, p->bytes, p->used);
	p->bytes = bytes;
	p->room = room;
}

/* The offset of these bytes in the pool. */
static uint32_t pool_keep(struct arena *a, struct pool *p, const void *bytes, size_t n)
{
	const uint32_t tag = (uint32_t)hash_bytes(bytes, n);

	assert(n > 0 && p->used <= UINT32_MAX - n);
	if ((p->entries + 1) * 4 > p->slots * 3)
		pool_grow_table(a, p);
	struct pool_entry *e = pool_find(p, p->table, p->slots, tag, bytes, n);

	if (e->size)
		return e->offset;
	if (p->room - p->used < n)
		pool_grow_bytes(a, p, n);
	*e = (struct pool_entry) { tag, (uint32_t)p->used, (uint32_t)n };
	memcpy(p->bytes + p->used, bytes, n);
	p->used += n;
	p->entries++;
	return e->offset;
}

static uint32_t keep_string(struct policy_builder *b, const char *s)
{
	return pool_keep(b->arena, &b->strings, s, strlen(s) + 1);
}

struct policy_builder *policy_builder_new(struct arena *a)
{
	const uint32_t no_ports = 0;
	struct policy_builder *b = arena_alloc(a, sizeof *b);

	b->arena = a;
	(void)keep_string(b, "");
	(void)pool_keep(a, &b->ports, &no_ports, sizeof no_ports);
	return b;
}

uint32_t policy_builder_client(struct policy_builder *b, const char *name)
{
	const uint32_t kept = keep_string(b, name);

	for (size_t i = 0; i < b->client_count; i++)
		if (b->clients[i].name == kept)
			return (uint32_t)i;
	ARENA_PUSH(b->arena, b->clients, b->client_count) = (struct building_client) { .name = kept };
	return (uint32_t)(b->client_count - 1);
}

static int compare_ranges(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorted, and joined where they touch, so that two spellings of one set are one. */
static uint32_t keep_ports(struct policy_builder *b, const struct port_range *ports, size_t count)
{
	uint32_t few[33], *set = count < 33 ? few : arena_array(b->arena, count + 1, sizeof *set);
	uint32_t n = 0;

	for (size_t i = 0; i < count; i++) {
		assert(ports[i].first >= 1 && ports[i].first <= ports[i].last);
		set[i + 1] = (uint32_t)ports[i].first << 16 | ports[i].last;
	}
	if (count > 1)
		qsort(set + 1, count, sizeof *set, compare_ranges);
	for (size_t i = 1; i <= count; i++) {
		const uint32_t first = set[i] >> 16, last = set[i] & 0xffff;

		if (n == 0 || first > (set[n] & 0xffff) + 1)
			set[++n] = set[i];
		else if (last > (set[n] & 0xffff))
			set[n] = (set[n] & 0xffff0000) | last;
	}
	set[0] = n;
	return pool_keep(b->arena, &b->ports, set, (n + 1) * sizeof *set) / (uint32_t)sizeof *set;
}

static uint32_t keep_network(struct policy_builder *b, const struct ip_net *net)
{
	struct block_network kept = { .family = net->addr.family, .prefix = net->prefix };

	assert((kept.family == 4 && kept.prefix <= 32) || (kept.family == 6 && kept.prefix <= 128));
	/* Host bits are cleared here too: a rule that could never match would be a deny that does not hold. */
	for (unsigned bit = 0; bit < net->prefix; bit++)
		kept.bytes[bit / 8] = (uint8_t)(kept.bytes[bit / 8] | (net->addr.bytes[bit / 8] & (0x80U >> bit % 8)));
	return pool_keep(b->arena, &b->networks, &kept, sizeof kept) / (uint32_t)sizeof kept;
}

static uint32_t count_labels(const char *name)
{
	uint32_t n = 1;

	while ((name = strchr(name, '.'))) {
		name++;
		n++;
	}
	return n;
}

void policy_builder_rule(struct policy_builder *b, uint32_t client, const struct rule *r)
{
	assert(client < b->client_count);
	struct building_client *c = &b->clients[client];
	struct block_rule kept = {
		.ports = r->port_count ? keep_ports(b, r->ports, r->port_count) : 0,
		.file = keep_string(b, r->file ? r->file : ""),
		.line = (r->line < LINE_MAX_VALUE ? r->line : LINE_MAX_VALUE) & LINE_MAX_VALUE,
		.match = (unsigned)r->match & 3U,
		.deny = r->deny,
	};

	if (r->match == RULE_NETWORK) {
		kept.key = keep_network(b, &r->net);
	} else {
		const uint32_t labels = count_labels(r->name);

		assert(r->name[0] != '\0');
		kept.key = keep_string(b, r->name);
		if (labels > c->most_labels)
			c->most_labels = labels;
	}
	assert(c->rule_count < UINT32_MAX / 4);
	ARENA_PUSH(b->arena, c->rules, c->rule_count) = kept;
}

void policy_builder_name(struct policy_builder *b, const char *name, const struct ip_addr *v4, const struct ip_addr *v6)
{
	const uint32_t kept = keep_string(b, name);
	struct block_name *n = NULL;

	for (size_t i = 0; i < b->name_count && !n; i++)
		if (b->names[i].name == kept)
			n = &b->names[i];
	if (!n) {
		n = &ARENA_PUSH(b->arena, b->names, b->name_count);
		*n = (struct block_name) { .name = kept };
	}
	if (v4)
		n->v4 = *v4;
	if (v6)
		n->v6 = *v6;
}

void policy_builder_gate(struct policy_builder *b, const struct ip_addr *v4, const struct ip_addr *v6)
{
	b->gate_v4 = v4 ? *v4 : (struct ip_addr) { 0 };
	b->gate_v6 = v6 ? *v6 : (struct ip_addr) { 0 };
}

static uint32_t slots_for(size_t rules)
{
	return rules ? (uint32_t)(rules * SLOTS_PER_RULE_X2 / 2 + 1) : 0;
}

/* A string and its rank, so that qsort needs no context. */
struct ranked {
	const char *text;
	uint32_t index;
};

static int compare_ranked(const void *a, const void *b)
{
	return strcmp(((const struct ranked *)a)->text, ((const struct ranked *)b)->text);
}

static uint64_t key_hash(const struct policy_builder *b, const struct block_rule *r)
{
	const char *name = b->strings.bytes + r->key;

	if (r->match == RULE_NETWORK)
		return hash_bytes(b->networks.bytes + r->key * sizeof(struct block_network), sizeof(struct block_network));
	return hash_name(name, strlen(name));
}

static bool same_key(const struct block_rule *a, const struct block_rule *b)
{
	return a->key == b->key && (a->match == RULE_NETWORK) == (b->match == RULE_NETWORK);
}

/* From the last rule to the first, each put before those of its key that are already there. */
static void fill_slots(const struct policy_builder *b, const struct block_client *c, struct block_rule *rules,
		       struct block_slot *slots)
{
	for (uint32_t i = 0; i < c->slots; i++)
		slots[c->first_slot + i].rule = NO_RULE;
	for (uint32_t i = c->first_rule + c->rules; i-- > c->first_rule;) {
		const uint64_t hash = key_hash(b, &rules[i]);
		uint32_t at = hash_slot(hash, c->slots);
		struct block_slot *slot = &slots[c->first_slot + at];

		while (slot->rule != NO_RULE && !(slot->tag == (uint32_t)hash && same_key(&rules[slot->rule], &rules[i]))) {
			at = at + 1 < c->slots ? at + 1 : 0;
			slot = &slots[c->first_slot + at];
		}
		rules[i].next = slot->rule;
		*slot = (struct block_slot) { (uint32_t)hash, i };
	}
}

static void note_prefixes(const struct policy_builder *b, const struct building_client *from, struct block_client *to)
{
	for (size_t i = 0; i < from->rule_count; i++) {
		const struct block_rule *r = &from->rules[i];

		if (r->match != RULE_NETWORK)
			continue;
		const struct block_network *n =
			(const struct block_network *)(const void *)(b->networks.bytes + r->key * sizeof *n);

		if (n->family == 4)
			to->prefixes_v4 |= 1ULL << n->prefix;
		else
			to->prefixes_v6[n->prefix / 64] |= 1ULL << n->prefix % 64;
	}
}

/* Lays the sections out one after the other; the size of the whole. */
static size_t lay_out(const struct policy_builder *b, struct block_header *h)
{
	size_t rules = 0, slots = 0, at = sizeof *h;

	for (size_t i = 0; i < b->client_count; i++) {
		rules += b->clients[i].rule_count;
		slots += slots_for(b->clients[i].rule_count);
	}
	assert(slots < UINT32_MAX);
	const struct {
		size_t count, size;
	} parts[SECTION_COUNT] = {
		[SECTION_CLIENTS] = { b->client_count, sizeof(struct block_client) },
		[SECTION_BY_NAME] = { b->client_count, sizeof(uint32_t) },
		[SECTION_RULES] = { rules, sizeof(struct block_rule) },
		[SECTION_SLOTS] = { slots, sizeof(struct block_slot) },
		[SECTION_NAMES] = { b->name_count, sizeof(struct block_name) },
		[SECTION_NETWORKS] = { b->networks.used / sizeof(struct block_network), sizeof(struct block_network) },
		[SECTION_PORTS] = { b->ports.used / sizeof(uint32_t), sizeof(uint32_t) },
		[SECTION_STRINGS] = { b->strings.used, 1 },
	};

	for (unsigned i = 0; i < SECTION_COUNT; i++) {
		h->sections[i] = (struct block_extent) { at, parts[i].count };
		at += (parts[i].count * parts[i].size + 7) & ~(size_t)7;
	}
	return at;
}

static void write_clients(const struct policy_builder *b, const struct block_header *h, char *p)
{
	struct block_client *clients = (void *)(p + h->sections[SECTION_CLIENTS].offset);
	uint32_t *by_name = (void *)(p + h->sections[SECTION_BY_NAME].offset);
	struct block_rule *rules = (void *)(p + h->sections[SECTION_RULES].offset);
	struct block_slot *slots = (void *)(p + h->sections[SECTION_SLOTS].offset);
	struct ranked *order = arena_array(b->arena, b->client_count + 1, sizeof *order);
	uint32_t rule = 0, slot = 0;

	for (uint32_t i = 0; i < b->client_count; i++) {
		const struct building_client *from = &b->clients[i];
		struct block_client *to = &clients[i];

		*to = (struct block_client) { from->name,       rule, (uint32_t)from->rule_count, slot, slots_for(from->rule_count),
					      from->most_labels };
		if (from->rule_count)
			memcpy(rules + rule, from->rules, from->rule_count * sizeof *rules);
		note_prefixes(b, from, to);
		fill_slots(b, to, rules, slots);
		rule += to->rules;
		slot += to->slots;
		order[i] = (struct ranked) { b->strings.bytes + from->name, i };
	}
	if (b->client_count > 1)
		qsort(order, b->client_count, sizeof *order, compare_ranked);
	for (size_t i = 0; i < b->client_count; i++)
		by_name[i] = order[i].index;
}

static void write_names(const struct policy_builder *b, const struct block_header *h, char *p)
{
	struct block_name *names = (void *)(p + h->sections[SECTION_NAMES].offset);
	struct ranked *order = arena_array(b->arena, b->name_count + 1, sizeof *order);

	for (uint32_t i = 0; i < b->name_count; i++)
		order[i] = (struct ranked) { b->strings.bytes + b->names[i].name, i };
	if (b->name_count > 1)
		qsort(order, b->name_count, sizeof *order, compare_ranked);
	for (size_t i = 0; i < b->name_count; i++)
		names[i] = b->names[order[i].index];
}

static void write_pool(const struct pool *pool, const struct block_header *h, enum section which, char *p)
{
	if (pool->used)
		memcpy(p + h->sections[which].offset, pool->bytes, pool->used);
}

struct span policy_builder_finish(struct policy_builder *b)
{
	struct block_header h = { .magic = BLOCK_MAGIC, .gate_v4 = b->gate_v4, .gate_v6 = b->gate_v6 };

	h.size = lay_out(b, &h);
	char *p = arena_alloc(b->arena, h.size);

	memcpy(p, &h, sizeof h);
	write_clients(b, &h, p);
	write_names(b, &h, p);
	write_pool(&b->networks, &h, SECTION_NETWORKS, p);
	write_pool(&b->ports, &h, SECTION_PORTS, p);
	write_pool(&b->strings, &h, SECTION_STRINGS, p);
	return (struct span) { p, h.size };
}
