/* v1 Pod and v1 ConfigMap. The tables name every field of Kubernetes' PodSpec and Container: read, refused, or without effect here.
 */
#include <stdio.h>

#include "config/documents.h"

/* What is read of a container before the pod as a whole can be judged. */
struct raw_container {
	struct container c;
	const struct yaml_node *node, *added; /* added: capabilities.add */
	bool non_root;
};

struct raw_volume {
	struct volume v;
	const struct yaml_node *host_path, *empty_dir, *config_map;
};

struct raw_pod {
	struct pod pod;
	struct raw_container *containers, *inits;
	struct raw_volume *volumes;
	size_t container_count, init_count, volume_count;
	int64_t user, group;
	bool non_root;
};

struct raw_env {
	const char *name, *value;
};

#define IGNORED(field)        \
	{                     \
		.name = field \
	}
#define QUIET(field)                              \
	{                                         \
		.name = field, .read = read_quiet \
	}
#define REFUSED(field, reason)               \
	{                                    \
		.name = field, .why = reason \
	}
#define END                  \
	{                    \
		.name = NULL \
	}

/* --- metadata --- */

#define META_FIELDS                                                                                                              \
	IGNORED("namespace"), IGNORED("creationTimestamp"), IGNORED("deletionGracePeriodSeconds"), IGNORED("deletionTimestamp"), \
		IGNORED("finalizers"), IGNORED("generation"), IGNORED("managedFields"), IGNORED("ownerReferences"),              \
		IGNORED("resourceVersion"), IGNORED("selfLink"), IGNORED("uid"),                                                 \
		REFUSED("generateName", "give the name itself, others must be able to say it")

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

/* --- containers --- */

static bool env_finish(struct reader *r, const struct yaml_node *n, void *out)
{
	const struct raw_env *e = out;
	const char *p = e->name;
	bool ok = *p && !(*p >= '0' && *p <= '9');

	for (; *p; p++)
		ok = ok && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("_-.", *p));
	return ok ? true
		  : reader_error(r, n, "'%.80s' is no name of a variable: letters, digits, _ - and ., no digit first", e->name);
}

static const struct field env_fields[] = {
	{ .name = "name", .read = read_string, .offset = offsetof(struct raw_env, name), .required = true },
	{ .name = "value", .read = read_string, .offset = offsetof(struct raw_env, value), .required = true },
	REFUSED("valueFrom", "there is no cluster to take the value from; write it as 'value'"),
	END
};
static const struct schema env_schema = { "an environment variable", env_fields, sizeof(struct raw_env), env_finish };
_Static_assert(sizeof(struct raw_env) == sizeof(struct pair), "an env entry is a pair");

static bool read_env(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	struct raw_container *c = out;
	bool ok = read_list(r, n, f, out);

	for (size_t i = 0; ok && i < c->c.env_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->c.env[i].name, c->c.env[k].name) == 0)
				return reader_error(r, n->items[i], "the variable '%s' is given twice", c->c.env[i].name);
	return ok;
}

