/* libfyaml gives events with their marks; the tree is ours, in the arena, so that its lifetime and limits are ours too. */
#include "config/yaml.h"

#include <libfyaml.h>
#include <stdio.h>

#include "config/text.h"

struct frame {
	struct yaml_node *node;
	const char *key; /* a mapping's key that waits for its value */
	unsigned key_line, key_column;
};

struct builder {
	const struct source *source;
	struct report *report;
	struct yaml_stream *stream;
	struct frame frames[YAML_DEPTH];
	size_t depth, nodes;
	struct fy_diag *diag;
	struct fy_parser *parser;
};

static bool refuse(struct builder *b, const struct yaml_node *n, const char *text)
{
	return report_error(b->report, b->source, n->line, n->column, "%s", text);
}

/* Puts n where the innermost open node wants it. */
static bool attach(struct builder *b, struct yaml_node *n)
{
	struct arena *a = b->report->arena;

	if (b->depth == 0) {
		if (yaml_scalar_of(n) != YAML_NULL)
			ARENA_PUSH(a, b->stream->documents, b->stream->count) = n;
		return true;
	}
	struct frame *f = &b->frames[b->depth - 1];

	if (f->node->kind == YAML_LIST) {
		ARENA_PUSH(a, f->node->items, f->node->count) = n;
		return true;
	}
	if (f->key) {
		ARENA_PUSH(a, f->node->pairs, f->node->count) =
			(struct yaml_pair) { .key = f->key, .line = f->key_line, .column = f->key_column, .value = n };
		f->key = NULL;
		return true;
	}
	if (n->kind != YAML_SCALAR || yaml_scalar_of(n) == YAML_NULL)
		return refuse(b, n, "a key must be a string");
	if (n->plain && strcmp(n->text, "<<") == 0)
		return refuse(b, n, "merge keys (<<) are not read; write the fields out");
	for (size_t i = 0; i < f->node->count; i++)
		if (strcmp(f->node->pairs[i].key, n->text) == 0)
			return report_error(b->report, b->source, n->line, n->column,
					    "'%s' is written twice; the first is at line %u", n->text, f->node->pairs[i].line);
	if (f->node->count == YAML_KEYS)
		return report_error(b->report, b->source, n->line, n->column, "more than %d keys in one mapping", YAML_KEYS);
	f->key = n->text;
	f->key_line = n->line;
	f->key_column = n->column;
	return true;
}

/* A node with no token of its own (an empty value) stands where its key, or the open list or mapping, stands. */
static struct yaml_node *make(struct builder *b, enum yaml_kind kind, struct fy_token *token)
{
	struct yaml_node *n = arena_alloc(b->report->arena, sizeof *n);
	const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
	const struct frame *f = b->depth ? &b->frames[b->depth - 1] : NULL;

	n->kind = kind;
	n->text = "";
	if (mark) {
		n->line = (unsigned)mark->line + 1;
		n->column = (unsigned)mark->column + 1;
	} else if (f && f->node) {
		n->line = f->key ? f->key_line : f->node->line;
		n->column = f->key ? f->key_column : f->node->column;
	} else {
		n->line = n->column = 1;
	}
	return n;
}

static bool check_node(struct builder *b, const struct yaml_node *n, const struct fy_token *anchor, const struct fy_token *tag)
{
	if (anchor)
		return refuse(b, n, "anchors (&name) are not read; write the value out");
	if (tag)
		return refuse(b, n, "tags (!name) are not read; write the plain value");
	if (++b->nodes > YAML_NODES)
		return report_error(b->report, b->source, n->line, n->column, "more than %d values in one manifest", YAML_NODES);
	return true;
}

static bool on_scalar(struct builder *b, struct fy_event *e)
{
	struct yaml_node *n = make(b, YAML_SCALAR, e->scalar.value);
	size_t length = 0;
	const char *text = e->scalar.value ? fy_token_get_text(e->scalar.value, &length) : "";

	const enum fy_scalar_style style = e->scalar.value ? fy_token_scalar_style(e->scalar.value) : FYSS_PLAIN;

	n->plain = style == FYSS_PLAIN;
	if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && n->column > 1)
		n->column--; /* the mark is behind the quote */
	if (!text || !check_node(b, n, e->scalar.anchor, e->scalar.tag))
		return false;
	if (length && memchr(text, '\0', length))
		return refuse(b, n, "a string with a NUL byte");
	n->text = arena_span(b->report->arena, (struct span) { text, length });
	return attach(b, n);
}

static bool on_open(struct builder *b, enum yaml_kind kind, struct fy_token *start, struct fy_token *anchor, struct fy_token *tag)
{
	struct yaml_node *n = make(b, kind, start);

	if (!check_node(b, n, anchor, tag))
		return false;
	if (b->depth == YAML_DEPTH)
		return report_error(b->report, b->source, n->line, n->column, "nested deeper than %d", YAML_DEPTH);
	if (!attach(b, n))
		return false;
	b->frames[b->depth++] = (struct frame) { .node = n };
	return true;
}

