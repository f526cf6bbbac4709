/* A pod that lives, with its containers and ports. */
#ifndef STOCKADE_ENGINE_LIVE_H
#define STOCKADE_ENGINE_LIVE_H

#include <time.h>

#include "engine/house.h"
#include "engine/pod_walls.h"
#include "engine/podman_life.h"
#include "process/container_log.h"

enum { POD_ATTACH_MS = 30000 };
enum pod_phase { POD_ATTACHING, POD_INIT, POD_STARTING, POD_RUNNING, POD_STOPPING };
enum container_state {
	CONTAINER_WAITING,
	CONTAINER_STARTING,
	CONTAINER_RUNNING,
	CONTAINER_BACKOFF,
	CONTAINER_EXITED,
	CONTAINER_STATE_COUNT
};

/* How pods come to be and end; everything else is the same for all. */
struct pod_engine {
	const char *name;
	/* Begins to start it; ends with pod_settle or pod_fail, later. -1: nothing is begun, clear follows. */
	int (*begin)(struct live_pod *p, struct err *err);
	/* Ends with pod_go; again (first false): the shorter time counts. */
	void (*stop)(struct live_pod *p, unsigned timeout_ms, bool first);
	/* What this process holds for it, at once. */
	void (*clear)(struct live_pod *p);
};
extern const struct pod_engine engine_builtin, engine_podman;

struct live_container {
	struct child child;
	struct container_log log;
	struct timer again;
	struct live_pod *pod;
	const struct container *planned;
	bool init;
	enum container_state state;
	int exit_code; /* of its last end, -1: none yet */
	unsigned restarts, failures;
	uint64_t started_ms;
	time_t started_at; /* 0: never */
	char cgroup[256];
	/* under an OCI runtime (pod/keeper.h): while it starts, the keeper's answer and how long that may take; then a pidfd of its first
	 * process, or -1 */
	struct source answer;
	struct timer late;
	int first;
	/* one of Podman's, as it was when last looked at; pid also of one under an OCI runtime */
	pid_t pid;
	char id[72], log_path[HOUSE_PATH];
	void (*started)(struct live_container *c, const struct err *why);
	void (*ended)(struct live_container *c);
};

struct live_port {
	struct child child;
	struct timer again;
	struct live_pod *pod;
	const struct container_port *planned;
	int listener;
};

struct live_pod {
	struct live_pod *next;
	struct house *house;
	struct plan_ref *plan;
	const struct plan_pod *planned;
	char name[64];
	enum pod_phase phase;
	struct pod_walls walls;
	struct gate_pod gate;
	struct timer limit; /* of attaching; of a friendly end */
	struct deferred end;
	int log_dir;
	char volume_dir[HOUSE_PATH + 80];
	struct live_container *containers; /* the init containers first */
	size_t container_count, init_count, at;
	struct live_port *ports;
	size_t port_count;
	struct podman_life podman;
	bool outside; /* one of its containers is not in the network namespace with the walls */
	void (*settled)(void *arg, const struct err *why);
	void *settled_arg;
	void (*gone)(void *arg);
	void *gone_arg;
};

/* --network bridge: the pod that the gate runs in. */
static inline bool bridge_is_gate(const struct live_pod *p)
{
	return p->podman.bridge.is_gate;
}

#endif
