/* The layout of a policy block: only for the files that build, open and search it. Sections follow the header in the order
 * of enum section, each 8-byte aligned; every reference is an index or an offset into a section, so the block works wherever it
 * is mapped. Byte order is the machine's: a block never leaves it, and the magic number would not match.
 *
 * A client owns a run of rules, in the order of its lists, and a run of slots: an open-addressing hash table whose keys are
 * names and networks. A slot leads to the first rule of its key, which leads to the key's other rules by `next`, always
 * upwards, so that every walk ends. */
#ifndef STOCKADE_POLICY_BLOCK_H
#define STOCKADE_POLICY_BLOCK_H

#include "policy/snapshot.h"

#define BLOCK_MAGIC 0x314b4c42444b5453ULL /* "STKDBLK1" */

enum { NO_RULE = 0xffffffff };

enum section {
	SECTION_CLIENTS,  /* struct block_client, by number */
	SECTION_BY_NAME,  /* uint32_t, client numbers in the order of their names */
	SECTION_RULES,    /* struct block_rule */
	SECTION_SLOTS,    /* struct block_slot */
	SECTION_NAMES,    /* struct block_name, in the order of their names */
	SECTION_NETWORKS, /* struct block_network */
	SECTION_PORTS,    /* uint32_t: a count, then that many ranges, first << 16 | last */
	SECTION_STRINGS,  /* NUL-terminated; the section ends in a NUL */
	SECTION_COUNT,
};

struct block_extent {
	uint64_t offset; /* from the block's start */
	uint64_t count;  /* elements */
};

struct block_header {
	uint64_t magic;
	uint64_t size; /* of the whole block */
	struct ip_addr gate_v4, gate_v6;
	uint8_t unused[6];
	struct block_extent sections[SECTION_COUNT];
};

struct block_client {
	uint32_t name;              /* offset in STRINGS */
	uint32_t first_rule, rules; /* its part of RULES */
	uint32_t first_slot, slots; /* its part of SLOTS */
	uint32_t most_labels;       /* of any of its names: a longer suffix need not be looked up */
	uint64_t prefixes_v4;       /* bit n: it has a network of prefix n */
	uint64_t prefixes_v6[3];
};

struct block_rule {
	uint32_t key;   /* offset in STRINGS, or index in NETWORKS */
	uint32_t ports; /* index in PORTS; a count of 0 is the default */
	uint32_t next;  /* the client's next rule with this key, or NO_RULE */
	uint32_t file;  /* offset in STRINGS */
	uint32_t line : 29, match : 2, deny : 1;
};

struct block_slot {
	uint32_t tag;  /* low half of the key's hash */
	uint32_t rule; /* NO_RULE: free */
};

struct block_name {
	uint32_t name;
	struct ip_addr v4, v6;
	uint8_t unused[2];
};

struct block_network {
	uint8_t bytes[16];
	uint8_t family, prefix;
	uint8_t unused[2];
};

enum { SLOTS_PER_RULE_X2 = 3, LINE_MAX_VALUE = (1 << 29) - 1 };

static inline const struct block_header *block_header(const struct snapshot *s)
{
	return (const struct block_header *)(const void *)s->block.p;
}

static inline const void *block_section(const struct snapshot *s, enum section which)
{
	return s->block.p + block_header(s)->sections[which].offset;
}

static inline const struct block_client *block_client(const struct snapshot *s, uint32_t client)
{
	return (const struct block_client *)block_section(s, SECTION_CLIENTS) + client;
}

static inline const struct block_rule *block_rule(const struct snapshot *s, uint32_t rule)
{
	return (const struct block_rule *)block_section(s, SECTION_RULES) + rule;
}

static inline const struct block_network *block_network(const struct snapshot *s, uint32_t key)
{
	return (const struct block_network *)block_section(s, SECTION_NETWORKS) + key;
}

static inline const char *block_string(const struct snapshot *s, uint32_t at)
{
	return (const char *)block_section(s, SECTION_STRINGS) + at;
}

static inline bool block_port_matches(const struct snapshot *s, const struct block_rule *r, uint16_t port)
{
	const uint32_t *set = (const uint32_t *)block_section(s, SECTION_PORTS) + r->ports;

	if (set[0] == 0)
		return r->deny || port == 80 || port == 443;
	for (uint32_t i = 1; i <= set[0]; i++)
		if (port >= set[i] >> 16 && port <= (set[i] & 0xffff))
			return true;
	return false;
}

/* A name is hashed from its last byte to its first, so that one pass over a host gives the hash of each of its suffixes. */
static inline uint64_t hash_step(uint64_t h, char c)
{
	return ((h << 5 | h >> 59) ^ (uint8_t)c) * 0x517cc1b727220a95ULL;
}

static inline uint64_t hash_done(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 29;
}

static inline uint64_t hash_bytes(const void *bytes, size_t n)
{
	uint64_t h = n;

	while (n-- > 0)
		h = hash_step(h, ((const char *)bytes)[n]);
	return hash_done(h);
}

static inline uint64_t hash_name(const char *name, size_t n)
{
	uint64_t h = 0;

	while (n-- > 0)
		h = hash_step(h, name[n]);
	return hash_done(h);
}

/* Where to look first: the high half of the hash, scaled to the table. */
static inline uint32_t hash_slot(uint64_t hash, uint32_t slots)
{
	return (uint32_t)((hash >> 32) * slots >> 32);
}

#endif
