#include "engine/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

enum { EMPTY_DIR_DEFAULT = 256 * 1024 * 1024, CONFIG_MAP_BYTES = 8 * 1024 * 1024, VOLUME_PATH = 600 };

static int open_how(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	const struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static int volume_path(const char *dir, const struct volume *v, char ret[static VOLUME_PATH], struct err *err)
{
	const int n = snprintf(ret, VOLUME_PATH, "%s/%s", dir, v->name);

	return n < 0 || n >= VOLUME_PATH ? err_set(err, ERR_INPUT, "the path of the run directory is too long: %s", dir) : 0;
}

/* --- emptyDir and configMap --- */

static int write_files(const char *path, const struct volume *v, struct err *err)
{
	FD_CLOSE int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_errno(err, "%s", path);
	for (size_t i = 0; i < v->file_count; i++) {
		FD_CLOSE int fd =
			strchr(v->files[i].name, '/')
				? -1
				: openat(dir, v->files[i].name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

		if (fd < 0 || fchmod(fd, 0644) < 0 || fd_write_all(fd, v->files[i].value, strlen(v->files[i].value)) < 0)
			return err_errno(err, "the file '%.100s' of the volume '%s'", v->files[i].name, v->name);
	}
	return 0;
}

static int make_one(const char *dir, const struct volume *v, struct err *err)
{
	char path[VOLUME_PATH], options[64];
	const bool empty = v->kind == VOLUME_EMPTY_DIR;
	const unsigned long long size = !empty ? CONFIG_MAP_BYTES : v->size_limit ? v->size_limit : EMPTY_DIR_DEFAULT;

	if (volume_path(dir, v, path, err) < 0)
		return -1;
	(void)snprintf(options, sizeof options, "mode=%s,size=%llu", empty ? "0777" : "0755", size);
	if ((mkdir(path, 0700) < 0 && errno != EEXIST) ||
	    mount("stockade", path, "tmpfs", MS_NOSUID | MS_NODEV | (empty ? 0UL : MS_NOEXEC), options) < 0)
		return err_errno(err, "the volume '%s'", v->name);
	return write_files(path, v, err);
}

int volumes_make(const char *dir, const struct pod *pod, struct err *err)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "%s", dir);
	for (size_t i = 0; i < pod->volume_count; i++) {
		if (pod->volumes[i].kind == VOLUME_HOST_PATH || make_one(dir, &pod->volumes[i], err) == 0)
			continue;
		volumes_remove(dir, pod);
		return -1;
	}
	return 0;
}

void volumes_remove(const char *dir, const struct pod *pod)
{
	char path[VOLUME_PATH];
	struct err ignored;

	for (size_t i = 0; i < pod->volume_count; i++) {
		if (pod->volumes[i].kind == VOLUME_HOST_PATH || volume_path(dir, &pod->volumes[i], path, &ignored) < 0)
			continue;
		(void)umount2(path, MNT_DETACH);
		(void)rmdir(path);
	}
	(void)rmdir(dir);
}

/* --- what a mount shows --- */

/* A directory or a regular file; anything else reaches the host. */
static int check_kind(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "%s", path);
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		return 0;
	return err_set(err, ERR_INPUT, "%s is %s: a pod gets files and directories, nothing that reaches the host", path,
		       S_ISSOCK(st.st_mode)   ? "a socket"
		       : S_ISFIFO(st.st_mode) ? "a pipe"
					      : "a device");
}

