/* The Podman engine: `podman kube play --network none` makes pods and containers and restarts them; the supervisor builds the walls
 * around them. A hook of the OCI runtime (cmd/hook.c) hands over the network namespace of every container before its program starts
 * and waits for the supervisor's word; no word, no start. So it is at the first start, at each restart, and when somebody types
 * `podman pod start`. */
#ifndef STOCKADE_ENGINE_PODMAN_H
#define STOCKADE_ENGINE_PODMAN_H

#include "engine/live.h"

enum { PODMAN_QUICK_MS = 30000, PODMAN_PLAY_MS = 300000 };
/* A removal fails when Podman itself, in another process, still cleans up after a container; the next one does not. */
enum { PODMAN_REMOVALS = 5, PODMAN_AGAIN_MS = 300 };

/* Is Podman there, and may the plan run on it? Writes the project's files. Lines for people go to the client. */
int podman_prepare(struct house *h, const struct plan *p, uint64_t client, struct err *err);
/* From the hook: a container (its id) of the pod is about to start in this namespace. The client is answered when the gate serves it, or with
 * the reason why not. netns: stolen. */
void podman_attach(struct house *h, uint64_t client, const char *pod, const char *container, int netns);
/* All hooks of the pod that wait: yes (NULL), or why not. */
void podman_answer_hooks(struct live_pod *p, const struct err *why);
bool podman_hook_waits(const struct live_pod *p);
/* Asks Podman what runs, and notes it in the pods' containers. Looks are numbered; this returns the number of the first one that begins
 * from now on. When it is over, `looked` is told. */
unsigned podman_look(struct house *h);
void podman_on_look(struct house *h, unsigned number);
/* --network bridge: the gate's pod runs (NULL), or does not; for the pods that wait for it. */
void podman_gate_settled(struct house *h, const struct err *why);
/* A process of the container that runs, and its ids; -1 when it is not what it was. */
int podman_pidfd(const struct live_container *c, uid_t *ret_uid, gid_t *ret_gid, struct err *err);
/* Of a project without a supervisor: what Podman still has of it, and its files. */
int podman_sweep(const char *project, struct err *err);
void podman_end(struct house *h);

#endif
