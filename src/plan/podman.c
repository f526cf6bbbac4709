/* Each mount of a container is a volume of its own, a path of the host: what is mounted where is said here alone, and nothing is
 * left to be made, or to be left behind, by Podman. */
#include "plan/podman.h"

#include "base/path.h"
#include "plan/json_out.h"

/* --- mounts --- */

struct rendering {
	struct json_out j;
	const struct plan *plan;
	const struct plan_pod *pod;
	const struct podman_pod *how;
	unsigned mounts; /* so many volumes are named */
};

static const char *source_of(const struct rendering *r, const struct volume_mount *m)
{
	const struct volume *v = pod_volume(r->pod->pod, m->volume);
	const char *base =
		v && v->kind == VOLUME_HOST_PATH ? v->path : arena_printf(r->j.text.arena, "%s/volumes/%s", r->how->dir, m->volume);

	return m->sub_path ? arena_printf(r->j.text.arena, "%s/%s", base, m->sub_path) : base;
}

static bool read_only(const struct rendering *r, const struct volume_mount *m)
{
	const struct volume *v = pod_volume(r->pod->pod, m->volume);

	return m->read_only || (v && v->kind == VOLUME_CONFIG_MAP);
}

static bool mounts_at(const struct container *c, const char *path)
{
	for (size_t i = 0; i < c->mount_count; i++)
		if (strcmp(c->mounts[i].path, path) == 0)
			return true;
	return false;
}

/* The files that the engine writes into every container. */
static const struct volume_mount own_files[] = {
	{ .volume = "hosts", .path = "/etc/hosts", .read_only = true },
	{ .volume = "resolv.conf", .path = "/etc/resolv.conf", .read_only = true },
};
enum { OWN_FILES = sizeof own_files / sizeof own_files[0] };

static void put_mount(struct rendering *r, const struct volume_mount *m, bool ro)
{
	json_out_open(&r->j, NULL, "{");
	json_out_string(&r->j, "name", arena_printf(r->j.text.arena, "m%u", r->mounts++));
	json_out_string(&r->j, "mountPath", m->path);
	if (ro)
		json_out_bare(&r->j, "readOnly", "true");
	json_out_close(&r->j, "}");
}

static void put_volume(struct rendering *r, const char *path)
{
	json_out_open(&r->j, NULL, "{");
	json_out_string(&r->j, "name", arena_printf(r->j.text.arena, "m%u", r->mounts++));
	json_out_open(&r->j, "hostPath", "{");
	json_out_string(&r->j, "path", path);
	json_out_close(&r->j, "}");
	json_out_close(&r->j, "}");
}

/* Both of the following see the same containers and mounts in the same order. */
static void container_mounts(struct rendering *r, const struct container *c)
{
	json_out_open(&r->j, "volumeMounts", "[");
	for (size_t i = 0; i < c->mount_count; i++)
		put_mount(r, &c->mounts[i], read_only(r, &c->mounts[i]));
	for (size_t i = 0; i < OWN_FILES; i++)
		if (!mounts_at(c, own_files[i].path))
			put_mount(r, &own_files[i], true);
	json_out_close(&r->j, "]");
}

static void container_volumes(struct rendering *r, const struct container *c)
{
	for (size_t i = 0; i < c->mount_count; i++)
		put_volume(r, source_of(r, &c->mounts[i]));
	for (size_t i = 0; i < OWN_FILES; i++)
		if (!mounts_at(c, own_files[i].path))
			put_volume(r, arena_printf(r->j.text.arena, "%s/%s", r->how->dir, own_files[i].volume));
}

/* --- containers --- */

static void environment(struct rendering *r, const struct container *c)
{
	struct pair *proxies;
	const size_t count = plan_proxy_env(r->plan, c, r->j.text.arena, &proxies);

	json_out_open(&r->j, "env", "[");
	for (size_t i = 0; i < count + c->env_count; i++) {
		const struct pair *p = i < count ? &proxies[i] : &c->env[i - count];

		json_out_open(&r->j, NULL, "{");
		json_out_string(&r->j, "name", p->name);
		json_out_string(&r->j, "value", p->value ? p->value : "");
		json_out_close(&r->j, "}");
	}
	json_out_close(&r->j, "]");
}

static void security(struct rendering *r, const struct container *c)
{
	struct json_out *j = &r->j;

	json_out_open(j, "securityContext", "{");
	json_out_bare(j, "allowPrivilegeEscalation", "false");
	json_out_open(j, "capabilities", "{");
	json_out_open(j, "drop", "[");
	json_out_string(j, NULL, "ALL");
	json_out_close(j, "]");
	json_out_close(j, "}");
	if (c->run_as_user >= 0)
		json_out_bare(j, "runAsUser", arena_printf(j->text.arena, "%lld", (long long)c->run_as_user));
	if (c->run_as_group >= 0)
		json_out_bare(j, "runAsGroup", arena_printf(j->text.arena, "%lld", (long long)c->run_as_group));
	if (c->read_only_root)
		json_out_bare(j, "readOnlyRootFilesystem", "true");
	json_out_close(j, "}");
}

