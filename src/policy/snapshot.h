/* A policy generation: every client's lists and every pod's name, compiled into one flat, position-independent, immutable
 * block of bytes. It is written once by the loader, sealed in a memfd, mapped read-only by the gate (which therefore opens no
 * file at all), and read alike by `explain`, `verify` and the tests. Pure.
 *
 * Building (in an arena), then reading:
 *	struct policy_builder *b = policy_builder_new(&arena);
 *	uint32_t c = policy_builder_client(b, "cli-pod");
 *	policy_builder_rule(b, c, &rule);  ...
 *	policy_builder_name(b, "cli-pod", &v4, &v6);
 *	struct span block = policy_builder_finish(b);      // the same input gives the same bytes
 *	struct snapshot s; snapshot_open(block, &s);
 */
#ifndef STOCKADE_POLICY_SNAPSHOT_H
#define STOCKADE_POLICY_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"
#include "policy/address.h"

enum rule_match {
	RULE_TREE,    /* the name and all names below it */
	RULE_BELOW,   /* only names below it */
	RULE_EXACT,   /* only that name */
	RULE_NETWORK, /* an address or a network */
};

struct port_range {
	uint16_t first, last; /* inclusive; 1-65535 is any */
};

struct rule {
	bool deny; /* a deny rule without ports denies every port */
	enum rule_match match;
	const char *name;               /* canonical host text, when not RULE_NETWORK */
	struct ip_net net;              /* when RULE_NETWORK */
	const struct port_range *ports; /* port_count 0: the default, 80 and 443 for an allow rule, all for a deny rule */
	size_t port_count;
	const char *file; /* where it is written, for logs and answers; interned by the builder */
	uint32_t line;
};

struct policy_builder;
struct policy_builder *policy_builder_new(struct arena *a);
/* Gives the client's number; the same name gives the same number. A client without rules denies everything. */
uint32_t policy_builder_client(struct policy_builder *b, const char *name);
void policy_builder_rule(struct policy_builder *b, uint32_t client, const struct rule *r);
/* A name that the pods' resolver answers: pods and the gate. Either address may be NULL. */
void policy_builder_name(struct policy_builder *b, const char *name, const struct ip_addr *v4, const struct ip_addr *v6);
/* The gate's own addresses in every pod: a connection to them is explicit proxy use. */
void policy_builder_gate(struct policy_builder *b, const struct ip_addr *v4, const struct ip_addr *v6);
/* The whole block, in the arena, 8-byte aligned. */
struct span policy_builder_finish(struct policy_builder *b);

/* A view of a block; the block must outlive it. Plain struct: copy freely. */
struct snapshot {
	struct span block;
	uint64_t generation; /* given by whoever publishes it; not part of the block nor of the hash */
	char hash[65];       /* SHA-256 of the block in hex, set by whoever publishes it */
};

enum { CLIENT_NONE = 0xffffffff };

/* Checks magic, version, every offset and bound, so that no later read can leave the block. */
bool snapshot_open(struct span block, struct snapshot *ret);
uint32_t snapshot_client(const struct snapshot *s, struct span name); /* CLIENT_NONE when not there */
uint32_t snapshot_client_count(const struct snapshot *s);
const char *snapshot_client_name(const struct snapshot *s, uint32_t client);
uint32_t snapshot_rule_count(const struct snapshot *s, uint32_t client);
/* Whether an allow rule of the client for a name may be meant for this port: looks at no more than SNAPSHOT_PORT_RULES rules, and
 * says yes when there are more. */
enum { SNAPSHOT_PORT_RULES = 4096 };
bool snapshot_client_names_port(const struct snapshot *s, uint32_t client, uint16_t port);
/* The canonical name (lower case, no trailing dot) of a pod or the gate. false: not one of ours. family 0 = unset. */
bool snapshot_name(const struct snapshot *s, struct span name, struct ip_addr *ret_v4, struct ip_addr *ret_v6);
bool snapshot_is_gate(const struct snapshot *s, const struct ip_addr *a);
void snapshot_gate(const struct snapshot *s, struct ip_addr *ret_v4, struct ip_addr *ret_v6);

/* Where a rule is written: file (NULL when `rule` is RULE_NONE) and line. */
enum { RULE_NONE = 0xffffffff };
const char *snapshot_rule_file(const struct snapshot *s, uint32_t rule);
uint32_t snapshot_rule_line(const struct snapshot *s, uint32_t rule);
/* Whether the rule lists one address and no other. */
bool snapshot_rule_is_single(const struct snapshot *s, uint32_t rule);
/* One rule of a client, as data; the text and the ports are the block's. Rules of one port_set have the same ports. */
struct rule_view {
	uint32_t rule; /* its number, for the calls above */
	bool deny;
	enum rule_match match;
	const char *name;      /* when not RULE_NETWORK */
	struct ip_net net;     /* when RULE_NETWORK */
	const uint32_t *ports; /* each first << 16 | last, ascending; port_count 0: the default */
	uint32_t port_count, port_set;
};
void snapshot_rule_view(const struct snapshot *s, uint32_t client, uint32_t index, struct rule_view *ret); /* index < its count */
/* The canonical text of the rule as a list entry ("*.python.org:443", "!telemetry.example.com"), NUL-terminated. */
char *snapshot_rule_text(const struct snapshot *s, uint32_t rule, char *buf, size_t size);

#endif
