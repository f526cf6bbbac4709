/* From a path to a manifest that can be trusted to say what it means: documents in the order ConfigMap, Pod, EgressPolicy, then
 * whose list is whose, then the walls that need the whole picture. */
#include "config/project.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "config/documents.h"
#include "config/list.h"
#include "config/walls.h"
#include "plan/plan.h"

struct load {
	struct reader reader;
	struct manifest *m;
	struct config_map *maps;
	size_t map_count;
	struct egress_policy *policies;
	size_t policy_count;
};

/* --- which document is what --- */

enum document { DOCUMENT_POD, DOCUMENT_CONFIG_MAP, DOCUMENT_EGRESS, DOCUMENT_REFUSED };

static const struct {
	const char *version, *kind;
	enum document document;
	const char *why;
} kinds[] = {
	{ "v1", "Pod", DOCUMENT_POD, NULL },
	{ "v1", "ConfigMap", DOCUMENT_CONFIG_MAP, NULL },
	{ "stockade/v1", "EgressPolicy", DOCUMENT_EGRESS, NULL },
	{ NULL, "Service", DOCUMENT_REFUSED, "no pod reaches another; publish a port on the host with hostPort" },
	{ NULL, "Secret", DOCUMENT_REFUSED, "put files in a ConfigMap or a hostPath volume" },
	{ NULL, "Deployment", DOCUMENT_REFUSED, "write the Pod itself" },
	{ NULL, "StatefulSet", DOCUMENT_REFUSED, "write the Pod itself" },
	{ NULL, "DaemonSet", DOCUMENT_REFUSED, "write the Pod itself" },
	{ NULL, "ReplicaSet", DOCUMENT_REFUSED, "write the Pod itself" },
	{ NULL, "Job", DOCUMENT_REFUSED, "write the Pod itself, with restartPolicy: Never" },
	{ NULL, "CronJob", DOCUMENT_REFUSED, "write the Pod itself" },
	{ NULL, "NetworkPolicy", DOCUMENT_REFUSED, "write an EgressPolicy (apiVersion: stockade/v1)" },
	{ NULL, "PersistentVolumeClaim", DOCUMENT_REFUSED, "use a hostPath or emptyDir volume" },
};

/* The field's text, or NULL after an error at the document. */
static const char *type_field(struct reader *r, const struct yaml_node *doc, const char *name)
{
	const struct yaml_node *n = yaml_get(doc, name);

	if (n)
		return reader_string(r, n, name);
	(void)reader_error(r, doc, "the document needs '%s'", name);
	return NULL;
}

static bool classify(struct reader *r, const struct yaml_node *doc, enum document *ret)
{
	if (doc->kind != YAML_MAP)
		return reader_error(r, doc, "a document is a mapping with apiVersion, kind, metadata");
	const char *version = type_field(r, doc, "apiVersion"), *kind = version ? type_field(r, doc, "kind") : NULL;

	if (!kind)
		return false;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(kinds[i].kind, kind) != 0)
			continue;
		if (!kinds[i].version)
			return reader_error(r, yaml_get(doc, "kind"), "kind %s is not supported: %s", kind, kinds[i].why);
		if (strcmp(kinds[i].version, version) != 0)
			return reader_error(r, yaml_get(doc, "apiVersion"), "%s has apiVersion %s here, not '%.60s'", kind,
					    kinds[i].version, version);
		*ret = kinds[i].document;
		return true;
	}
	return reader_error(
		r, yaml_get(doc, "kind"),
		"kind '%.60s' is not supported: a manifest has v1 Pod, v1 ConfigMap and stockade/v1 EgressPolicy documents", kind);
}

static bool read_map(struct load *l, const struct yaml_node *doc)
{
	struct config_map map;

	if (!config_map_read(&l->reader, doc, &map))
		return false;
	for (size_t i = 0; i < l->map_count; i++)
		if (strcmp(l->maps[i].name, map.name) == 0)
			return reader_error(&l->reader, doc, "two ConfigMaps have the name '%s'", map.name);
	ARENA_PUSH(l->reader.arena, l->maps, l->map_count) = map;
	return true;
}

