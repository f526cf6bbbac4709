/* One apply at a time: load and publish (reload.h), then every pod is kept, replaced, started or removed, each at its own pace; the
 * last one to settle ends the apply. A pod that fails does not hold up the others. */
#include "engine/apply.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bridge.h"
#include "engine/last_words.h"
#include "engine/podman.h"
#include "engine/pods.h"
#include "engine/runtime.h"

enum { REPLACE_MS = 10000, GATE_CHANGE_MS = 30000, HAPROXY_CHANGE_MS = 45000 };

struct apply {
	struct apply *next;
	struct house *house;
	uint64_t client;
	struct reload_request request;
	char manifest[HOUSE_PATH], before[HOUSE_PATH]; /* before: the house's, when it was told this one */
	bool told;
	struct gate_options options;
	bool gate_waits;      /* the gate's pod is being started, or it does not serve yet; HAProxy takes other options */
	uint64_t gate_change; /* HAProxy's, that brings them; 0: none */
	struct timer gate_patience;
	bool host_root, begun, bridge, named;
	const struct pod_engine *engine;
	struct oci_runtime runtime; /* its path is "" where none is asked for */
	unsigned look;              /* of Podman's, that it waits for; 0: none */
	struct plan_ref *plan;
	size_t unsettled;
	struct err problems; /* class 0: none */
};

/* What happens to one pod. */
struct change {
	struct apply *apply;
	char name[64];
	const struct plan_pod *to; /* NULL: it goes */
	bool replaced;
};

static void begin(struct apply *a);

/* --- its end --- */

static void apply_free(struct apply *a)
{
	loop_timer_cancel(a->house->loop, &a->gate_patience);
	plan_ref_drop(a->plan);
	free(a);
}

static void add_problem(struct apply *a, const struct err *why)
{
	const size_t n = a->problems.class ? strlen(a->problems.text) : 0;

	if (n)
		(void)snprintf(a->problems.text + n, sizeof a->problems.text - n, "\n%s", why->text);
	else
		(void)snprintf(a->problems.text, sizeof a->problems.text, "%s", why->text);
	if (why->class > a->problems.class)
		a->problems.class = why->class;
}

static void finish(struct apply *a)
{
	struct house *h = a->house;
	json_t *reply = json_pack("{sI ss}", "generation", (json_int_t)h->reload.generation, "hash",
				  h->reload.in_force ? h->reload.in_force->hash : "");

	h->applies = a->next;
	if (h->reload.generation == 0 && !h->applies && !h->leaving && a->problems.class == ERR_FAULT)
		last_words_show(h, a->client);
	client_done(&h->clients, a->client, reply, a->problems.class ? &a->problems : NULL, NULL, 0);
	/* A first one that came to nothing leaves nothing behind. */
	if (h->reload.generation == 0 && !h->applies)
		h->leave(h, 0);
	apply_free(a);
	if (h->applies)
		begin(h->applies);
}

/* The pods, and, as one more, the round itself: so it cannot end while changes are still being begun. */
static void settled_one(struct apply *a)
{
	if (--a->unsettled == 0)
		finish(a);
}

void apply_on_gate(struct house *h, const struct err *why)
{
	struct apply *a = h->applies;

	if (!a || !a->gate_waits)
		return;
	a->gate_waits = false;
	if (why)
		add_problem(a, why);
	if (a->unsettled)
		settled_one(a);
}

/* The gate's pod tells by apply_on_gate. */
void apply_on_serves(struct house *h)
{
	const struct apply *a = h->applies;

	if (a && a->gate_waits && !h->podman.bridge.on && a->gate_change == 0 && gate_link_serves(&h->gate))
		apply_on_gate(h, NULL);
}

void apply_on_haproxy(struct house *h, uint64_t change)
{
	struct apply *a = h->applies;

	if (!a || a->gate_change == 0 || a->gate_change > change)
		return;
	a->gate_change = 0;
	apply_on_serves(h);
}

static void gate_late(struct timer *t)
{
	const struct apply *a = (struct apply *)((char *)t - offsetof(struct apply, gate_patience));
	struct err why = { 0 };

	if (a->gate_change)
		(void)err_set(&why, ERR_FAULT, "HAProxy does not serve after %d s; it goes on trying, see supervisor.log",
			      HAPROXY_CHANGE_MS / 1000);
	else
		last_words_late(a->house, "the gate does not serve: nothing flows until it does, and it is tried again and again",
				&why);
	apply_on_gate(a->house, &why);
}

