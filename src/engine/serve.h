/* What the supervisor is asked for (engine/control.h), and what it answers. */
#ifndef STOCKADE_ENGINE_SERVE_H
#define STOCKADE_ENGINE_SERVE_H

#include "engine/house.h"

enum { SERVE_STATUS_MS = 200 };

int serve_start(struct house *h, struct err *err);
/* The gate has told its counters. */
void serve_on_status(struct house *h);
/* Podman has told what runs (engine/podman.h). */
void serve_on_look(struct house *h, unsigned number);
/* No new requests. */
void serve_stop(struct house *h);
/* Tells all who asked for it that the project is down, and lets the others go. */
void serve_end(struct house *h);

#endif