static bool read_pod(struct load *l, const struct yaml_node *doc)
{
	struct manifest *m = l->m;
	struct pod pod;

	if (m->pod_count == CONFIG_PODS)
		return reader_error(&l->reader, doc, "more than %d pods in one manifest", CONFIG_PODS);
	if (!pod_read(&l->reader, doc, l->maps, l->map_count, &pod))
		return false;
	for (size_t i = 0; i < m->pod_count; i++) {
		if (strcmp(m->pods[i].name, pod.name) == 0)
			return reader_error(&l->reader, doc, "two pods have the name '%s'; the first is at line %u", pod.name,
					    m->pods[i].at.line);
		if (m->pods[i].gate && pod.gate)
			return reader_error(&l->reader, doc, "two pods are the gate's: '%s' and '%s'", m->pods[i].name, pod.name);
	}
	if (l->reader.look && !walls_check_volumes(&l->reader, &pod))
		return false;
	ARENA_PUSH(m->arena, m->pods, m->pod_count) = pod;
	return true;
}

static bool read_policy(struct load *l, const struct yaml_node *doc)
{
	struct egress_policy policy;

	if (!egress_policy_read(&l->reader, doc, &policy))
		return false;
	for (size_t i = 0; i < l->policy_count; i++)
		if (strcmp(l->policies[i].name, policy.name) == 0)
			return reader_error(&l->reader, doc, "two EgressPolicies have the name '%s'", policy.name);
	ARENA_PUSH(l->reader.arena, l->policies, l->policy_count) = policy;
	return true;
}

static bool read_documents(struct load *l, const struct yaml_stream *stream)
{
	static bool (*const read[])(struct load *, const struct yaml_node *) = {
		[DOCUMENT_CONFIG_MAP] = read_map, [DOCUMENT_POD] = read_pod, [DOCUMENT_EGRESS] = read_policy
	};
	static const enum document order[] = { DOCUMENT_CONFIG_MAP, DOCUMENT_POD, DOCUMENT_EGRESS };
	enum document *what = arena_array(l->reader.arena, stream->count + 1, sizeof *what);
	bool ok = true;

	for (size_t i = 0; i < stream->count; i++) {
		what[i] = DOCUMENT_REFUSED;
		ok = classify(&l->reader, stream->documents[i], &what[i]) && ok;
	}
	for (size_t k = 0; k < sizeof order / sizeof order[0]; k++)
		for (size_t i = 0; i < stream->count; i++)
			if (what[i] == order[k])
				ok = read[order[k]](l, stream->documents[i]) && ok;
	return ok;
}

/* --- whose list is whose --- */

static const char *label(const struct pod *p, const char *name)
{
	for (size_t i = 0; i < p->label_count; i++)
		if (strcmp(p->labels[i].name, name) == 0)
			return p->labels[i].value;
	return NULL;
}

static bool selects(const struct egress_policy *e, const struct pod *p)
{
	for (size_t i = 0; i < e->match_count; i++) {
		const char *value = label(p, e->match[i].name);

		if (!value || strcmp(value, e->match[i].value) != 0)
			return false;
	}
	return true;
}

