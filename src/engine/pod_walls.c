#include "engine/pod_walls.h"

#include <string.h>

#include "base/fd.h"
#include "jail/jail.h"
#include "pod/container.h"
#include "pod/netns.h"

#define UID_BASE_FIRST  0x70000000U
#define UID_RANGE       65536U
#define UID_PLACES_MASK 0x3fffU

uint32_t pod_uid_base(const char *project, const char *pod)
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (const char *p = project; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619U;
	h = (h ^ '/') * 16777619U;
	for (const char *p = pod; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619U;
	return UID_BASE_FIRST + UID_RANGE * ((h ^ h >> 14) & UID_PLACES_MASK);
}

uint32_t pod_uid_base_next(uint32_t base)
{
	return UID_BASE_FIRST + UID_RANGE * (((base - UID_BASE_FIRST) / UID_RANGE + 1) & UID_PLACES_MASK);
}

/* Inside the pod's network namespace. */
static int put_up_jail(void *arg, int *ret_fds, struct err *err)
{
	const char *ruleset = arg;

	if (jail_apply(ruleset, err) < 0)
		return err_wrap(err, "putting up the jail");
	if (jail_check(ruleset, err) < 0)
		return err_wrap(err, "reading the jail back");
	ret_fds[0] = jail_open_drops(PLAN_NFLOG_GROUP, err);
	return ret_fds[0] < 0 ? err_wrap(err, "the log of refused packets") : 0;
}

static int read_back(void *arg, int *ret_fds, struct err *err)
{
	return jail_check(arg, err);
}

/* What stands in the network namespace, whoever has made it. */
static int raise_inside(struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, struct err *err)
{
	struct arena a = { 0 };
	int drops = -1;
	const char *ruleset = plan_ruleset(p, pod, &a);
	int rc = netns_run(w->netns, put_up_jail, (void *)ruleset, &drops, 1, err);

	arena_free(&a);
	if (rc < 0)
		return -1;
	if (netns_listeners(w->netns, NULL, w->listeners, err) < 0) {
		fd_close(&drops);
		return err_wrap(err, "the listeners");
	}
	fd_close(&w->listeners[GATE_DROPS]);
	w->listeners[GATE_DROPS] = drops;
	return 0;
}

static int raise_all(struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, struct err *err)
{
	w->userns = container_userns(w->uid_base, err);
	if (w->userns < 0)
		return err_wrap(err, "the user namespace");
	w->netns = netns_create(&pod->v4, &pod->v6, err);
	if (w->netns < 0)
		return err_wrap(err, "the network namespace");
	return raise_inside(w, p, pod, err);
}

static void begin(struct pod_walls *w, int netns, uint32_t uid_base)
{
	*w = (struct pod_walls) { .userns = -1, .netns = netns, .uid_base = uid_base };
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		w->listeners[i] = -1;
}

int pod_walls_raise(struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, uint32_t uid_base, struct err *err)
{
	begin(w, -1, uid_base);
	if (raise_all(w, p, pod, err) == 0)
		return 0;
	pod_walls_close(w);
	return -1;
}

int pod_walls_adopt(struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, int netns, struct err *err)
{
	begin(w, netns, 0);
	if (netns_adopt(netns, &pod->v4, &pod->v6, err) < 0)
		(void)err_wrap(err, "the network namespace");
	else if (raise_inside(w, p, pod, err) == 0)
		return 0;
	pod_walls_close(w);
	return -1;
}

int pod_walls_check(const struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, struct err *err)
{
	struct arena a = { 0 };
	const int rc = netns_run(w->netns, read_back, (void *)plan_ruleset(p, pod, &a), NULL, 0, err);

	arena_free(&a);
	return rc;
}

void pod_walls_close(struct pod_walls *w)
{
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		fd_close(&w->listeners[i]);
	fd_close(&w->netns);
	fd_close(&w->userns);
}
