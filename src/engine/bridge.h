/* `--network bridge` on Podman: the gate in a pod of its own, one network for each pod with it (plan/bridge.h).
 *
 * The gate's container runs the same gate as ever: it connects to a socket of the supervisor, which lies in a directory that no other container has,
 * and is given the policy, the log and the listeners over it. The listeners of a pod are made in the gate's namespace and bound to the device of that
 * pod's network, so that a connection can come in on them from nowhere else. */
#ifndef STOCKADE_ENGINE_BRIDGE_H
#define STOCKADE_ENGINE_BRIDGE_H

#include "engine/live.h"

/* After podman_files_make. The outer network, the image, the socket; lines for people go to the client. */
int bridge_prepare(struct house *h, uint64_t client, struct err *err);
/* The gate's pod as these options want it: started, left alone, or replaced. ret_begun: gate_settled will be told how that ends. */
int bridge_gate_start(struct house *h, struct plan_ref *plan, uint64_t client, bool *ret_begun, struct err *err);
bool bridge_gate_runs(const struct house *h);
/* Before its files: its place. */
int bridge_place(struct live_pod *p, struct err *err);
/* What networks Podman has besides the project's: none may overlap one of the project's, nor may a route of the host. */
int bridge_networks_read(struct house *h, struct err *err);
int bridge_is_free(const struct house *h, const struct bridge_wire *w, struct err *err);
/* For Podman to see, behind the host's wall; it is gone. */
int bridge_network_make(struct live_pod *p, struct err *err);
void bridge_network_gone(const struct live_pod *p);
/* The host's wall: put up anew, and read back. */
int bridge_wall_up(const struct bridge_wire *w, struct err *err);
int bridge_wall_check(const struct bridge_wire *w, struct err *err);
/* Its own network; the outer one of the gate's pod. */
const struct bridge_wire *bridge_wire_of(const struct live_pod *p);
/* What `podman kube play` is told of networks: NULL-terminated. */
const char *const *bridge_networks(const struct live_pod *p, struct arena *a);
/* From its hook: it may start, at once or after a while. */
void bridge_hold_gate(struct house *h, uint64_t client);
/* A new namespace, from the hook. netns: stolen. Of the gate's pod; of another, whose walls then are `walls`. */
int bridge_adopt_gate(struct live_pod *p, int netns, struct err *err);
int bridge_adopt(struct live_pod *p, int netns, struct pod_walls *walls, struct err *err);
int bridge_check(const struct live_pod *p, struct err *err); /* the jails and the host's wall, read back */
/* For ps; NULL: it has none. */
json_t *bridge_describe(const struct live_pod *p);
/* Its wire is cut, on the gate's side. */
void bridge_leave(struct live_pod *p);
/* Of a project whose pods are gone: the networks named in dir, and what is left of them on the host. like: with the settings for podman. */
void bridge_sweep(const char *dir, const struct program *like);
void bridge_end(struct house *h);

#endif
