/* Probes that are made otherwise, or have no meaning, where a pod has a wire to the gate's pod (--network bridge). */
#ifndef STOCKADE_VERIFY_PROBE_BRIDGE_H
#define STOCKADE_VERIFY_PROBE_BRIDGE_H

#include "verify/probe.h"

/* Makes the attempt, or the control, in place of the usual one. false: the usual one is right. */
bool bridge_made(struct view *v, const struct probe *p, bool control, struct finding *f);

#endif
