/* A container of a pod: the table names every field of Kubernetes' Container: read, refused, or without effect here. */
#include <stdio.h>

#include "base/path.h"
#include "config/pod_parts.h"

struct raw_env {
	const char *name, *value;
};

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
	if (strcmp(path, "/") == 0 || path_within(path, "/proc") || path_within(path, "/sys") || path_within(path, "/dev"))
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

bool read_bytes(struct reader *r, const struct yaml_node *n, uint64_t *ret)
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

const struct schema container_schema = { "a container", container_fields, sizeof(struct raw_container), container_finish };

bool read_containers(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
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
