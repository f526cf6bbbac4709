/* A path is judged by where it leads: every symbolic link on the way is followed first, and what is handed on is the real path,
 * so that what was judged is what is mounted. */
#include "config/walls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "config/project.h"

enum { MOST_LINKS = 40 };

/* --- what no pod gets --- */

enum forbidden_way {
	WAY_BELOW, /* the place and what is below it */
	WAY_TOUCH, /* these and every directory that contains it */
};

static const struct {
	const char *path;
	enum forbidden_way way;
	const char *why;
} forbidden[] = {
	{ "/proc", WAY_BELOW, "it is the kernel's, and shows other processes" },
	{ "/sys", WAY_BELOW, "it is the kernel's" },
	{ "/dev", WAY_BELOW, "devices reach the host" },
	{ "/run", WAY_BELOW, "sockets there reach the host's services, and a socket needs no network" },
	{ "/var/run", WAY_BELOW, "sockets there reach the host's services, and a socket needs no network" },
	{ "/boot", WAY_BELOW, "it is the host's kernel" },
	{ "/etc/shadow", WAY_TOUCH, "the host's password hashes are there" },
	{ "/etc/gshadow", WAY_TOUCH, "the host's password hashes are there" },
	{ "/var/lib/docker", WAY_TOUCH, "it is a container engine's own state" },
	{ "/var/lib/containers", WAY_TOUCH, "it is a container engine's own state" },
	{ "/var/lib/containerd", WAY_TOUCH, "it is a container engine's own state" },
	{ "/var/lib/stockade", WAY_TOUCH, "it is a container engine's own state" },
	{ "/var/lib/kubelet", WAY_TOUCH, "it is a container engine's own state" },
};

const char *config_path_forbidden(const char *path)
{
	if (strcmp(path, "/") == 0)
		return "it is the whole host";
	for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		if (path_within(path, forbidden[i].path) || (forbidden[i].way == WAY_TOUCH && path_within(forbidden[i].path, path)))
			return forbidden[i].why;
	return NULL;
}

/* Where path leads: the real path of as much of it as there is, and the rest as written. NULL when a part cannot be looked at. */
static const char *real_path(struct arena *a, const char *path)
{
	char real[PATH_MAX];

	if (realpath(path, real))
		return arena_strdup(a, real);
	const char *slash = strrchr(path, '/');

	if (errno != ENOENT || !slash || slash == path)
		return errno == ENOENT ? path : NULL;
	struct stat st;

	if (lstat(path, &st) == 0) /* a link that leads nowhere: whoever makes its target decides what is mounted */
		return NULL;
	const char *dir = real_path(a, arena_span(a, (struct span) { path, (size_t)(slash - path) }));

	return dir ? arena_printf(a, "%s%s", strcmp(dir, "/") == 0 ? "" : dir, slash) : NULL;
}

static bool volume_error(struct reader *r, const struct volume *v, const char *text)
{
	return report_error(r->report, r->source, v->at.line, v->at.column, "the volume '%s': %s", v->name, text);
}

static bool check_kind(struct reader *r, const struct volume *v, const char *real)
{
	const bool directory = strncmp(v->path_type, "Dir", 3) == 0, file = strncmp(v->path_type, "File", 4) == 0;
	struct stat st;

	if (stat(real, &st) < 0 && errno == ENOENT) {
		if (strstr(v->path_type, "OrCreate"))
			return true;
		return volume_error(r, v,
				    arena_printf(r->arena, "%s does not exist; make it, or use type: DirectoryOrCreate", real));
	}
	if (stat(real, &st) < 0)
		return volume_error(r, v, arena_printf(r->arena, "%s: %s", real, strerror(errno)));
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return volume_error(r, v,
				    arena_printf(r->arena,
						 "%s is %s; a pod gets files and directories, nothing that reaches the host", real,
						 S_ISSOCK(st.st_mode)   ? "a socket"
						 : S_ISFIFO(st.st_mode) ? "a pipe"
									: "a device"));
	if ((directory && !S_ISDIR(st.st_mode)) || (file && !S_ISREG(st.st_mode)))
		return volume_error(
			r, v, arena_printf(r->arena, "%s is not a %s, as its type says", real, directory ? "directory" : "file"));
	return true;
}

static bool check_volume(struct reader *r, struct volume *v)
{
	const char *why = config_path_forbidden(v->path);
	const char *real = real_path(r->arena, v->path);

	if (why)
		return volume_error(r, v, arena_printf(r->arena, "%s is refused: %s", v->path, why));
	if (!real)
		return volume_error(r, v,
				    arena_printf(r->arena, "%s cannot be followed to its end: %s", v->path,
						 errno == ENOENT ? "a link there leads nowhere" : strerror(errno)));
	why = config_path_forbidden(real);
	if (why)
		return volume_error(r, v, arena_printf(r->arena, "%s, which is %s, is refused: %s", v->path, real, why));
	if (!check_kind(r, v, real))
		return false;
	v->path = real;
	return true;
}

