#include "verify/scene.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "config/project.h"
#include "engine/control.h"

enum { SUPERVISOR_S = 5, MANIFEST_BYTES = 4 * 1024 * 1024 };

/* One request with a time limit: a supervisor that hangs must not hang the proof. Takes the request. */
static json_t *ask(const char *project, json_t *request, int *ret_fd, struct err *err)
{
	FD_CLOSE int sock = control_connect(project, err);
	const struct timeval limit = { .tv_sec = SUPERVISOR_S };
	json_t *reply = NULL;
	int fd = -1;
	size_t count = 0;

	if (sock >= 0 && (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
			  setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0))
		(void)err_errno(err, "control socket");
	else if (sock >= 0 && control_send(sock, request, NULL, 0, err) == 0)
		reply = control_receive(sock, &fd, 1, &count, err);
	json_decref(request);
	const char *error = json_string_value(json_object_get(reply, "error"));

	if (!error && reply && (!ret_fd || count == 1)) {
		if (ret_fd)
			*ret_fd = fd_steal(&fd);
		return reply;
	}
	fd_close(&fd);
	if (reply)
		(void)err_set(err, ERR_FAULT, "%s", error ? error : "the supervisor gave half an answer");
	json_decref(reply);
	return NULL;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static pid_t pid_of(const json_t *o, const char *key)
{
	return (pid_t)json_integer_value(json_object_get(json_object_get(o, key), "pid"));
}

/* --- the policy in force --- */

static int map_policy(struct scene *s, struct err *err)
{
	struct stat st;
	json_t *reply = ask(s->project, json_pack("{ss}", "verb", "policy"), &s->policy_fd, err);

	if (!reply)
		return -1;
	const uint64_t generation = (uint64_t)json_integer_value(json_object_get(reply, "generation"));
	char hash[65];

	(void)snprintf(hash, sizeof hash, "%s", text_of(reply, "hash"));
	json_decref(reply);
	if (fstat(s->policy_fd, &st) < 0)
		return err_errno(err, "the policy in force");
	void *block = st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, s->policy_fd, 0) : MAP_FAILED;

	if (block == MAP_FAILED || !snapshot_open((struct span) { block, (size_t)st.st_size }, &s->policy))
		return err_set(err, ERR_FAULT, "the policy in force cannot be read");
	s->policy_map = block;
	s->policy.generation = generation;
	memcpy(s->policy.hash, hash, sizeof hash);
	return 0;
}

/* --- the files on disk --- */

static void first_line(const struct err *err, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%.*s", (int)strcspn(err->text, "\n"), err->text);
}

/* The jail does not depend on the lists, so it can be known also when they are broken. */
static void read_files(struct scene *s)
{
	const char *path = text_of(s->ps, "manifest");
	struct err err = { 0 };
	struct span text;
	struct manifest *bare;

	if (fd_read_file(path, MANIFEST_BYTES, &s->arena, &text, &err) < 0 ||
	    config_load_text(text, path, &s->arena, &bare, &err) < 0)
		first_line(&err, s->why_manifest, sizeof s->why_manifest);
	else
		s->plan = plan_make(bare, &s->arena);
	if (config_load(path, &s->arena, &s->manifest, &err) < 0)
		first_line(&err, s->why_lists, sizeof s->why_lists);
	else
		s->compiled = plan_make(s->manifest, &s->arena)->policy;
}

/* --- pods --- */

static const char *keep(struct scene *s, const struct err *err)
{
	return arena_strdup(&s->arena, err->text);
}

static const char *const *texts(const json_t *list, struct arena *a)
{
	const char **items = NULL;
	const json_t *item;
	size_t i, count = 0;

	json_array_foreach(list, i, item) if (json_is_string(item)) ARENA_PUSH(a, items, count) =
		arena_strdup(a, json_string_value(item));
	ARENA_PUSH(a, items, count) = NULL;
	return items;
}

static void enter(struct scene *s, struct subject *p, const char *container)
{
	struct err err = { 0 };
	json_t *reply =
		ask(s->project, json_pack("{ss ss ss}", "verb", "enter", "pod", p->name, "container", container), &p->pidfd, &err);

	if (!reply) {
		p->why = keep(s, &err);
		return;
	}
	p->spec = (struct container_spec) {
		.envp = texts(json_object_get(reply, "env"), &s->arena),
		.cwd = "/",
		.uid = (uint32_t)json_integer_value(json_object_get(reply, "uid")),
		.gid = (uint32_t)json_integer_value(json_object_get(reply, "gid")),
		.uid_base = (uint32_t)json_integer_value(json_object_get(reply, "uid_base")),
		.cgroup = arena_strdup(&s->arena, text_of(reply, "cgroup")),
		.foreign = s->podman || s->runtime,
		.netns = -1,
		.userns = -1,
	};
	json_decref(reply);
	if (!s->sandbox)
		return;
	p->sealed = true;
	p->why = "gVisor's own kernel answers its system calls, and no probe can be brought in";
	fd_close(&p->pidfd);
}

