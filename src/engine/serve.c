#include "engine/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/apply.h"
#include "engine/live_container.h"
#include "engine/podman.h"
#include "engine/pods.h"

enum { STOP_DEFAULT_S = 10, STOP_MAX_S = 3600 };

static struct house *house_of(const struct client *c)
{
	return (struct house *)((char *)c->all - offsetof(struct house, clients));
}

/* --- ps --- */

/* Each limit that can be set: what it is, and how often it was met. */
static json_t *describe_limits(const struct house *h)
{
	json_t *all = json_object();

	for (int i = 0; h->gate_started && i < LIMIT_COUNT; i++)
		(void)json_object_set_new(all, limit_name((enum gate_limit)i),
					  json_pack("{sI sI}", "value", (json_int_t)h->options.limits.of[i], "met",
						    (json_int_t)h->counters.limited[i]));
	return all;
}

static json_t *describe_gate(const struct house *h)
{
	static const char *const states[] = {
		[GATE_DOWN] = "down", [GATE_STARTING] = "starting", [GATE_SERVING] = "serving", [GATE_STOPPING] = "stopping"
	};
	const struct gate_counters *n = &h->counters;

	return json_pack("{si ss sb si sI sI sI sI sI sI sI sI sI sI si si sI sI so}", "pid",
			 h->gate_started ? (int)h->gate.child.pid : 0, "state", states[h->gate.state], "answers",
			 (int)h->gate_answers, "restarts", (int)h->gate.restarts, "connections", (json_int_t)n->connections,
			 "requests", (json_int_t)n->requests, "allowed", (json_int_t)n->allowed, "denied", (json_int_t)n->denied,
			 "tunnels", (json_int_t)n->tunnels, "dns_queries", (json_int_t)n->dns_queries, "packets_refused",
			 (json_int_t)n->packets_refused, "log_dropped", (json_int_t)n->log_dropped, "bytes_up",
			 (json_int_t)n->bytes_up, "bytes_down", (json_int_t)n->bytes_down, "connections_open",
			 (int)n->connections_open, "tunnels_open", (int)n->tunnels_open, "shared_out", (json_int_t)n->shared_out,
			 "accept_pauses", (json_int_t)n->accept_pauses, "limits", describe_limits(h));
}

static json_t *describe_runtime(const struct house *h)
{
	const struct oci_runtime *r = &h->runtime;

	return r->path[0]
		       ? json_pack("{ss ss sb}", "kind", plan_oci_kind_name(r->kind), "path", r->path, "overlays", (int)r->overlays)
		       : NULL;
}

/* NULL: the gate serves all. */
static json_t *describe_haproxy(const struct house *h)
{
	const struct haproxy *x = h->gate.haproxy;

	return x ? json_pack("{si ss si si}", "pid", x->current ? (int)x->current->child.pid : 0, "state",
			     haproxy_state_word(haproxy_state(x)), "restarts", (int)x->restarts, "old", (int)haproxy_old(x))
		 : NULL;
}

/* One that was started by hand since then is there. NULL: none. */
static json_t *not_started(struct house *h)
{
	json_t *all = json_object();
	const char *name;
	json_t *why;

	json_object_foreach(h->not_started, name, why) if (!pod_find(h, name))(void) json_object_set(all, name, why);
	if (json_object_size(all))
		return all;
	json_decref(all);
	return NULL;
}

static json_t *describe(struct house *h)
{
	json_t *pods = json_array();

	for (const struct live_pod *p = h->pods; p; p = p->next)
		(void)json_array_insert_new(pods, 0, pod_describe(p));
	json_t *error = h->reload.error[0] ? client_text(h->reload.error) : NULL;

	if (h->podman.strangers)
		(void)json_array_extend(pods, h->podman.strangers);
	return json_pack("{ss ss ss* so* ss sI ss so so* s{si} so so* so*}", "project", h->project, "engine",
			 h->engine ? h->engine->name : "", "network", h->podman.bridge.on ? "bridge" : NULL, "runtime",
			 describe_runtime(h), "manifest", h->manifest, "generation", (json_int_t)h->reload.generation, "hash",
			 h->reload.in_force ? h->reload.in_force->hash : "", "gate", describe_gate(h), "haproxy",
			 describe_haproxy(h), "supervisor", "pid", (int)getpid(), "pods", pods, "reload_error", error,
			 "not_started", not_started(h));
}

static void answer_status(struct house *h)
{
	struct client *next;

	loop_timer_cancel(h->loop, &h->status);
	for (struct client *c = h->clients.list; c; c = next) {
		next = c->next;
		if (c->wants_status)
			client_done(&h->clients, c->id, describe(h), NULL, NULL, 0);
	}
}

static void status_late(struct timer *t)
{
	struct house *h = (struct house *)((char *)t - offsetof(struct house, status));

	h->gate_answers = false;
	answer_status(h);
}

void serve_on_status(struct house *h)
{
	h->gate_answers = true;
	answer_status(h);
}