static void resources(struct rendering *r, const struct container *c)
{
	struct json_out *j = &r->j;

	if (!c->memory_limit && !c->cpu_limit_milli)
		return;
	json_out_open(j, "resources", "{");
	json_out_open(j, "limits", "{");
	if (c->memory_limit)
		json_out_string(j, "memory", arena_printf(j->text.arena, "%llu", (unsigned long long)c->memory_limit));
	if (c->cpu_limit_milli)
		json_out_string(j, "cpu", arena_printf(j->text.arena, "%um", c->cpu_limit_milli));
	json_out_close(j, "}");
	json_out_close(j, "}");
}

static void container(struct rendering *r, const struct container *c)
{
	struct json_out *j = &r->j;

	json_out_open(j, NULL, "{");
	json_out_string(j, "name", c->name);
	json_out_string(j, "image", c->image);
	json_out_string(j, "imagePullPolicy", "Never");
	json_out_strings(j, "command", &c->command);
	json_out_strings(j, "args", &c->args);
	json_out_string(j, "workingDir", c->working_dir);
	environment(r, c);
	security(r, c);
	resources(r, c);
	container_mounts(r, c);
	json_out_close(j, "}");
}

static size_t count_run(const struct container *list, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += !list[i].jailer;
	return n;
}

static void containers(struct rendering *r, const char *key, const struct container *list, size_t count)
{
	if (count_run(list, count) == 0)
		return;
	json_out_open(&r->j, key, "[");
	for (size_t i = 0; i < count; i++)
		if (!list[i].jailer)
			container(r, &list[i]);
	json_out_close(&r->j, "]");
}

static void volumes(struct rendering *r)
{
	const struct pod *p = r->pod->pod;

	r->mounts = 0;
	json_out_open(&r->j, "volumes", "[");
	for (size_t i = 0; i < p->init_container_count; i++)
		if (!p->init_containers[i].jailer)
			container_volumes(r, &p->init_containers[i]);
	for (size_t i = 0; i < p->container_count; i++)
		if (!p->containers[i].jailer)
			container_volumes(r, &p->containers[i]);
	json_out_close(&r->j, "]");
}

/* --- the pod --- */

static void own_marks(struct rendering *r)
{
	json_out_string(&r->j, PODMAN_PROJECT, r->how->project);
	json_out_string(&r->j, PODMAN_POD, r->pod->pod->name);
}

static bool is_own(const char *label)
{
	return strncmp(label, "stockade.", sizeof "stockade." - 1) == 0;
}

static void metadata(struct rendering *r)
{
	const struct pod *p = r->pod->pod;
	struct json_out *j = &r->j;

	json_out_open(j, "metadata", "{");
	json_out_string(j, "name", p->name);
	json_out_open(j, "labels", "{");
	for (size_t i = 0; i < p->label_count; i++)
		if (!is_own(p->labels[i].name))
			json_out_string(j, p->labels[i].name, p->labels[i].value ? p->labels[i].value : "");
	own_marks(r);
	json_out_close(j, "}");
	json_out_open(j, "annotations", "{");
	own_marks(r);
	/* Otherwise Podman runs init containers at the first start only. */
	json_out_string(j, "io.podman.annotations.init.container.type", "always");
	json_out_string(j, "seccomp.security.alpha.kubernetes.io/pod",
			arena_printf(j->text.arena, "localhost/%s", r->how->seccomp));
	json_out_close(j, "}");
	json_out_close(j, "}");
}

static bool changes_restarts(const struct plan_pod *pod, bool init_restarts)
{
	return init_restarts && pod->pod->restart_policy == RESTART_ALWAYS &&
	       count_run(pod->pod->init_containers, pod->pod->init_container_count) > 0;
}

static const char *restarts(const struct rendering *r)
{
	static const char *const names[] = {
		[RESTART_ALWAYS] = "Always", [RESTART_ON_FAILURE] = "OnFailure", [RESTART_NEVER] = "Never"
	};

	return changes_restarts(r->pod, r->how->init_restarts) ? "OnFailure" : names[r->pod->pod->restart_policy];
}

