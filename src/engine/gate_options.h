/* What `up` says of the gate: other options are another gate. */
#ifndef STOCKADE_ENGINE_GATE_OPTIONS_H
#define STOCKADE_ENGINE_GATE_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "gate/limits.h"

struct house;

enum { GATE_DNS_MAX = 8, GATE_DNS_TEXT = 64, GATE_WORKERS_MAX = 256 };

struct gate_options {
	char dns[GATE_DNS_MAX][GATE_DNS_TEXT]; /* "": no more; none: the host's resolvers */
	unsigned workers;                      /* 0: one a core */
	struct gate_limits limits;
	bool haproxy;
};

/* From the request of `up` (engine/control.h). */
int gate_options_read(struct gate_options *o, const json_t *request, struct err *err);

enum { GATE_OPTIONS_SAME, GATE_OPTIONS_OTHER, GATE_OPTIONS_STARTED };
/* Makes them those of the house's gate, which is started when it has none; one that runs with others is the caller's to start anew.
 * One of these, or -1. */
int gate_options_set(struct house *h, const struct gate_options *o, struct err *err);

#endif
