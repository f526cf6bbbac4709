/* What the files of the supervisor share: one project's state, owned by the one thread that runs its loop. */
#ifndef STOCKADE_ENGINE_HOUSE_H
#define STOCKADE_ENGINE_HOUSE_H

#include "base/arena.h"
#include "engine/clients.h"
#include "engine/gate_options.h"
#include "engine/loader.h"
#include "engine/podman_life.h"
#include "engine/reload.h"
#include "gates/gate_link.h"
#include "plan/oci.h"
#include "plan/plan.h"
#include "process/watch.h"

enum { HOUSE_PATH = 512 };

/* A plan with the memory it lives in; each pod started from it holds it. */
struct plan_ref {
	unsigned refs;
	struct arena arena;
	struct plan *plan;
};
/* From the text that the loader read, with the hostPaths that it judged. One reference, or NULL. */
struct plan_ref *plan_ref_make(const struct loaded *l, const char *manifest, struct err *err);
struct plan_ref *plan_ref_take(struct plan_ref *r);
void plan_ref_drop(struct plan_ref *r); /* NULL-safe */

struct live_pod;
struct pod_engine;
struct apply;

struct house {
	const char *project;
	char path[HOUSE_PATH]; /* of the run directory */
	int dir, decisions;    /* the run directory; the decision log */
	int host_mounts;       /* the mount namespace that it was started in */
	struct loop *loop;
	char manifest[HOUSE_PATH]; /* absolute; "" before the first apply */

	struct gate_link gate;
	struct haproxy haproxy; /* started when gate.haproxy is it */
	bool gate_started, gate_answers;
	struct gate_counters counters;
	struct gate_options options; /* of the gate; set by the first apply */
	const char *dns_list[GATE_DNS_MAX + 1];

	struct reload reload;
	struct watch watch;
	struct clients clients;
	struct timer status;             /* how long ps waits for the gate */
	const struct pod_engine *engine; /* NULL before the first apply */
	struct oci_runtime runtime;      /* of the built-in engine; its path is "" where containers are started directly */
	struct podman podman;
	struct live_pod *pods;
	json_t *not_started;   /* pods that the last apply asked for and that are not there: name to reason; NULL: none yet */
	struct apply *applies; /* the first is at work */

	/* Set by the owner. Stops every pod and then everything; the loop ends when all is gone. Again: the shorter time counts. */
	void (*leave)(struct house *h, unsigned timeout_ms);
	bool leaving; /* on its way down: nothing new is begun */
	struct deferred left;
};

/* To be called when a pod has gone: the loop ends with the last one of a project that is on its way down. */
void house_pod_gone(struct house *h);
/* A command of Podman for this project. argv: NULL-terminated, with "podman". */
struct program podman_program(const struct house *h, const char *const *argv, unsigned limit_ms);

#endif