/* Until then nothing flows, or (HAProxy) what was before decides, and asks the DNS servers before. */
static void wait_for_gate(struct apply *a)
{
	a->gate_waits = true;
	a->gate_patience.expired = gate_late;
	loop_timer_set(a->house->loop, &a->gate_patience, a->gate_change ? HAPROXY_CHANGE_MS : GATE_CHANGE_MS);
}

/* --- the pods --- */

static void change_done(struct change *c, const char *done, const struct err *why)
{
	struct apply *a = c->apply;
	struct err shown;

	if (why) {
		shown = *why;
		(void)err_wrap(&shown, "pod %s", c->name);
		client_line(&a->house->clients, a->client, "pod %s: not started", c->name);
		add_problem(a, &shown);
		(void)json_object_set_new(a->house->not_started, c->name, client_text(why->text));
	} else {
		client_line(&a->house->clients, a->client, "pod %s: %s", c->name, done);
	}
	free(c);
	settled_one(a);
}

static void pod_settled(void *arg, const struct err *why)
{
	struct change *c = arg;

	change_done(c, c->replaced ? "replaced" : "started", why);
}

static void start(struct change *c)
{
	struct err err = { 0 };
	struct house *h = c->apply->house;

	if (h->leaving)
		(void)err_set(&err, ERR_FAULT, "the project is being taken down");
	if (err.class || pod_start(h, c->apply->plan, c->to, pod_settled, c, &err) < 0)
		change_done(c, "", &err);
}

static void old_gone(void *arg)
{
	struct change *c = arg;

	if (c->to)
		start(c);
	else
		change_done(c, "removed", NULL);
}

static struct change *change_new(struct apply *a, const char *name, const struct plan_pod *to, bool replaced)
{
	struct change *c = calloc(1, sizeof *c);
	const struct err why = { .class = ERR_FAULT, .text = "out of memory" };

	if (!c) {
		add_problem(a, &why);
		return NULL;
	}
	*c = (struct change) { .apply = a, .to = to, .replaced = replaced };
	(void)snprintf(c->name, sizeof c->name, "%s", name);
	a->unsettled++;
	return c;
}

static const struct plan_pod *planned(const struct plan *p, const char *name)
{
	for (size_t i = 0; i < p->pod_count; i++)
		if (strcmp(p->pods[i].pod->name, name) == 0)
			return &p->pods[i];
	return NULL;
}

static bool same(const struct live_pod *p, const struct plan_pod *to)
{
	return p->phase != POD_STOPPING && !p->outside && !p->podman.lost && strcmp(p->planned->config_hash, to->config_hash) == 0;
}

/* Stops what is no more, before anything is started: ports and names are free then. */
static void reconcile_old(struct apply *a)
{
	struct live_pod *next;

	for (struct live_pod *p = a->house->pods; p; p = next) {
		const struct plan_pod *to = planned(a->plan->plan, p->name);

		next = p->next;
		if (bridge_is_gate(p))
			continue;
		if (to && same(p, to)) {
			pod_keep(p, a->plan, to);
			client_line(&a->house->clients, a->client, "pod %s: unchanged", p->name);
			continue;
		}
		struct change *c = change_new(a, p->name, to, to != NULL);

		if (c)
			pod_stop(p, REPLACE_MS, old_gone, c);
	}
}

static void reconcile(struct apply *a)
{
	a->unsettled = a->gate_waits ? 2 : 1;
	json_decref(a->house->not_started);
	a->house->not_started = json_object();
	reconcile_old(a);
	for (size_t i = 0; i < a->plan->plan->pod_count; i++) {
		const struct plan_pod *to = &a->plan->plan->pods[i];

		if (pod_find(a->house, to->pod->name))
			continue;
		struct change *c = change_new(a, to->pod->name, to, false);

		if (c)
			start(c);
	}
	settled_one(a);
}

size_t apply_differences(struct house *h, const struct plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->pod_count; i++) {
		const struct live_pod *live = pod_find(h, p->pods[i].pod->name);

		n += !live || !same(live, &p->pods[i]);
	}
	for (const struct live_pod *live = h->pods; live; live = live->next)
		n += !bridge_is_gate(live) && planned(p, live->name) == NULL;
	return n;
}

/* --- its beginning --- */

static void show(struct apply *a, const json_t *lines)
{
	for (size_t i = 0; i < json_array_size(lines); i++)
		client_line(&a->house->clients, a->client, "%s", json_string_value(json_array_get(lines, i)));
}

