/* The hook's side: a container is about to start in a namespace; are walls around it, and does the gate serve it? One answer to each. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/bridge.h"
#include "engine/last_words.h"
#include "engine/podman.h"
#include "engine/pods.h"

void podman_answer_hooks(struct live_pod *p, const struct err *why)
{
	loop_timer_cancel(p->house->loop, &p->podman.patience);
	for (size_t i = 0; i < PODMAN_WAITERS; i++) {
		if (p->podman.waiters[i])
			client_done(&p->house->clients, p->podman.waiters[i], NULL, why, NULL, 0);
		p->podman.waiters[i] = 0;
	}
}

bool podman_hook_waits(const struct live_pod *p)
{
	for (size_t i = 0; i < PODMAN_WAITERS; i++)
		if (p->podman.waiters[i])
			return true;
	return false;
}

static void attached(struct gate_pod *g)
{
	podman_answer_hooks((struct live_pod *)((char *)g - offsetof(struct live_pod, gate)), NULL);
}

static void out_of_patience(struct timer *t)
{
	struct live_pod *p = (struct live_pod *)((char *)t - offsetof(struct live_pod, podman.patience));
	struct err why = { 0 };

	last_words_late(p->house, "the gate does not serve the pod's listeners", &why);
	podman_answer_hooks(p, &why);
}

static int wait_for_gate(struct live_pod *p, uint64_t client, struct err *err)
{
	for (size_t i = 0; i < PODMAN_WAITERS; i++) {
		if (p->podman.waiters[i])
			continue;
		p->podman.waiters[i] = client;
		p->podman.patience.expired = out_of_patience;
		loop_timer_set(p->house->loop, &p->podman.patience, POD_ATTACH_MS);
		return 0;
	}
	return err_set(err, ERR_FAULT, "too many of its containers start at once");
}

static bool same_namespace(int a, int b)
{
	struct stat one, other;

	return a >= 0 && b >= 0 && fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_ino == other.st_ino &&
	       one.st_dev == other.st_dev;
}

/* The pod has a new network namespace: walls around it, and those around the old one go. */
static int change_walls(struct live_pod *p, int netns, struct err *err)
{
	struct pod_walls walls;

	if (p->house->podman.bridge.on ? bridge_adopt(p, netns, &walls, err) < 0
				       : pod_walls_adopt(&walls, p->plan->plan, p->planned, netns, err) < 0)
		return -1;
	gate_link_detach(&p->house->gate, &p->gate);
	pod_walls_close(&p->walls);
	p->walls = walls;
	p->podman.walled = p->house->podman.looks;
	p->gate.on_attached = attached;
	gate_link_attach(&p->house->gate, &p->gate);
	/* What carried a published port goes into the old namespace. It is started anew, in the new one. */
	for (size_t i = 0; i < p->port_count; i++)
		child_signal(&p->ports[i].child, SIGKILL);
	log_info("pod %s: walls up around its network namespace", p->name);
	return 0;
}

static int check_walls(const struct live_pod *p, struct err *err)
{
	const int rc =
		p->house->podman.bridge.on ? bridge_check(p, err) : pod_walls_check(&p->walls, p->plan->plan, p->planned, err);

	return rc < 0 ? err_wrap(err, "reading its jail back") : 0;
}

/* The gate itself waits for nobody; but Podman would start one that cannot run many times a second. */
static int attach_gate(struct live_pod *p, uint64_t client, int netns, struct err *err)
{
	FD_CLOSE int given = netns;
	const int rc = same_namespace(given, p->walls.netns) ? check_walls(p, err) : bridge_adopt_gate(p, fd_steal(&given), err);

	if (rc == 0)
		bridge_hold_gate(p->house, client);
	return rc;
}

static int attach(struct live_pod *p, uint64_t client, int netns, struct err *err)
{
	FD_CLOSE int given = netns;

	if (p->phase == POD_STOPPING || p->podman.failing || p->house->leaving)
		return err_set(err, ERR_FINDING, "it is being stopped");
	if (bridge_is_gate(p))
		return attach_gate(p, client, fd_steal(&given), err);
	if (!same_namespace(given, p->walls.netns)) {
		if (change_walls(p, fd_steal(&given), err) < 0)
			return -1;
	} else if (check_walls(p, err) < 0) {
		return -1;
	}
	if (wait_for_gate(p, client, err) < 0)
		return -1;
	if (p->gate.attached)
		podman_answer_hooks(p, NULL);
	return 0;
}

static void note_start(struct live_pod *p, const char *id)
{
	struct podman_life *l = &p->podman;
	size_t i = 0;

	while (i < l->started_count && strcmp(l->started[i].id, id) != 0)
		i++;
	if (i == PODMAN_STARTED || strlen(id) >= sizeof l->started[i].id)
		return;
	if (i == l->started_count) {
		(void)snprintf(l->started[i].id, sizeof l->started[i].id, "%s", id);
		l->started[i].starts = 0;
		l->started_count++;
	}
	l->started[i].starts++;
}

void podman_attach(struct house *h, uint64_t client, const char *pod, const char *container, int netns)
{
	struct live_pod *p = h->engine == &engine_podman ? pod_find(h, pod) : NULL;
	struct err err = { 0 };
	int rc;

	if (p) {
		note_start(p, container);
		rc = attach(p, client, netns, &err);
	} else {
		fd_close(&netns);
		rc = err_set(&err, ERR_FINDING, "project %s has no such pod on Podman", h->project);
	}
	if (rc == 0)
		return;
	(void)err_wrap(&err, "pod %.80s", pod);
	log_error("%s", err.text);
	client_done(&h->clients, client, NULL, &err, NULL, 0);
}
