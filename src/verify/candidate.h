/* Which name may a pod reach? A probe's control needs one, and the lists name trees, not hosts. Pure. */
#ifndef STOCKADE_VERIFY_CANDIDATE_H
#define STOCKADE_VERIFY_CANDIDATE_H

#include "policy/snapshot.h"

enum { CANDIDATES_MAX = 12 };

struct candidate {
	char host[254]; /* a canonical name that the policy allows with this port */
	char tree[254]; /* the name as it is listed, at or above it */
	uint16_t port;
};

/* The names to try for a client, most likely ones first: those of a rule's own name, then "www", "api" and the like below it, for
 * ports 443 and 80, else the rule's first. Only what the policy allows. Looks at no more than a bounded number of rules. */
size_t candidates_find(const struct snapshot *s, uint32_t client, struct candidate ret[static CANDIDATES_MAX]);
/* One entry as snapshot_rule_text writes it: its name, whether names below count, its first port (0: the default). false: no name
 * is allowed by it. */
bool candidate_entry(const char *entry, char ret_name[static 254], bool *ret_self, bool *ret_below, uint16_t *ret_port);

#endif
