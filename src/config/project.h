/* Reads a project: its manifest and every list it names, validated whole. The only door to this room. */
#ifndef STOCKADE_CONFIG_PROJECT_H
#define STOCKADE_CONFIG_PROJECT_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/manifest.h"

/* path: pods.yaml. Errors are ERR_INPUT and read like a compiler's: "pods.yaml:12:7: error: ...", one or more lines (the
 * first 10 errors are shown, with a count of the rest). *ret lives in the arena. */
int config_load(const char *path, struct arena *a, struct manifest **ret, struct err *err);

/* The text of a manifest alone, as if it were at path: no file is touched, so hostPaths are not looked at and lists are empty. */
int config_load_text(struct span text, const char *path, struct arena *a, struct manifest **ret, struct err *err);

/* One list file's text into rules (appended). file: the name shown in errors and kept in rules. */
int config_list_parse(struct span text, const char *file, struct arena *a, struct rule **rules, size_t *count, struct err *err);
/* One entry as given on the command line (run --allow HOST, allow POD HOST). */
int config_entry_parse(const char *entry, const char *source, unsigned line, struct arena *a, struct rule *ret, struct err *err);

/* Why no pod may have this place of the host, or NULL. path: real (realpath), since it is judged as written. */
const char *config_path_forbidden(const char *path);

#endif
