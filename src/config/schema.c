#include "config/schema.h"

#include <stdio.h>

bool reader_error(struct reader *r, const struct yaml_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *text = arena_vprintf(r->arena, fmt, ap);

	va_end(ap);
	return report_error(r->report, r->source, n->line, n->column, "%s", text);
}

void reader_warn(struct reader *r, const struct yaml_node *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	const char *text = arena_vprintf(r->arena, fmt, ap);

	va_end(ap);
	report_warning(r->report, r->source, n->line, n->column, "%s", text);
}

struct place reader_place(const struct reader *r, const struct yaml_node *n)
{
	return (struct place) { .file = r->source->file, .line = n->line, .column = n->column };
}

/* Edits (insert, delete, replace, swap of neighbours) from a to b without regard to case; names over 40 bytes are far from
 * everything. */
static unsigned distance(const char *a, const char *b)
{
	enum { MAX = 40 };
	const size_t an = strlen(a), bn = strlen(b);
	unsigned d[MAX + 1][MAX + 1];

	if (an > MAX || bn > MAX)
		return MAX;
	for (unsigned i = 0; i <= an; i++)
		d[i][0] = i;
	for (unsigned k = 0; k <= bn; k++)
		d[0][k] = k;
	for (size_t i = 1; i <= an; i++)
		for (size_t k = 1; k <= bn; k++) {
			const bool same = ascii_lower(a[i - 1]) == ascii_lower(b[k - 1]);
			unsigned best = d[i - 1][k - 1] + !same;

			if (d[i - 1][k] + 1 < best)
				best = d[i - 1][k] + 1;
			if (d[i][k - 1] + 1 < best)
				best = d[i][k - 1] + 1;
			if (i > 1 && k > 1 && ascii_lower(a[i - 1]) == ascii_lower(b[k - 2]) &&
			    ascii_lower(a[i - 2]) == ascii_lower(b[k - 1]) && d[i - 2][k - 2] + 1 < best)
				best = d[i - 2][k - 2] + 1;
			d[i][k] = best;
		}
	return d[an][bn];
}

static const char *nearest(const struct schema *s, const char *name)
{
	const size_t length = strlen(name);
	unsigned best = length < 4 ? 2 : length < 8 ? 3 : 4; /* one more than is still like it */
	const char *found = NULL;

	for (const struct field *f = s->fields; f->name; f++) {
		const unsigned d = distance(name, f->name);

		if (d < best && (f->read || !f->why)) {
			best = d;
			found = f->name;
		}
	}
	return found;
}

static bool unknown_field(struct reader *r, const struct schema *s, const struct yaml_pair *p)
{
	const char *like = nearest(s, p->key);

	return report_error(r->report, r->source, p->line, p->column, "unknown field '%.80s' in %s%s%s%s", p->key, s->what,
			    like ? "; did you mean '" : "", like ? like : "", like ? "'?" : "");
}

static void without_effect(struct reader *r, const struct field *f, const struct yaml_pair *p)
{
	for (size_t i = 0; i < r->warned_count; i++)
		if (r->warned[i] == f)
			return;
	ARENA_PUSH(r->arena, r->warned, r->warned_count) = f;
	report_warning(r->report, r->source, p->line, p->column, "'%s' has no effect here", f->name);
}

static bool read_pair(struct reader *r, const struct schema *s, const struct yaml_pair *p, void *out)
{
	const struct field *f = s->fields;

	while (f->name && strcmp(f->name, p->key) != 0)
		f++;
	if (!f->name)
		return unknown_field(r, s, p);
	if (!f->read && f->why)
		return report_error(r->report, r->source, p->line, p->column, "'%s' is refused: %s", f->name, f->why);
	if (!f->read) {
		without_effect(r, f, p);
		return true;
	}
	if (yaml_scalar_of(p->value) == YAML_NULL && f->read != read_quiet)
		return report_error(r->report, r->source, p->line, p->column, "'%s' has no value; give it one or leave it out",
				    f->name);
	return f->read(r, p->value, f, out);
}

bool schema_read(struct reader *r, const struct schema *s, const struct yaml_node *map, void *out)
{
	bool ok = true;

	if (map->kind != YAML_MAP)
		return reader_error(r, map, "%s is written as a mapping (name: value)", s->what);
	for (size_t i = 0; i < map->count; i++)
		ok = read_pair(r, s, &map->pairs[i], out) && ok;
	for (const struct field *f = s->fields; f->name; f++)
		if (f->required && !yaml_get(map, f->name))
			ok = reader_error(r, map, "%s needs '%s'", s->what, f->name);
	return ok && (!s->finish || s->finish(r, map, out));
}

