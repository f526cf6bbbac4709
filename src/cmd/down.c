#include "cmd/cmd.h"

#include <limits.h>
#include <time.h>
#include <unistd.h>

#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "engine/control.h"
#include "engine/podman_files.h"
#include "engine/supervisor.h"

enum { TIMEOUT_S = 5, TRIES = 200, PAUSE_MS = 50 };

/* No supervisor: what a killed one left is cleaned up. */
static int not_up(const char *project, struct err *err)
{
	char dir[PATH_MAX], podman[PODMAN_PATH];

	if (control_run_dir(project, dir, sizeof dir, err) < 0)
		return -1;
	if (access(dir, F_OK) == 0 || (podman_dir(project, podman, err) == 0 && access(podman, F_OK) == 0)) {
		if (supervisor_clean_stale(project, err) < 0)
			return err_wrap(err, "cleaning up after project %s", project);
		printf("project %s is not up; what its last supervisor left is gone\n", project);
	} else {
		printf("project %s is not up\n", project);
	}
	return 0;
}

static int down_run(const char *named, unsigned timeout, struct arena *a)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	struct err err = { 0 };
	const char *project = project_name(named, NULL, a, &err);

	if (!project)
		return say_err("down", &err);
	/* A finding: a supervisor is just coming up, or on its way out. */
	for (int i = 0; i < TRIES; i++) {
		json_t *request = json_pack("{s:s, s:i}", "verb", "down", "timeout_s", (int)timeout);
		json_t *reply = control_call(project, request, say_line, NULL, 0, NULL, &err);

		if (reply) {
			json_decref(reply);
			printf("project %s is down\n", project);
			return 0;
		}
		if (err.class != ERR_FINDING || geteuid() != 0)
			break;
		if (not_up(project, &err) == 0)
			return 0;
		if (err.class != ERR_FINDING)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return say_err("down", &err);
}

int cmd_down(int argc, char **argv)
{
	const char *project = NULL;
	unsigned timeout = TIMEOUT_S;
	const struct option_spec options[] = {
		OPTION_NUMBER('t', "timeout", "SECONDS", &timeout, "how long programs may take to end before they are killed (5)"),
		OPTION_PROJECT(&project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "down",
		.operands = "",
		.about = "Stops the pods, the gate and the supervisor of a project, and leaves nothing behind. It is no error when "
			 "the project\n"
			 "is not up.",
		.examples = "  stockade down\n"
			    "  stockade down --project demo --timeout 1",
		.options = options,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0 && timeout > 3600)
		status = say_error("down", "--timeout takes at most 3600 seconds");
	if (status < 0)
		status = down_run(project, timeout, &arena);
	arena_free(&arena);
	return status;
}