static bool clean_absolute(const char *path)
{
	if (path[0] != '/' || strstr(path, "//"))
		return false;
	for (const char *p = path; *p;) {
		const size_t length = strcspn(++p, "/");

		if ((length == 1 && p[0] == '.') || (length == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += length;
	}
	return true;
}

static bool below(const char *path, const char *dir)
{
	const size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool read_mount_path(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	struct volume_mount *m = out;
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	if (!clean_absolute(s) || strlen(s) > 1024)
		return reader_error(r, n, "'%.200s' is no place in a container: an absolute path without '..', '.' or '//'", s);
	char *path = arena_strdup(r->arena, s);
	const size_t length = strlen(path);

	if (length > 1 && path[length - 1] == '/')
		path[length - 1] = '\0';
	if (strcmp(path, "/") == 0 || below(path, "/proc") || below(path, "/sys") || below(path, "/dev"))
		return reader_error(r, n, "nothing can be mounted at '%s': it is a part of the wall around the container", path);
	m->path = path;
	return true;
}

static bool read_sub_path(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	struct volume_mount *m = out;
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	if (!s[0] || !clean_absolute(arena_printf(r->arena, "/%s", s)) || strlen(s) > 1024)
		return reader_error(r, n, "'%.200s' is no place in a volume: a relative path without '..', '.' or '//'", s);
	m->sub_path = s;
	return true;
}

static bool read_propagation(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	return !s                       ? false
	       : strcmp(s, "None") == 0 ? true
					: reader_error(r, n, "mountPropagation '%.60s' is refused: a pod's mounts are its own", s);
}

static bool mount_finish(struct reader *r, const struct yaml_node *n, void *out)
{
	((struct volume_mount *)out)->at = reader_place(r, n);
	return true;
}

static const struct field mount_fields[] = {
	{ .name = "name", .read = read_label_name, .offset = offsetof(struct volume_mount, volume), .required = true },
	{ .name = "mountPath", .read = read_mount_path, .required = true },
	{ .name = "readOnly", .read = read_bool, .offset = offsetof(struct volume_mount, read_only) },
	{ .name = "subPath", .read = read_sub_path },
	{ .name = "mountPropagation", .read = read_propagation },
	REFUSED("subPathExpr", "variables are not worked out in paths; use subPath"),
	IGNORED("recursiveReadOnly"),
	END
};
static const struct schema mount_schema = { "a volumeMount", mount_fields, sizeof(struct volume_mount), mount_finish };

static bool read_mounts(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	struct raw_container *c = out;

	if (!read_list(r, n, f, out))
		return false;
	for (size_t i = 0; i < c->c.mount_count; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->c.mounts[i].path, c->c.mounts[k].path) == 0)
				return reader_error(r, n->items[i], "two volumes are mounted at '%s'", c->c.mounts[i].path);
	return true;
}

static bool read_protocol(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	return !s                      ? false
	       : strcmp(s, "TCP") == 0 ? true
				       : reader_error(r, n, "protocol '%.60s' is refused: only TCP ports are published", s);
}

static bool read_host_ip(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);
	struct ip_addr addr;

	if (!s)
		return false;
	if (!ip_parse(span_of(s), &addr))
		return reader_error(r, n, "'%.80s' is no address; write it like 127.0.0.1 or ::1", s);
	((struct container_port *)out)->host_ip = s;
	return true;
}

static const struct field port_fields[] = {
	{ .name = "containerPort", .read = read_port, .offset = offsetof(struct container_port, container_port), .required = true },
	{ .name = "hostPort", .read = read_port, .offset = offsetof(struct container_port, host_port) },
	{ .name = "hostIP", .read = read_host_ip },
	{ .name = "protocol", .read = read_protocol },
	QUIET("name"),
	END
};
static const struct schema port_schema = { "a port", port_fields, sizeof(struct container_port), NULL };

static const char *quantity_text(const struct yaml_node *n)
{
	return n->kind == YAML_SCALAR && (yaml_scalar_of(n) == YAML_STRING || yaml_scalar_of(n) == YAML_NUMBER) ? n->text : "";
}

static bool read_cpu(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	uint64_t milli;

	if (!quantity_parse(quantity_text(n), &milli))
		return reader_error(r, n, "'%.60s' is no number of processors; write it like 2, 0.5 or 500m",
				    n->kind == YAML_SCALAR ? n->text : f->name);
	if (milli < 1 || milli > 1024 * 1000)
		return reader_error(r, n, "a cpu limit is from 1m to 1024 processors");
	((struct raw_container *)out)->c.cpu_limit_milli = (uint32_t)milli;
	return true;
}

static bool read_bytes(struct reader *r, const struct yaml_node *n, uint64_t *ret)
{
	const char *text = quantity_text(n);
	const size_t length = strlen(text);
	uint64_t milli;

	if (!quantity_parse(text, &milli))
		return reader_error(r, n, "'%.60s' is no number of bytes; write it like 512Mi or 1G",
				    n->kind == YAML_SCALAR ? n->text : "this");
	if (length && text[length - 1] == 'm')
		return reader_error(r, n, "'%.60s' is in thousandths of a byte; write %.*sMi for mebibytes", text,
				    (int)(length - 1), text);
	if (milli < (1000ULL << 20))
		return reader_error(r, n, "'%.60s' is less than the least limit, 1Mi", text);
	*ret = (milli + 999) / 1000;
	return true;
}

static bool read_memory(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	return read_bytes(r, n, (uint64_t *)((char *)out + f->offset));
}

static const struct field limit_fields[] = {
	{ .name = "cpu", .read = read_cpu },
	{ .name = "memory", .read = read_memory, .offset = offsetof(struct raw_container, c.memory_limit) },
	IGNORED("ephemeral-storage"),
	END
};
static const struct schema limit_schema = { .what = "resources.limits", .fields = limit_fields };
static const struct field resource_fields[] = {
	{ .name = "limits", .read = read_object, .sub = &limit_schema }, IGNORED("requests"), IGNORED("claims"), END
};
static const struct schema resource_schema = { .what = "resources", .fields = resource_fields };

static const struct field capability_fields[] = {
	{ .name = "add", .read = read_node, .offset = offsetof(struct raw_container, added) },
	QUIET("drop"), /* all of them are dropped anyway */
	END
};
static const struct schema capability_schema = { .what = "capabilities", .fields = capability_fields };

#define SECURITY_WITHOUT_EFFECT \
	IGNORED("seLinuxOptions"), IGNORED("seccompProfile"), IGNORED("appArmorProfile"), IGNORED("windowsOptions")

static const struct field container_security_fields[] = {
	{ .name = "capabilities", .read = read_object, .sub = &capability_schema },
	{ .name = "privileged", .read = read_true_refused, .why = "a privileged container has no walls" },
	{ .name = "allowPrivilegeEscalation", .read = read_true_vain, .why = "no_new_privs is always set" },
	{ .name = "runAsUser", .read = read_id, .offset = offsetof(struct raw_container, c.run_as_user) },
	{ .name = "runAsGroup", .read = read_id, .offset = offsetof(struct raw_container, c.run_as_group) },
	{ .name = "runAsNonRoot", .read = read_bool, .offset = offsetof(struct raw_container, non_root) },
	{ .name = "readOnlyRootFilesystem", .read = read_bool, .offset = offsetof(struct raw_container, c.read_only_root) },
	IGNORED("procMount"),
	SECURITY_WITHOUT_EFFECT,
	END
};
static const struct schema container_security = { .what = "a container's securityContext", .fields = container_security_fields };

static bool read_working_dir(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	if (!clean_absolute(s))
		return reader_error(r, n, "'%.200s' is no directory in a container: an absolute path without '..', '.' or '//'", s);
	((struct raw_container *)out)->c.working_dir = s;
	return true;
}

static bool read_image(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	for (const char *p = s; *p || p == s; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '"' || *p == '\\')
			return reader_error(r, n, "'%.200s' is no name of an image; write it like docker.io/library/alpine:3.20",
					    s);
	((struct raw_container *)out)->c.image = s;
	return true;
}

static bool container_finish(struct reader *r, const struct yaml_node *n, void *out)
{
	struct raw_container *c = out;

	c->node = n;
	c->c.at = reader_place(r, n);
	return true;
}

static const struct field container_fields[] = {
	{ .name = "name", .read = read_label_name, .offset = offsetof(struct raw_container, c.name), .required = true },
	{ .name = "image", .read = read_image, .required = true },
	{ .name = "command", .read = read_strings, .offset = offsetof(struct raw_container, c.command) },
	{ .name = "args", .read = read_strings, .offset = offsetof(struct raw_container, c.args) },
	{ .name = "env",
	  .read = read_env,
	  .offset = offsetof(struct raw_container, c.env),
	  .count = offsetof(struct raw_container, c.env_count),
	  .sub = &env_schema },
	{ .name = "workingDir", .read = read_working_dir },
	{ .name = "volumeMounts",
	  .read = read_mounts,
	  .offset = offsetof(struct raw_container, c.mounts),
	  .count = offsetof(struct raw_container, c.mount_count),
	  .sub = &mount_schema },
	{ .name = "ports",
	  .read = read_list,
	  .offset = offsetof(struct raw_container, c.ports),
	  .count = offsetof(struct raw_container, c.port_count),
	  .sub = &port_schema },
	{ .name = "securityContext", .read = read_object, .sub = &container_security },
	{ .name = "resources", .read = read_object, .sub = &resource_schema },
	REFUSED("envFrom", "there is no cluster to take variables from; write them under 'env'"),
	REFUSED("volumeDevices", "a container gets no block devices"),
	REFUSED("restartPolicy", "a container has its pod's restartPolicy; sidecars among initContainers are not known here"),
	REFUSED("restartPolicyRules", "a container has its pod's restartPolicy"),
	IGNORED("imagePullPolicy"),
	IGNORED("lifecycle"),
	IGNORED("livenessProbe"),
	IGNORED("readinessProbe"),
	IGNORED("startupProbe"),
	IGNORED("resizePolicy"),
	IGNORED("stdin"),
	IGNORED("stdinOnce"),
	IGNORED("terminationMessagePath"),
	IGNORED("terminationMessagePolicy"),
	IGNORED("tty"),
	END
};

static const struct schema container_schema = { "a container", container_fields, sizeof(struct raw_container), container_finish };

/* As read_list, but "absent" is -1 for ids. */
static bool read_containers(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	if (!reader_is_list(r, n, f->name))
		return false;
	struct raw_container *list = arena_array(r->arena, n->count ? n->count : 1, sizeof *list);
	bool ok = true;

	for (size_t i = 0; i < n->count; i++) {
		list[i].c.run_as_user = list[i].c.run_as_group = -1;
		ok = schema_read(r, f->sub, n->items[i], &list[i]) && ok;
	}
	if (!ok)
		return false;
	*(struct raw_container **)((char *)out + f->offset) = list;
	*(size_t *)((char *)out + f->count) = n->count;
	return true;
}

/* --- volumes --- */

struct map_item {
	const char *key, *path;
};

static bool read_file_name(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	if (!s[0] || strchr(s, '/') || strcmp(s, ".") == 0 || strcmp(s, "..") == 0 || strlen(s) > 253)
		return reader_error(r, n, "'%.100s' is no name of a file: one name without a slash", s);
	*(const char **)((char *)out + f->offset) = s;
	return true;
}

static const struct field map_item_fields[] = {
	{ .name = "key", .read = read_string, .offset = offsetof(struct map_item, key), .required = true },
	{ .name = "path", .read = read_file_name, .offset = offsetof(struct map_item, path), .required = true },
	IGNORED("mode"),
	END
};
static const struct schema map_item_schema = { "an item", map_item_fields, sizeof(struct map_item), NULL };

struct map_source {
	const char *name;
	struct map_item *items;
	size_t item_count;
};
static const struct field map_source_fields[] = {
	{ .name = "name", .read = read_string, .offset = offsetof(struct map_source, name), .required = true },
	{ .name = "items",
	  .read = read_list,
	  .offset = offsetof(struct map_source, items),
	  .count = offsetof(struct map_source, item_count),
	  .sub = &map_item_schema },
	IGNORED("defaultMode"),
	IGNORED("optional"),
	END
};
static const struct schema map_source_schema = { .what = "a configMap volume", .fields = map_source_fields };

static bool read_size_limit(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	return read_bytes(r, n, &((struct volume *)out)->size_limit);
}

static const struct field empty_dir_fields[] = { { .name = "sizeLimit", .read = read_size_limit },
						 QUIET("medium"), /* it is always in memory */
						 END };
static const struct schema empty_dir_schema = { .what = "an emptyDir volume", .fields = empty_dir_fields };

static bool read_host_dir(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	return (((struct volume *)out)->path = project_path(r, n, s)) != NULL;
}

static bool read_host_type(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	static const char *const known[] = { "", "Directory", "DirectoryOrCreate", "File", "FileOrCreate" };
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(s, known[i]) == 0) {
			((struct volume *)out)->path_type = known[i];
			return true;
		}
	if (strcmp(s, "Socket") == 0 || strcmp(s, "CharDevice") == 0 || strcmp(s, "BlockDevice") == 0)
		return reader_error(r, n, "type %s is refused: a pod gets files and directories, nothing that reaches the host", s);
	return reader_error(r, n, "'%.60s' is no type of a hostPath: Directory, DirectoryOrCreate, File or FileOrCreate", s);
}