const char *reader_string(struct reader *r, const struct yaml_node *n, const char *name)
{
	if (n->kind != YAML_SCALAR) {
		(void)reader_error(r, n, "'%s' must be a string", name);
		return NULL;
	}
	switch (yaml_scalar_of(n)) {
	case YAML_STRING:
		return n->text;
	case YAML_NULL:
		(void)reader_error(r, n, "'%s' has no value; an empty string is \"\"", name);
		return NULL;
	case YAML_BOOL:
	case YAML_NUMBER:
		(void)reader_error(r, n, "'%s' must be a string; put it in quotes: \"%.60s\"", name, n->text);
		return NULL;
	}
	return NULL;
}

bool reader_bool(struct reader *r, const struct yaml_node *n, const char *name, bool *ret)
{
	if (n->kind == YAML_SCALAR && n->plain && (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)) {
		*ret = n->text[0] == 't';
		return true;
	}
	return reader_error(r, n, "'%s' must be true or false", name);
}

bool reader_integer(struct reader *r, const struct yaml_node *n, const char *name, int64_t min, int64_t max, int64_t *ret)
{
	int64_t value = 0;
	const char *p = n->kind == YAML_SCALAR && n->plain ? n->text : "";
	size_t digits = 0;

	for (; p[digits] >= '0' && p[digits] <= '9' && digits < 15; digits++)
		value = value * 10 + (p[digits] - '0');
	if (digits == 0 || p[digits] || (digits > 1 && p[0] == '0') || value < min || value > max)
		return reader_error(r, n, "'%s' must be a whole number from %lld to %lld", name, (long long)min, (long long)max);
	*ret = value;
	return true;
}

bool reader_is_list(struct reader *r, const struct yaml_node *n, const char *name)
{
	return n->kind == YAML_LIST ? true : reader_error(r, n, "'%s' must be a list", name);
}

static void *at(void *out, size_t offset)
{
	return (char *)out + offset;
}

bool read_string(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (s)
		*(const char **)at(out, f->offset) = s;
	return s;
}

bool read_label_name(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	const size_t length = strlen(s);
	bool ok = length >= 1 && length <= 63 && s[0] != '-' && s[length - 1] != '-';

	for (size_t i = 0; i < length; i++)
		ok = ok && ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-');
	if (!ok)
		return reader_error(
			r, n, "'%.80s' is not a name: 1 to 63 lower-case letters, digits and hyphens, no hyphen first or last", s);
	*(const char **)at(out, f->offset) = s;
	return true;
}

bool read_bool(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	return reader_bool(r, n, f->name, at(out, f->offset));
}

bool read_id(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	return reader_integer(r, n, f->name, 0, 65535, at(out, f->offset));
}

bool read_port(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	int64_t value = 0;

	if (!reader_integer(r, n, f->name, 1, 65535, &value))
		return false;
	*(uint16_t *)at(out, f->offset) = (uint16_t)value;
	return true;
}

bool read_strings(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	struct strings list = { 0 };
	bool ok = true;

	if (!reader_is_list(r, n, f->name))
		return false;
	for (size_t i = 0; i < n->count; i++) {
		const char *s = reader_string(r, n->items[i], f->name);

		ok = ok && s;
		ARENA_PUSH(r->arena, list.items, list.count) = s;
	}
	if (ok)
		*(struct strings *)at(out, f->offset) = list;
	return ok;
}

bool read_pairs(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	if (n->kind != YAML_MAP)
		return reader_error(r, n, "'%s' must be a mapping of names to strings", f->name);
	struct pair *pairs = arena_array(r->arena, n->count ? n->count : 1, sizeof *pairs);
	bool ok = true;

	for (size_t i = 0; i < n->count; i++) {
		pairs[i].name = n->pairs[i].key;
		pairs[i].value = reader_string(r, n->pairs[i].value, n->pairs[i].key);
		ok = ok && pairs[i].value;
	}
	if (!ok)
		return false;
	*(struct pair **)at(out, f->offset) = pairs;
	*(size_t *)at(out, f->count) = n->count;
	return true;
}

bool read_object(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	return schema_read(r, f->sub, n, at(out, f->offset));
}

bool read_list(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	if (!reader_is_list(r, n, f->name))
		return false;
	char *items = arena_array(r->arena, n->count ? n->count : 1, f->sub->size);
	bool ok = true;

	for (size_t i = 0; i < n->count; i++)
		ok = schema_read(r, f->sub, n->items[i], items + i * f->sub->size) && ok;
	if (!ok)
		return false;
	*(void **)at(out, f->offset) = items;
	*(size_t *)at(out, f->count) = n->count;
	return true;
}

bool read_node(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	*(const struct yaml_node **)at(out, f->offset) = n;
	return true;
}

bool read_true_refused(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	bool value = false;

	if (!reader_bool(r, n, f->name, &value))
		return false;
	return value ? reader_error(r, n, "'%s: true' is refused: %s", f->name, f->why) : true;
}

bool read_true_vain(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	bool value = false;

	if (!reader_bool(r, n, f->name, &value))
		return false;
	if (value)
		reader_warn(r, n, "'%s: true' has no effect: %s", f->name, f->why);
	return true;
}

bool read_quiet(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	return true;
}
