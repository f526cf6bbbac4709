#include "engine/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "engine/apply.h"
#include "engine/control.h"
#include "engine/podman.h"
#include "engine/pods.h"

enum { BACKLOG = 64, STOP_DEFAULT_S = 10, STOP_MAX_S = 3600 };

struct client {
	struct source source;
	struct client *next;
	struct house *house;
	struct deferred end;
	uint64_t id;
	int fd;        /* that came with its request, -1: none */
	unsigned look; /* it waits for this look of Podman's; 0: for none */
	bool asked, over, wants_status, wants_down;
};

/* --- clients --- */

static void release(struct deferred *d)
{
	free((char *)d - offsetof(struct client, end));
}

static void drop(struct client *c)
{
	struct serve *s = &c->house->serve;

	if (c->over)
		return;
	c->over = true;
	for (struct client **at = &s->clients; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	loop_forget(c->house->loop, &c->source);
	fd_close(&c->source.fd);
	fd_close(&c->fd);
	if (s->count-- == SERVE_CLIENTS && s->listener.fd >= 0)
		(void)loop_watch(c->house->loop, &s->listener, EPOLLIN);
	c->end.run = release;
	loop_defer(c->house->loop, &c->end);
}

static struct client *find(struct house *h, uint64_t id)
{
	for (struct client *c = h->serve.clients; c; c = c->next)
		if (c->id == id)
			return c;
	return NULL;
}

/* The send buffer holds all that one request can be answered with; who does not fit has stopped reading. */
static void send_to(struct client *c, json_t *message, const int *fds, size_t count)
{
	struct err err;

	if (control_send(c->source.fd, message, fds, count, &err) < 0)
		drop(c);
	json_decref(message);
}

/* What is no UTF-8, as bytes of a file or a text cut short may be, is shown as '?'. */
static json_t *words(const char *text)
{
	json_t *as_it_is = json_string(text);
	char ascii[2048];
	size_t n = 0;

	if (as_it_is)
		return as_it_is;
	for (; n < sizeof ascii - 1 && text[n]; n++)
		ascii[n] = (text[n] & 0x80) ? '?' : text[n];
	ascii[n] = '\0';
	return json_string(ascii);
}

void client_line(struct house *h, uint64_t id, const char *fmt, ...)
{
	struct client *c = find(h, id);
	char line[2048];
	va_list ap;

	if (!c)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	send_to(c, json_pack("{so}", "line", words(line)), NULL, 0);
}

static void set_error(json_t *reply, const struct err *why)
{
	(void)json_object_set_new(reply, "error", words(why->text));
	(void)json_object_set_new(reply, "class", json_integer(why->class));
}

void client_done(struct house *h, uint64_t id, json_t *reply, const struct err *why, const int *fds, size_t count)
{
	struct client *c = find(h, id);

	if (!c) {
		json_decref(reply);
		return;
	}
	if (!reply)
		reply = json_object();
	if (why)
		set_error(reply, why);
	(void)json_object_set_new(reply, "done", json_true());
	send_to(c, reply, fds, count);
	drop(c);
}

static void refuse(struct client *c, enum err_class class, const char *text)
{
	struct err why = { .class = class };

	(void)snprintf(why.text, sizeof why.text, "%s", text);
	client_done(c->house, c->id, NULL, &why, NULL, 0);
}

/* --- ps --- */

/* Each limit that can be set: what it is, and how often it was met. */
static json_t *describe_limits(const struct house *h)
{
	json_t *all = json_object();

	for (int i = 0; h->gate_started && i < LIMIT_COUNT; i++)
		(void)json_object_set_new(
			all, limit_name((enum gate_limit)i),
			json_pack("{sI sI}", "value", (json_int_t)h->limits.of[i], "met", (json_int_t)h->counters.limited[i]));
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

static json_t *describe(const struct house *h)
{
	json_t *pods = json_array();

	for (const struct live_pod *p = h->pods; p; p = p->next)
		(void)json_array_insert_new(pods, 0, pod_describe(p));
	json_t *error = h->reload.error[0] ? words(h->reload.error) : NULL;

	if (h->podman.strangers)
		(void)json_array_extend(pods, h->podman.strangers);
	return json_pack("{ss ss ss* so* ss sI ss so so* s{si} so so*}", "project", h->project, "engine",
			 h->engine ? h->engine->name : "", "network", h->podman.bridge.on ? "bridge" : NULL, "runtime",
			 describe_runtime(h), "manifest", h->manifest, "generation", (json_int_t)h->reload.generation, "hash",
			 h->reload.in_force ? h->reload.in_force->hash : "", "gate", describe_gate(h), "haproxy",
			 describe_haproxy(h), "supervisor", "pid", (int)getpid(), "pods", pods, "reload_error", error);
}

static void answer_status(struct house *h)
{
	struct client *next;

	loop_timer_cancel(h->loop, &h->serve.status);
	for (struct client *c = h->serve.clients; c; c = next) {
		next = c->next;
		if (c->wants_status)
			client_done(h, c->id, describe(h), NULL, NULL, 0);
	}
}

static void status_late(struct timer *t)
{
	struct house *h = (struct house *)((char *)t - offsetof(struct house, serve.status));

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
	loop_timer_set(h->loop, &h->serve.status, SERVE_STATUS_MS);
	gate_link_status(&h->gate);
}

/* What is not known cannot be shown as if all were well. */
void serve_on_look(struct house *h, unsigned number)
{
	struct err why = { .class = ERR_FAULT };
	struct client *next;
	bool any = false;

	(void)snprintf(why.text, sizeof why.text, "podman ps: %s", h->podman.problem);
	for (struct client *c = h->serve.clients; c; c = next) {
		next = c->next;
		if (c->look == 0 || c->look > number)
			continue;
		c->look = 0;
		any = c->wants_status = true;
		if (h->podman.problem[0])
			client_done(h, c->id, NULL, &why, NULL, 0);
	}
	if (any)
		ask_gate(h);
}

static void ask_ps(struct client *c, const json_t *request)
{
	if (c->house->podman.ready) {
		c->look = podman_look(c->house);
		return;
	}
	c->wants_status = true;
	ask_gate(c->house);
}

/* --- podman's hook --- */

static void ask_attach(struct client *c, const json_t *request)
{
	const char *pod = json_string_value(json_object_get(request, "pod"));
	const char *container = json_string_value(json_object_get(request, "id"));

	if (!pod || !container || c->fd < 0)
		refuse(c, ERR_INPUT, "the hook names a pod and a container, and gives its network namespace");
	else
		podman_attach(c->house, c->id, pod, container, fd_steal(&c->fd));
}

/* --- reload --- */

struct manual {
	struct reload_request request;
	struct house *house;
	uint64_t client;
};

static int manual_loaded(struct reload_request *r, const struct loaded *l, struct err *err)
{
	const struct manual *m = (struct manual *)r; /* its first member */
	struct plan_ref *plan = plan_ref_make(l, r->manifest, err);

	if (!plan)
		return -1;
	const size_t n = apply_differences(m->house, plan->plan);

	if (n)
		client_line(m->house, m->client,
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
	client_done(m->house, m->client, reply, why, NULL, 0);
	free(m);
}

static void ask_reload(struct client *c, const json_t *request)
{
	struct manual *m = calloc(1, sizeof *m);

	if (!m || !c->house->manifest[0]) {
		refuse(c, m ? ERR_FINDING : ERR_FAULT, m ? "nothing is up yet; 'stockade up' starts it" : "out of memory");
		free(m);
		return;
	}
	*m = (struct manual) { .request = { .manifest = c->house->manifest, .loaded = manual_loaded, .done = manual_done },
			       .house = c->house,
			       .client = c->id };
	reload_ask(c->house, &m->request);
}

/* --- the other verbs --- */

static void ask_apply(struct client *c, const json_t *request)
{
	apply_ask(c->house, c->id, request);
}

static void ask_down(struct client *c, const json_t *request)
{
	const json_t *given = json_object_get(request, "timeout_s");
	const json_int_t seconds = json_is_integer(given) ? json_integer_value(given) : STOP_DEFAULT_S;

	if (seconds < 0 || seconds > STOP_MAX_S) {
		refuse(c, ERR_INPUT, "the time limit is 0 to 3600 seconds");
		return;
	}
	c->wants_down = true;
	house_leave(c->house, (unsigned)seconds * 1000);
}

static struct live_pod *pod_of(struct client *c, const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "pod"));
	struct live_pod *p = name ? pod_find(c->house, name) : NULL;
	char text[200];

	(void)snprintf(text, sizeof text, "no pod '%.100s' runs in project %s; see 'stockade ps'", name ? name : "",
		       c->house->project);
	if (!p)
		refuse(c, ERR_INPUT, text);
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
		client_done(c->house, c->id, NULL, &err, NULL, 0);
		return;
	}
	pod_launch(k->pod, &pod);
	json_t *reply =
		json_pack("{ss ss ss ss ss sI sI ss so}", "engine", "podman", "id", k->id, "setting", c->house->podman.env, "pod",
			  k->pod->name, "container", k->planned->name, "uid", (json_int_t)uid, "gid", (json_int_t)gid, "cwd",
			  k->planned->working_dir ? k->planned->working_dir : "/", "env", env_of(&pod, k->planned));

	client_done(c->house, c->id, reply, NULL, &pidfd, 1);
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
		client_done(c->house, c->id, NULL, &err, NULL, 0);
		return;
	}
	const struct container *planned = k->planned;

	if (c->house->engine == &engine_podman) {
		enter_podman(c, k);
		return;
	}
	pod_launch(p, &pod);
	const struct oci_runtime *runtime = pod.runtime;
	const bool sandbox = runtime && runtime->kind == OCI_RUNSC;
	json_t *reply = json_pack("{ss ss sI sI ss so ss sI so*}", "pod", p->name, "container", planned->name, "uid",
				  (json_int_t)(planned->run_as_user > 0 ? planned->run_as_user : 0), "gid",
				  (json_int_t)(planned->run_as_group > 0 ? planned->run_as_group : 0), "cwd",
				  planned->working_dir ? planned->working_dir : "/", "env", env_of(&pod, planned), "cgroup",
				  k->cgroup, "uid_base", (json_int_t)p->walls.uid_base, "runtime", describe_runtime(c->house));

	client_done(c->house, c->id, reply, NULL, runtime && !sandbox ? &k->first : &k->child.source.fd, 1);
}