static const struct plan_pod *planned(const struct scene *s, const char *name)
{
	for (size_t i = 0; s->plan && i < s->plan->pod_count; i++)
		if (strcmp(s->plan->pods[i].pod->name, name) == 0)
			return &s->plan->pods[i];
	return NULL;
}

static void gather_containers(struct scene *s, struct subject *p, const json_t *containers)
{
	const json_t *c;
	size_t i;

	json_array_foreach(containers, i, c)
	{
		if (strcmp(text_of(c, "state"), "running") != 0 || p->pid_count == sizeof p->pids / sizeof *p->pids)
			continue;
		p->pids[p->pid_count++] = (pid_t)json_integer_value(json_object_get(c, "pid"));
		if (p->pidfd < 0 && !p->sealed)
			enter(s, p, text_of(c, "name"));
	}
}

static void gather_pod(struct scene *s, struct subject *p, const json_t *pod, size_t index)
{
	struct err err = { 0 };

	*p = (struct subject) { .name = text_of(pod, "name"), .netns = -1, .pidfd = -1, .why = "no container of it runs" };
	p->plan = planned(s, p->name);
	p->client = snapshot_client(&s->policy, span_of(p->name));
	p->attached = json_is_true(json_object_get(pod, "attached"));
	p->bare = json_is_false(json_object_get(pod, "walls"));
	(void)snprintf(p->nonce, sizeof p->nonce, "verify-%s-%zu", s->nonce, index);
	if (p->client != CLIENT_NONE)
		p->allowed_count = candidates_find(&s->policy, p->client, p->allowed);
	gather_containers(s, p, json_object_get(pod, "containers"));
	json_t *reply = ask(s->project, json_pack("{ss ss}", "verb", "netns", "pod", p->name), &p->netns, &err);

	if (!reply)
		p->why = keep(s, &err);
	json_decref(reply);
}

static int gather_pods(struct scene *s, const char *only, struct err *err)
{
	const json_t *pods = json_object_get(s->ps, "pods"), *pod;
	size_t i;

	s->subjects = arena_array(&s->arena, json_array_size(pods) + 1, sizeof *s->subjects);
	json_array_foreach(pods, i, pod)
		/* The gate's pod has no namespace of its own. */
		if (!s->plan || planned(s, text_of(pod, "name")) || strcmp(text_of(pod, "name"), s->plan->gate_name) != 0)
			gather_pod(s, &s->subjects[s->subject_count++], pod, i);
	for (i = 0; only && i < s->subject_count; i++)
		if (strcmp(s->subjects[i].name, only) == 0)
			return 0;
	if (only)
		return err_set(err, ERR_INPUT, "no pod has the name '%.80s'; 'stockade ps' shows them", only);
	/* Nothing that was tried is nothing that was proven. */
	return s->subject_count ? 0 : err_set(err, ERR_FINDING, "no pod runs whose walls could be tried; 'stockade ps' shows why");
}

int scene_gather(struct scene *s, const struct verify_options *o, struct err *err)
{
	uint32_t random = 0;
	char log[600];
	struct stat st;

	s->project = o->project;
	s->policy_fd = -1;
	if (getrandom(&random, sizeof random, 0) < 0)
		return err_errno(err, "random numbers");
	(void)snprintf(s->nonce, sizeof s->nonce, "%08x", random);
	if (control_run_dir(o->project, s->run_dir, sizeof s->run_dir, err) < 0)
		return -1;
	s->ps = ask(o->project, json_pack("{ss}", "verb", "ps"), NULL, err);
	if (!s->ps || map_policy(s, err) < 0)
		return -1;
	s->podman = strcmp(text_of(s->ps, "engine"), "podman") == 0;
	s->bridge = strcmp(text_of(s->ps, "network"), "bridge") == 0;
	s->runtime = json_is_object(json_object_get(s->ps, "runtime"));
	s->sandbox = strcmp(text_of(json_object_get(s->ps, "runtime"), "kind"), "runsc") == 0;
	s->gate = pid_of(s->ps, "gate");
	s->supervisor = pid_of(s->ps, "supervisor");
	s->on_haproxy = json_is_object(json_object_get(s->ps, "haproxy"));
	s->haproxy = s->on_haproxy ? pid_of(s->ps, "haproxy") : 0;
	s->generation = (uint64_t)json_integer_value(json_object_get(s->ps, "generation"));
	(void)snprintf(log, sizeof log, "%s/decisions.log", s->run_dir);
	s->log_from = stat(log, &st) == 0 ? st.st_size : 0;
	read_files(s);
	return gather_pods(s, o->pod, err);
}

void scene_free(struct scene *s)
{
	for (size_t i = 0; i < s->subject_count; i++) {
		fd_close(&s->subjects[i].netns);
		fd_close(&s->subjects[i].pidfd);
	}
	if (s->policy.block.p)
		(void)munmap(s->policy_map, s->policy.block.n);
	fd_close(&s->policy_fd);
	json_decref(s->ps);
	arena_free(&s->arena);
}
