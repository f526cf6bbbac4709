/* stockade/v1 EgressPolicy: which pods, and their rules, inline or by file. */
#include "base/fd.h"
#include "config/documents.h"
#include "config/list.h"

struct raw_item {
	const char *file;
	const struct yaml_node *file_node, *hosts, *ports;
};

struct raw_egress {
	struct egress_policy policy;
	const struct yaml_node *allow, *deny;
};

static bool read_list_path(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	((struct raw_item *)out)->file_node = n;
	return (((struct raw_item *)out)->file = project_path(r, n, s)) != NULL;
}

static const struct field item_fields[] = {
	{ .name = "file", .read = read_list_path },
	{ .name = "hosts", .read = read_node, .offset = offsetof(struct raw_item, hosts) },
	{ .name = "ports", .read = read_node, .offset = offsetof(struct raw_item, ports) },
	{ .name = NULL },
};

static bool item_finish(struct reader *r, const struct yaml_node *n, void *out)
{
	const struct raw_item *i = out;

	if (!i->file == !i->hosts)
		return reader_error(r, n, "an item has either 'file' or 'hosts'");
	if (i->file && i->ports)
		return reader_error(r, i->ports,
				    "'ports' goes with 'hosts'; a list file has its ports in its entries, as in github.com:22");
	return !i->hosts || reader_is_list(r, i->hosts, "hosts");
}
static const struct schema item_schema = { "an item of allow or deny", item_fields, sizeof(struct raw_item), item_finish };

static const struct field selector_fields[] = {
	{ .name = "matchLabels",
	  .read = read_pairs,
	  .offset = offsetof(struct raw_egress, policy.match),
	  .count = offsetof(struct raw_egress, policy.match_count),
	  .required = true },
	{ .name = "matchExpressions", .why = "select pods by matchLabels" },
	{ .name = NULL },
};
static bool selector_finish(struct reader *r, const struct yaml_node *n, void *out)
{
	return ((struct raw_egress *)out)->policy.match_count
		       ? true
		       : reader_error(r, n, "matchLabels names no label; it would select every pod");
}
static const struct schema selector_schema = { .what = "podSelector", .fields = selector_fields, .finish = selector_finish };

static const struct field egress_spec_fields[] = {
	{ .name = "podSelector", .read = read_object, .sub = &selector_schema, .required = true },
	{ .name = "allow", .read = read_node, .offset = offsetof(struct raw_egress, allow) },
	{ .name = "deny", .read = read_node, .offset = offsetof(struct raw_egress, deny) },
	{ .name = NULL },
};
static const struct schema egress_spec = { .what = "the spec of an EgressPolicy", .fields = egress_spec_fields };

static const struct field egress_meta_fields[] = {
	{ .name = "name", .read = read_label_name, .offset = offsetof(struct raw_egress, policy.name), .required = true },
	{ .name = "labels", .read = read_quiet },
	{ .name = "annotations", .read = read_quiet },
	{ .name = "namespace" },
	{ .name = NULL },
};
static const struct schema egress_meta = { .what = "the metadata of an EgressPolicy", .fields = egress_meta_fields };

static const struct field egress_fields[] = {
	{ .name = "apiVersion", .read = read_quiet },
	{ .name = "kind", .read = read_quiet },
	{ .name = "metadata", .read = read_object, .sub = &egress_meta, .required = true },
	{ .name = "spec", .read = read_object, .sub = &egress_spec, .required = true },
	{ .name = NULL },
};
static const struct schema egress_schema = { .what = "an EgressPolicy", .fields = egress_fields };

/* Joins `ports` as a list would have them: [443, "8000-8100"] -> "443,8000-8100". */
static bool read_item_ports(struct reader *r, struct entry_reader *e, const struct yaml_node *ports, struct rule *ret)
{
	const char *text = "";
	struct entry_fault fault;

	if (!reader_is_list(r, ports, "ports"))
		return false;
	if (ports->count == 0)
		return reader_error(r, ports, "'ports' names no port; leave it out for 80 and 443");
	if (ports->count > 32)
		return reader_error(r, ports, "more than 32 port ranges");
	for (size_t i = 0; i < ports->count; i++) {
		const struct yaml_node *n = ports->items[i];
		struct rule probe;

		if (n->kind != YAML_SCALAR || strchr(n->text, ',') || !entry_ports_read(e, span_of(n->text), &probe, &fault))
			return reader_error(r, n,
					    "'%.60s' is no port; write a number from 1 to 65535, a range like 8000-8100, or \"*\"",
					    n->kind == YAML_SCALAR ? n->text : "this");
		text = arena_printf(r->arena, "%s%s%s", text, i ? "," : "", n->text);
	}
	return entry_ports_read(e, span_of(text), ret, &fault) ? true : reader_error(r, ports, "%s", fault.text);
}

