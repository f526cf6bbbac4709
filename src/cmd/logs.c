/* logs: what containers printed. On a terminal, control characters are shown instead of obeyed: a pod wrote them. */
#include "cmd/cmd.h"

#include <unistd.h>

#include "cmd/follow.h"
#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"

struct logs_options {
	const char *project, *name;
	unsigned tail;
	bool follow, raw;
};

static int show(const struct logs_options *o, struct arena *a, struct err *err)
{
	struct follow f = { .raw = o->raw || !isatty(STDOUT_FILENO), .once = !o->follow };
	int result = follow_containers(&f, o->project, o->name, a, err);

	f.prefix = f.count > 1;
	f.project = o->project;
	if (result == 0)
		result = follow_history(&f, o->tail, err);
	if (result == 0 && o->follow)
		result = follow_run(&f, err);
	follow_end(&f);
	return result;
}

static int logs_run(struct logs_options *o, struct arena *a)
{
	struct err err = { 0 };

	o->project = project_name(o->project, NULL, a, &err);
	if (!o->project || show(o, a, &err) < 0)
		return say_err("logs", &err);
	return 0;
}

int cmd_logs(int argc, char **argv)
{
	struct logs_options o = { .tail = FOLLOW_ALL };
	const struct option_spec options[] = {
		OPTION_FLAG('f', "follow", &o.follow, "go on with what is printed from now on"),
		OPTION_NUMBER('n', "tail", "N", &o.tail, "only the last N lines of each container"),
		OPTION_FLAG(0, "raw", &o.raw, "on a terminal: let it obey the program's control characters"),
		OPTION_PROJECT(&o.project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "logs",
		.operands = "[POD[/CONTAINER]]",
		.about = "Shows what the containers of a project printed; without an operand, of all of them. Several are told "
			 "apart by a prefix.",
		.examples = "  stockade logs cli-pod\n"
			    "  stockade logs cli-pod/cli-app -f --tail 20",
		.options = options,
		.most = 1,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0) {
		o.name = arguments.count ? arguments.operands[0] : NULL;
		status = logs_run(&o, &arena);
	}
	arena_free(&arena);
	return status;
}
