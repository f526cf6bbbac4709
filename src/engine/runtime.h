/* Which OCI runtime is meant by --runtime, and whether it works here. */
#ifndef STOCKADE_ENGINE_RUNTIME_H
#define STOCKADE_ENGINE_RUNTIME_H

#include "base/err.h"
#include "plan/oci.h"

/* named: crun, runc, runsc, or the absolute path of another, which nobody but root may be able to change. What it is is told by what it
 * says of its version. */
int runtime_find(const char *named, struct oci_runtime *ret, struct err *err);
/* Runs `sleep` as a container is run, looks at it while it runs, and ends it: a program that ends by itself could be gone before its
 * walls are seen. -1: err has the runtime's own reason, or the wall that it left out. Waits for it. */
int runtime_probe(const struct oci_runtime *r, struct err *err);
/* Text for a runtime is JSON: what is no UTF-8 cannot be told to it. list: NULL-terminated, may be NULL. */
int runtime_check_text(const char *what, const char *const *list, struct err *err);

#endif
