/* Sees changes of the manifest and the lists, by watching their directories: editors put a new file in the place of the old one. */
#ifndef STOCKADE_PROCESS_WATCH_H
#define STOCKADE_PROCESS_WATCH_H

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "net/loop.h"

enum { WATCH_QUIET_MS = 50 };

struct watch {
	struct source source;
	struct loop *loop;
	struct timer quiet;
	struct arena arena;
	struct watch_file *files;
	size_t file_count;
	void (*changed)(struct watch *w);
	bool touched; /* since the last watch_take */
};

/* changed: called when something was written and then nothing for WATCH_QUIET_MS. */
int watch_init(struct watch *w, struct loop *l, void (*changed)(struct watch *w), struct err *err);
/* What to watch from now on: the manifest, the list files (an array of paths), and new lists in the directories where lists are
 * looked for. */
void watch_set(struct watch *w, const char *manifest, const json_t *files);
/* Whether anything was touched since the last call, this very moment included. */
bool watch_take(struct watch *w);
void watch_again(struct watch *w); /* calls changed() once it has been quiet, whether or not anything is touched */
void watch_free(struct watch *w);

#endif
