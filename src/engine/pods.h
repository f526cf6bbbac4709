/* The pods that run: each from its walls to its end. A pod that cannot be started whole is taken away whole. */
#ifndef STOCKADE_ENGINE_PODS_H
#define STOCKADE_ENGINE_PODS_H

#include <jansson.h>

#include "engine/container_log.h"
#include "engine/house.h"
#include "engine/launch.h"
#include "engine/pod_walls.h"
#include "engine/podman_life.h"

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

struct live_pod *pod_find(struct house *h, const char *name);
/* Begins to start a pod. settled is called once, later: why is NULL when it runs, else it has been taken away again. -1: nothing
 * was begun that is not undone, and settled is not called. */
int pod_start(struct house *h, struct plan_ref *plan, const struct plan_pod *planned,
	      void (*settled)(void *arg, const struct err *why), void *arg, struct err *err);
/* SIGTERM, after timeout_ms SIGKILL; then everything of it is taken away, then gone (may be NULL). For one that is stopping already
 * the shorter time counts, and the first gone. */
void pod_stop(struct live_pod *p, unsigned timeout_ms, void (*gone)(void *arg), void *arg);
/* An unchanged pod goes on under a newer plan. */
void pod_keep(struct live_pod *p, struct plan_ref *plan, const struct plan_pod *planned);
/* One of its containers that runs: by name, or (NULL) the first. */
struct live_container *pod_running(struct live_pod *p, const char *container, struct err *err);
/* For engines: it is up (NULL) or could not be brought up; it is taken away, with settle; it has ended and is taken away. */
void pod_settle(struct live_pod *p, const struct err *why);
void pod_fail(struct live_pod *p, const struct err *why);
void pod_go(struct live_pod *p);
json_t *pod_describe(const struct live_pod *p);
void pod_launch(const struct live_pod *p, struct launch_pod *ret);

#endif
