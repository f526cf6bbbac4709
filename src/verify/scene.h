/* What is known of a project before the first probe: from its supervisor, and from the files on disk. */
#ifndef STOCKADE_VERIFY_SCENE_H
#define STOCKADE_VERIFY_SCENE_H

#include "verify/probe.h"

/* Starts zeroed. -1: there is nothing to look at. What is missing of a single pod is told by its `why`. */
int scene_gather(struct scene *s, const struct verify_options *o, struct err *err);
void scene_free(struct scene *s);

#endif