static const struct field host_path_fields[] = { { .name = "path", .read = read_host_dir, .required = true },
						 { .name = "type", .read = read_host_type },
						 END };
static const struct schema host_path_schema = { .what = "a hostPath volume", .fields = host_path_fields };

#define NO_VOLUME(kind) REFUSED(kind, "volumes are hostPath, emptyDir or configMap")

static const struct field volume_fields[] = {
	{ .name = "name", .read = read_label_name, .offset = offsetof(struct raw_volume, v.name), .required = true },
	{ .name = "hostPath", .read = read_node, .offset = offsetof(struct raw_volume, host_path) },
	{ .name = "emptyDir", .read = read_node, .offset = offsetof(struct raw_volume, empty_dir) },
	{ .name = "configMap", .read = read_node, .offset = offsetof(struct raw_volume, config_map) },
	NO_VOLUME("awsElasticBlockStore"),
	NO_VOLUME("azureDisk"),
	NO_VOLUME("azureFile"),
	NO_VOLUME("cephfs"),
	NO_VOLUME("cinder"),
	NO_VOLUME("csi"),
	NO_VOLUME("downwardAPI"),
	NO_VOLUME("ephemeral"),
	NO_VOLUME("fc"),
	NO_VOLUME("flexVolume"),
	NO_VOLUME("flocker"),
	NO_VOLUME("gcePersistentDisk"),
	NO_VOLUME("gitRepo"),
	NO_VOLUME("glusterfs"),
	NO_VOLUME("image"),
	NO_VOLUME("iscsi"),
	NO_VOLUME("nfs"),
	NO_VOLUME("persistentVolumeClaim"),
	NO_VOLUME("photonPersistentDisk"),
	NO_VOLUME("portworxVolume"),
	NO_VOLUME("projected"),
	NO_VOLUME("quobyte"),
	NO_VOLUME("rbd"),
	NO_VOLUME("scaleIO"),
	NO_VOLUME("secret"),
	NO_VOLUME("storageos"),
	NO_VOLUME("vsphereVolume"),
	END
};