bool walls_check_volumes(struct reader *r, struct pod *p)
{
	bool ok = true;

	for (size_t i = 0; i < p->volume_count; i++)
		if (p->volumes[i].kind == VOLUME_HOST_PATH)
			ok = check_volume(r, &p->volumes[i]) && ok;
	return ok;
}

/* --- the files that are the policy --- */

/* Splits the first component off *rest, which starts with a slash or is empty. */
static struct span component(const char **rest)
{
	while (**rest == '/')
		(*rest)++;
	const struct span s = { *rest, strcspn(*rest, "/") };

	*rest += s.n;
	return s;
}

/* Adds every directory entry that decides what `path` is: each symbolic link on the way, as its real parent and name, and the
 * end itself. Whoever can write one of them can change what is read. */
static void protect(struct arena *a, const char *path, struct strings *ret)
{
	const char *at = "", *rest = path;

	for (unsigned links = 0; links < MOST_LINKS;) {
		const struct span name = component(&rest);
		char target[PATH_MAX];

		if (name.n == 0)
			break;
		if (name.n == 1 && name.p[0] == '.')
			continue;
		if (name.n == 2 && name.p[0] == '.' && name.p[1] == '.') {
			const char *slash = strrchr(at, '/');

			at = slash ? arena_span(a, (struct span) { at, (size_t)(slash - at) }) : "";
			continue;
		}
		const char *here = arena_printf(a, "%s/%.*s", at, (int)name.n, name.p);
		const ssize_t n = readlink(here, target, sizeof target - 1);

		if (n < 0) {
			at = here;
			continue;
		}
		target[n] = '\0';
		links++;
		ARENA_PUSH(a, ret->items, ret->count) = here;
		rest = arena_printf(a, "%s%s", target, rest);
		if (target[0] == '/')
			at = "";
	}
	ARENA_PUSH(a, ret->items, ret->count) = at[0] ? at : "/";
}

static const char *app_of(const struct pod *p)
{
	for (size_t i = 0; i < p->label_count; i++)
		if (strcmp(p->labels[i].name, "app") == 0)
			return p->labels[i].value;
	return "";
}

static struct strings policy_files(struct reader *r, const struct manifest *m)
{
	struct strings list = { 0 };

	protect(r->arena, m->path, &list);
	for (size_t i = 0; i < m->client_count; i++)
		for (size_t k = 0; k < m->clients[i].files.count; k++)
			protect(r->arena, m->clients[i].files.items[k], &list);
	for (size_t i = 0; i < m->pod_count; i++) {
		const char *app = app_of(&m->pods[i]);

		if (m->pods[i].gate || !app[0])
			continue;
		protect(r->arena, arena_printf(r->arena, "%s/haproxy/%s_domains.lst", m->project_dir, app), &list);
		protect(r->arena, arena_printf(r->arena, "%s/lists/%s_domains.lst", m->project_dir, app), &list);
	}
	return list;
}

static bool check_mount(struct reader *r, const struct pod *p, const struct container *c, const struct volume_mount *m,
			const struct strings *files)
{
	const struct volume *v = pod_volume(p, m->volume);
	const char *place;

	if (m->read_only || !v || v->kind != VOLUME_HOST_PATH)
		return true;
	place = m->sub_path ? arena_printf(r->arena, "%s/%s", v->path, m->sub_path) : v->path;
	place = real_path(r->arena, place);
	for (size_t i = 0; i < files->count; i++)
		if (!place || path_within(files->items[i], place))
			return report_error(r->report, r->source, m->at.line, m->at.column,
					    "the container '%s' could change its own policy: %s is in the writable volume '%s'; "
					    "mount it readOnly: true",
					    c->name, files->items[i], v->name);
	return true;
}

bool walls_check_policy_files(struct reader *r, const struct manifest *m)
{
	const struct strings files = policy_files(r, m);
	bool ok = true;

	for (size_t i = 0; i < m->pod_count; i++) {
		const struct pod *p = &m->pods[i];

		for (size_t k = 0; !p->gate && k < p->init_container_count + p->container_count; k++) {
			const struct container *c =
				k < p->init_container_count ? &p->init_containers[k] : &p->containers[k - p->init_container_count];

			for (size_t j = 0; !c->jailer && j < c->mount_count; j++)
				ok = check_mount(r, p, c, &c->mounts[j], &files) && ok;
		}
	}
	return ok;
}
