/* The part of the attempts that goes by the file system: a path-named unix socket knows no network namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "verify/probe_calls.h"

static int open_close(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd < 0)
		return errno;
	(void)close(fd);
	return 0;
}

int call_open_read(const struct call_case *c, struct view *v)
{
	return open_close(c->path, O_RDONLY);
}

int call_open_write(const struct call_case *c, struct view *v)
{
	return open_close(c->path, O_WRONLY);
}

int call_open_any(const struct call_case *c, struct view *v)
{
	int rc = ENOENT;

	for (const char *at = c->path; *at && rc;) {
		char path[128];
		const size_t n = strcspn(at, " ");

		(void)snprintf(path, sizeof path, "%.*s", (int)n, at);
		const int one = open_close(path, c->a);

		if (one != ENOENT)
			rc = one;
		at += n + (at[n] == ' ');
	}
	return rc;
}

int call_make_file(const struct call_case *c, struct view *v)
{
	return open_close(c->path, O_TMPFILE | O_WRONLY);
}

static int connect_unix(const struct sockaddr_un *address, socklen_t size, int type)
{
	FD_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return errno;
	return connect(fd, (const struct sockaddr *)address, size) < 0 ? errno : 0;
}

static int connect_path(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path)
		return ENAMETOOLONG;
	return connect_unix(&address, sizeof address, type);
}

int call_control_socket(const struct call_case *c, struct view *v)
{
	char path[600];

	(void)snprintf(path, sizeof path, "%s/control.sock", v->scene->run_dir);
	return connect_path(path, SOCK_SEQPACKET);
}

int call_abstract_socket(const struct call_case *c, struct view *v)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int n = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "stockade-%s", v->scene->nonce);

	return connect_unix(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n), SOCK_STREAM);
}

int call_write_lists(const struct call_case *c, struct view *v)
{
	const struct manifest *m = v->scene->manifest;
	const char *path = NULL;

	for (size_t i = 0; m && i < m->client_count && !path; i++)
		if (m->clients[i].files.count)
			path = m->clients[i].files.items[0];
	if (!path && v->scene->plan)
		path = v->scene->plan->manifest->path;
	return path ? open_close(path, O_WRONLY) : ENOENT;
}

/* Sockets that many hosts have; success is to reach any. */
int call_host_sockets(const struct call_case *c, struct view *v)
{
	static const char *const paths[] = { "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock",
					     "/run/dbus/system_bus_socket", "/run/systemd/private" };
	int rc = ENOENT;

	for (size_t i = 0; i < sizeof paths / sizeof *paths && rc; i++) {
		const int one = connect_path(paths[i], SOCK_STREAM);

		if (one != ENOENT)
			rc = one;
	}
	return rc;
}