static void ask_gate(struct house *h)
{
	if (!h->gate_started || h->gate.state != GATE_SERVING) {
		h->gate_answers = false;
		answer_status(h);
		return;
	}
	loop_timer_set(h->loop, &h->status, SERVE_STATUS_MS);
	gate_link_status(&h->gate);
}

/* What is not known cannot be shown as if all were well. */
void serve_on_look(struct house *h, unsigned number)
{
	struct err why = { .class = ERR_FAULT };
	struct client *next;
	bool any = false;

	(void)snprintf(why.text, sizeof why.text, "podman ps: %s", h->podman.problem);
	for (struct client *c = h->clients.list; c; c = next) {
		next = c->next;
		if (c->look == 0 || c->look > number)
			continue;
		c->look = 0;
		any = c->wants_status = true;
		if (h->podman.problem[0])
			client_done(&h->clients, c->id, NULL, &why, NULL, 0);
	}
	if (any)
		ask_gate(h);
}

static void ask_ps(struct client *c, const json_t *request)
{
	if (house_of(c)->podman.ready) {
		c->look = podman_look(house_of(c));
		return;
	}
	c->wants_status = true;
	ask_gate(house_of(c));
}

/* --- podman's hook --- */

static void ask_attach(struct client *c, const json_t *request)
{
	const char *pod = json_string_value(json_object_get(request, "pod"));
	const char *container = json_string_value(json_object_get(request, "id"));

	if (!pod || !container || c->fd < 0)
		client_refuse(c, ERR_INPUT, "the hook names a pod and a container, and gives its network namespace");
	else
		podman_attach(house_of(c), c->id, pod, container, fd_steal(&c->fd));
}

/* --- reload --- */

struct manual {
	struct reload_request request;
	struct house *house;
	uint64_t client;
};

/* A list that was moved away, or is called otherwise, denies all: that is told, and not only by the first up. */
static void tell_denied(const struct manual *m, const json_t *denied)
{
	for (size_t i = 0; i < json_array_size(denied); i++)
		client_line(&m->house->clients, m->client, "%s", json_string_value(json_array_get(denied, i)));
}

static int manual_loaded(struct reload_request *r, const struct loaded *l, struct err *err)
{
	const struct manual *m = (struct manual *)r; /* its first member */
	struct plan_ref *plan = plan_ref_make(l, r->manifest, err);

	if (!plan)
		return -1;
	tell_denied(m, json_object_get(l->report, "denied"));
	const size_t n = apply_differences(m->house, plan->plan);

	if (n)
		client_line(&m->house->clients, m->client,
			    "the manifest asks for other pods than run now (%zu differ): 'stockade up' makes it so", n);
	plan_ref_drop(plan);
	return 0;
}

static void manual_done(struct reload_request *r, const struct reload_outcome *o, const struct err *why)
{
	struct manual *m = (struct manual *)r;
	json_t *reply = o ? json_pack("{sI ss sb si}", "generation", (json_int_t)o->generation, "hash", o->hash, "changed",
				      (int)o->changed, "revoked", (int)o->revoked)
			  : NULL;

	if (o && m->house->gate.haproxy)
		(void)json_object_set_new(reply, "ending_s", json_integer(HAPROXY_REVOKE_MS / 1000));
	if (why && !m->house->reload.pending) /* else it is in force as soon as there is a gate */
		client_line(&m->house->clients, m->client, "nothing is changed: generation %llu stays in force",
			    (unsigned long long)m->house->reload.generation);
	client_done(&m->house->clients, m->client, reply, why, NULL, 0);
	free(m);
}

static void ask_reload(struct client *c, const json_t *request)
{
	struct manual *m = calloc(1, sizeof *m);

	if (!m || !house_of(c)->manifest[0]) {
		client_refuse(c, m ? ERR_FINDING : ERR_FAULT, m ? "nothing is up yet; 'stockade up' starts it" : "out of memory");
		free(m);
		return;
	}
	*m = (struct manual) { .request = { .manifest = house_of(c)->manifest, .loaded = manual_loaded, .done = manual_done },
			       .house = house_of(c),
			       .client = c->id };
	reload_ask(house_of(c), &m->request);
}

/* --- the other verbs --- */

static void ask_apply(struct client *c, const json_t *request)
{
	apply_ask(house_of(c), c->id, request);
}

static void ask_down(struct client *c, const json_t *request)
{
	const json_t *given = json_object_get(request, "timeout_s");
	const json_int_t seconds = json_is_integer(given) ? json_integer_value(given) : STOP_DEFAULT_S;

	if (seconds < 0 || seconds > STOP_MAX_S) {
		client_refuse(c, ERR_INPUT, "the time limit is 0 to 3600 seconds");
		return;
	}
	c->wants_down = true;
	house_of(c)->leave(house_of(c), (unsigned)seconds * 1000);
}

static struct live_pod *pod_of(struct client *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "pod"));
	struct live_pod *p = name ? pod_find(house_of(c), name) : NULL;
	char text[200];

	(void)snprintf(text, sizeof text, "no pod '%.100s' runs in project %s; see 'stockade ps'", name ? name : "",
		       house_of(c)->project);
	if (!p)
		client_refuse(c, ERR_INPUT, text);
	return p;
}

