/* Opens and reads a policy block. snapshot_open is the one place that doubts it: it visits each element once and checks each
 * reference, and all else relies on that. What it need not check is order and hashes: wrong ones lead to a refusal, not
 * out of the block. */
#include "policy/snapshot.h"

#include <stdio.h>

#include "policy/block.h"

static bool section_fits(const struct block_header *h, enum section which, size_t element)
{
	const struct block_extent *e = &h->sections[which];

	return e->offset % 8 == 0 && e->offset >= sizeof *h && e->offset <= h->size &&
	       e->count <= (h->size - e->offset) / element && e->count < UINT32_MAX;
}

static bool header_ok(struct span block)
{
	static const size_t elements[SECTION_COUNT] = {
		[SECTION_CLIENTS] = sizeof(struct block_client),
		[SECTION_BY_NAME] = sizeof(uint32_t),
		[SECTION_RULES] = sizeof(struct block_rule),
		[SECTION_SLOTS] = sizeof(struct block_slot),
		[SECTION_NAMES] = sizeof(struct block_name),
		[SECTION_NETWORKS] = sizeof(struct block_network),
		[SECTION_PORTS] = sizeof(uint32_t),
		[SECTION_STRINGS] = 1,
	};
	const struct block_header *h = (const void *)block.p;

	if (!block.p || (uintptr_t)block.p % 8 != 0 || block.n < sizeof *h || h->magic != BLOCK_MAGIC || h->size != block.n)
		return false;
	for (unsigned i = 0; i < SECTION_COUNT; i++)
		if (!section_fits(h, i, elements[i]))
			return false;
	const struct block_extent *strings = &h->sections[SECTION_STRINGS];

	return strings->count > 0 && block.p[strings->offset + strings->count - 1] == '\0' &&
	       h->sections[SECTION_BY_NAME].count == h->sections[SECTION_CLIENTS].count;
}

static uint64_t count_of(const struct snapshot *s, enum section which)
{
	return block_header(s)->sections[which].count;
}

static bool ports_ok(const struct snapshot *s, uint32_t at)
{
	const uint64_t count = count_of(s, SECTION_PORTS);

	return at < count && ((const uint32_t *)block_section(s, SECTION_PORTS))[at] <= count - at - 1;
}

/* A client's rules and slots follow those of the client before, so that all are visited once. */
static bool client_ok(const struct snapshot *s, const struct block_client *c, uint64_t first_rule, uint64_t first_slot)
{
	const struct block_rule *rules = block_section(s, SECTION_RULES);
	const struct block_slot *slots = block_section(s, SECTION_SLOTS);
	const uint64_t end = first_rule + c->rules;

	if (c->name >= count_of(s, SECTION_STRINGS) || c->first_rule != first_rule || c->first_slot != first_slot ||
	    end > count_of(s, SECTION_RULES) || first_slot + c->slots > count_of(s, SECTION_SLOTS))
		return false;
	for (uint64_t i = first_rule; i < end; i++) {
		const struct block_rule *r = &rules[i];

		if (r->key >= count_of(s, r->match == RULE_NETWORK ? SECTION_NETWORKS : SECTION_STRINGS) ||
		    r->file >= count_of(s, SECTION_STRINGS) || !ports_ok(s, r->ports) ||
		    (r->next != NO_RULE && (r->next <= i || r->next >= end)))
			return false;
	}
	for (uint64_t i = first_slot; i < first_slot + c->slots; i++)
		if (slots[i].rule != NO_RULE && (slots[i].rule < first_rule || slots[i].rule >= end))
			return false;
	return true;
}

static bool clients_ok(const struct snapshot *s)
{
	const uint32_t *by_name = block_section(s, SECTION_BY_NAME);
	const uint64_t clients = count_of(s, SECTION_CLIENTS);
	uint64_t rule = 0, slot = 0;

	for (uint32_t i = 0; i < clients; i++) {
		const struct block_client *c = block_client(s, i);

		if (by_name[i] >= clients || !client_ok(s, c, rule, slot))
			return false;
		rule += c->rules;
		slot += c->slots;
	}
	return rule == count_of(s, SECTION_RULES) && slot == count_of(s, SECTION_SLOTS);
}

