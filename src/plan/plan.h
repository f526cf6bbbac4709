/* From a manifest to what is to be done: addresses, the files that the engine writes into a pod, the policy block, the jail's
 * ruleset, and the ordered steps with their undo that `up --dry-run` prints and the engine carries out. Pure. */
#ifndef STOCKADE_PLAN_PLAN_H
#define STOCKADE_PLAN_PLAN_H

#include "plan/manifest.h"
#include "policy/snapshot.h"

/* Where things are, the same in every project. Each pod has a namespace of its own, so nothing can clash.
 * 198.18.0.0/15 (RFC 2544) and fd5a:5354:4b44::/48 (RFC 4193) never appear on a wire. */
enum { PLAN_TPROXY_PORT = 15001, PLAN_DNS_PORT = 53, PLAN_PROXY_PORT = 8080, PLAN_NFLOG_GROUP = 5 };
#define PLAN_GATE_NAME "proxy-pod" /* when the manifest has no pod for the gate */

struct plan_pod {
	const struct pod *pod;
	struct ip_addr v4, v6;   /* 198.18.0.N, fd5a:5354:4b44::N: N = 2 + place in the manifest; the gate has N = 1 */
	const char *hosts;       /* /etc/hosts */
	const char *resolv_conf; /* nameserver: the gate's addresses */
	const char *config_hash; /* changes when the pod must be started anew */
};

enum step_kind {
	STEP_GATE_START,
	STEP_POLICY_PUBLISH,
	STEP_POD_NETNS,
	STEP_POD_JAIL,
	STEP_POD_READ_BACK,
	STEP_POD_ATTACH,
	STEP_CONTAINER_INIT,
	STEP_CONTAINER_START,
	STEP_PORT_PUBLISH,
	STEP_KIND_COUNT
};

struct step {
	enum step_kind kind;
	const struct plan_pod *pod;        /* NULL for the gate's and the policy's steps */
	const struct container *container; /* for container steps */
	const struct container_port *port; /* for STEP_PORT_PUBLISH */
};

struct plan {
	const struct manifest *manifest;
	struct ip_addr gate_v4, gate_v6;
	const char *gate_name; /* the gate pod's name, else "proxy-pod" */
	struct plan_pod *pods; /* without the gate's pod */
	size_t pod_count;
	struct step *steps;
	size_t step_count;
	struct span policy; /* the compiled block */
};

struct plan *plan_make(const struct manifest *m, struct arena *a);
/* What a pod is, as a short text; plan_make has worked it out for those of the manifest. */
const char *plan_config_hash(const struct plan *plan, const struct plan_pod *pod, struct arena *a);
const char *step_text(const struct step *s, struct arena *a); /* a line for people: "pod cli-pod: ..." */
const char *step_undo_text(const struct step *s, struct arena *a);
/* The jail's whole ruleset of one pod as nft text: one `inet stockade` table (see jail/jail.h for what it does), put up in
 * one transaction in place of any older one. */
const char *plan_ruleset(const struct plan *p, const struct plan_pod *pod, struct arena *a);
/* The proxy variables for a container: those that its env does not set itself, in any case of letters. c may be NULL: all. */
size_t plan_proxy_env(const struct plan *p, const struct container *c, struct arena *a, struct pair **ret);

#endif
