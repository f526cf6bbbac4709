#include "engine/control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/fdpass.h"

enum { MESSAGE_MAX = 160 * 1024 }; /* below the default send buffer of a unix socket */

static const char *run_root(void)
{
	const char *dir = secure_getenv("STOCKADE_RUN_DIR");

	return dir && dir[0] ? dir : "/run/stockade";
}

/* A project's name is a part of paths and of cgroup names. */
static bool project_valid(const char *name)
{
	const size_t n = strlen(name);

	if (n == 0 || n > 40 || strchr("_.-", name[0]))
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

int control_run_dir(const char *project, char *ret, size_t size, struct err *err)
{
	if (!project_valid(project))
		return err_set(
			err, ERR_INPUT,
			"'%.60s' is not a project name: 1 to 40 of a-z, 0-9, '_', '.', '-', beginning with a letter or digit",
			project);
	const int n = snprintf(ret, size, "%s/%s", run_root(), project);

	if (n < 0 || (size_t)n >= size)
		return err_set(err, ERR_INPUT, "the path of the run directory is too long: %.200s", run_root());
	return 0;
}

void control_address(int dir, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
	(void)snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/" CONTROL_SOCKET, dir);
}

/* A socket, or -1 with errno; ENOENT and ECONNREFUSED: nobody listens; EAGAIN, with SOCK_NONBLOCK: too many are waiting. */
static int connect_in(const char *path, int flags)
{
	struct sockaddr_un address;
	FD_CLOSE int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	FD_CLOSE int sock = dir < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	if (sock < 0)
		return -1;
	control_address(dir, &address);
	return connect(sock, (struct sockaddr *)&address, sizeof address) < 0 ? -1 : fd_steal(&sock);
}

/* ", " between the projects that are up, as many as fit. */
static void running(char *ret, size_t size)
{
	DIR *d = opendir(run_root());
	const struct dirent *e;
	char path[512];
	size_t n = 0;
	struct err ignored;

	ret[0] = '\0';
	while (d && (e = readdir(d))) {
		FD_CLOSE int sock =
			control_run_dir(e->d_name, path, sizeof path, &ignored) < 0 ? -1 : connect_in(path, SOCK_NONBLOCK);

		if (sock >= 0 && n + strlen(e->d_name) + sizeof ", " <= size)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "", e->d_name);
	}
	if (d)
		(void)closedir(d);
}

static int not_running(const char *project, struct err *err)
{
	char others[300];

	running(others, sizeof others);
	return err_set(err, ERR_FINDING, "project '%s' is not up; 'stockade up' starts it%s%s", project,
		       others[0] ? "; up are, with --project NAME: " : "", others);
}

int control_connect(const char *project, struct err *err)
{
	char path[512];

	if (control_run_dir(project, path, sizeof path, err) < 0)
		return -1;
	FD_CLOSE int sock = connect_in(path, 0);

	if (sock >= 0)
		return fd_steal(&sock);
	if (errno == EACCES)
		return err_set(err, ERR_FINDING, "%s: permission denied; the built-in engine needs root", path);
	if (errno == ENOENT || errno == ENOTDIR || errno == ECONNREFUSED)
		return not_running(project, err);
	return err_errno(err, "%s/" CONTROL_SOCKET, path);
}

int control_send(int sock, const json_t *message, const int *fds, size_t count, struct err *err)
{
	char *text = json_dumps(message, JSON_COMPACT);

	if (!text)
		return err_set(err, ERR_FAULT, "a control message could not be written");
	const size_t n = strlen(text);
	const int rc = n > MESSAGE_MAX ? -EMSGSIZE : fdpass_send(sock, text, n, fds, count);

	free(text);
	if (rc < 0) {
		errno = -rc;
		return err_errno(err, "control socket");
	}
	return 0;
}

json_t *control_receive(int sock, int *fds, size_t max, size_t *ret_count, struct err *err)
{
	char *buffer = malloc(MESSAGE_MAX);
	size_t count = 0;
	json_error_t why;

	if (!buffer) {
		(void)err_set(err, ERR_FAULT, "out of memory");
		return NULL;
	}
	const ssize_t n = fdpass_receive(sock, buffer, MESSAGE_MAX, fds, max, &count);
	json_t *message = n > 0 ? json_loadb(buffer, (size_t)n, JSON_REJECT_DUPLICATES, &why) : NULL;

	free(buffer);
	if (!message || !json_is_object(message)) {
		for (size_t i = 0; i < count; i++)
			fd_close(&fds[i]);
		json_decref(message);
		if (n < 0) {
			errno = (int)-n;
			(void)err_errno(err, "control socket");
		} else {
			(void)err_set(err, ERR_FAULT,
				      n == 0 ? "the supervisor ended; see supervisor.log in the run directory"
					     : "a control message is not a JSON object");
		}
		return NULL;
	}
	if (ret_count)
		*ret_count = count;
	return message;
}

/* The error of a last reply into err. */
static void reply_error(const json_t *reply, struct err *err)
{
	const json_int_t class = json_integer_value(json_object_get(reply, "class"));

	(void)err_set(err, class == ERR_FINDING || class == ERR_INPUT ? (enum err_class) class : ERR_FAULT, "%s",
		      json_string_value(json_object_get(reply, "error")));
}

static bool may_receive(int sock, const sigset_t *during, struct err *err)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	if (!during || ppoll(&p, 1, NULL, during) > 0)
		return true;
	(void)err_errno(err, "waiting for the supervisor");
	return false;
}

static json_t *call(const char *project, json_t *request, void (*on_line)(const char *line), const sigset_t *during, int *fds,
		    size_t max, size_t *ret_count, struct err *err)
{
	FD_CLOSE int sock = control_connect(project, err);
	json_t *reply = NULL;

	if (sock >= 0 && control_send(sock, request, NULL, 0, err) == 0) {
		while (may_receive(sock, during, err) && (reply = control_receive(sock, fds, max, ret_count, err))) {
			const char *line = json_string_value(json_object_get(reply, "line"));

			if (line && on_line)
				on_line(line);
			if (json_is_true(json_object_get(reply, "done")))
				break;
			json_decref(reply);
			reply = NULL;
		}
	}
	json_decref(request);
	if (reply && json_is_string(json_object_get(reply, "error"))) {
		reply_error(reply, err);
		json_decref(reply);
		reply = NULL;
	}
	return reply;
}

json_t *control_call(const char *project, json_t *request, void (*on_line)(const char *line), int *fds, size_t max,
		     size_t *ret_count, struct err *err)
{
	return call(project, request, on_line, NULL, fds, max, ret_count, err);
}

json_t *control_call_until(const char *project, json_t *request, void (*on_line)(const char *line), const sigset_t *during,
			   struct err *err)
{
	return call(project, request, on_line, during, NULL, 0, NULL, err);
}
