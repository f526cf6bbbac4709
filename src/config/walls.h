/* What a pod may not get from the host by way of its volumes. Looks at files; changes none. */
#ifndef STOCKADE_CONFIG_WALLS_H
#define STOCKADE_CONFIG_WALLS_H

#include "config/schema.h"

/* Every hostPath volume: worked out to where it really is (volume->path), and refused when that place would open a wall. */
bool walls_check_volumes(struct reader *r, struct pod *p);
/* No pod but the gate's may have a writable mount through which it could change the manifest or a list, or lay a list where one
 * would be looked for. Call after walls_check_volumes and when the lists of all clients are known. */
bool walls_check_policy_files(struct reader *r, const struct manifest *m);

#endif
