/* What init writes: an entry a file or directory, in the order in which they are made. */
#ifndef STOCKADE_CMD_INIT_SEED_H
#define STOCKADE_CMD_INIT_SEED_H

#include <stddef.h>

struct init_entry {
	const char *path, *text; /* text NULL: a directory */
	size_t size;
	unsigned mode; /* as it is; 0: what a new one has here */
};

/* The files of share/seed, and the gate's Lua file as haproxy/connect.lua: the build has put them in (src/embed.py). */
extern const struct init_entry init_seed_entries[];
extern const size_t init_seed_count;

#endif
