/* A client's rules as map files: the key is a name or a network, the value is where the rule is written, escaped as it will stand in
 * the JSON of the decision log. HAProxy looks keys up in trees, so the cost of a request does not grow with the list. */
#include <stdio.h>

#include "plan/haproxy_text.h"

enum { FILE_SHOWN = 384, LABELS_MOST = 127 };

/* --- text --- */

bool text_is_plain(const char *s)
{
	const char *p = s;

	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '-' ||
	       *p == '_')
		p++;
	return p != s && *p == '\0';
}

/* --- entries --- */

/* "haproxy/cli_domains.lst:3", as it stands in a JSON string; no byte of it ends a line or a word early. */
static void put_place(struct arena_text *t, const char *file, uint32_t line)
{
	const size_t from = t->n;

	for (const unsigned char *p = (const unsigned char *)file; *p && t->n - from < FILE_SHOWN; p++) {
		if (*p == '"' || *p == '\\')
			arena_text_add(t, "\\%c", *p);
		else if (*p < 0x20 || *p >= 0x7f)
			arena_text_add(t, "\\u%04x", *p);
		else
			arena_text_put(t, (struct span) { (const char *)p, 1 });
	}
	arena_text_add(t, ":%u\n", line);
}

static unsigned count_labels(const char *name)
{
	unsigned n = 1;

	while ((name = strchr(name, '.'))) {
		name++;
		n++;
	}
	return n;
}

static int put_entry(struct haproxy_group *g, const struct snapshot *s, const struct rule_view *r, struct err *err)
{
	char address[IP_TEXT_MAX];

	if (r->match == RULE_NETWORK) {
		arena_text_add(&g->text, "%s/%u ", ip_format(&r->net.addr, address), r->net.prefix);
	} else {
		const unsigned labels = count_labels(r->name);

		if (!text_is_plain(r->name) || labels > LABELS_MOST)
			return err_set(err, ERR_FAULT, "%s:%u: this name cannot be given to HAProxy",
				       snapshot_rule_file(s, r->rule), snapshot_rule_line(s, r->rule));
		g->labels[labels / 64] |= (uint64_t)1 << labels % 64;
		arena_text_add(&g->text, "%s ", r->name);
	}
	put_place(&g->text, snapshot_rule_file(s, r->rule), snapshot_rule_line(s, r->rule));
	return 0;
}

/* --- groups --- */

static bool is_single(const struct rule_view *r)
{
	return r->match == RULE_NETWORK && r->net.prefix == (r->net.addr.family == 4 ? 32 : 128);
}

static bool belongs(const struct haproxy_group *g, const struct rule_view *r)
{
	return g->deny == r->deny && g->match == r->match && g->port_set == r->port_set && g->single == is_single(r) &&
	       (r->match != RULE_NETWORK || g->family == r->net.addr.family);
}

static struct haproxy_group *find_group(struct haproxy_lists *l, const struct rule_view *r, struct arena *a, unsigned pod)
{
	for (size_t i = l->count; i-- > 0;)
		if (belongs(&l->groups[i], r))
			return &l->groups[i];
	if (l->count == HAPROXY_GROUPS_MAX)
		return NULL;
	const char *file = arena_printf(a, "pod%u-%zu.map", pod, l->count);

	ARENA_PUSH(a, l->groups, l->count) = (struct haproxy_group) {
		.deny = r->deny,
		.match = r->match,
		.family = r->match == RULE_NETWORK ? r->net.addr.family : 0,
		.single = is_single(r),
		.port_set = r->port_set,
		.ports = r->ports,
		.port_count = r->port_count,
		.file = file,
		.text = { .arena = a },
	};
	return &l->groups[l->count - 1];
}

int haproxy_lists_make(const struct snapshot *s, uint32_t client, unsigned pod, struct arena *a, struct haproxy_lists *ret,
		       struct err *err)
{
	const uint32_t count = snapshot_rule_count(s, client);
	struct haproxy_lists l = { 0 };
	struct rule_view r;

	for (uint32_t i = 0; i < count; i++) {
		snapshot_rule_view(s, client, i, &r);
		struct haproxy_group *g = find_group(&l, &r, a, pod);

		if (!g)
			return err_set(
				err, ERR_INPUT,
				"%s:%u: the HAProxy gate takes at most %d kinds of entries in the lists of a pod, by their ports "
				"and how they match; write fewer different sets of ports, or use --gate builtin",
				snapshot_rule_file(s, r.rule), snapshot_rule_line(s, r.rule), HAPROXY_GROUPS_MAX);
		if (put_entry(g, s, &r, err) < 0)
			return -1;
	}
	*ret = l;
	return 0;
}
