/* A published port of a pod, kept up: its process is started anew when it ends; connections wait meanwhile. */
#ifndef STOCKADE_ENGINE_LIVE_PORT_H
#define STOCKADE_ENGINE_LIVE_PORT_H

#include "engine/live.h"

enum { PORT_AGAIN_MS = 1000 };

int live_port_open(struct live_port *p, struct err *err);
void live_port_close(struct live_port *p); /* idle ones too */

#endif
