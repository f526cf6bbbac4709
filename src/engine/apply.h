/* `up`: makes what runs the same as what the manifest asks for. */
#ifndef STOCKADE_ENGINE_APPLY_H
#define STOCKADE_ENGINE_APPLY_H

#include <jansson.h>

#include "engine/house.h"

/* The request of `client`; it is answered when all is done. */
void apply_ask(struct house *h, uint64_t client, const json_t *request);
/* Podman has told what runs (engine/podman.h). */
void apply_on_look(struct house *h, unsigned number);
/* The gate's pod, which it has begun to start, runs (NULL), or does not. */
void apply_on_gate(struct house *h, const struct err *why);
/* The gate serves all that it was told (gate_link_serves). */
void apply_on_serves(struct house *h);
/* HAProxy serves this change, and all before it. */
void apply_on_haproxy(struct house *h, uint64_t change);
/* How many pods of the plan do not run as it says, plus those that run and are not in it. */
size_t apply_differences(struct house *h, const struct plan *p);
/* Those that have not begun are answered with an error; one at work ends by itself when its pods are stopped. */
void apply_cancel(struct house *h);
/* After the loop has ended: one may have waited for nothing but the gate. */
void apply_end(struct house *h);

#endif
