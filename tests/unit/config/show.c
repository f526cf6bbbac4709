/* Reads a manifest (or, with --list, a list) and prints what was understood, for the cases in tests/cases: exit 0 and a dump, or
 * exit 2 and the error. */
#include <stdio.h>

#include "base/fd.h"
#include "config/project.h"
#include "plan/plan.h"

static void show_rules(const struct rule *rules, size_t count, const char *before)
{
	for (size_t i = 0; i < count; i++) {
		static const char *const marks[] = {
			[RULE_TREE] = "", [RULE_BELOW] = "*.", [RULE_EXACT] = "=", [RULE_NETWORK] = ""
		};
		const struct rule *r = &rules[i];
		char addr[IP_TEXT_MAX] = "", prefix[8] = "";

		if (r->match == RULE_NETWORK) {
			(void)ip_format(&r->net.addr, addr);
			(void)snprintf(prefix, sizeof prefix, "/%u", r->net.prefix);
		}
		printf("%s%s:%u: %s%s%s%s", before, r->file, r->line, r->deny ? "!" : "", marks[r->match], r->name ? r->name : addr,
		       prefix);
		for (size_t k = 0; k < r->port_count; k++)
			printf(r->ports[k].first == r->ports[k].last ? " %u" : " %u-%u", r->ports[k].first, r->ports[k].last);
		putchar('\n');
	}
}

static int fail(const struct err *err)
{
	printf("%s\n", err->text);
	return (int)err->class;
}

static int show_list(const char *path, struct arena *a)
{
	struct rule *rules = NULL;
	size_t count = 0;
	struct span text;
	struct err err;

	if (fd_read_file(path, 64 << 20, a, &text, &err) < 0 || config_list_parse(text, path, a, &rules, &count, &err) < 0)
		return fail(&err);
	show_rules(rules, count, "");
	return 0;
}

static int show_manifest(const char *path, struct arena *a)
{
	struct manifest *m;
	struct err err;

	if (config_load(path, a, &m, &err) < 0)
		return fail(&err);
	for (size_t i = 0; i < m->warnings.count; i++)
		printf("%s\n", m->warnings.items[i]);
	for (size_t i = 0; i < m->notes.count; i++)
		printf("note: %s\n", m->notes.items[i]);
	const struct plan *p = plan_make(m, a);

	for (size_t i = 0; i < p->step_count; i++)
		printf("%s\n", step_text(&p->steps[i], a));
	for (size_t i = 0; i < m->client_count; i++) {
		printf("client %s\n", m->clients[i].pod);
		show_rules(m->clients[i].rules, m->clients[i].rule_count, "  ");
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct arena a = { 0 };
	const bool list = argc == 3 && strcmp(argv[1], "--list") == 0;

	if (argc != 2 && !list) {
		fprintf(stderr, "usage: %s [--list] FILE\n", argv[0]);
		return 3;
	}
	const int rc = list ? show_list(argv[2], &a) : show_manifest(argv[1], &a);

	arena_free(&a);
	return rc;
}