static json_t *env_of(const struct launch_pod *pod, const struct container *container)
{
	struct arena a = { 0 };
	const char *const *env = launch_env(pod, container, &a);
	json_t *list = json_array();

	for (; *env; env++)
		(void)json_array_append_new(list, json_string(*env));
	arena_free(&a);
	return list;
}

static void enter_podman(struct client *c, const struct live_container *k)
{
	struct err err = { 0 };
	struct launch_pod pod;
	uid_t uid = 0;
	gid_t gid = 0;
	FD_CLOSE int pidfd = podman_pidfd(k, &uid, &gid, &err);

	if (pidfd < 0) {
		client_done(c->all, c->id, NULL, &err, NULL, 0);
		return;
	}
	live_container_launch(k->pod, &pod);
	json_t *reply =
		json_pack("{ss ss ss ss ss sI sI ss so}", "engine", "podman", "id", k->id, "setting", house_of(c)->podman.env,
			  "pod", k->pod->name, "container", k->planned->name, "uid", (json_int_t)uid, "gid", (json_int_t)gid, "cwd",
			  k->planned->working_dir ? k->planned->working_dir : "/", "env", env_of(&pod, k->planned));

	client_done(c->all, c->id, reply, NULL, &pidfd, 1);
}

static void ask_enter(struct client *c, const json_t *request)
{
	struct live_pod *p = pod_of(c, request);
	const char *name = json_string_value(json_object_get(request, "container"));
	struct launch_pod pod;
	struct err err = { 0 };

	if (!p)
		return;
	const struct live_container *k = pod_running(p, name && name[0] ? name : NULL, &err);

	if (!k) {
		client_done(c->all, c->id, NULL, &err, NULL, 0);
		return;
	}
	const struct container *planned = k->planned;

	if (house_of(c)->engine == &engine_podman) {
		enter_podman(c, k);
		return;
	}
	live_container_launch(p, &pod);
	const struct oci_runtime *runtime = pod.runtime;
	const bool sandbox = runtime && runtime->kind == OCI_RUNSC;
	json_t *reply = json_pack("{ss ss sI sI ss so ss sI so*}", "pod", p->name, "container", planned->name, "uid",
				  (json_int_t)(planned->run_as_user > 0 ? planned->run_as_user : 0), "gid",
				  (json_int_t)(planned->run_as_group > 0 ? planned->run_as_group : 0), "cwd",
				  planned->working_dir ? planned->working_dir : "/", "env", env_of(&pod, planned), "cgroup",
				  k->cgroup, "uid_base", (json_int_t)p->walls.uid_base, "runtime", describe_runtime(house_of(c)));

	client_done(c->all, c->id, reply, NULL, runtime && !sandbox ? &k->first : &k->child.source.fd, 1);
}

static void ask_netns(struct client *c, const json_t *request)
{
	const struct live_pod *p = pod_of(c, request);

	if (p && p->walls.netns < 0)
		client_refuse(c, ERR_FINDING, "it has no network namespace with walls around it");
	else if (p)
		client_done(c->all, c->id, NULL, NULL, &p->walls.netns, 1);
}

static void ask_policy(struct client *c, const json_t *request)
{
	const struct loaded *l = house_of(c)->reload.in_force;

	if (!l) {
		client_refuse(c, ERR_FINDING, "no policy is in force");
		return;
	}
	json_t *reply = json_pack("{sI ss}", "generation", (json_int_t)house_of(c)->reload.generation, "hash", l->hash);

	client_done(c->all, c->id, reply, NULL, &l->policy, 1);
}

static const struct verb {
	const char *name;
	void (*ask)(struct client *c, const json_t *request);
	bool while_leaving;
} verbs[] = {
	{ "apply", ask_apply, false },   { "down", ask_down, true },      { "ps", ask_ps, true },
	{ "reload", ask_reload, false }, { "enter", ask_enter, false },   { "netns", ask_netns, true },
	{ "policy", ask_policy, true },  { "attach", ask_attach, false },
};

static void dispatch(struct client *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "verb"));

	for (size_t i = 0; name && i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		if (house_of(c)->leaving && !verbs[i].while_leaving)
			client_refuse(c, ERR_FAULT, "the project is being taken down");
		else
			verbs[i].ask(c, request);
		return;
	}
	client_refuse(c, ERR_INPUT, "no such verb");
}

int serve_start(struct house *h, struct err *err)
{
	h->status.expired = status_late;
	h->clients.loop = h->loop;
	h->clients.asked = dispatch;
	return clients_start(&h->clients, h->dir, err);
}

void serve_stop(struct house *h)
{
	clients_stop(&h->clients);
	loop_timer_cancel(h->loop, &h->status);
}

void serve_end(struct house *h)
{
	while (h->clients.list) {
		struct client *c = h->clients.list;

		if (c->wants_down)
			client_done(&h->clients, c->id, NULL, NULL, NULL, 0);
		else
			client_refuse(c, ERR_FAULT, "the project was taken down");
	}
}