static bool names_and_networks_ok(const struct snapshot *s)
{
	const struct block_name *names = block_section(s, SECTION_NAMES);

	for (uint64_t i = 0; i < count_of(s, SECTION_NAMES); i++)
		if (names[i].name >= count_of(s, SECTION_STRINGS))
			return false;
	for (uint64_t i = 0; i < count_of(s, SECTION_NETWORKS); i++) {
		const struct block_network *n = block_network(s, (uint32_t)i);

		if (!(n->family == 4 && n->prefix <= 32) && !(n->family == 6 && n->prefix <= 128))
			return false;
	}
	return true;
}

bool snapshot_open(struct span block, struct snapshot *ret)
{
	const struct snapshot s = { .block = block };

	if (!header_ok(block) || !clients_ok(&s) || !names_and_networks_ok(&s))
		return false;
	*ret = s;
	return true;
}

/* <0, 0, >0 as the NUL-terminated text is before, equal to or after the span. */
static int compare_text(const char *text, struct span s)
{
	const int order = s.n ? strncmp(text, s.p, s.n) : 0;

	return order != 0 ? order : text[s.n] != '\0';
}

uint32_t snapshot_client(const struct snapshot *s, struct span name)
{
	const uint32_t *by_name = block_section(s, SECTION_BY_NAME);
	size_t low = 0, high = count_of(s, SECTION_CLIENTS);

	if (name.n && memchr(name.p, '\0', name.n))
		return CLIENT_NONE;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = compare_text(block_string(s, block_client(s, by_name[middle])->name), name);

		if (order == 0)
			return by_name[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return CLIENT_NONE;
}

uint32_t snapshot_client_count(const struct snapshot *s)
{
	return (uint32_t)count_of(s, SECTION_CLIENTS);
}

const char *snapshot_client_name(const struct snapshot *s, uint32_t client)
{
	return client < snapshot_client_count(s) ? block_string(s, block_client(s, client)->name) : NULL;
}

uint32_t snapshot_rule_count(const struct snapshot *s, uint32_t client)
{
	return client < snapshot_client_count(s) ? block_client(s, client)->rules : 0;
}

bool snapshot_client_names_port(const struct snapshot *s, uint32_t client, uint16_t port)
{
	if (client >= snapshot_client_count(s))
		return false;
	const struct block_client *c = block_client(s, client);

	if (c->rules > SNAPSHOT_PORT_RULES)
		return true;
	for (uint32_t i = 0; i < c->rules; i++) {
		const struct block_rule *r = block_rule(s, c->first_rule + i);

		if (!r->deny && r->match != RULE_NETWORK && block_port_matches(s, r, port))
			return true;
	}
	return false;
}

bool snapshot_name(const struct snapshot *s, struct span name, struct ip_addr *ret_v4, struct ip_addr *ret_v6)
{
	const struct block_name *names = block_section(s, SECTION_NAMES);
	size_t low = 0, high = count_of(s, SECTION_NAMES);

	if (name.n && memchr(name.p, '\0', name.n))
		return false;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = compare_text(block_string(s, names[middle].name), name);

		if (order == 0) {
			*ret_v4 = names[middle].v4;
			*ret_v6 = names[middle].v6;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

bool snapshot_is_gate(const struct snapshot *s, const struct ip_addr *a)
{
	const struct block_header *h = block_header(s);

	return a->family != 0 && (ip_equal(a, &h->gate_v4) || ip_equal(a, &h->gate_v6));
}

void snapshot_gate(const struct snapshot *s, struct ip_addr *ret_v4, struct ip_addr *ret_v6)
{
	*ret_v4 = block_header(s)->gate_v4;
	*ret_v6 = block_header(s)->gate_v6;
}

static bool has_rule(const struct snapshot *s, uint32_t rule)
{
	return rule < count_of(s, SECTION_RULES);
}

const char *snapshot_rule_file(const struct snapshot *s, uint32_t rule)
{
	return has_rule(s, rule) ? block_string(s, block_rule(s, rule)->file) : NULL;
}

uint32_t snapshot_rule_line(const struct snapshot *s, uint32_t rule)
{
	return has_rule(s, rule) ? block_rule(s, rule)->line : 0;
}

/* Text that is cut off where the buffer ends. */
struct text {
	char *p;
	size_t size, used;
};

static void text_add(struct text *t, const char *s)
{
	while (*s && t->used + 1 < t->size)
		t->p[t->used++] = *s++;
	if (t->size)
		t->p[t->used] = '\0';
}

static void text_add_ports(struct text *t, const uint32_t *set)
{
	char buf[16];

	for (uint32_t i = 1; i <= set[0] && t->used + 1 < t->size; i++) {
		const unsigned first = set[i] >> 16, last = set[i] & 0xffff;

		text_add(t, i == 1 ? ":" : ",");
		if (first == 1 && last == 65535)
			(void)snprintf(buf, sizeof buf, "*");
		else if (first == last)
			(void)snprintf(buf, sizeof buf, "%u", first);
		else
			(void)snprintf(buf, sizeof buf, "%u-%u", first, last);
		text_add(t, buf);
	}
}

static void text_add_network(struct text *t, const struct block_network *n)
{
	struct ip_addr a = { .family = n->family };
	char buf[IP_TEXT_MAX + 6], addr[IP_TEXT_MAX];
	const bool six = n->family == 6, whole = n->prefix == (six ? 128 : 32);

	memcpy(a.bytes, n->bytes, sizeof a.bytes);
	(void)ip_format(&a, addr);
	if (whole)
		(void)snprintf(buf, sizeof buf, "%s%s%s", six ? "[" : "", addr, six ? "]" : "");
	else
		(void)snprintf(buf, sizeof buf, "%s%s/%u%s", six ? "[" : "", addr, n->prefix, six ? "]" : "");
	text_add(t, buf);
}

bool snapshot_rule_is_single(const struct snapshot *s, uint32_t rule)
{
	if (rule == RULE_NONE || block_rule(s, rule)->match != RULE_NETWORK)
		return false;
	const struct block_network *n = block_network(s, block_rule(s, rule)->key);

	return n->prefix == (n->family == 4 ? 32 : 128);
}

void snapshot_rule_view(const struct snapshot *s, uint32_t client, uint32_t index, struct rule_view *ret)
{
	const uint32_t rule = block_client(s, client)->first_rule + index;
	const struct block_rule *r = block_rule(s, rule);
	const uint32_t *set = (const uint32_t *)block_section(s, SECTION_PORTS) + r->ports;

	*ret = (struct rule_view) {
		.rule = rule, .deny = r->deny, .match = r->match, .ports = set + 1, .port_count = set[0], .port_set = r->ports
	};
	if (r->match == RULE_NETWORK) {
		const struct block_network *n = block_network(s, r->key);

		ret->net = (struct ip_net) { .addr.family = n->family, .prefix = n->prefix };
		memcpy(ret->net.addr.bytes, n->bytes, sizeof n->bytes);
	} else {
		ret->name = block_string(s, r->key);
	}
}

char *snapshot_rule_text(const struct snapshot *s, uint32_t rule, char *buf, size_t size)
{
	struct text t = { buf, size, 0 };

	text_add(&t, "");
	if (!has_rule(s, rule))
		return buf;
	const struct block_rule *r = block_rule(s, rule);

	text_add(&t, r->deny ? "!" : "");
	if (r->match == RULE_NETWORK) {
		text_add_network(&t, block_network(s, r->key));
	} else {
		text_add(&t, r->match == RULE_BELOW ? "*." : r->match == RULE_EXACT ? "=" : "");
		text_add(&t, block_string(s, r->key));
	}
	text_add_ports(&t, (const uint32_t *)block_section(s, SECTION_PORTS) + r->ports);
	return buf;
}
