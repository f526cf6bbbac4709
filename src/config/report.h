/* What is wrong with the user's files, collected while reading goes on, so that one run shows more than the first mistake.
 * Each problem has its place and is shown as a compiler does: file:line:column, the sentence, the source line, a caret. */
#ifndef STOCKADE_CONFIG_REPORT_H
#define STOCKADE_CONFIG_REPORT_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/manifest.h"

/* A file as it was read. `file` is the name that errors show. */
struct source {
	const char *file;
	struct span text;
};

struct problem {
	const struct source *source; /* outlives the report */
	unsigned line, column;       /* from 1; line 0: the file as a whole */
	const char *text;
};

enum { REPORT_KEPT = 200, REPORT_SHOWN = 10 };

struct report {
	struct arena *arena;
	struct problem problems[REPORT_KEPT];
	size_t count; /* all, also those over REPORT_KEPT */
	struct strings warnings, notes;
	struct strings denied; /* of the notes (config/project.c) */
};

/* Always false, so that `return report_error(...)` reads well. */
bool report_error(struct report *r, const struct source *s, unsigned line, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void report_warning(struct report *r, const struct source *s, unsigned line, unsigned column, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
const char *report_note(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0 when nothing was wrong; else fills err with the first REPORT_SHOWN problems in the order of the files, and returns -1. */
int report_finish(struct report *r, struct err *err);

#endif
