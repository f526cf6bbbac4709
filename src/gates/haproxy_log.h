/* HAProxy's decision log: a pipe, and who copies its lines into the project's. HAProxy is not given the file itself: it would take the
 * append flag from it, which the gate needs as well, and it has no business with what is written there already. Nothing is read into what
 * it says but where a line ends. */
#ifndef STOCKADE_GATES_HAPROXY_LOG_H
#define STOCKADE_GATES_HAPROXY_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "net/loop.h"

enum { HAPROXY_LOG_PIPE = 1024 * 1024, HAPROXY_LOG_LINES = 64 * 1024 };

struct haproxy_log { /* starts zeroed */
	struct source source;
	struct loop *loop;
	int end;  /* for HAProxy to write to */
	int file; /* where lines go; may be changed at any time */
	size_t used;
	char lines[HAPROXY_LOG_LINES];
};

int haproxy_log_open(struct haproxy_log *g, struct loop *l, int file, struct err *err);
void haproxy_log_close(struct haproxy_log *g); /* twice is fine; writes what is left */

#endif