static bool read_host_entry(struct reader *r, struct entry_reader *e, const struct yaml_node *n, bool deny, struct rule *ret)
{
	const char *s = reader_string(r, n, "hosts");
	struct entry_fault fault = { 0, "the entry is empty" };

	if (!s)
		return false;
	if (s[0] == '!')
		return reader_error(r, n, "'%.100s': a deny goes under 'deny', without the !", s);
	/* A deny entry is read as one, since a denied public suffix is no open door. */
	const char *entry = deny ? arena_printf(r->arena, "!%s", s) : s;

	if (!s[0] || !entry_read(e, span_of(entry), ret, &fault))
		return reader_error(r, n, "%s", fault.text);
	return true;
}

static bool read_hosts(struct reader *r, const struct raw_item *item, bool deny, struct rule_piece *ret)
{
	struct entry_reader e = { .arena = r->arena };
	struct rule ports = { 0 };
	struct rule *rules = arena_array(r->arena, item->hosts->count ? item->hosts->count : 1, sizeof *rules);
	const char *slash = strrchr(r->source->file, '/');
	bool ok = !item->ports || read_item_ports(r, &e, item->ports, &ports);

	for (size_t i = 0; i < item->hosts->count; i++) {
		const struct yaml_node *n = item->hosts->items[i];

		if (!read_host_entry(r, &e, n, deny, &rules[i])) {
			ok = false;
			continue;
		}
		if (item->ports && rules[i].port_count)
			ok = reader_error(r, n, "'%.100s' has a port, and the item has 'ports'; write one of them", n->text);
		if (item->ports) {
			rules[i].ports = ports.ports;
			rules[i].port_count = ports.port_count;
		}
		rules[i].file = slash ? slash + 1 : r->source->file;
		rules[i].line = n->line;
	}
	*ret = (struct rule_piece) { rules, item->hosts->count, NULL };
	return ok;
}

/* The path as a person would write it: from where the manifest was named, else absolute. Also what rules keep: within the project.
 */
static void shown_paths(struct reader *r, const char *path, const char **ret_shown, const char **ret_kept)
{
	const size_t n = strlen(r->project_dir);
	const char *slash = strrchr(r->source->file, '/');
	const bool inside = strncmp(path, r->project_dir, n) == 0 && (path[n] == '/' || n == 1);
	const char *within = inside ? path + n + (path[n] == '/') : path;

	*ret_kept = within;
	*ret_shown = inside && slash ? arena_printf(r->arena, "%.*s/%s", (int)(slash - r->source->file), r->source->file, within)
				     : within;
}

bool list_file_read(struct reader *r, const struct place *at, const char *path, struct rule_piece *ret)
{
	struct source *s = arena_alloc(r->arena, sizeof *s);
	const char *kept;
	struct err err;

	shown_paths(r, path, &s->file, &kept);
	if (fd_read_settled(path, LIST_BYTES, r->arena, &s->text, &err) < 0) {
		const bool named = strncmp(err.text, path, strlen(path)) == 0 && err.text[strlen(path)] == ':';

		return report_error(r->report, r->source, at->line, at->column, "the list %s: %s", s->file,
				    named ? err.text + strlen(path) + 2 : err.text);
	}
	ret->file = path;
	return list_parse(s, kept, r->report, &ret->rules, &ret->count);
}

static bool read_file_item(struct reader *r, const struct raw_item *item, bool deny, struct rule_piece *ret)
{
	if (!r->look) {
		*ret = (struct rule_piece) { .file = item->file };
		return true;
	}
	const struct place at = reader_place(r, item->file_node);

	if (!list_file_read(r, &at, item->file, ret))
		return false;
	for (size_t i = 0; deny && i < ret->count; i++)
		ret->rules[i].deny = true;
	return true;
}

static bool read_items(struct reader *r, const struct yaml_node *list, const char *name, bool deny, struct egress_policy *p)
{
	bool ok = true;

	if (!list)
		return true;
	if (!reader_is_list(r, list, name))
		return false;
	for (size_t i = 0; i < list->count; i++) {
		struct raw_item item = { 0 };
		struct rule_piece piece = { 0 };

		if (!schema_read(r, &item_schema, list->items[i], &item) ||
		    !(item.file ? read_file_item(r, &item, deny, &piece) : read_hosts(r, &item, deny, &piece)))
			ok = false;
		ARENA_PUSH(r->arena, p->pieces, p->piece_count) = piece;
	}
	return ok;
}

bool egress_policy_read(struct reader *r, const struct yaml_node *doc, struct egress_policy *ret)
{
	struct raw_egress raw = { .policy.node = doc };
	bool ok = schema_read(r, &egress_schema, doc, &raw);

	ok = read_items(r, raw.allow, "allow", false, &raw.policy) && ok;
	ok = read_items(r, raw.deny, "deny", true, &raw.policy) && ok;
	if (ok)
		*ret = raw.policy;
	return ok;
}