static int create(const struct volume *v, struct err *err)
{
	const char *slash = strrchr(v->path, '/');
	char parent[VOLUME_PATH];

	if (!slash || slash[1] == '\0' || (size_t)(slash - v->path) >= sizeof parent)
		return err_set(err, ERR_INPUT, "%s cannot be created", v->path);
	(void)snprintf(parent, sizeof parent, "%.*s", slash == v->path ? 1 : (int)(slash - v->path), v->path);
	FD_CLOSE int dir = open_how(AT_FDCWD, parent, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);

	if (dir < 0)
		return err_set(err, ERR_INPUT, "%s cannot be created: %s: %s", v->path, parent, strerror(errno));
	/* As Kubernetes has it: root's, 0755 and 0644, whoever in the pod is to read it. */
	const mode_t before = umask(022);
	int rc;

	if (strncmp(v->path_type, "Dir", 3) == 0) {
		rc = mkdirat(dir, slash + 1, 0755) < 0 && errno != EEXIST ? -1 : 0;
	} else {
		FD_CLOSE int file = openat(dir, slash + 1, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);

		rc = file < 0 ? -1 : 0;
	}
	(void)umask(before);
	return rc < 0 ? err_errno(err, "%s", v->path) : 0;
}

/* --- ways to the host in it --- */

struct walk {
	struct arena *arena;
	unsigned entries;
	bool writable;
};

#define SET_ID_PROGRAM "a program that runs as its owner"

/* A program that is changed by way of a memory mapping stays set-id. */
static bool set_id(const struct walk *w, const struct stat *st)
{
	return w->writable && S_ISREG(st->st_mode) && (st->st_mode & (S_ISUID | S_ISGID));
}

/* What an entry is that a pod must not get at, or NULL; whether it is a directory. */
static const char *judge(const struct walk *w, int dir, const struct dirent *e, bool *ret_directory)
{
	struct stat st;
	unsigned char type = e->d_type;

	if ((type == DT_UNKNOWN || (type == DT_REG && w->writable)) && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		type = (unsigned char)IFTODT(st.st_mode);
		if (set_id(w, &st))
			return SET_ID_PROGRAM;
	}
	*ret_directory = type == DT_DIR;
	return type == DT_SOCK ? "a socket" : type == DT_FIFO ? "a named pipe" : NULL;
}

static const char *look(struct walk *w, int parent, const char *name, const char *path, unsigned depth)
{
	const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const char *found = NULL;
	const struct dirent *e;

	if (!dir)
		return NULL;
	while (!found && w->entries < VOLUME_ENTRIES && (e = readdir(dir))) {
		bool directory = false;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		w->entries++;
		const char *what = judge(w, dirfd(dir), e, &directory);
		const char *below = what || directory ? arena_printf(w->arena, "%s/%s", path, e->d_name) : NULL;

		if (what)
			found = arena_printf(w->arena, "%s is %s", below, what);
		else if (directory && depth < VOLUME_DEPTH)
			found = look(w, dirfd(dir), e->d_name, below, depth + 1);
	}
	(void)closedir(dir);
	return found;
}

const char *volume_way_out(int fd, const char *path, bool writable, struct arena *a)
{
	struct walk w = { .arena = a, .writable = writable };
	struct stat st;

	if (fstat(fd, &st) == 0 && set_id(&w, &st))
		return arena_printf(a, "%s is " SET_ID_PROGRAM, path);
	return look(&w, fd, ".", path, 1);
}

static int open_host(const struct volume *v, struct err *err)
{
	int fd = open_how(AT_FDCWD, v->path, O_PATH, RESOLVE_NO_SYMLINKS);

	if (fd < 0 && errno == ENOENT && v->path_type && strstr(v->path_type, "OrCreate")) {
		if (create(v, err) < 0)
			return -1;
		fd = open_how(AT_FDCWD, v->path, O_PATH, RESOLVE_NO_SYMLINKS);
	}
	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_INPUT, "%s became a symbolic link, or leads through one, since it was judged", v->path);
	if (fd < 0)
		return err_set(err, ERR_INPUT, "%s: %s", v->path, strerror(errno));
	struct stat st;

	if (check_kind(fd, v->path, err) == 0) {
		const bool directory = v->path_type && strncmp(v->path_type, "Dir", 3) == 0;
		const bool file = v->path_type && strncmp(v->path_type, "File", 4) == 0;

		if (fstat(fd, &st) == 0 &&
		    ((directory && S_ISDIR(st.st_mode)) || (file && S_ISREG(st.st_mode)) || (!directory && !file)))
			return fd;
		(void)err_set(err, ERR_INPUT, "%s is not of type %s", v->path, v->path_type);
	}
	(void)close(fd);
	return -1;
}