static bool haproxy_is_behind(const struct house *h)
{
	const struct haproxy *x = h->gate.haproxy;

	return x && (!x->current || x->current->stage.change != x->change);
}

static int set_gate(struct apply *a, struct err *err)
{
	struct house *h = a->house;
	const int done = gate_options_set(h, &a->options, err);

	if (done < 0)
		return -1;
	if (h->podman.bridge.on)
		return bridge_gate_start(h, a->plan, a->client, &a->gate_waits, err);
	if (done == GATE_OPTIONS_OTHER) {
		client_line(&h->clients, a->client, "gate: started anew with other options");
		gate_link_restart(&h->gate);
		if (h->gate.haproxy)
			a->gate_change = haproxy_change(&h->haproxy);
		wait_for_gate(a);
	} else if (done == GATE_OPTIONS_SAME && (!gate_link_serves(&h->gate) || haproxy_is_behind(h))) {
		/* An earlier one has not waited for it, or not long enough. */
		if (haproxy_is_behind(h))
			a->gate_change = h->haproxy.change;
		wait_for_gate(a);
	}
	return 0;
}

/* Pods of the one form cannot be kept in the other. */
static int set_network(struct apply *a, struct err *err)
{
	struct house *h = a->house;

	if (h->podman.ready && h->podman.bridge.on != a->bridge)
		return err_set(err, ERR_INPUT, "the project runs with --network %s; 'stockade down' first",
			       h->podman.bridge.on ? "bridge" : "none");
	h->podman.bridge.on = a->bridge;
	return 0;
}

/* One that works is not tried again. */
static int set_runtime(struct apply *a, struct err *err)
{
	struct house *h = a->house;

	if (strcmp(h->runtime.path, a->runtime.path) == 0)
		return 0;
	if (h->reload.generation > 0)
		return err_set(err, ERR_INPUT, "the project runs %s%s; 'stockade down' first",
			       h->runtime.path[0] ? "under the runtime " : "without an OCI runtime", h->runtime.path);
	if (a->runtime.path[0] && runtime_probe(&a->runtime, err) < 0)
		return -1;
	h->runtime = a->runtime;
	return 0;
}

static int set_engine(struct apply *a, struct err *err)
{
	struct house *h = a->house;

	if (h->engine && h->engine != a->engine)
		return err_set(err, ERR_INPUT, "the project runs on the engine %s; 'stockade down' first", h->engine->name);
	if (set_runtime(a, err) < 0)
		return -1;
	h->engine = a->engine;
	if (a->engine == &engine_podman)
		return set_network(a, err) < 0 ? -1 : podman_prepare(h, a->plan->plan, a->client, err);
	if (!a->host_root)
		return err_set(err, ERR_INPUT,
			       "images are not run yet: with --host-root every image is the host's own root, read-only");
	return 0;
}

/* Two directories of one name are two projects: the pods of the one are not to be taken down for those of the other, unless it was named. */
static int check_directory(const struct apply *a, struct err *err)
{
	const char *runs = a->house->manifest, *slash = strrchr(runs, '/');
	const size_t n = slash ? (size_t)(slash - runs) + 1 : 0;

	if (a->named || (strncmp(runs, a->manifest, n) == 0 && !strchr(a->manifest + n, '/')))
		return 0;
	return runs[0] ? err_set(err, ERR_INPUT,
				 "the project '%s' that is up is that of %s; give another name with --project NAME, or "
				 "'stockade down --project %s' first",
				 a->house->project, runs, a->house->project)
		       : 0;
}

static int on_loaded(struct reload_request *r, const struct loaded *l, struct err *err)
{
	struct apply *a = (struct apply *)((char *)r - offsetof(struct apply, request));

	if (check_directory(a, err) < 0)
		return -1;
	show(a, json_object_get(l->report, "notes")); /* the warnings were told by who asks, who has read the same manifest */
	a->plan = plan_ref_make(l, a->manifest, err);
	if (!a->plan)
		return -1;
	if (set_engine(a, err) < 0)
		return -1;
	if (set_gate(a, err) < 0)
		return -1;
	/* One that is refused is not what a later reload reads. */
	memcpy(a->before, a->house->manifest, sizeof a->before);
	memcpy(a->house->manifest, a->manifest, sizeof a->manifest);
	a->told = true;
	return 0;
}

/* Nor one whose policy was refused: back to the manifest and the lists of the policy in force. */
static void back_to_manifest(struct apply *a)
{
	struct house *h = a->house;

	if (!a->told || h->reload.pending)
		return;
	memcpy(h->manifest, a->before, sizeof h->manifest);
	if (h->reload.in_force)
		watch_set(&h->watch, h->manifest, json_object_get(h->reload.in_force->report, "files"));
}

