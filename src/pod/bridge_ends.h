/* The one wire of a pod in `--network bridge`: its two ends, in the pod's namespace and in that of the gate's pod. Podman has made the devices;
 * here they are looked at, and the namespaces made such that nothing is left to be asked for on the wire: neighbours are set, IPv6 is off.
 * All of it may be done again. */
#ifndef STOCKADE_POD_BRIDGE_ENDS_H
#define STOCKADE_POD_BRIDGE_ENDS_H

#include "base/err.h"
#include "plan/bridge.h"

/* In the pod's namespace, in which nothing of it runs yet. It must have one device that is up, with one IPv4 address of the wire's network
 * that is neither the gate's nor the host's. 0 or -1. */
int bridge_ends_adopt_pod(int netns, const struct bridge_wire *w, const struct plan_pod *pod, struct bridge_end *ret,
			  struct err *err);
/* In the namespace of the gate's pod. ret: the name of its device to the outer network. */
int bridge_ends_adopt_gate(int netns, const struct bridge_wire *outer, char ret[static BRIDGE_DEVICE], struct err *err);
/* There, once the pod's network is one of its own. */
int bridge_ends_join(int netns, const struct bridge_wire *w, const struct bridge_end *pod, struct bridge_join *ret,
		     struct err *err);
/* In the calling process's namespace, the host's: no IPv6 on this bridge, so that there is nobody to talk to on it. */
int bridge_ends_hush_host(const char *device, struct err *err);
/* Does a route of the calling process's namespace lead into the wire's network? Those by its own bridge do not count. 0, or -1 and err says
 * which. */
int bridge_ends_check_routes(const struct bridge_wire *w, struct err *err);

#endif
