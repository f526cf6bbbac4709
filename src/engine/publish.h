/* A published port: a listener on the host, and a small process without privileges that takes its connections to a port of the pod,
 * connecting from inside the pod's network namespace. */
#ifndef STOCKADE_ENGINE_PUBLISH_H
#define STOCKADE_ENGINE_PUBLISH_H

#include "base/err.h"
#include "process/child.h"

enum { PUBLISH_CONNECTIONS = 512, PUBLISH_UID = 0x6fff0001, PUBLISH_CONNECT_MS = 5000 };

/* The host's listener: a literal address (NULL: 127.0.0.1) and port. An fd, or -1. */
int publish_listen(const char *host_ip, uint16_t port, struct err *err);
/* Starts the process for it; it ends with this one, or by child_kill. The listener may be closed here afterwards. */
pid_t publish_start(int listener, int netns, uint16_t container_port, struct err *err);

#endif
