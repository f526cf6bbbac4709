/* Who talks to the supervisor, by its control socket (engine/control.h): who asks must be root; one request a connection. */
#ifndef STOCKADE_ENGINE_CLIENTS_H
#define STOCKADE_ENGINE_CLIENTS_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "net/loop.h"

enum { CLIENTS_MAX = 32, CLIENT_SEND_BYTES = 4 * 1024 * 1024 };

struct client {
	struct source source;
	struct client *next;
	struct clients *all;
	struct deferred end;
	uint64_t id;
	int fd; /* that came with its request, -1: none */
	bool asked, over;
	/* what it waits for (engine/serve.c) */
	unsigned look; /* this look of Podman's; 0: none */
	bool wants_status, wants_down;
};

struct clients {
	/* set by the owner before clients_start */
	struct loop *loop;
	void (*asked)(struct client *c, const json_t *request);
	/* its own */
	struct source listener;
	struct client *list;
	unsigned count;
	uint64_t last_id;
};

/* dir: where the socket lies, the run directory. */
int clients_start(struct clients *all, int dir, struct err *err);
/* No new ones; those that are there wait on. */
void clients_stop(struct clients *all);

/* Clients are named by number: one that has gone hears nothing. 0 is nobody. */
void client_line(struct clients *all, uint64_t id, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The last reply. reply: stolen, or NULL for an empty one; why: NULL when all went well. The fds stay the caller's. */
void client_done(struct clients *all, uint64_t id, json_t *reply, const struct err *why, const int *fds, size_t count);
void client_refuse(struct client *c, enum err_class class, const char *text);
/* A string, whatever its bytes are. */
json_t *client_text(const char *text);

#endif
