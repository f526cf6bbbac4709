/* The verb table: it dispatches, and it prints the usage. Nothing else happens here. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

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

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, 2);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		return usage(stdout, 0);
	if (strcmp(argv[1], "--version") == 0)
		return puts("stockade " STOCKADE_VERSION) < 0 ? 3 : 0;
	const struct verb *v = find(argv[1]);

	if (!v) {
		fprintf(stderr, "stockade: unknown command '%s'; 'stockade --help' lists the commands\n", argv[1]);
		return 2;
	}
	return v->run(argc - 1, argv + 1);
}
