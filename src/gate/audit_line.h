/* One line of the decision log: JSON, whole, bounded, printable ASCII whatever a pod sent. */
#ifndef STOCKADE_GATE_AUDIT_LINE_H
#define STOCKADE_GATE_AUDIT_LINE_H

#include <stddef.h>
#include <time.h>

#include "gate/audit.h"

enum { AUDIT_LINE_MAX = 2048 };

/* With a line end, no NUL. g may be NULL. Returns its size. Too long a host, file or detail is cut (between characters). */
size_t audit_line_format(const struct generation *g, const struct decision *d, const struct timespec *now,
			 char ret[static AUDIT_LINE_MAX]);

#endif
