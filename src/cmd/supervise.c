/* The supervisor's process: started by `up`, not by people. */
#include "cmd/cmd.h"

#include "cmd/options.h"
#include "cmd/say.h"
#include "engine/supervisor.h"

int cmd_supervise(int argc, char **argv)
{
	unsigned ready = 0;
	const char *project = NULL;
	const struct option_spec options[] = {
		OPTION_TEXT(0, "project", "NAME", &project, "the project"),
		OPTION_NUMBER(0, "ready-fd", "N", &ready, "a byte is written to this fd when it serves; 0: none"),
		OPTION_END,
	};
	const struct command command = { .verb = "supervise",
					 .operands = "",
					 .options = options,
					 .about = "Holds the namespaces, listeners, gate and containers of a project." };
	struct arena arena = { 0 };
	struct arguments arguments;
	struct err err = { 0 };
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0 && !project)
		status = say_error("supervise", "--project is missing; 'stockade up' starts a supervisor");
	if (status < 0) {
		const struct supervisor_options o = { .project = project, .ready_fd = ready ? (int)ready : -1 };

		status = supervisor_run(&o, &err) < 0 ? say_err("supervise", &err) : 0;
	}
	arena_free(&arena);
	return status;
}
