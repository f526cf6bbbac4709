/* `--engine podman --network bridge`: where things are, and the rules, when the gate is in a pod of its own and each pod has a network
 * of its own with it. Pure.
 *
 * To a pod the gate is 198.18.0.1 and fd5a:5354:4b44::1, as everywhere: 198.18.0.1 is routed over the pod's one wire, to a neighbour whose
 * MAC is set and never asked for. The addresses that Podman gives, in 198.19.0.0/16, are of the wire alone. There is no IPv6 on it.
 *
 * Three rulesets hold a wire: the pod's (plan_bridge_jail), the gate's (plan_bridge_gate_jail), and the host's (plan_bridge_host_wall), which keeps
 * the host's own network stack off the bridge. A pod that had broken its own would still meet the other two. */
#ifndef STOCKADE_PLAN_BRIDGE_H
#define STOCKADE_PLAN_BRIDGE_H

#include "plan/plan.h"

enum { BRIDGE_MAC = 6, BRIDGE_MAC_TEXT = 18, BRIDGE_NAME = 192, BRIDGE_DEVICE = 16, BRIDGE_PLACES = 8192 };
/* The gate's user and group in its container, the same number as everywhere. */
enum { BRIDGE_GATE_ID = 0x6fff0000 };
#define BRIDGE_CHANNEL_DIR "/run/stockade"
#define BRIDGE_CHANNEL     "gate.sock"
#define BRIDGE_IMAGE       "localhost/stockade-gate"

/* One network: of a pod and the gate, or (outer) of the gate and the host. */
struct bridge_wire {
	char network[BRIDGE_NAME];  /* its name in Podman */
	char device[BRIDGE_DEVICE]; /* the bridge on the host */
	struct ip_net net;          /* 198.19.x.y/29 */
	struct ip_addr host, gate, pod;
	uint8_t gate_mac[BRIDGE_MAC], pod_mac[BRIDGE_MAC];
	bool outer;
};

/* state: the directory of the project's files, which no other project has. pod: NULL, the outer one. place: 0, or the next ones when that one
 * is taken by another of the project; the same in, the same out.
 * name: 0, or a number that goes into the network's name, when Podman does not let go of addresses in one of that name. */
void plan_bridge_wire(const char *state, const char *project, const char *pod, unsigned place, unsigned name,
		      struct bridge_wire *ret);
/* For the project's host devices: what their names begin with. */
void plan_bridge_prefix(const char *state, char ret[static BRIDGE_DEVICE]);
bool plan_bridge_overlaps(const struct bridge_wire *w, const struct ip_net *other);
/* As Podman keeps a network on disk. id: 64 hexadecimal digits, one's own. */
const char *plan_bridge_network(const struct bridge_wire *w, const char *project, const char *id, struct arena *a);
/* "NAME:ip=...,mac=..." for one end of it. */
const char *plan_bridge_end(const struct bridge_wire *w, bool gate, struct arena *a);
const char *bridge_mac_text(const uint8_t mac[static BRIDGE_MAC], char ret[static BRIDGE_MAC_TEXT]);

/* The pod's end as it was found: another address of the same network may have been given to it by hand. */
struct bridge_end {
	char device[BRIDGE_DEVICE]; /* in the namespace */
	struct ip_addr address;
	uint8_t mac[BRIDGE_MAC];
};
const char *plan_bridge_jail(const struct plan_pod *pod, const struct bridge_end *end, struct arena *a);

/* A wire as the gate's pod sees it: its own device, and the pod at the other end. */
struct bridge_join {
	char device[BRIDGE_DEVICE];
	int index; /* the device's, which no other ever has */
	const struct bridge_end *pod;
};
const char *plan_bridge_gate_jail(const char *outer_device, const struct bridge_join *joins, size_t count, struct arena *a);
/* On the host, which need not have the bridge yet. */
const char *plan_bridge_host_wall(const char *device, struct arena *a);
const char *plan_bridge_host_wall_gone(const char *device, struct arena *a);

struct bridge_gate {
	const char *image;   /* with its tag */
	const char *channel; /* the host's directory with the socket */
	struct strings args; /* of `stockade gate-role` */
};
/* The gate's pod, to be run as any other. */
const struct plan_pod *plan_bridge_gate(const struct plan *p, const struct bridge_gate *how, struct arena *a);
/* A pod's files, for a namespace in which only IPv4 leads to the gate. */
const char *plan_bridge_hosts(const struct plan_pod *pod, struct arena *a);
const char *plan_bridge_resolv(const struct plan *p, struct arena *a);

#endif
