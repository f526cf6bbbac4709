/* Which project a command means. */
#ifndef STOCKADE_CMD_PROJECT_H
#define STOCKADE_CMD_PROJECT_H

#include "base/arena.h"
#include "base/err.h"

#define MANIFEST_DEFAULT "pods.yaml"

/* named (--project), or else the base name of dir in lower case, when that is a project's name. NULL with err. dir NULL: the
 * current one. */
const char *project_name(const char *named, const char *dir, struct arena *a, struct err *err);

#endif
