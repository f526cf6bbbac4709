/* cgroups that outlived those who made them. */
#ifndef STOCKADE_PROCESS_STALE_H
#define STOCKADE_PROCESS_STALE_H

#include <stdbool.h>

#include "base/err.h"

/* Removes every cgroup whose name begins with prefix and for which dead(rest of the name) holds (NULL: all), waiting a moment for
 * their last processes. Returns how many are still there. */
unsigned stale_cgroups_remove(const char *prefix, bool (*dead)(const char *rest), unsigned wait_ms);
/* Those of `stockade run` whose process is gone. */
void stale_runs_remove(void);

#endif
