/* The verb table: it dispatches, and it prints the usage. Nothing else happens here. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/options.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* NULL: not for people */
};

static const struct verb verbs[] = {
#define X(name, function, help) { name, function, help },
	CMD_VERBS(X)
#undef X
};

static const struct verb *find(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *near = NULL;
	unsigned best = nearest_start(name);

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (verbs[i].help && nearest_try(name, verbs[i].name, &best))
			near = verbs[i].name;
	fprintf(stderr, "stockade: error: unknown command '%.60s'", name);
	if (near)
		fprintf(stderr, "; did you mean '%s'?", near);
	fputs("\n'stockade --help' lists the commands\n", stderr);
	return 2;
}

static int usage(FILE *to, int status)
{
	fputs("Stockade runs code that nobody trusts in pods that reach only what their lists name.\n\n"
	      "usage: stockade COMMAND [OPTION]... (stockade COMMAND --help tells more)\n\n",
	      to);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (verbs[i].help)
			fprintf(to, "  %-8s  %s\n", verbs[i].name, verbs[i].help);
	fputs("\nexit status: 0 done, 1 a finding (denied, a failed probe), 2 wrong usage or input, 3 a fault\n", to);
	return status;
}

/* Output that did not get out is no success. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fputs("stockade: error: standard output could not be written\n", stderr);
	return status ? status : 3;
}

/* help VERB is VERB --help. */
static int help_of(char *name)
{
	char option[] = "--help", *argv[] = { name, option, NULL };
	const struct verb *v = find(name);

	return v ? finish(v->run(2, argv)) : unknown(name);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, 2);
	if (strcmp(argv[1], "help") == 0 && argc > 2)
		return help_of(argv[2]);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
		return finish(usage(stdout, 0));
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("stockade " STOCKADE_VERSION);
		return finish(0);
	}
	const struct verb *v = find(argv[1]);

	return v ? finish(v->run(argc - 1, argv + 1)) : unknown(argv[1]);
}
