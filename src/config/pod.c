/* v1 Pod: the tables name every field of Kubernetes' PodSpec: read, refused, or without effect here; then the pod is judged as a whole. */
#include "base/path.h"
#include "config/pod_parts.h"

struct raw_pod {
	struct pod pod;
	struct raw_container *containers, *inits;
	struct raw_volume *volumes;
	size_t container_count, init_count, volume_count;
	int64_t user, group;
	bool non_root;
};

/* --- metadata --- */

static const struct field pod_meta_fields[] = {
	{ .name = "name", .read = read_label_name, .offset = offsetof(struct raw_pod, pod.name), .required = true },
	{ .name = "labels",
	  .read = read_pairs,
	  .offset = offsetof(struct raw_pod, pod.labels),
	  .count = offsetof(struct raw_pod, pod.label_count) },
	{ .name = "annotations",
	  .read = read_pairs,
	  .offset = offsetof(struct raw_pod, pod.annotations),
	  .count = offsetof(struct raw_pod, pod.annotation_count) },
	META_FIELDS,
	END
};
static const struct schema pod_meta = { .what = "the metadata of a pod", .fields = pod_meta_fields };

/* --- the pod --- */

#define POD(member) offsetof(struct raw_pod, member)

static const struct field pod_security_fields[] = { { .name = "runAsUser", .read = read_id, .offset = POD(user) },
						    { .name = "runAsGroup", .read = read_id, .offset = POD(group) },
						    { .name = "runAsNonRoot", .read = read_bool, .offset = POD(non_root) },
						    IGNORED("fsGroup"),
						    IGNORED("fsGroupChangePolicy"),
						    IGNORED("supplementalGroups"),
						    IGNORED("supplementalGroupsPolicy"),
						    IGNORED("seLinuxChangePolicy"),
						    SECURITY_WITHOUT_EFFECT,
						    REFUSED("sysctls", "kernel settings of a pod are a part of its wall"),
						    END };
static const struct schema pod_security = { .what = "a pod's securityContext", .fields = pod_security_fields };

static bool read_restart(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	static const char *const names[] = {
		[RESTART_ALWAYS] = "Always", [RESTART_ON_FAILURE] = "OnFailure", [RESTART_NEVER] = "Never"
	};
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(s, names[i]) == 0) {
			((struct raw_pod *)out)->pod.restart_policy = (enum restart_policy)i;
			return true;
		}
	return reader_error(r, n, "'%.60s' is no restartPolicy: Always, OnFailure or Never", s);
}

static bool read_volumes(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const struct raw_pod *p = out;

	if (!read_list(r, n, f, out))
		return false;
	for (size_t i = 0; i < p->volume_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->volumes[i].v.name, p->volumes[k].v.name) == 0)
				return reader_error(r, n->items[i], "two volumes have the name '%s'", p->volumes[i].v.name);
	return true;
}

#define NO_HOST "a pod shares nothing of the host's; that is the wall"

static const struct field spec_fields[] = {
	{ .name = "containers",
	  .read = read_containers,
	  .offset = POD(containers),
	  .count = POD(container_count),
	  .sub = &container_schema,
	  .required = true },
	{ .name = "initContainers",
	  .read = read_containers,
	  .offset = POD(inits),
	  .count = POD(init_count),
	  .sub = &container_schema },
	{ .name = "volumes", .read = read_volumes, .offset = POD(volumes), .count = POD(volume_count), .sub = &volume_schema },
	{ .name = "restartPolicy", .read = read_restart },
	{ .name = "securityContext", .read = read_object, .sub = &pod_security },
	{ .name = "hostNetwork", .read = read_true_refused, .why = NO_HOST },
	{ .name = "hostPID", .read = read_true_refused, .why = NO_HOST },
	{ .name = "hostIPC", .read = read_true_refused, .why = NO_HOST },
	{ .name = "hostUsers", .read = read_true_vain, .why = "a pod always has a user namespace of its own" },
	REFUSED("ephemeralContainers", "they are not started from a manifest; use 'stockade exec'"),
	IGNORED("activeDeadlineSeconds"),
	IGNORED("affinity"),
	IGNORED("automountServiceAccountToken"),
	IGNORED("dnsConfig"),
	IGNORED("dnsPolicy"),
	IGNORED("enableServiceLinks"),
	IGNORED("hostAliases"),
	IGNORED("hostname"),
	IGNORED("imagePullSecrets"),
	IGNORED("nodeName"),
	IGNORED("nodeSelector"),
	IGNORED("os"),
	IGNORED("overhead"),
	IGNORED("preemptionPolicy"),
	IGNORED("priority"),
	IGNORED("priorityClassName"),
	IGNORED("readinessGates"),
	IGNORED("resourceClaims"),
	IGNORED("resources"),
	IGNORED("runtimeClassName"),
	IGNORED("schedulerName"),
	IGNORED("schedulingGates"),
	IGNORED("serviceAccount"),
	IGNORED("serviceAccountName"),
	IGNORED("setHostnameAsFQDN"),
	IGNORED("shareProcessNamespace"),
	IGNORED("subdomain"),
	IGNORED("terminationGracePeriodSeconds"),
	IGNORED("tolerations"),
	IGNORED("topologySpreadConstraints"),
	END
};
static const struct schema spec_schema = { .what = "the spec of a pod", .fields = spec_fields };

