/* Reads a project in a child of its own, without network, that ends after one load: what a broken or huge list does to memory
 * and time happens there. What comes back is sealed or plain text. */
#ifndef STOCKADE_ENGINE_LOADER_H
#define STOCKADE_ENGINE_LOADER_H

#include <jansson.h>

#include "base/arena.h"
#include "process/child.h"

/* What a load gave. Whoever gets it owns it: loaded_free. */
struct loaded {
	int policy;    /* sealed memfd */
	char hash[65]; /* of the block */
	struct arena arena;
	struct span text; /* the manifest, as it was read */
	json_t *report; /* notes[], warnings[], files[] (lists), volumes[] (real paths of the hostPaths, in the manifest's order) */
};
void loaded_free(struct loaded *l);

struct loader; /* freed by itself after done() or by loader_cancel */
/* done gets what was loaded, or NULL and what was wrong. */
struct loader *loader_start(struct loop *l, const char *manifest,
			    void (*done)(void *arg, struct loaded *loaded, const struct err *why), void *arg, struct err *err);
void loader_cancel(struct loader *l); /* NULL-safe */

#endif
