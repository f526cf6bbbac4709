/* A list of a million entries is read in a fraction of a second: one array for the rules, one for the names, no allocation a line.
 */
#include "config/list.h"

#include "config/project.h"
#include "config/text.h"
#include "config/utf8.h"

static size_t count_lines(struct span text)
{
	size_t lines = 1;

	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	return lines;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The entry of a line, without comment and the blanks around it; n is 0 when there is none. */
static struct span entry_of(struct span line)
{
	const char *hash = line.n ? memchr(line.p, '#', line.n) : NULL;

	if (hash)
		line.n = (size_t)(hash - line.p);
	while (line.n && blank(line.p[line.n - 1]))
		line.n--;
	while (line.n && blank(line.p[0]))
		line = span_skip(line, 1);
	return line;
}

static bool parse_line(struct entry_reader *e, const struct source *s, struct span line, uint32_t number, struct rule *rule,
		       struct report *r)
{
	const struct span entry = entry_of(line);
	struct entry_fault fault;

	if (entry_read(e, entry, rule, &fault))
		return true;
	const size_t at = (size_t)(entry.p - line.p) + fault.at;

	return report_error(r, s, number, utf8_count(line.p, at < line.n ? at : line.n) + 1, "%s", fault.text);
}

bool list_parse(const struct source *s, const char *rule_file, struct report *r, struct rule **ret, size_t *ret_count)
{
	struct entry_reader e = { .arena = r->arena };
	const size_t before = r->count;
	struct span rest = s->text;
	size_t count = 0;
	uint32_t number = 0;

	if (!text_check(s, LIST_BYTES, TEXT_LF, r))
		return false;
	const size_t lines = count_lines(rest);
	struct rule *rules = arena_array(r->arena, lines < LIST_ENTRIES ? lines : LIST_ENTRIES, sizeof *rules);

	e.names_left = rest.n + 1;
	e.names = arena_alloc(r->arena, e.names_left);
	while (rest.n) {
		const char *end = memchr(rest.p, '\n', rest.n);
		const struct span line = end ? span_first(rest, (size_t)(end - rest.p)) : rest;

		rest = span_skip(rest, line.n + (end ? 1 : 0));
		number++;
		if (line.n > LIST_LINE_BYTES) {
			(void)report_error(r, s, number, 1, "a line of %zu bytes; the limit is %d", line.n, LIST_LINE_BYTES);
			continue;
		}
		if (entry_of(line).n == 0)
			continue;
		if (count == LIST_ENTRIES)
			return report_error(r, s, number, 1, "more than %d entries in one list", LIST_ENTRIES);
		if (!parse_line(&e, s, line, number, &rules[count], r))
			continue;
		rules[count].file = rule_file;
		rules[count++].line = number;
	}
	if (r->count != before)
		return false;
	*ret = rules;
	*ret_count = count;
	return true;
}

int config_list_parse(struct span text, const char *file, struct arena *a, struct rule **rules, size_t *count, struct err *err)
{
	const struct source source = { .file = arena_strdup(a, file), .text = text };
	struct report *report = arena_alloc(a, sizeof *report);
	struct rule *more;
	size_t n;

	report->arena = a;
	if (!list_parse(&source, source.file, report, &more, &n))
		return report_finish(report, err);
	if (*count == 0) {
		*rules = more;
	} else {
		struct rule *all = arena_array(a, *count + n, sizeof *all);

		memcpy(all, *rules, *count * sizeof *all);
		memcpy(all + *count, more, n * sizeof *all);
		*rules = all;
	}
	*count += n;
	return 0;
}

int config_entry_parse(const char *entry, const char *source, unsigned line, struct arena *a, struct rule *ret, struct err *err)
{
	const struct source s = { .file = arena_strdup(a, source), .text = span_of(entry) };
	struct report *report = arena_alloc(a, sizeof *report);
	struct entry_reader e = { .arena = a };
	struct entry_fault fault;
	struct rule rule;

	report->arena = a;
	if (!text_check(&s, LIST_LINE_BYTES, TEXT_LF, report))
		return report_finish(report, err);
	if (s.text.n == 0 || memchr(entry, '\n', s.text.n)) {
		fault = (struct entry_fault) { 0, s.text.n ? "more than one line; give one entry"
							   : "the entry is empty; give a host" };
	} else if (entry_read(&e, s.text, &rule, &fault)) {
		rule.file = s.file;
		rule.line = line;
		*ret = rule;
		return 0;
	}
	return line ? err_set(err, ERR_INPUT, "%s:%u: error: %s", source, line, fault.text)
		    : err_set(err, ERR_INPUT, "%s: %s", source, fault.text);
}