static const struct field pod_fields[] = { QUIET("apiVersion"),
					   QUIET("kind"),
					   { .name = "metadata", .read = read_object, .sub = &pod_meta, .required = true },
					   { .name = "spec", .read = read_object, .sub = &spec_schema, .required = true },
					   IGNORED("status"),
					   END };
static const struct schema pod_schema = { .what = "a pod", .fields = pod_fields };

static const char *value_of(const struct pair *pairs, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(pairs[i].name, name) == 0)
			return pairs[i].value;
	return "";
}

/* The gate's pod, by label or annotation; labels are checked since one of them becomes a part of a file's name. */
static bool judge_role(struct reader *r, const struct yaml_node *meta, struct pod *p)
{
	const char *role = value_of(p->annotations, p->annotation_count, "stockade/role");
	const struct yaml_node *labels = yaml_get(meta, "labels"), *annotations = yaml_get(meta, "annotations");

	for (size_t i = 0; i < p->label_count; i++)
		if (!label_value_valid(p->labels[i].value))
			return reader_error(
				r, yaml_get(labels, p->labels[i].name),
				"'%.80s' is no label: at most 63 letters, digits, - _ and ., a letter or digit first and last",
				p->labels[i].value);
	if (role[0] && strcmp(role, "gate") != 0)
		return reader_error(r, yaml_get(annotations, "stockade/role"), "'%.60s' is no role: the only one is gate", role);
	p->gate = role[0] || strcmp(value_of(p->labels, p->label_count, "app"), "proxy") == 0;
	return true;
}

static bool is_jail_script(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const size_t n = strlen(name);

	return slash && n >= 7 && strncmp(name, "jail", 4) == 0 && strcmp(name + n - 3, ".sh") == 0;
}

/* A container whose name ends in -node and whose command is a jail*.sh from a volume: the jail that the engine puts up itself. */
static bool is_jailer(const struct container *c)
{
	const size_t n = strlen(c->name);

	if (n < 6 || strcmp(c->name + n - 5, "-node") != 0)
		return false;
	for (size_t i = 0; i < c->command.count; i++)
		for (size_t k = 0; is_jail_script(c->command.items[i]) && k < c->mount_count; k++)
			if (path_within(c->command.items[i], c->mounts[k].path))
				return true;
	return false;
}

static bool judge_capabilities(struct reader *r, const struct raw_container *c)
{
	bool ok = true;

	if (!c->added)
		return true;
	if (!reader_is_list(r, c->added, "add"))
		return false;
	for (size_t i = 0; i < c->added->count; i++) {
		const char *s = reader_string(r, c->added->items[i], "add");
		const char *name = s && strncmp(s, "CAP_", 4) == 0 ? s + 4 : s;

		if (!s)
			ok = false;
		else if (!c->c.jailer || (strcmp(name, "NET_ADMIN") != 0 && strcmp(name, "NET_RAW") != 0))
			ok = reader_error(r, c->added->items[i], "the capability %.40s is refused: Stockade gives no capabilities",
					  s);
	}
	return ok;
}

