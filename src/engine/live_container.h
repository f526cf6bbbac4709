/* A container's life within its pod: started, its output kept, ended, started anew after a while. */
#ifndef STOCKADE_ENGINE_LIVE_CONTAINER_H
#define STOCKADE_ENGINE_LIVE_CONTAINER_H

#include "engine/launch.h"
#include "engine/live.h"

enum { RESTART_FIRST_MS = 200, RESTART_MAX_MS = 30000, RESTART_STEADY_MS = 10000 };

/* c->started, c->ended are set before. It runs then, or, under an OCI runtime, is STARTING: started is called later, with what went
 * wrong or NULL. -1: started is not called. ended: it has ended and is cleaned up; who owns it decides what follows. */
int live_container_start(struct live_container *c, struct err *err);
/* Starts it anew after its back-off, which begins now. A start that fails at once is told to started, too. */
void live_container_start_later(struct live_container *c);
/* SIGTERM to its program; one that has none yet is ended. */
void live_container_stop(struct live_container *c);
/* Ends it now, without a word to anybody. Idle ones too. */
void live_container_kill(struct live_container *c);
pid_t live_container_pid(const struct live_container *c);
json_t *live_container_describe(const struct live_container *c);

bool restart_wanted(enum restart_policy policy, int exit_code);
/* How long to wait after so many failures in a row (from 1). */
uint32_t restart_wait_ms(unsigned failures);
/* What a container of the pod is started with. */
void live_container_launch(const struct live_pod *p, struct launch_pod *ret);

#endif