/* A part of a volume, never outside of it, whatever links a pod has put there. A directory that is not there is made, as in
 * Kubernetes. */
static int open_below(int volume, const char *sub_path, struct err *err)
{
	const uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
	char part[VOLUME_PATH];
	int fd = open_how(volume, sub_path, O_PATH, beneath);

	for (const char *p = sub_path; fd < 0 && errno == ENOENT && *p;) {
		p += strspn(p, "/");
		p += strcspn(p, "/");
		if ((size_t)(p - sub_path) >= sizeof part)
			break;
		(void)snprintf(part, sizeof part, "%.*s", (int)(p - sub_path), sub_path);
		char *slash = strrchr(part, '/');

		if (slash)
			*slash = '\0';
		FD_CLOSE int dir = open_how(volume, slash ? part : ".", O_PATH | O_DIRECTORY, beneath);

		if (dir < 0 || (mkdirat(dir, slash ? slash + 1 : part, 0755) < 0 && errno != EEXIST))
			break;
		fd = open_how(volume, sub_path, O_PATH, beneath);
	}
	if (fd < 0)
		return err_set(err, ERR_INPUT, "subPath %.200s: %s", sub_path, strerror(errno));
	if (check_kind(fd, sub_path, err) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

int volume_open(const char *dir, const struct pod *pod, const struct volume_mount *m, struct err *err)
{
	const struct volume *v = pod_volume(pod, m->volume);
	char path[VOLUME_PATH];

	if (!v)
		return err_set(err, ERR_INPUT, "no volume '%s'", m->volume);
	if (v->kind != VOLUME_HOST_PATH && volume_path(dir, v, path, err) < 0)
		return -1;
	FD_CLOSE int fd = v->kind == VOLUME_HOST_PATH ? open_host(v, err) : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return v->kind == VOLUME_HOST_PATH ? -1 : err_errno(err, "the volume '%s'", v->name);
	return m->sub_path && m->sub_path[0] ? open_below(fd, m->sub_path, err) : fd_steal(&fd);
}

static int check_mounts(const char *dir, const struct pod *pod, const struct container *c, struct err *err)
{
	struct arena a = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && !c->jailer && i < c->mount_count; i++) {
		const struct volume *v = pod_volume(pod, c->mounts[i].volume);

		if (!v || v->kind != VOLUME_HOST_PATH)
			continue;
		FD_CLOSE int fd = volume_open(dir, pod, &c->mounts[i], err);
		const char *way = fd < 0 ? NULL : volume_way_out(fd, v->path, !c->mounts[i].read_only, &a);

		if (fd < 0)
			rc = err_wrap(err, "the mount at %s", c->mounts[i].path);
		else if (way)
			rc = err_set(err, ERR_INPUT,
				     "the volume '%s' reaches the host without a network: %s; remove it, or mount a directory "
				     "without one",
				     v->name, way);
	}
	arena_free(&a);
	return rc;
}

int volumes_check(const char *dir, const struct pod *pod, struct err *err)
{
	for (size_t i = 0; i < pod->init_container_count; i++)
		if (check_mounts(dir, pod, &pod->init_containers[i], err) < 0)
			return -1;
	for (size_t i = 0; i < pod->container_count; i++)
		if (check_mounts(dir, pod, &pod->containers[i], err) < 0)
			return -1;
	return 0;
}

int volume_open_host(const char *path, struct err *err)
{
	FD_CLOSE int fd = open_how(AT_FDCWD, path, O_PATH, RESOLVE_NO_SYMLINKS);

	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_INPUT, "%s became a symbolic link, or leads through one, since it was judged", path);
	if (fd < 0)
		return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
	return check_kind(fd, path, err) < 0 ? -1 : fd_steal(&fd);
}
