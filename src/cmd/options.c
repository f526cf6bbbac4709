#include "cmd/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/say.h"

/* Where reading has got to. */
struct cursor {
	const struct command *command;
	struct arena *arena;
	char **argv;
	int argc, at;
};

/* --- suggestions --- */

enum { NEAREST_LENGTH = 32 };

static unsigned least_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours between two words. */
static unsigned distance(const char *a, const char *b)
{
	const size_t n = strlen(a), m = strlen(b);
	unsigned rows[NEAREST_LENGTH + 1][NEAREST_LENGTH + 1];

	if (n > NEAREST_LENGTH || m > NEAREST_LENGTH)
		return NEAREST_LENGTH;
	for (size_t i = 0; i <= n; i++) {
		for (size_t k = 0; k <= m; k++) {
			if (i == 0 || k == 0) {
				rows[i][k] = (unsigned)(i + k);
				continue;
			}
			const unsigned change = rows[i - 1][k - 1] + (a[i - 1] != b[k - 1]);

			rows[i][k] = least_of(change, 1 + least_of(rows[i - 1][k], rows[i][k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				rows[i][k] = least_of(rows[i][k], rows[i - 2][k - 2] + 1);
		}
	}
	return rows[n][m];
}

unsigned nearest_start(const char *typed)
{
	return strlen(typed) < 4 ? 2 : 3; /* one edit in a short word, two in a longer one */
}

bool nearest_try(const char *typed, const char *candidate, unsigned *best)
{
	const bool begun = typed[0] && typed[1] && strncmp(candidate, typed, strlen(typed)) == 0;
	const unsigned d = begun ? 1 : distance(typed, candidate);

	if (d >= *best)
		return false;
	*best = d;
	return true;
}

static const char *nearest_option(const struct command *c, const char *typed)
{
	const char *found = NULL;
	unsigned best = nearest_start(typed);

	for (const struct option_spec *o = c->options; o->name; o++)
		if (nearest_try(typed, o->name, &best))
			found = o->name;
	return nearest_try(typed, "help", &best) ? "help" : found;
}

/* --- help --- */

static int option_label(const struct option_spec *o, char *buf, size_t size)
{
	char letter[5] = "    ";

	if (o->letter)
		(void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
	return snprintf(buf, size, "%s--%s%s%s", letter, o->name, o->argument ? " " : "", o->argument ? o->argument : "");
}

static void help_options(const struct command *c)
{
	static const struct option_spec help = { 'h', "help", NULL, "print this", OPTION_KIND_FLAG, { NULL } };
	char label[80];
	int width = 0;

	for (const struct option_spec *o = c->options; o->name; o++) {
		const int n = option_label(o, label, sizeof label);

		width = n > width ? n : width;
	}
	puts("\noptions:");
	for (const struct option_spec *o = c->options; o->name; o++) {
		(void)option_label(o, label, sizeof label);
		printf("  %-*s  %s\n", width, label, o->help);
	}
	(void)option_label(&help, label, sizeof label);
	printf("  %-*s  %s\n", width, label, help.help);
}

static void usage_line(FILE *to, const struct command *c)
{
	fprintf(to, "usage: stockade %s [OPTION]...%s%s\n", c->verb, c->operands[0] ? " " : "", c->operands);
}

static int help(const struct command *c)
{
	usage_line(stdout, c);
	printf("%s\n", c->about);
	help_options(c);
	if (c->examples)
		printf("\nexamples:\n%s\n", c->examples);
	return 0;
}

/* --- reading --- */

static int wrong(const struct command *c, const char *text)
{
	(void)say_error(c->verb, "%s", text);
	usage_line(stderr, c);
	fprintf(stderr, "'stockade %s --help' tells more\n", c->verb);
	return 2;
}

static int read_number(const struct cursor *c, const struct option_spec *o, const char *value)
{
	const size_t n = strlen(value);

	if (n == 0 || n > 10 || strspn(value, "0123456789") != n || strtoull(value, NULL, 10) > OPTION_NUMBER_MAX)
		return wrong(c->command, arena_printf(c->arena, "--%s takes a whole number, 0 to %d, not '%.40s'", o->name,
						      OPTION_NUMBER_MAX, value));
	*o->number = (unsigned)strtoull(value, NULL, 10);
	return -1;
}

/* value: what came with the option after "=" or the letter, or NULL. */
static int take(struct cursor *c, const struct option_spec *o, const char *value)
{
	if (o->kind == OPTION_KIND_FLAG) {
		if (value)
			return wrong(c->command, arena_printf(c->arena, "--%s takes no value", o->name));
		*o->flag = true;
		return -1;
	}
	if (!value && c->at + 1 >= c->argc)
		return wrong(c->command, arena_printf(c->arena, "--%s needs a value: --%s %s", o->name, o->name, o->argument));
	if (!value)
		value = c->argv[++c->at];
	if (o->kind == OPTION_KIND_NUMBER)
		return read_number(c, o, value);
	if (o->kind == OPTION_KIND_MANY)
		ARENA_PUSH(c->arena, o->many->items, o->many->count) = value;
	else
		*o->text = value;
	return -1;
}

static int long_option(struct cursor *c, const char *word)
{
	const size_t n = strcspn(word, "=");
	const char *value = word[n] ? word + n + 1 : NULL;
	const char *name = arena_span(c->arena, (struct span) { word, n });

	if (strcmp(word, "help") == 0)
		return help(c->command);
	for (const struct option_spec *o = c->command->options; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return take(c, o, value);
	const char *near = nearest_option(c->command, name);

	return wrong(c->command, near ? arena_printf(c->arena, "unknown option --%.60s; did you mean --%s?", name, near)
				      : arena_printf(c->arena, "unknown option --%.60s", name));
}

static const struct option_spec *find_letter(const struct command *c, char letter)
{
	for (const struct option_spec *o = c->options; o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

/* One word of letters: flags, the last of which may be an option whose value follows. */
static int letters(struct cursor *c, const char *word)
{
	for (; *word; word++) {
		const struct option_spec *o = find_letter(c->command, *word);

		if (!o && *word == 'h')
			return help(c->command);
		if (!o)
			return wrong(c->command, arena_printf(c->arena, "unknown option -%c", *word));
		if (o->kind != OPTION_KIND_FLAG)
			return take(c, o, word[1] ? word + 1 : NULL);
		*o->flag = true;
	}
	return -1;
}

static int check_counts(const struct cursor *c, const struct arguments *r)
{
	if (r->count < c->command->least)
		return wrong(c->command, arena_printf(c->arena, "something is missing: %s", c->command->operands));
	return -1;
}

int options_parse(const struct command *c, int argc, char **argv, struct arena *a, struct arguments *ret)
{
	struct cursor k = { .command = c, .arena = a, .argv = argv, .argc = argc, .at = 1 };
	struct arguments r = { .count = 0 };
	bool no_more = false;
	int status = -1;

	for (; k.at < argc && status < 0; k.at++) {
		const char *word = argv[k.at];

		if (!no_more && strcmp(word, "--") == 0) {
			no_more = true;
			if (c->rest && r.count >= c->least) {
				k.at++;
				break;
			}
		} else if (!no_more && strncmp(word, "--", 2) == 0) {
			status = long_option(&k, word + 2);
		} else if (!no_more && word[0] == '-' && word[1]) {
			status = letters(&k, word + 1);
		} else if (r.count < c->most) {
			r.operands[r.count++] = word;
		} else if (c->rest) {
			break;
		} else {
			status = wrong(c, arena_printf(a, "'%.60s' is one word too many", word));
		}
	}
	r.rest = (const char *const *)argv + (k.at < argc ? k.at : argc);
	if (status < 0)
		status = check_counts(&k, &r);
	if (status < 0)
		*ret = r;
	return status;
}
