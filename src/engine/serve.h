/* The control socket of the supervisor (engine/control.h): who asks must be root; one request a connection. */
#ifndef STOCKADE_ENGINE_SERVE_H
#define STOCKADE_ENGINE_SERVE_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"

struct house;
struct client;

enum { SERVE_CLIENTS = 32, SERVE_SEND_BYTES = 4 * 1024 * 1024, SERVE_STATUS_MS = 200 };

struct serve {
	struct source listener;
	struct client *clients;
	unsigned count;
	uint64_t last_id;
	struct timer status; /* how long ps waits for the gate */
};

int serve_start(struct house *h, struct err *err);
/* The gate has told its counters. */
void serve_on_status(struct house *h);
/* Podman has told what runs (engine/podman.h). */
void serve_on_look(struct house *h, unsigned number);
/* No new requests. */
void serve_stop(struct house *h);
/* Tells all who asked for it that the project is down, and lets the others go. */
void serve_end(struct house *h);

/* Clients are named by number: one that has gone hears nothing. 0 is nobody. */
void client_line(struct house *h, uint64_t id, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The last reply. reply: stolen, or NULL for an empty one; why: NULL when all went well. The fds stay the caller's. */
void client_done(struct house *h, uint64_t id, json_t *reply, const struct err *why, const int *fds, size_t count);

#endif
