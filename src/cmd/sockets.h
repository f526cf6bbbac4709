/* Unix sockets below a directory that is to be given to a sandbox: whoever can reach one by its path talks to the host without any
 * network, and no read-only mount prevents that. */
#ifndef STOCKADE_CMD_SOCKETS_H
#define STOCKADE_CMD_SOCKETS_H

#include "base/arena.h"

/* A directory is looked through so deep, and so many entries in all: sockets lie near the top of what is named for them (/tmp, a
 * data directory), and a start must not take seconds. */
enum { SOCKETS_DEPTH = 3, SOCKETS_ENTRIES = 10000 };

/* The path of the first socket found at or below path, or NULL. */
const char *socket_below(const char *path, struct arena *a);

#endif
