/* What names resolved to: bounded by count and by time, the oldest goes first. Of the resolver only. */
#ifndef STOCKADE_NET_NAME_CACHE_H
#define STOCKADE_NET_NAME_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/resolve.h"

struct name_cache;
struct name_cache *name_cache_new(uint64_t seed); /* NULL: out of memory */
void name_cache_free(struct name_cache *c);
/* name: lower case. False: not known, or no longer. Known with a count of 0: the name has no addresses. */
bool name_cache_get(struct name_cache *c, const char *name, uint64_t now_ms, struct addresses *ret);
/* Replaces what was known. Out of memory: the name is not known afterwards. */
void name_cache_put(struct name_cache *c, const char *name, const struct addresses *a, uint64_t expires_ms);

/* The seed keeps pods from choosing names that share a bucket. */
uint64_t name_hash(uint64_t seed, const char *name);

#endif
