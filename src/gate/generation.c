/* A policy block in memory: mapped from the memfd that the supervisor holds, whose seals promise that it never changes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/log.h"
#include "gate/worker.h"

static const uint64_t size_max = 4ULL << 30;

static struct generation *map_sealed(int fd, const char **ret_why)
{
	const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	*ret_why = "it is not a sealed memfd";
	if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) < 0)
		return NULL;
	*ret_why = "its size is out of bounds";
	if (st.st_size <= 0 || (uint64_t)st.st_size > size_max)
		return NULL;
	struct generation *g = calloc(1, sizeof *g);

	*ret_why = "out of memory";
	if (!g)
		return NULL;
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED) {
		free(g);
		return NULL;
	}
	*ret_why = "it is not a policy block";
	if (!snapshot_open((struct span) { p, (size_t)st.st_size }, &g->snapshot)) {
		(void)munmap(p, (size_t)st.st_size);
		free(g);
		return NULL;
	}
	return g;
}

struct generation *generation_map(int fd, uint64_t number, const char *hash, const char *project, unsigned references)
{
	const char *why;
	struct generation *g = map_sealed(fd, &why);

	if (!g) {
		log_error("generation %llu is refused: %s", (unsigned long long)number, why);
		return NULL;
	}
	g->snapshot.generation = number;
	(void)snprintf(g->snapshot.hash, sizeof g->snapshot.hash, "%s", hash);
	(void)snprintf(g->project, sizeof g->project, "%s", project);
	g->references = references;
	return g;
}

void generation_release(const struct generation *g)
{
	struct generation *owned = (struct generation *)g; /* the last user may change it: there is no other */

	if (!owned || atomic_fetch_sub(&owned->references, 1) != 1)
		return;
	(void)munmap((void *)owned->snapshot.block.p, owned->snapshot.block.n);
	free(owned);
}
