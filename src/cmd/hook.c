/* The OCI runtime's hook (engine/podman.h): started by the runtime for every container of the project, before its program, with the
 * container's state on standard input. It gives the network namespace to the supervisor and waits; only a yes is success, and without
 * success the runtime does not start the container. */
#include "cmd/cmd.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/options.h"
#include "cmd/say.h"
#include "engine/control.h"
#include "plan/podman.h"

enum { ANSWER_S = 45 };

static const char *annotation(const json_t *state, const char *name)
{
	return json_string_value(json_object_get(json_object_get(state, "annotations"), name));
}

static int open_netns(const json_t *state, struct err *err)
{
	const json_int_t pid = json_integer_value(json_object_get(state, "pid"));
	char path[64];

	if (pid <= 0)
		return err_set(err, ERR_INPUT, "the container's state names no process");
	(void)snprintf(path, sizeof path, "/proc/%lld/ns/net", (long long)pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_errno(err, "%s", path) : fd;
}

static int ask(int sock, const char *pod, const char *id, int netns, struct err *err)
{
	json_t *request = json_pack("{ss ss ss}", "verb", "attach", "pod", pod, "id", id);
	const struct timeval limit = { .tv_sec = ANSWER_S };
	json_t *reply = NULL;

	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
		(void)err_errno(err, "control socket");
	else if (control_send(sock, request, &netns, 1, err) == 0)
		reply = control_receive(sock, NULL, 0, NULL, err);
	const char *error = json_string_value(json_object_get(reply, "error"));
	const bool yes = reply && !error && json_is_true(json_object_get(reply, "done"));

	if (reply && !yes)
		(void)err_set(err, ERR_FINDING, "%s", error ? error : "the supervisor gave half an answer");
	json_decref(request);
	json_decref(reply);
	return yes ? 0 : -1;
}

static int hand_over(const char *project, const json_t *state, struct err *err)
{
	const char *its = annotation(state, PODMAN_PROJECT), *pod = annotation(state, PODMAN_POD);
	const char *id = json_string_value(json_object_get(state, "id"));

	if (!its || !pod || !id || strcmp(its, project) != 0)
		return err_set(err, ERR_INPUT, "the container is none of project %s", project);
	FD_CLOSE int netns = open_netns(state, err);
	FD_CLOSE int sock = netns < 0 ? -1 : control_connect(project, err);

	return sock < 0 ? -1 : ask(sock, pod, id, netns, err);
}

static int hook_run(const char *project)
{
	struct err err = { 0 };
	json_error_t why;
	json_t *state = json_loadfd(STDIN_FILENO, 0, &why);
	int rc = state ? hand_over(project, state, &err)
		       : err_set(&err, ERR_INPUT, "the container's state is no JSON: %s", why.text);

	json_decref(state);
	return rc < 0 ? say_err("hook", &err) : 0;
}

int cmd_hook(int argc, char **argv)
{
	const char *project = NULL;
	const struct option_spec options[] = { OPTION_TEXT(0, "project", "NAME", &project, "the project"), OPTION_END };
	const struct command command = { .verb = "hook",
					 .operands = "",
					 .options = options,
					 .about = "Hands a container's network namespace to the supervisor, for the OCI runtime." };
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0)
		status = project ? hook_run(project) : say_error("hook", "--project is missing");
	arena_free(&arena);
	return status;
}