static bool on_event(struct builder *b, struct fy_event *e)
{
	switch (e->type) {
	case FYET_SCALAR:
		return on_scalar(b, e);
	case FYET_MAPPING_START:
		return on_open(b, YAML_MAP, e->mapping_start.mapping_start, e->mapping_start.anchor, e->mapping_start.tag);
	case FYET_SEQUENCE_START:
		return on_open(b, YAML_LIST, e->sequence_start.sequence_start, e->sequence_start.anchor, e->sequence_start.tag);
	case FYET_MAPPING_END:
	case FYET_SEQUENCE_END:
		b->depth--;
		return true;
	case FYET_ALIAS:
		return refuse(b, make(b, YAML_SCALAR, e->alias.anchor), "aliases (*name) are not read; write the value out");
	case FYET_NONE:
	case FYET_STREAM_START:
	case FYET_STREAM_END:
	case FYET_DOCUMENT_START:
	case FYET_DOCUMENT_END:
		return true;
	}
	return true;
}

static bool syntax_error(struct builder *b)
{
	void *i = NULL;
	const struct fy_diag_error *e = fy_diag_errors_iterate(b->diag, &i);

	if (!e || !e->msg || e->line < 1)
		return report_error(b->report, b->source, 0, 0, "is not YAML");
	return report_error(b->report, b->source, (unsigned)e->line, e->column < 1 ? 1 : (unsigned)e->column, "%s",
			    arena_strdup(b->report->arena, e->msg));
}

static bool run(struct builder *b)
{
	bool ok = true, ended = false;

	while (ok && !ended) {
		struct fy_event *e = fy_parser_parse(b->parser);

		if (!e)
			break;
		ended = e->type == FYET_STREAM_END;
		ok = on_event(b, e);
		fy_parser_event_free(b->parser, e);
	}
	return !ok ? false : ended && !fy_parser_get_stream_error(b->parser) ? true : syntax_error(b);
}

bool yaml_parse(const struct source *s, struct report *r, struct yaml_stream *ret)
{
	struct builder b = { .source = s, .report = r, .stream = ret };
	struct fy_diag_cfg diag;
	FILE *nowhere;

	if (!text_check(s, YAML_BYTES, TEXT_LF_OR_CRLF, r))
		return false;
	if (s->text.n == 0)
		return true;
	/* libfyaml would print some complaints by itself whatever it is told. */
	nowhere = fopen("/dev/null", "we");
	fy_diag_cfg_default(&diag);
	if (nowhere)
		diag.fp = nowhere;
	diag.colorize = false;
	b.diag = fy_diag_create(&diag);
	if (b.diag)
		fy_diag_set_collect_errors(b.diag, true);
	const struct fy_parse_cfg cfg = {
		.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE | FYPCF_DISABLE_MMAP_OPT,
		.diag = b.diag,
	};
	b.parser = b.diag ? fy_parser_create(&cfg) : NULL;
	const bool ok = b.parser && fy_parser_set_string(b.parser, s->text.p, s->text.n) == 0
				? run(&b)
				: report_error(r, s, 0, 0, "the YAML parser could not be started");

	if (b.parser)
		fy_parser_destroy(b.parser);
	if (b.diag)
		fy_diag_destroy(b.diag);
	if (nowhere)
		(void)fclose(nowhere);
	return ok;
}

static bool one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static bool is_number(const char *p)
{
	static const char *const words[] = { ".inf",  "-.inf", "+.inf", ".Inf", "-.Inf", ".INF",
					     "-.INF", ".nan",  ".NaN",  ".NAN", NULL };
	size_t digits = 0;

	if (one_of(p, words))
		return true;
	if (*p == '+' || *p == '-')
		p++;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'o' || p[1] == 'b') && p[2]) {
		for (p += 2; *p; p++)
			if (!strchr("0123456789abcdefABCDEF_", *p))
				return false;
		return true;
	}
	for (; (*p >= '0' && *p <= '9') || (*p == '_' && digits); p++)
		digits++;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++)
			digits++;
	if (digits && (*p == 'e' || *p == 'E')) {
		p += p[1] == '+' || p[1] == '-' ? 2 : 1;
		if (!*p)
			return false;
		while (*p >= '0' && *p <= '9')
			p++;
	}
	return digits && !*p;
}

enum yaml_scalar yaml_scalar_of(const struct yaml_node *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const bools[] = { "true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes",
					     "YES",  "no",   "No",   "NO",    "on",    "On",    "ON",  "off",
					     "Off",  "OFF",  "y",    "Y",     "n",     "N",     NULL };

	if (n->kind != YAML_SCALAR || !n->plain)
		return YAML_STRING;
	if (one_of(n->text, nulls))
		return YAML_NULL;
	if (one_of(n->text, bools))
		return YAML_BOOL;
	return is_number(n->text) ? YAML_NUMBER : YAML_STRING;
}

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; map->kind == YAML_MAP && i < map->count; i++)
		if (strcmp(map->pairs[i].key, key) == 0)
			return map->pairs[i].value;
	return NULL;
}