static void ask_netns(struct client *c, const json_t *request)
{
	const struct live_pod *p = pod_of(c, request);

	if (p && p->walls.netns < 0)
		refuse(c, ERR_FINDING, "it has no network namespace with walls around it");
	else if (p)
		client_done(c->house, c->id, NULL, NULL, &p->walls.netns, 1);
}

static void ask_policy(struct client *c, const json_t *request)
{
	const struct loaded *l = c->house->reload.in_force;

	if (!l) {
		refuse(c, ERR_FINDING, "no policy is in force");
		return;
	}
	json_t *reply = json_pack("{sI ss}", "generation", (json_int_t)c->house->reload.generation, "hash", l->hash);

	client_done(c->house, c->id, reply, NULL, &l->policy, 1);
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
		if (c->house->leaving && !verbs[i].while_leaving)
			refuse(c, ERR_FAULT, "the project is being taken down");
		else
			verbs[i].ask(c, request);
		return;
	}
	refuse(c, ERR_INPUT, "no such verb");
}

/* --- the socket --- */

static void client_ready(struct source *s, uint32_t events)
{
	struct client *c = (struct client *)s; /* its first member */
	struct err err;

	if (c->over)
		return;
	if (c->asked) {
		drop(c); /* it has gone, or says more than it may */
		return;
	}
	size_t count = 0;
	json_t *request = control_receive(s->fd, &c->fd, 1, &count, &err);

	c->asked = true;
	if (!request) {
		drop(c);
		return;
	}
	dispatch(c, request);
	json_decref(request);
}