/* A client's pieces as one array; a single piece is taken as it is. */
static void join(struct arena *a, const struct rule_piece *pieces, size_t count, struct client_rules *ret)
{
	size_t total = 0, at = 0;

	for (size_t i = 0; i < count; i++) {
		total += pieces[i].count;
		if (pieces[i].file)
			ARENA_PUSH(a, ret->files.items, ret->files.count) = pieces[i].file;
	}
	ret->rule_count = total;
	if (count == 1) {
		ret->rules = pieces[0].rules;
		return;
	}
	ret->rules = arena_array(a, total ? total : 1, sizeof *ret->rules);
	for (size_t i = 0; i < count; at += pieces[i++].count)
		if (pieces[i].count)
			memcpy(ret->rules + at, pieces[i].rules, pieces[i].count * sizeof *ret->rules);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static void no_list(struct load *l, const struct pod *p, struct client_rules *c)
{
	struct report *r = l->reader.report;
	const char *app = label(p, "app");

	c->no_list = true;
	ARENA_PUSH(r->arena, r->denied.items, r->denied.count) =
		app ? report_note(r,
				  "pod %s: everything is denied: no EgressPolicy selects it, and there is no "
				  "haproxy/%s_domains.lst nor "
				  "lists/%s_domains.lst",
				  p->name, app, app)
		    : report_note(
			      r,
			      "pod %s: everything is denied: no EgressPolicy selects it, and it has no label 'app' that would name "
			      "its list",
			      p->name);
}

static bool list_by_label(struct load *l, const struct pod *p, struct client_rules *c)
{
	struct reader *r = &l->reader;
	const char *app = label(p, "app");
	struct rule_piece piece = { 0 };

	if (!app || !app[0] || !r->look) {
		no_list(l, p, c);
		return true;
	}
	const char *first = arena_printf(r->arena, "%s/haproxy/%s_domains.lst", l->m->project_dir, app);
	const char *second = arena_printf(r->arena, "%s/lists/%s_domains.lst", l->m->project_dir, app);
	const bool has_first = exists(first), has_second = exists(second);

	if (has_first && has_second)
		return report_error(r->report, r->source, p->at.line, p->at.column,
				    "the pod '%s' has two lists, haproxy/%s_domains.lst and lists/%s_domains.lst; keep one of them",
				    p->name, app, app);
	if (!has_first && !has_second) {
		no_list(l, p, c);
		return true;
	}
	if (!list_file_read(r, &p->at, has_first ? first : second, &piece))
		return false;
	join(r->arena, &piece, 1, c);
	return true;
}

static bool find_rules(struct load *l, const struct pod *p, struct client_rules *c)
{
	struct arena *a = l->reader.arena;
	struct rule_piece *pieces = NULL;
	size_t count = 0;
	bool selected = false;

	c->pod = p->name;
	for (size_t i = 0; i < l->policy_count; i++) {
		if (!selects(&l->policies[i], p))
			continue;
		selected = true;
		for (size_t k = 0; k < l->policies[i].piece_count; k++)
			ARENA_PUSH(a, pieces, count) = l->policies[i].pieces[k];
	}
	if (!selected)
		return list_by_label(l, p, c);
	join(a, pieces, count, c);
	return true;
}

static bool find_clients(struct load *l)
{
	struct manifest *m = l->m;
	bool ok = true;

	m->clients = arena_array(m->arena, m->pod_count ? m->pod_count : 1, sizeof *m->clients);
	for (size_t i = 0; i < m->pod_count; i++)
		if (!m->pods[i].gate)
			ok = find_rules(l, &m->pods[i], &m->clients[m->client_count++]) && ok;
	for (size_t i = 0; i < l->policy_count; i++) {
		bool used = false;

		for (size_t k = 0; k < m->pod_count; k++)
			used = used || (!m->pods[k].gate && selects(&l->policies[i], &m->pods[k]));
		if (!used)
			reader_warn(&l->reader, l->policies[i].node, "the EgressPolicy '%s' selects no pod", l->policies[i].name);
	}
	return ok;
}

/* Two containers cannot publish at one place; an address left out is 127.0.0.1. */
static bool check_host_ports(struct load *l)
{
	struct reader *r = &l->reader;
	struct {
		const char *ip;
		uint16_t port;
	} *seen = NULL;
	size_t count = 0;
	bool ok = true;

	for (size_t i = 0; i < l->m->pod_count; i++)
		for (size_t k = 0; k < l->m->pods[i].container_count; k++) {
			const struct container *c = &l->m->pods[i].containers[k];

			for (size_t j = 0; j < c->port_count; j++) {
				const struct container_port *p = &c->ports[j];
				const char *ip = p->host_ip ? p->host_ip : "127.0.0.1";

				if (!p->host_port)
					continue;
				for (size_t n = 0; n < count; n++)
					if (seen[n].port == p->host_port && strcmp(seen[n].ip, ip) == 0)
						ok = report_error(r->report, r->source, c->at.line, c->at.column,
								  "the hostPort %u of the container '%s' is taken by another one",
								  p->host_port, c->name);
				ARENA_PUSH(r->arena, seen, count).port = p->host_port;
				seen[count - 1].ip = ip;
			}
		}
	return ok;
}

/* Without a gate's pod the gate is proxy-pod, as the seed's variables say: no other pod may have that name. */
static bool check_gate_name(struct load *l)
{
	const struct pod *named = NULL;

	for (size_t i = 0; i < l->m->pod_count; i++) {
		if (l->m->pods[i].gate)
			return true;
		if (strcmp(l->m->pods[i].name, PLAN_GATE_NAME) == 0)
			named = &l->m->pods[i];
	}
	return !named ||
	       report_error(l->reader.report, l->reader.source, named->at.line, named->at.column,
			    "the name %s is the gate's: give this pod the label app: proxy, or another name", PLAN_GATE_NAME);
}

/* --- doors --- */

static bool read_all(struct load *l)
{
	struct yaml_stream stream = { 0 };

	if (!yaml_parse(l->reader.source, l->reader.report, &stream))
		return false;
	if (!read_documents(l, &stream))
		return false;
	if (l->m->pod_count == 0)
		return report_error(l->reader.report, l->reader.source, 0, 0, "has no pod; a manifest has at least one v1 Pod");
	const bool ports = check_host_ports(l), names = check_gate_name(l), clients = find_clients(l);

	return ports && names && clients && (!l->reader.look || walls_check_policy_files(&l->reader, l->m));
}

static int load(const struct source *s, const char *path, const char *dir, bool look, struct arena *a, struct manifest **ret,
		struct err *err)
{
	struct report *report = arena_alloc(a, sizeof *report);
	struct manifest *m = arena_alloc(a, sizeof *m);
	struct load l = {
		.reader = { .arena = a, .report = report, .source = s, .project_dir = dir, .look = look },
		.m = m,
	};

	report->arena = a;
	*m = (struct manifest) { .arena = a, .path = path, .project_dir = dir };
	if (!read_all(&l))
		return report_finish(report, err);
	m->warnings = report->warnings;
	m->notes = report->notes;
	m->denied = report->denied;
	*ret = m;
	return 0;
}

int config_load(const char *path, struct arena *a, struct manifest **ret, struct err *err)
{
	struct source *s = arena_alloc(a, sizeof *s);
	const char *slash = strrchr(path, '/');
	const char *dir = !slash ? "." : slash == path ? "/" : arena_span(a, (struct span) { path, (size_t)(slash - path) });
	char real[PATH_MAX];

	s->file = arena_strdup(a, path);
	if (fd_read_settled(path, YAML_BYTES, a, &s->text, err) < 0)
		return -1;
	if (!realpath(dir, real))
		return err_errno(err, "%s", dir);
	const char *project = arena_strdup(a, real);
	const char *absolute = arena_printf(a, "%s/%s", strcmp(project, "/") == 0 ? "" : project, slash ? slash + 1 : path);

	return load(s, absolute, project, true, a, ret, err);
}

int config_load_text(struct span text, const char *path, struct arena *a, struct manifest **ret, struct err *err)
{
	struct source *s = arena_alloc(a, sizeof *s);

	s->file = arena_strdup(a, path);
	s->text = text;
	return load(s, arena_printf(a, "/project/%s", path), "/project", false, a, ret, err);
}
