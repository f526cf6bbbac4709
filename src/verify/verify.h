/* `stockade verify`: the proof. Probes try every wall of a project that runs, from where an attacker stands, and each has a
 * positive control that runs the same code where it must succeed. A probe whose control fails is broken, never passed. */
#ifndef STOCKADE_VERIFY_VERIFY_H
#define STOCKADE_VERIFY_VERIFY_H

#include <jansson.h>

#include "base/err.h"

/* SKIPPED: it does not apply here; detail says why. UNSUPPORTED: it is not kept, and cannot be with the gate that was chosen; no success
 * either. */
enum probe_outcome { PROBE_PASSED, PROBE_FAILED, PROBE_BROKEN, PROBE_SKIPPED, PROBE_UNSUPPORTED, PROBE_OUTCOME_COUNT };

struct probe_result {
	const char *id;  /* "udp-v4"; one for each kind of probe, the same in every pod */
	int promise;     /* 1-10, docs/threat-model.md */
	const char *pod; /* "": the project as a whole */
	const char *title;
	enum probe_outcome outcome;
	char detail[200];  /* what was seen */
	char control[200]; /* what the control saw */
};

struct verify_options {
	const char *project;
	const char *pod; /* NULL: all */
};

struct verify_totals {
	unsigned count[PROBE_OUTCOME_COUNT];
	unsigned long long generation;
	char hash[65];
};

/* Runs everything, and tells each result in the order of the table, pod by pod; text in it is valid during the call. 0: it ran, and
 * *ret says how it ended (a failure of a probe is no error). -1: it could not run at all (no such project: ERR_FINDING; no such
 * pod: ERR_INPUT). */
int verify_run(const struct verify_options *o, void (*on_result)(void *arg, const struct probe_result *r), void *arg,
	       struct verify_totals *ret, struct err *err);

const char *probe_outcome_word(enum probe_outcome o); /* "passed", "failed", "broken", "skipped", "unsupported" */
/* {"id","promise","pod","title","result","detail","control"}: a new reference. */
json_t *probe_result_json(const struct probe_result *r);

#endif
