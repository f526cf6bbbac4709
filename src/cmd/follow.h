/* Files that grow, line by line: what is there, and what is still being written. A file that is renamed to FILE.1 and begun anew
 * (process/container_log.h) is followed across. */
#ifndef STOCKADE_CMD_FOLLOW_H
#define STOCKADE_CMD_FOLLOW_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"

struct followed;
struct follow { /* starts zeroed but for what the caller sets */
	/* set by the caller */
	bool raw;            /* lines as they are; else control characters are shown, not obeyed */
	bool prefix;         /* follow_containers: POD/CONTAINER before each line */
	bool once;           /* follow_run is not called: a line without an end is whole */
	bool until_signal;   /* follow_run returns on SIGINT and SIGTERM */
	const char *project; /* follow_run returns, `gone` set, when its supervisor has ended; NULL: only when the files are gone */
	/* Sees each line (newline excluded; ended: it had one). NULL: follow prints it. */
	void (*on_line)(struct follow *f, struct span line, bool ended);
	void *arg;
	/* read by the caller */
	bool gone;
	/* its own */
	struct arena *arena;
	struct followed *files;
	size_t count;
	int inotify;
	size_t label_width;
	bool watching;
};

enum { FOLLOW_ALL = 0xffffffff };

/* A file that may not be there yet. label: shown before its lines, or NULL. */
void follow_file(struct follow *f, const char *path, const char *label, struct arena *a);
/* The logs of the containers that `name` means (cmd/target.h); NULL: of all. */
int follow_containers(struct follow *f, const char *project, const char *name, struct arena *a, struct err *err);
/* The last `tail` lines of each. */
int follow_history(struct follow *f, unsigned tail, struct err *err);
/* What comes from now on, or from where follow_history has stopped. */
int follow_run(struct follow *f, struct err *err);
void follow_end(struct follow *f);

#endif
