/* Options and operands of a verb, read by one table, which is also what --help prints. GNU habits: --name=value, --name value, -n
 * value, -nvalue, flags run together (-it), options after operands, "--" before what is no option. */
#ifndef STOCKADE_CMD_OPTIONS_H
#define STOCKADE_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "plan/manifest.h"

enum option_kind { OPTION_KIND_FLAG, OPTION_KIND_TEXT, OPTION_KIND_MANY, OPTION_KIND_NUMBER };

struct option_spec {
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* what --help calls it; NULL for a flag */
	const char *help;
	enum option_kind kind;
	union {
		bool *flag;
		const char **text;    /* the last one given counts */
		struct strings *many; /* all, in order */
		unsigned *number;
	};
};

#define OPTION_FLAG(letter, name, to, help)                 \
	{                                                   \
		letter, name, NULL, help, OPTION_KIND_FLAG, \
		{                                           \
			.flag = (to)                        \
		}                                           \
	}
#define OPTION_TEXT(letter, name, argument, to, help)           \
	{                                                       \
		letter, name, argument, help, OPTION_KIND_TEXT, \
		{                                               \
			.text = (to)                            \
		}                                               \
	}
#define OPTION_MANY(letter, name, argument, to, help)           \
	{                                                       \
		letter, name, argument, help, OPTION_KIND_MANY, \
		{                                               \
			.many = (to)                            \
		}                                               \
	}
#define OPTION_NUMBER(letter, name, argument, to, help)           \
	{                                                         \
		letter, name, argument, help, OPTION_KIND_NUMBER, \
		{                                                 \
			.number = (to)                            \
		}                                                 \
	}
/* What every verb that talks to a project has. */
#define OPTION_PROJECT(to) OPTION_TEXT('p', "project", "NAME", to, "the project; default: the name of this directory")
#define RUNTIME_HELP       "crun, runc, runsc (gVisor) or another's absolute path: this OCI runtime runs it"
#define OPTION_END           \
	{                    \
		.name = NULL \
	}

enum { OPERANDS_MAX = 8, OPTION_NUMBER_MAX = 1000000000 };

struct command {
	const char *verb;
	const char *operands; /* as usage shows them; "" when there are none */
	const char *about;    /* one or more lines */
	const char *examples; /* lines, or NULL */
	const struct option_spec *options;
	size_t least, most; /* operands; most <= OPERANDS_MAX */
	bool rest;          /* what follows the operands, or a "--", is somebody else's command line */
};

struct arguments {
	const char *operands[OPERANDS_MAX];
	size_t count;
	const char *const *rest; /* NULL-terminated; empty when there is none */
};

/* Returns -1 when the verb may go on; else its exit status: 0 after --help, 2 after an error, both already told. */
int options_parse(const struct command *c, int argc, char **argv, struct arena *a, struct arguments *ret);

/* For suggestions: true, and *best lowered, when `candidate` is nearer to what was typed than *best edits. Start with
 * nearest_start(). */
unsigned nearest_start(const char *typed);
bool nearest_try(const char *typed, const char *candidate, unsigned *best);

#endif