const char *plan_podman(const struct plan *p, const struct plan_pod *pod, const struct podman_pod *how, struct arena *a)
{
	struct rendering r = { .j.text.arena = a, .plan = p, .pod = pod, .how = how };

	json_out_text(&r.j, "{");
	json_out_string(&r.j, "apiVersion", "v1");
	json_out_string(&r.j, "kind", "Pod");
	metadata(&r);
	json_out_open(&r.j, "spec", "{");
	json_out_string(&r.j, "restartPolicy", restarts(&r));
	containers(&r, "initContainers", pod->pod->init_containers, pod->pod->init_container_count);
	containers(&r, "containers", pod->pod->containers, pod->pod->container_count);
	volumes(&r);
	json_out_close(&r.j, "}");
	json_out_text(&r.j, "}\n");
	return r.j.text.p;
}

/* --- what is said about it --- */

/* A link that a pod has put there would be followed by the runtime, at the next start. */
static const char *refuses_mounts(const struct plan_pod *pod, const struct container *c, struct arena *a)
{
	for (size_t i = 0; i < c->mount_count; i++) {
		const struct volume *v = pod_volume(pod->pod, c->mounts[i].volume);

		if (c->mounts[i].sub_path && (!v || v->kind != VOLUME_CONFIG_MAP))
			return arena_printf(a,
					    "container %s mounts a part of the volume '%s': with Podman a subPath is safe "
					    "only in a configMap; make it a volume of its own",
					    c->name, c->mounts[i].volume);
	}
	return NULL;
}

static bool writes_by(const struct container *list, size_t count, const char *volume)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; !list[i].jailer && k < list[i].mount_count; k++)
			if (!list[i].mounts[k].read_only && strcmp(list[i].mounts[k].volume, volume) == 0)
				return true;
	return false;
}

static bool writes(const struct pod *p, const struct volume *v)
{
	return v->kind == VOLUME_HOST_PATH && (writes_by(p->init_containers, p->init_container_count, v->name) ||
					       writes_by(p->containers, p->container_count, v->name));
}

/* The volume of any pod that may be written to and has the path below it; NULL: none. */
static const struct volume *writable_above(const struct plan *p, const char *path, const struct pod **ret_pod)
{
	for (size_t i = 0; i < p->pod_count; i++) {
		const struct pod *pod = p->pods[i].pod;

		for (size_t k = 0; k < pod->volume_count; k++) {
			*ret_pod = pod;
			if (writes(pod, &pod->volumes[k]) && strcmp(path, pod->volumes[k].path) != 0 &&
			    path_within(path, pod->volumes[k].path))
				return &pod->volumes[k];
		}
	}
	return NULL;
}

/* What a pod can put another file or a link in place of. */
static const char *refuses_volume(const struct plan *p, const struct pod *pod, const struct volume *v, const char *state,
				  struct arena *a)
{
	const struct pod *writer = NULL;

	if (v->kind != VOLUME_HOST_PATH)
		return NULL;
	const struct volume *above = writable_above(p, v->path, &writer);

	if (above)
		return arena_printf(
			a,
			"the volume '%s' lies in the volume '%s', which pod %s may write to, and could then be led elsewhere "
			"at the next start; mount one of them readOnly, or apart",
			v->name, above->name, writer->name);
	if (writes(pod, v) && (path_within(v->path, state) || path_within(state, v->path)))
		return arena_printf(a, "the volume '%s' reaches the project's own files in %s", v->name, state);
	return NULL;
}

const char *plan_podman_refuses(const struct plan *p, const struct plan_pod *pod, const char *state, struct arena *a)
{
	const struct pod *x = pod->pod;
	const char *why = NULL;

	for (size_t i = 0; !why && i < x->init_container_count; i++)
		why = refuses_mounts(pod, &x->init_containers[i], a);
	for (size_t i = 0; !why && i < x->container_count; i++)
		why = refuses_mounts(pod, &x->containers[i], a);
	for (size_t i = 0; !why && i < x->volume_count; i++)
		why = refuses_volume(p, x, &x->volumes[i], state, a);
	return why;
}

const char *plan_podman_note(const struct plan_pod *pod, bool init_restarts, struct arena *a)
{
	const char *text = NULL;

	if (changes_restarts(pod, init_restarts))
		text = "this Podman restarts init containers without end under restartPolicy Always; OnFailure is used";
	for (size_t i = 0; i < pod->pod->volume_count; i++)
		if (pod->pod->volumes[i].kind == VOLUME_EMPTY_DIR && pod->pod->volumes[i].size_limit)
			text = arena_printf(a, "%s%sthe sizeLimit of the volume '%s' is not enforced with Podman", text ? text : "",
					    text ? "; " : "", pod->pod->volumes[i].name);
	return text;
}

const char *plan_podman_name(const struct plan_pod *pod, const struct container *c, struct arena *a)
{
	return arena_printf(a, "%s-%s", pod->pod->name, c->name);
}
