/* The verdict: one pure function in two steps, used by every adapter, by `explain` and by the tests. The order is DESIGN 4's:
 * client known, host well-formed, deny rules, allow rule for host and port, then - after resolving - every address. */
#ifndef STOCKADE_POLICY_DECIDE_H
#define STOCKADE_POLICY_DECIDE_H

#include "policy/host.h"
#include "policy/reason.h"
#include "policy/snapshot.h"

struct verdict {
	bool allow;
	bool any_protocol;  /* the allowing rule named a port other than 80 and 443 itself: a tunnel need not be TLS */
	enum reason reason; /* REASON_ALLOWED when allow */
	uint32_t rule;      /* the rule that decided, or RULE_NONE */
};

/* Before resolving. parsed: what host_parse said (host may be NULL unless HOST_OK). For an address this is the final word:
 * only a RULE_NETWORK of the client allows it. */
struct verdict policy_decide(const struct snapshot *s, uint32_t client, enum host_result parsed, const struct host *host,
			     uint16_t port);
/* For each address that an allowed name resolved to, before it may be dialled: deny rules of the client for addresses, then
 * special addresses unless a RULE_NETWORK of the client lists it with this port. In both steps an IPv6 address that embeds an IPv4
 * one is also held against the deny rules for that, and is allowed only by a network inside its form's block (so not by ::/0). */
struct verdict policy_decide_address(const struct snapshot *s, uint32_t client, const struct ip_addr *a, uint16_t port);

#endif