static bool volume_finish(struct reader *r, const struct yaml_node *n, void *out)
{
	struct raw_volume *v = out;

	if (!!v->host_path + !!v->empty_dir + !!v->config_map != 1)
		return reader_error(r, n, "the volume '%s' needs exactly one of hostPath, emptyDir, configMap", v->v.name);
	v->v.at = reader_place(r, n);
	v->v.path_type = "";
	v->v.kind = v->host_path ? VOLUME_HOST_PATH : v->empty_dir ? VOLUME_EMPTY_DIR : VOLUME_CONFIG_MAP;
	if (v->host_path)
		return schema_read(r, &host_path_schema, v->host_path, &v->v);
	return v->empty_dir ? schema_read(r, &empty_dir_schema, v->empty_dir, &v->v) : true;
}
static const struct schema volume_schema = { "a volume", volume_fields, sizeof(struct raw_volume), volume_finish };

static bool config_map_files(struct reader *r, struct raw_volume *v, const struct config_map *maps, size_t map_count)
{
	struct map_source source = { 0 };
	const struct config_map *map = NULL;

	if (!schema_read(r, &map_source_schema, v->config_map, &source))
		return false;
	for (size_t i = 0; i < map_count; i++)
		if (strcmp(maps[i].name, source.name) == 0)
			map = &maps[i];
	if (!map)
		return reader_error(r, v->config_map, "there is no ConfigMap '%.80s' in this manifest", source.name);
	v->v.files = map->files;
	v->v.file_count = map->file_count;
	if (!source.items)
		return true;
	v->v.files = arena_array(r->arena, source.item_count ? source.item_count : 1, sizeof *v->v.files);
	v->v.file_count = source.item_count;
	for (size_t i = 0; i < source.item_count; i++) {
		for (size_t k = 0; k < map->file_count; k++)
			if (strcmp(map->files[k].name, source.items[i].key) == 0)
				v->v.files[i] = (struct pair) { source.items[i].path, map->files[k].value };
		if (!v->v.files[i].name)
			return reader_error(r, v->config_map, "the ConfigMap '%s' has no key '%.80s'", map->name,
					    source.items[i].key);
	}
	return true;
}

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
			if (below(c->command.items[i], c->mounts[k].path))
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

