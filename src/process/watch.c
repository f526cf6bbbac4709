#include "process/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

/* IN_MODIFY too: what is being written now must not be read as if it were whole. */
enum { CHANGES = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR };

struct watch_file {
	int directory;    /* inotify's number */
	const char *name; /* NULL: every list there */
};

static bool is_list(const char *name)
{
	const size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".lst") == 0;
}

static bool concerns(const struct watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		return true;
	for (size_t i = 0; e->len && i < w->file_count; i++)
		if (w->files[i].directory == e->wd &&
		    (w->files[i].name ? strcmp(w->files[i].name, e->name) == 0 : is_list(e->name)))
			return true;
	return false;
}

static void take_events(struct watch *w)
{
	_Alignas(struct inotify_event) char buffer[16 * 1024];
	ssize_t n;

	while ((n = read(w->source.fd, buffer, sizeof buffer)) > 0) {
		for (const char *p = buffer; p < buffer + n;) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			if (concerns(w, e))
				w->touched = true;
			p += sizeof *e + e->len;
		}
	}
}

static void ready(struct source *s, uint32_t events)
{
	struct watch *w = (struct watch *)s; /* its first member */

	take_events(w);
	if (w->touched)
		loop_timer_set(w->loop, &w->quiet, WATCH_QUIET_MS);
}

static void quiet(struct timer *t)
{
	struct watch *w = (struct watch *)((char *)t - offsetof(struct watch, quiet));

	w->changed(w);
}

int watch_init(struct watch *w, struct loop *l, void (*changed)(struct watch *w), struct err *err)
{
	*w = (struct watch) { .loop = l, .changed = changed, .quiet = { .expired = quiet } };
	w->source = (struct source) { .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .ready = ready };
	const int rc = w->source.fd < 0 ? -errno : loop_watch(l, &w->source, EPOLLIN);

	if (rc == 0)
		return 0;
	fd_close(&w->source.fd);
	errno = -rc;
	return err_errno(err, "watching the lists");
}

static void add(struct watch *w, const char *directory, const char *name, bool must)
{
	const int wd = inotify_add_watch(w->source.fd, directory, (uint32_t)CHANGES);

	if (wd >= 0)
		ARENA_PUSH(&w->arena, w->files, w->file_count) = (struct watch_file) { .directory = wd, .name = name };
	else if (must)
		log_warn("changes in %s are not seen (%s); use 'stockade reload'", directory, strerror(errno));
}

static void add_file(struct watch *w, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return;
	const char *directory = slash == path ? "/" : arena_span(&w->arena, (struct span) { path, (size_t)(slash - path) });

	add(w, directory, arena_strdup(&w->arena, slash + 1), true);
}

static bool still_used(const struct watch *w, int wd)
{
	for (size_t i = 0; i < w->file_count; i++)
		if (w->files[i].directory == wd)
			return true;
	return false;
}

void watch_set(struct watch *w, const char *manifest, const json_t *files)
{
	static const char *const places[] = { "haproxy", "lists" }; /* where lists are looked for by name */
	const char *slash = strrchr(manifest, '/');
	struct arena before = w->arena;
	const struct watch_file *old = w->files;
	const size_t old_count = w->file_count;
	char directory[PATH_MAX];

	w->arena = (struct arena) { 0 };
	w->files = NULL;
	w->file_count = 0;
	add_file(w, manifest);
	for (size_t i = 0; i < json_array_size(files); i++)
		add_file(w, json_string_value(json_array_get(files, i)));
	for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
		(void)snprintf(directory, sizeof directory, "%.*s/%s", (int)(slash - manifest), manifest, places[i]);
		add(w, directory, NULL, false);
		add_file(w, directory); /* it may come, or come anew */
	}
	for (size_t i = 0; i < old_count; i++)
		if (!still_used(w, old[i].directory))
			(void)inotify_rm_watch(w->source.fd, old[i].directory);
	arena_free(&before);
}

bool watch_take(struct watch *w)
{
	take_events(w);
	const bool touched = w->touched;

	w->touched = false;
	loop_timer_cancel(w->loop, &w->quiet);
	return touched;
}

void watch_again(struct watch *w)
{
	loop_timer_set(w->loop, &w->quiet, WATCH_QUIET_MS);
}

void watch_free(struct watch *w)
{
	loop_timer_cancel(w->loop, &w->quiet);
	loop_forget(w->loop, &w->source);
	fd_close(&w->source.fd);
	arena_free(&w->arena);
}
