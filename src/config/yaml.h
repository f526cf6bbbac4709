/* YAML as far as a manifest needs it, with the place of everything: mappings with string keys, lists, scalars. Refused where
 * they stand: anchors, aliases, tags, merge keys, duplicate keys, keys that are no strings, bytes that are no clean UTF-8. */
#ifndef STOCKADE_CONFIG_YAML_H
#define STOCKADE_CONFIG_YAML_H

#include "config/report.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_pair {
	const char *key;
	unsigned line, column;
	struct yaml_node *value;
};

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column;
	const char *text;         /* scalar: NUL-terminated, without a NUL inside */
	bool plain;               /* scalar: written without quotes, so it may be a number, a bool or null */
	struct yaml_pair *pairs;  /* map */
	struct yaml_node **items; /* list */
	size_t count;
};

struct yaml_stream {
	struct yaml_node **documents; /* empty ones are left out */
	size_t count;
};

/* Limits of a manifest. */
enum { YAML_BYTES = 4 * 1024 * 1024, YAML_NODES = 100000, YAML_DEPTH = 32, YAML_KEYS = 4096 };

bool yaml_parse(const struct source *s, struct report *r, struct yaml_stream *ret);

enum yaml_scalar { YAML_STRING, YAML_NULL, YAML_BOOL, YAML_NUMBER };
/* What a plain scalar is to Kubernetes: its YAML 1.1 words for booleans count, so `no` is not the string "no". */
enum yaml_scalar yaml_scalar_of(const struct yaml_node *n);
/* NULL when the map has no such key. */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

#endif