static void on_published(struct reload_request *r, const struct reload_outcome *o, const struct err *why)
{
	struct apply *a = (struct apply *)((char *)r - offsetof(struct apply, request));

	if (why) {
		back_to_manifest(a);
		add_problem(a, why);
		finish(a);
		return;
	}
	client_line(&a->house->clients, a->client, "policy: generation %llu is in force, hash %.12s%s",
		    (unsigned long long)o->generation, o->hash, o->changed ? "" : ", unchanged");
	if (a->engine == &engine_podman)
		a->look = podman_look(a->house);
	else
		reconcile(a);
}

/* Somebody may have stopped or removed a pod by hand, or started one without its walls. */
void apply_on_look(struct house *h, unsigned number)
{
	struct apply *a = h->applies;
	struct err why = { 0 };

	if (!a || a->look == 0 || a->look > number)
		return;
	a->look = 0;
	if (h->podman.problem[0]) {
		(void)err_set(&why, ERR_FAULT, "podman ps: %s", h->podman.problem);
		add_problem(a, &why);
		finish(a);
		return;
	}
	reconcile(a);
}

static void begin(struct apply *a)
{
	a->begun = true;
	a->request.manifest = a->manifest;
	a->request.loaded = on_loaded;
	a->request.done = on_published;
	reload_ask(a->house, &a->request);
}

static int read_request(struct apply *a, const json_t *request, struct err *err)
{
	const char *manifest = json_string_value(json_object_get(request, "manifest"));
	const char *engine = json_string_value(json_object_get(request, "engine"));
	const char *runtime = json_string_value(json_object_get(request, "runtime"));
	const char *network = json_string_value(json_object_get(request, "network"));

	if (!manifest || manifest[0] != '/' || strlen(manifest) >= sizeof a->manifest)
		return err_set(err, ERR_INPUT, "the manifest's path must be absolute and shorter than %zu bytes",
			       sizeof a->manifest);
	(void)snprintf(a->manifest, sizeof a->manifest, "%s", manifest);
	a->engine = engine && strcmp(engine, engine_podman.name) == 0 ? &engine_podman : &engine_builtin;
	if (engine && strcmp(engine, a->engine->name) != 0)
		return err_set(err, ERR_INPUT, "no such engine: %.40s", engine);
	if (gate_options_read(&a->options, request, err) < 0 || (runtime && runtime_find(runtime, &a->runtime, err) < 0))
		return -1;
	if (runtime && a->engine != &engine_builtin)
		return err_set(err, ERR_INPUT, "--runtime is of the built-in engine; Podman's is set in its containers.conf");
	a->bridge = network && strcmp(network, "bridge") == 0;
	if (network && ((!a->bridge && strcmp(network, "none") != 0) || a->engine != &engine_podman))
		return err_set(err, ERR_INPUT, "--network is none or bridge, and of the engine podman");
	if (a->options.haproxy && a->bridge)
		return err_set(err, ERR_INPUT, "--gate haproxy serves sockets, not a bridge: it does not go with --network bridge");
	a->named = json_is_true(json_object_get(request, "named"));
	a->host_root = json_is_true(json_object_get(request, "host_root"));
	return 0;
}

void apply_ask(struct house *h, uint64_t client, const json_t *request)
{
	struct err err = { .class = ERR_FAULT, .text = "out of memory" };
	struct apply *a = calloc(1, sizeof *a), **at = &h->applies;

	if (a)
		*a = (struct apply) { .house = h, .client = client };
	if (!a || read_request(a, request, &err) < 0) {
		client_done(&h->clients, client, NULL, &err, NULL, 0);
		free(a);
		if (h->reload.generation == 0 && !h->applies)
			h->leave(h, 0);
		return;
	}
	while (*at)
		at = &(*at)->next;
	*at = a;
	if (h->applies == a)
		begin(a);
}

void apply_cancel(struct house *h)
{
	const struct err why = { .class = ERR_FAULT, .text = "the project is being taken down" };

	for (struct apply **at = &h->applies; *at;) {
		struct apply *a = *at;

		if (a->begun) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		client_done(&h->clients, a->client, NULL, &why, NULL, 0);
		apply_free(a);
	}
}

void apply_end(struct house *h)
{
	while (h->applies) {
		struct apply *a = h->applies;

		h->applies = a->next;
		apply_free(a);
	}
}