static bool judge_container(struct reader *r, const struct raw_pod *p, struct raw_container *c)
{
	bool ok = true;

	c->c.jailer = is_jailer(&c->c);
	ok = judge_capabilities(r, c);
	if (c->c.run_as_user < 0)
		c->c.run_as_user = p->user;
	if (c->c.run_as_group < 0)
		c->c.run_as_group = p->group;
	if ((c->non_root || p->non_root) && c->c.run_as_user <= 0)
		ok = reader_error(r, c->node, "runAsNonRoot with the user %s: give the container '%s' a runAsUser that is not 0",
				  c->c.run_as_user == 0 ? "0" : "left to the image", c->c.name);
	for (size_t i = 0; i < c->c.mount_count; i++) {
		const struct volume_mount *m = &c->c.mounts[i];
		bool found = false;

		for (size_t k = 0; k < p->volume_count; k++)
			found = found || strcmp(p->volumes[k].v.name, m->volume) == 0;
		if (!found)
			ok = report_error(r->report, r->source, m->at.line, m->at.column, "there is no volume '%s' in the pod '%s'",
					  m->volume, p->pod.name);
	}
	return ok;
}

/* Raw containers to the pod's own; names are unique over both kinds. */
static bool judge_containers(struct reader *r, struct raw_pod *p)
{
	struct {
		struct raw_container *raw;
		size_t count;
		struct container *list;
	} kinds[2] = { { p->inits, p->init_count, NULL }, { p->containers, p->container_count, NULL } };
	bool ok = true;

	for (size_t k = 0; k < 2; k++) {
		kinds[k].list = arena_array(r->arena, kinds[k].count ? kinds[k].count : 1, sizeof *kinds[k].list);
		for (size_t i = 0; i < kinds[k].count; i++) {
			struct raw_container *c = &kinds[k].raw[i];

			for (size_t j = 0; j < k * p->init_count + i; j++) {
				const struct raw_container *o =
					j < p->init_count && k ? &p->inits[j] : &kinds[k].raw[j - (k ? p->init_count : 0)];

				if (strcmp(o->c.name, c->c.name) == 0)
					ok = reader_error(r, c->node, "two containers of the pod '%s' have the name '%s'",
							  p->pod.name, c->c.name);
			}
			ok = judge_container(r, p, c) && ok;
			kinds[k].list[i] = c->c;
		}
	}
	p->pod.init_containers = kinds[0].list;
	p->pod.init_container_count = p->init_count;
	p->pod.containers = kinds[1].list;
	p->pod.container_count = p->container_count;
	return ok;
}

static void note_stand_ins(struct reader *r, const struct pod *p)
{
	for (size_t i = 0; i < p->init_container_count + p->container_count; i++) {
		const struct container *c =
			i < p->init_container_count ? &p->init_containers[i] : &p->containers[i - p->init_container_count];

		if (c->jailer)
			report_note(r->report,
				    "pod %s: the engine puts up the jail itself; the container %s is not run and its NET_ADMIN is "
				    "not given",
				    p->name, c->name);
	}
	if (!p->gate)
		return;
	report_note(r->report, "pod %s: Stockade's own gate stands in for its containers", p->name);
	for (size_t i = 0; i < p->container_count; i++)
		for (size_t k = 0; k < p->containers[i].port_count; k++)
			if (p->containers[i].ports[k].host_port)
				report_note(r->report,
					    "pod %s: hostPort %u is not published: the gate serves pods only, it would not know "
					    "who is asking",
					    p->name, p->containers[i].ports[k].host_port);
}

bool pod_read(struct reader *r, const struct yaml_node *doc, const struct config_map *maps, size_t map_count, struct pod *ret)
{
	struct raw_pod p = { .user = -1, .group = -1 };
	bool ok = schema_read(r, &pod_schema, doc, &p);

	if (!ok)
		return false;
	const struct yaml_node *spec = yaml_get(doc, "spec");

	p.pod.at = reader_place(r, doc);
	p.pod.volume_count = p.volume_count;
	p.pod.volumes = arena_array(r->arena, p.volume_count ? p.volume_count : 1, sizeof *p.pod.volumes);
	for (size_t i = 0; i < p.volume_count; i++) {
		if (p.volumes[i].config_map)
			ok = config_map_files(r, &p.volumes[i], maps, map_count) && ok;
		p.pod.volumes[i] = p.volumes[i].v;
	}
	if (p.container_count == 0)
		ok = reader_error(r, yaml_get(spec, "containers"), "the pod '%s' has no container", p.pod.name);
	ok = judge_role(r, yaml_get(doc, "metadata"), &p.pod) && ok;
	ok = judge_containers(r, &p) && ok;
	if (!ok)
		return false;
	note_stand_ins(r, &p.pod);
	*ret = p.pod;
	return true;
}