static bool is_root(int fd)
{
	struct ucred who;
	socklen_t size = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void welcome(struct house *h, int fd)
{
	const int bytes = SERVE_SEND_BYTES;
	struct client *c = is_root(fd) ? calloc(1, sizeof *c) : NULL;

	if (!c) {
		(void)close(fd);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	*c = (struct client) { .source = { .fd = fd, .ready = client_ready },
			       .next = h->serve.clients,
			       .house = h,
			       .id = ++h->serve.last_id,
			       .fd = -1 };
	h->serve.clients = c;
	h->serve.count++;
	if (loop_watch(h->loop, &c->source, EPOLLIN) < 0)
		drop(c);
}

static void accept_ready(struct source *s, uint32_t events)
{
	struct house *h = (struct house *)((char *)s - offsetof(struct house, serve.listener));

	while (h->serve.count < SERVE_CLIENTS) {
		const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		welcome(h, fd);
	}
	(void)loop_watch(h->loop, s, 0);
}

int serve_start(struct house *h, struct err *err)
{
	struct sockaddr_un address;
	struct serve *s = &h->serve;

	*s = (struct serve) { .listener = { .fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
					    .ready = accept_ready },
			      .status = { .expired = status_late } };
	control_address(h->dir, &address);
	(void)unlinkat(h->dir, CONTROL_SOCKET, 0);
	/* The umask lets nobody else in from the first moment. */
	if (s->listener.fd < 0 || bind(s->listener.fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    fchmodat(h->dir, CONTROL_SOCKET, 0600, 0) < 0 || listen(s->listener.fd, BACKLOG) < 0)
		return err_errno(err, "the control socket");
	const int rc = loop_watch(h->loop, &s->listener, EPOLLIN);

	if (rc == 0)
		return 0;
	errno = -rc;
	return err_errno(err, "the control socket");
}

void serve_stop(struct house *h)
{
	loop_forget(h->loop, &h->serve.listener);
	fd_close(&h->serve.listener.fd);
	loop_timer_cancel(h->loop, &h->serve.status);
}

void serve_end(struct house *h)
{
	while (h->serve.clients) {
		struct client *c = h->serve.clients;

		if (c->wants_down)
			client_done(h, c->id, NULL, NULL, NULL, 0);
		else
			refuse(c, ERR_FAULT, "the project was taken down");
	}
}
