/* What is there, read from outside: devices, routes, processes, namespaces, sockets, the jail, the policy, the decision log. */
#ifndef STOCKADE_VERIFY_PROBE_STATE_H
#define STOCKADE_VERIFY_PROBE_STATE_H

#include "verify/probe.h"

/* probe_wire.c: in the pod's network namespace */
void wire_devices(struct view *v, const struct probe *p, struct finding *f);
void wire_devices_control(struct view *v, const struct probe *p, struct finding *f);
void wire_routes(struct view *v, const struct probe *p, struct finding *f);
void wire_routes_control(struct view *v, const struct probe *p, struct finding *f);
void wire_listeners(struct view *v, const struct probe *p, struct finding *f);
void wire_listeners_control(struct view *v, const struct probe *p, struct finding *f);

/* probe_jail.c: on the host, for a pod */
void jail_in_force(struct view *v, const struct probe *p, struct finding *f);
void jail_in_force_control(struct view *v, const struct probe *p, struct finding *f);
void jail_owner(struct view *v, const struct probe *p, struct finding *f);
void jail_owner_control(struct view *v, const struct probe *p, struct finding *f);
void jail_joined(struct view *v, const struct probe *p, struct finding *f);
void jail_joined_control(struct view *v, const struct probe *p, struct finding *f);
/* Where a pod has a wire it is probe_bridge.c that looks. */
void jail_host_wall(struct view *v, const struct probe *p, struct finding *f);

/* probe_processes.c: on the host */
void processes_capabilities(struct view *v, const struct probe *p, struct finding *f);
void processes_capabilities_control(struct view *v, const struct probe *p, struct finding *f);
void processes_namespaces(struct view *v, const struct probe *p, struct finding *f);
void processes_ids(struct view *v, const struct probe *p, struct finding *f);
void processes_gate(struct view *v, const struct probe *p, struct finding *f);
void processes_gate_root(struct view *v, const struct probe *p, struct finding *f);
void processes_own_control(struct view *v, const struct probe *p, struct finding *f); /* the same look at this very process */

/* probe_policy.c: the policy in force */
void policy_hash(struct view *v, const struct probe *p, struct finding *f);
void policy_hash_control(struct view *v, const struct probe *p, struct finding *f);
void policy_sealed(struct view *v, const struct probe *p, struct finding *f);
void policy_sealed_control(struct view *v, const struct probe *p, struct finding *f);
void policy_shown(struct view *v, const struct probe *p, struct finding *f);
void policy_shown_control(struct view *v, const struct probe *p, struct finding *f);
void policy_on_disk(struct view *v, const struct probe *p, struct finding *f);
void policy_on_disk_control(struct view *v, const struct probe *p, struct finding *f);
void policy_special(struct view *v, const struct probe *p, struct finding *f);
void policy_special_control(struct view *v, const struct probe *p, struct finding *f);
void policy_unknown(struct view *v, const struct probe *p, struct finding *f);
void policy_known_control(struct view *v, const struct probe *p, struct finding *f);
void policy_empty(struct view *v, const struct probe *p, struct finding *f);
void policy_empty_control(struct view *v, const struct probe *p, struct finding *f);
void policy_broken(struct view *v, const struct probe *p, struct finding *f);
void policy_broken_control(struct view *v, const struct probe *p, struct finding *f);

/* probe_log.c: the decision log, when the pod's probes are over */
void log_client(struct view *v, const struct probe *p, struct finding *f);
void log_generation(struct view *v, const struct probe *p, struct finding *f);
void log_fresh(struct view *v, const struct probe *p, struct finding *f);
void log_lines(struct view *v, const struct probe *p, struct finding *f);
void log_found_control(struct view *v, const struct probe *p, struct finding *f);
void log_readable_control(struct view *v, const struct probe *p, struct finding *f);

#endif
