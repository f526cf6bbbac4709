#include "engine/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "config/project.h"
#include "engine/policy_file.h"
#include "guard/fdpass.h"
#include "guard/guard.h"
#include "plan/plan.h"

enum { MANIFEST_BYTES = 4 * 1024 * 1024, REPORT_BYTES = 64 * 1024 * 1024 };
enum { FD_REPORT, FD_TEXT, FD_POLICY, FD_COUNT };

struct loader {
	struct child child;
	struct source socket;
	struct deferred end; /* an event of the same batch may still name it */
	struct loop *loop;
	void (*done)(void *arg, struct loaded *loaded, const struct err *why);
	void *arg;
};

/* --- in the child --- */

static json_t *texts(const struct strings *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->count; i++)
		(void)json_array_append_new(list, json_string(s->items[i]));
	return list;
}

static json_t *list_files(const struct manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->client_count; i++)
		for (size_t k = 0; k < m->clients[i].files.count; k++)
			(void)json_array_append_new(list, json_string(m->clients[i].files.items[k]));
	return list;
}

static json_t *volume_paths(const struct manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->pod_count; i++)
		for (size_t k = 0; k < m->pods[i].volume_count; k++)
			if (m->pods[i].volumes[k].kind == VOLUME_HOST_PATH)
				(void)json_array_append_new(list, json_string(m->pods[i].volumes[k].path));
	return list;
}

static int text_file(struct span text, struct err *err)
{
	FD_CLOSE int fd = memfd_create("stockade-load", MFD_CLOEXEC);

	if (fd < 0 || fd_write_all(fd, text.p, text.n) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(err, "load memfd");
	return fd_steal(&fd);
}

static int load(const char *path, int fds[static FD_COUNT], json_t **ret_report, struct err *err)
{
	struct arena a = { 0 };
	struct manifest *m;
	struct span before, after;
	char hash[65];

	if (fd_read_file(path, MANIFEST_BYTES, &a, &before, err) < 0 || config_load(path, &a, &m, err) < 0 ||
	    fd_read_file(path, MANIFEST_BYTES, &a, &after, err) < 0)
		return -1;
	if (!span_eq(before, after))
		return err_set(err, ERR_INPUT, "%s changed while it was read; try again", path);
	const struct plan *p = plan_make(m, &a);

	fds[FD_POLICY] = policy_file_make(p->policy, hash, err);
	fds[FD_TEXT] = text_file(after, err);
	if (fds[FD_POLICY] < 0 || fds[FD_TEXT] < 0)
		return -1;
	*ret_report = json_pack("{ss so so so so so}", "hash", hash, "notes", texts(&m->notes), "denied", texts(&m->denied),
				"warnings", texts(&m->warnings), "files", list_files(m), "volumes", volume_paths(m));
	return 0;
}

static int run(const char *path, int sock)
{
	struct err err = { 0 };
	int fds[FD_COUNT] = { -1, -1, -1 };
	json_t *report = NULL;
	const int keep[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, sock };

	if (guard_close_fds_except(keep, sizeof keep / sizeof keep[0], &err) < 0)
		return 1;
	if (unshare(CLONE_NEWNET) < 0)
		(void)err_errno(&err, "a network namespace for the loader");
	else
		(void)load(path, fds, &report, &err);
	if (!report)
		report = json_pack("{ss si}", "error", err.text, "class", (int)err.class);
	char *text = json_dumps(report, JSON_COMPACT);

	if (!text)
		return 1;
	fds[FD_REPORT] = text_file(span_of(text), &err);
	if (fds[FD_REPORT] < 0)
		return 1;
	return fdpass_send(sock, "loaded", 6, fds, fds[FD_POLICY] >= 0 && fds[FD_TEXT] >= 0 ? FD_COUNT : 1) < 0;
}

/* --- in the parent --- */

void loaded_free(struct loaded *l)
{
	if (!l)
		return;
	fd_close(&l->policy);
	json_decref(l->report);
	arena_free(&l->arena);
	free(l);
}

static void release(struct deferred *d)
{
	free((char *)d - offsetof(struct loader, end));
}

void loader_cancel(struct loader *l)
{
	if (!l)
		return;
	child_kill(&l->child);
	loop_forget(l->loop, &l->socket);
	fd_close(&l->socket.fd);
	l->end.run = release;
	loop_defer(l->loop, &l->end);
}

static int read_whole(int fd, size_t limit, struct arena *a, struct span *ret, struct err *err)
{
	char path[32];

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return fd_read_file(path, limit, a, ret, err);
}

static int unpack(struct loaded *l, int fds[static FD_COUNT], size_t count, struct err *err)
{
	struct span text;

	if (count < 1 || read_whole(fds[FD_REPORT], REPORT_BYTES, &l->arena, &text, err) < 0)
		return err_set(err, ERR_FAULT, "the loader gave no report");
	l->report = json_loadb(text.p, text.n, 0, NULL);
	const char *error = json_string_value(json_object_get(l->report, "error"));
	const char *hash = json_string_value(json_object_get(l->report, "hash"));

	if (error)
		return err_set(err, (enum err_class)json_integer_value(json_object_get(l->report, "class")), "%s", error);
	if (count != FD_COUNT || !hash || strlen(hash) != 64)
		return err_set(err, ERR_FAULT, "the loader gave half a report");
	memcpy(l->hash, hash, sizeof l->hash);
	if (read_whole(fds[FD_TEXT], MANIFEST_BYTES, &l->arena, &l->text, err) < 0)
		return -1;
	l->policy = fd_steal(&fds[FD_POLICY]);
	return 0;
}

static void answered(struct source *s, uint32_t events)
{
	struct loader *l = (struct loader *)((char *)s - offsetof(struct loader, socket));
	int fds[FD_COUNT] = { -1, -1, -1 };
	size_t count = 0;
	char word[16];
	struct err err = { 0 };

	if (s->fd < 0)
		return;
	struct loaded *loaded = calloc(1, sizeof *loaded);
	const ssize_t n = fdpass_receive(s->fd, word, sizeof word, fds, FD_COUNT, &count);

	if (loaded)
		loaded->policy = -1;
	if (!loaded || n != 6)
		(void)err_set(&err, ERR_FAULT, "the loader ended without an answer");
	else
		(void)unpack(loaded, fds, count, &err);
	for (size_t i = 0; i < FD_COUNT; i++)
		fd_close(&fds[i]);
	if (err.class) {
		loaded_free(loaded);
		loaded = NULL;
	}
	loader_cancel(l);
	l->done(l->arg, loaded, err.class ? &err : NULL);
}

/* Whatever it had to say is in the socket, which ends with it. */
static void ended(struct child *c, int wait_status)
{
}

struct loader *loader_start(struct loop *loop, const char *manifest,
			    void (*done)(void *arg, struct loaded *loaded, const struct err *why), void *arg, struct err *err)
{
	int pair[2];
	struct loader *l = calloc(1, sizeof *l);

	if (!l || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		(void)err_errno(err, "loader");
		free(l);
		return NULL;
	}
	const pid_t pid = child_fork(err);

	if (pid == 0)
		_exit(run(manifest, pair[1]));
	(void)close(pair[1]);
	*l = (struct loader) { .socket = { .fd = pair[0], .ready = answered }, .loop = loop, .done = done, .arg = arg };
	if (pid < 0 || child_watch(&l->child, loop, pid, ended, err) < 0 || loop_watch(loop, &l->socket, EPOLLIN) < 0) {
		child_kill(&l->child);
		fd_close(&l->socket.fd);
		free(l);
		return NULL;
	}
	return l;
}
