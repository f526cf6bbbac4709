/* The pods that run: each from its walls to its end. A pod that cannot be started whole is taken away whole. */
#ifndef STOCKADE_ENGINE_PODS_H
#define STOCKADE_ENGINE_PODS_H

#include <jansson.h>

#include "engine/live.h"

struct live_pod *pod_find(struct house *h, const char *name);
/* Begins to start a pod. settled is called once, later: why is NULL when it runs, else it has been taken away again. -1: nothing
 * was begun that is not undone, and settled is not called. */
int pod_start(struct house *h, struct plan_ref *plan, const struct plan_pod *planned,
	      void (*settled)(void *arg, const struct err *why), void *arg, struct err *err);
/* SIGTERM, after timeout_ms SIGKILL; then everything of it is taken away, then gone (may be NULL). For one that is stopping already
 * the shorter time counts, and the first gone. */
void pod_stop(struct live_pod *p, unsigned timeout_ms, void (*gone)(void *arg), void *arg);
/* An unchanged pod goes on under a newer plan. */
void pod_keep(struct live_pod *p, struct plan_ref *plan, const struct plan_pod *planned);
/* One of its containers that runs: by name, or (NULL) the first. */
struct live_container *pod_running(struct live_pod *p, const char *container, struct err *err);
/* For engines: it is up (NULL) or could not be brought up; it is taken away, with settle; it has ended and is taken away. */
void pod_settle(struct live_pod *p, const struct err *why);
void pod_fail(struct live_pod *p, const struct err *why);
void pod_go(struct live_pod *p);
json_t *pod_describe(const struct live_pod *p);

#endif
