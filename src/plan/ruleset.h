/* Inside this room: what the jails of a pod, with and without a wire, have in common. */
#ifndef STOCKADE_PLAN_RULESET_H
#define STOCKADE_PLAN_RULESET_H

#include "base/arena.h"

/* The chains refuse, which answers at once, and foreign, which does not: for what came from where nothing may come from. */
const char *ruleset_verdicts(struct arena *a);

#endif
