/* A hash table with chains, and a queue of the same entries in order of coming. An entry is one allocation: addresses, then the
 * name. */
#include "net/name_cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = RESOLVE_CACHE_ENTRIES };

struct entry {
	struct entry *same_bucket;
	struct entry *newer, *older;
	uint64_t hash, expires_ms;
	const char *name;
	uint8_t count;
	struct ip_addr list[];
};

struct name_cache {
	uint64_t seed;
	unsigned count;
	struct entry *oldest, *newest;
	struct entry *buckets[BUCKETS];
};

_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a bucket is the low bits of a hash");

/* FNV-1a from a secret start, its bits mixed at the end. */
uint64_t name_hash(uint64_t seed, const char *name)
{
	uint64_t h = seed;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ULL;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

struct name_cache *name_cache_new(uint64_t seed)
{
	struct name_cache *c = calloc(1, sizeof *c);

	if (c)
		c->seed = seed;
	return c;
}

static struct entry **find(struct name_cache *c, uint64_t hash, const char *name)
{
	struct entry **at = &c->buckets[hash % BUCKETS];

	while (*at && ((*at)->hash != hash || strcmp((*at)->name, name) != 0))
		at = &(*at)->same_bucket;
	return at;
}

static void drop(struct name_cache *c, struct entry **at)
{
	struct entry *e = *at;

	assert(e); /* what is in the queue is in its bucket */
	*at = e->same_bucket;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	c->count--;
	free(e);
}

void name_cache_free(struct name_cache *c)
{
	if (!c)
		return;
	while (c->oldest)
		drop(c, find(c, c->oldest->hash, c->oldest->name));
	free(c);
}

bool name_cache_get(struct name_cache *c, const char *name, uint64_t now_ms, struct addresses *ret)
{
	struct entry **at = find(c, name_hash(c->seed, name), name);

	if (!*at)
		return false;
	if ((*at)->expires_ms <= now_ms) {
		drop(c, at);
		return false;
	}
	ret->count = (*at)->count;
	memcpy(ret->list, (*at)->list, ret->count * sizeof *ret->list);
	return true;
}

void name_cache_put(struct name_cache *c, const char *name, const struct addresses *a, uint64_t expires_ms)
{
	const uint64_t hash = name_hash(c->seed, name);
	const size_t list_size = a->count * sizeof *a->list, name_size = strlen(name) + 1;
	struct entry **at = find(c, hash, name);

	if (*at)
		drop(c, at);
	else if (c->count == RESOLVE_CACHE_ENTRIES)
		drop(c, find(c, c->oldest->hash, c->oldest->name));
	struct entry *e = malloc(sizeof *e + list_size + name_size);

	if (!e)
		return;
	char *copy = (char *)e->list + list_size;

	memcpy(e->list, a->list, list_size);
	memcpy(copy, name, name_size);
	e->name = copy;
	e->hash = hash;
	e->count = a->count;
	e->expires_ms = expires_ms;
	e->same_bucket = c->buckets[hash % BUCKETS];
	c->buckets[hash % BUCKETS] = e;
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
	c->count++;
}
