/* What `up` is told, and `unit`, which writes down what `up` is to be told. */
#ifndef STOCKADE_CMD_UP_H
#define STOCKADE_CMD_UP_H

#include <stdbool.h>

#include "plan/manifest.h"

struct up_options {
	const char *file, *project, *engine, *gate, *network, *runtime;
	bool host_root, dry_run, jail, foreground;
	bool named; /* the project, by --project */
	unsigned workers;
	struct strings dns, limits;
};

/* -1 when it can be done; else the exit status, and the error is told. */
int up_check(const char *verb, const struct up_options *o);

#endif