/* --- ConfigMap --- */

static const struct field map_meta_fields[] = {
	{ .name = "name", .read = read_string, .offset = offsetof(struct config_map, name), .required = true },
	QUIET("labels"),
	QUIET("annotations"),
	META_FIELDS,
	END
};
static const struct schema map_meta = { .what = "the metadata of a ConfigMap", .fields = map_meta_fields };
static const struct field map_fields[] = { QUIET("apiVersion"),
					   QUIET("kind"),
					   { .name = "metadata", .read = read_object, .sub = &map_meta, .required = true },
					   { .name = "data",
					     .read = read_pairs,
					     .offset = offsetof(struct config_map, files),
					     .count = offsetof(struct config_map, file_count) },
					   REFUSED("binaryData", "only 'data' is read"),
					   IGNORED("immutable"),
					   END };
static const struct schema map_schema = { .what = "a ConfigMap", .fields = map_fields };

bool config_map_read(struct reader *r, const struct yaml_node *doc, struct config_map *ret)
{
	struct config_map map = { 0 };

	if (!schema_read(r, &map_schema, doc, &map))
		return false;
	for (size_t i = 0; i < map.file_count; i++) {
		const char *name = map.files[i].name;
		bool ok = name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strlen(name) <= 253;

		for (const char *p = name; *p; p++)
			ok = ok && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
				    strchr("-_.", *p));
		if (!ok)
			return reader_error(r, yaml_get(yaml_get(doc, "data"), name),
					    "'%.80s' is no key of a ConfigMap: letters, digits, - _ and .", name);
	}
	*ret = map;
	return true;
}
