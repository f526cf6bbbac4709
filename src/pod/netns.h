/* A pod's network namespace: made without any device but lo, owned by a user namespace outside every container. */
#ifndef STOCKADE_POD_NETNS_H
#define STOCKADE_POD_NETNS_H

#include "base/err.h"
#include "gate/protocol.h"
#include "policy/address.h"

/* New namespace: lo up, `local default dev lo` in table local for both families, the addresses v4/32 and v6/128 on lo,
 * net.ipv4.ip_unprivileged_port_start=0, ping_group_range empty. Returns its fd (close-on-exec), or -1. The calling process
 * stays where it is. */
int netns_create(const struct ip_addr *v4, const struct ip_addr *v6, struct err *err);
/* Makes the same of a namespace that somebody else has made for a pod and in which nothing of it runs yet. The host's own, and one
 * that has a device besides lo, are refused and left as they are. 0 or -1. */
int netns_adopt(int netns, const struct ip_addr *v4, const struct ip_addr *v6, struct err *err);
/* Runs fn in a short-lived child inside the namespace; its err and its fds (ret_fds, at most max) come back. 0 or -1.
 * This is the only way in, for the jail, for listeners and for verify: the supervisor itself never changes namespace. */
int netns_run(int netns, int (*fn)(void *arg, int *ret_fds, struct err *err), void *arg, int *ret_fds, size_t count,
	      struct err *err);
/* -1: it is the host's own, and nobody's pod. */
int netns_is_the_hosts(int netns, struct err *err);
/* The settings of every pod's namespace; of the calling process's. */
int netns_settings(struct err *err);
/* The gate's listener set (enum gate_listener), made inside. device: NULL, the transparent ones of a pod; else, in the namespace of the gate's
 * pod, those of the pod at the other end of that device, and of nobody else. */
int netns_listeners(int netns, const char *device, int ret_fds[static GATE_LISTENER_COUNT], struct err *err);
/* A socket() made inside the namespace, e.g. for port publishing. */
int netns_socket(int netns, int family, int type, int protocol, struct err *err);

#endif
