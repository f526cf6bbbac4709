/* What the supervisor knows of `--network bridge`: of the project, and of each pod's wire (plan/bridge.h). */
#ifndef STOCKADE_ENGINE_BRIDGE_LIFE_H
#define STOCKADE_ENGINE_BRIDGE_LIFE_H

#include <jansson.h>

#include "engine/gate_image.h"
#include "engine/podman_files.h"
#include "plan/bridge.h"

enum { BRIDGE_NAMES = 8 };

struct house;
struct live_pod;

struct bridge { /* in struct podman */
	bool on, ready;
	bool tried; /* the gate was let start, and has not connected since */
	struct bridge_wire outer;
	json_t *others;                   /* networks of Podman's that are not the project's, as it tells them */
	char outer_device[BRIDGE_DEVICE]; /* in the namespace of the gate's pod */
	struct gate_image image;
	char infra[72];            /* the container that holds that namespace, once the gate's pod runs */
	char channel[PODMAN_PATH]; /* the directory with the gate's socket */
	struct source listener;    /* that socket */
	unsigned workers;          /* of the gate */
	struct live_pod *gate;     /* NULL: none */
	/* set by the owner: it runs (NULL), or does not */
	void (*gate_settled)(struct house *h, const struct err *why);
	struct timer hold;            /* a gate that ends soon is not let start at once */
	uint64_t held;                /* the hook that waits, a client; 0: none */
	const struct plan_pod *wants; /* the gate's pod as it is to be started when the old one has gone; NULL: none */
	struct plan_ref *wants_plan;
};

struct bridge_life { /* in struct podman_life */
	struct bridge_wire wire;
	struct bridge_end end;   /* the pod's own, as the jail has it */
	struct bridge_join join; /* the gate's */
	bool joined;             /* the gate's jail lets it in */
	unsigned name;           /* of its network, as it has it: plan_bridge_wire */
	bool waits;              /* for the gate's pod, before its own goes on */
	bool is_gate;
	bool disconnected; /* at its end, the gate's pod from its network */
};

#endif
