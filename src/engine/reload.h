/* The policy in force: loads, one at a time, each published as a new generation that counts once the gate has adopted it on every
 * worker. Whatever fails leaves the one in force as it is. */
#ifndef STOCKADE_ENGINE_RELOAD_H
#define STOCKADE_ENGINE_RELOAD_H

#include "engine/loader.h"

struct house;

enum { RELOAD_ADOPT_MS = 30000 };

struct reload_outcome {
	bool changed;
	uint64_t generation;
	const char *hash;
	uint32_t revoked; /* tunnels closed by it */
};

struct reload_request {
	struct reload_request *next;
	const char *manifest; /* outlives the request */
	/* Sees what was loaded before it is published; -1 with err refuses it. May be NULL. */
	int (*loaded)(struct reload_request *r, const struct loaded *l, struct err *err);
	/* Once, at the end: o, or why it failed. The request may be freed in it. */
	void (*done)(struct reload_request *r, const struct reload_outcome *o, const struct err *why);
};

struct reload {
	struct reload_request *queue; /* the first is at work */
	struct loader *loader;
	struct loaded *pending, *in_force;
	uint64_t published, generation; /* the last one told to the gate; the one in force, 0: none */
	struct timer limit;
	struct reload_request automatic;
	bool automatic_asked, automatic_again;
	char error[sizeof((struct err *)0)->text]; /* of the last automatic one, "" when it went well */
};

void reload_init(struct house *h);
void reload_ask(struct house *h, struct reload_request *r);
/* Because a file has changed, or by SIGHUP: nobody waits for it, ps shows how it went. */
void reload_automatic(struct house *h);
/* From the gate. */
void reload_on_adopted(struct house *h, uint64_t generation, bool refused, uint32_t revoked);
/* The gate will not take on what is published: who waits for that is told why. */
void reload_give_up(struct house *h, const struct err *why);
/* Ends all requests with an error. */
void reload_cancel(struct house *h);
void reload_free(struct house *h);

#endif
