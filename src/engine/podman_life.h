/* What the supervisor knows of a project, and of each of its pods, on Podman. */
#ifndef STOCKADE_ENGINE_PODMAN_LIFE_H
#define STOCKADE_ENGINE_PODMAN_LIFE_H

#include <jansson.h>

#include "engine/bridge_life.h"
#include "engine/podman_files.h"
#include "process/program.h"

enum { PODMAN_WAITERS = 16, PODMAN_STARTED = 64 };

struct house;

struct podman {
	char dir[PODMAN_PATH];      /* engine/podman_files.h */
	char env[PODMAN_PATH + 40]; /* CONTAINERS_CONF=... */
	bool ready, init_restarts;  /* init_restarts: plan/podman.h */
	/* looking at what runs */
	struct program_call look;
	unsigned looks; /* begun so far */
	bool look_again;
	struct timer not_looked;
	char problem[800];                                /* why the last look failed, "" */
	void (*looked)(struct house *h, unsigned number); /* set by the owner: a look is over, and with it all before it */
	struct bridge bridge;
	json_t *strangers; /* pods with the project's label that are none of its own, as ps shows them; NULL: none */
};

struct podman_life {
	struct program_call call; /* the step that is at work */
	unsigned look;            /* the one that will tell where its containers are; 0: none */
	unsigned walled, past;    /* looks begun when its walls changed last; looks in a row that came too late for it */
	bool lost;                /* Podman has none of its containers any more */
	bool failing;             /* it is taken away because of `why` */
	struct err why;
	unsigned stop_ms;
	unsigned removals;                /* tried in a row */
	uint64_t waiters[PODMAN_WAITERS]; /* clients: hooks that wait for the gate's word; 0: a free place */
	struct timer patience;            /* with the gate */
	struct bridge_life bridge;
	struct {
		char id[72];
		unsigned starts;
	} started[PODMAN_STARTED]; /* containers, as the hook tells: not every Podman counts restarts */
	size_t started_count;
};

#endif
