/* Allow-lists: one entry, and a file of entries. */
#ifndef STOCKADE_CONFIG_LIST_H
#define STOCKADE_CONFIG_LIST_H

#include <libpsl.h>

#include "config/report.h"
#include "policy/snapshot.h"

/* Limits of a list file. */
enum { LIST_BYTES = 512 * 1024 * 1024, LIST_LINE_BYTES = 4096, LIST_ENTRIES = 4000000 };

/* What reading many entries needs again and again. Zeroed but for the arena to start with. */
struct entry_reader {
	struct arena *arena;
	const psl_ctx_t *psl;
	char *names; /* room for names, so that an entry costs no allocation; may be NULL */
	size_t names_left;
	const struct port_range *ports; /* those of the last entry that had some: many entries have the same */
	size_t port_count;
};

/* Why an entry is refused: at which byte of it, and the sentence (in the arena). */
struct entry_fault {
	size_t at;
	const char *text;
};

/* entry: not empty, no blanks around it. Sets all of *ret but file and line; *ret is untouched on failure. */
bool entry_read(struct entry_reader *e, struct span entry, struct rule *ret, struct entry_fault *fault);
/* "443", "8000-8100", "*", or several with commas between. */
bool entry_ports_read(struct entry_reader *e, struct span text, struct rule *ret, struct entry_fault *fault);

/* The rules of a whole file as one array in the arena. rule_file: the name kept in the rules. */
bool list_parse(const struct source *s, const char *rule_file, struct report *r, struct rule **ret, size_t *ret_count);

#endif
