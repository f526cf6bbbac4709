#include "engine/podman_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/fd.h"
#include "engine/control.h"
#include "guard/guard.h"
#include "process/run_dir.h"

enum { NOFILE_MOST = 1048576, NPROC_MOST = 4194304, HOOK_S = 60 };

int podman_dir(const char *project, char ret[static PODMAN_PATH], struct err *err)
{
	const char *root = secure_getenv("STOCKADE_STATE_DIR");
	char ignored[PODMAN_PATH];

	/* It judges the name. */
	if (control_run_dir(project, ignored, sizeof ignored, err) < 0)
		return -1;
	const int n = snprintf(ret, PODMAN_PATH, "%s/%s/podman", root && root[0] ? root : "/var/lib/stockade", project);

	if (ret[0] != '/' || n < 0 || n > PODMAN_PATH / 2)
		return err_set(err, ERR_INPUT, "STOCKADE_STATE_DIR must be an absolute path of less than %d bytes",
			       PODMAN_PATH / 2);
	return 0;
}

/* --- writing --- */

/* A directory for root alone, in `dir`. */
static int make_dir(const char *dir, const char *name, mode_t mode, char ret[static PODMAN_PATH], struct err *err)
{
	const int n = snprintf(ret, PODMAN_PATH, "%s/%s", dir, name);

	if (n < 0 || n >= PODMAN_PATH)
		return err_set(err, ERR_INPUT, "the path is too long: %.200s/%.80s", dir, name);
	if ((mkdir(ret, mode) < 0 && errno != EEXIST) || chmod(ret, mode) < 0)
		return err_errno(err, "%s", ret);
	return 0;
}

/* Beside, then in its place: whoever reads it sees the old or the new. */
static int write_file(const char *dir, const char *name, mode_t mode, const char *text, struct err *err)
{
	char path[PODMAN_PATH], beside[PODMAN_PATH + 8];
	const int n = snprintf(path, sizeof path, "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= sizeof path)
		return err_set(err, ERR_INPUT, "the path is too long: %.200s/%.80s", dir, name);
	(void)snprintf(beside, sizeof beside, "%s.new", path);
	(void)unlink(beside);
	FD_CLOSE int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	const int rc = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	if (rc < 0 || fchmod(fd, mode) < 0 || rename(beside, path) < 0) {
		errno = rc < 0 ? -rc : errno;
		return err_errno(err, "%s", path);
	}
	return 0;
}

/* --- of the project --- */

static unsigned long long limit_of(int resource, unsigned long long most)
{
	struct rlimit r;

	return getrlimit(resource, &r) == 0 && r.rlim_max != RLIM_INFINITY && r.rlim_max < most ? r.rlim_max : most;
}

/* Podman itself lowers its limit of processes to this. */
static unsigned long long most_processes(struct arena *a)
{
	struct span text;
	struct err err;
	const unsigned long long n =
		fd_read_file("/proc/sys/kernel/pid_max", 64, a, &text, &err) == 0 ? strtoull(text.p, NULL, 10) : 0;

	return n && n < NPROC_MOST ? n : NPROC_MOST;
}

/* crun does not run where both versions of cgroups are mounted, and is what Podman takes first. */
static bool wants_runc(void)
{
	struct statfs fs;

	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type != CGROUP2_SUPER_MAGIC &&
	       (access("/usr/sbin/runc", X_OK) == 0 || access("/usr/bin/runc", X_OK) == 0);
}

/* Limits of what this machine allows: Podman's own default cannot be set without CAP_SYS_RESOURCE. A directory that is not there would
 * be an error. */
static const char *containers_conf(const char *hooks, const char *networks, struct arena *a)
{
	static const char *const others[] = { "/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d" };
	const unsigned long long files = limit_of(RLIMIT_NOFILE, NOFILE_MOST),
				 processes = limit_of(RLIMIT_NPROC, most_processes(a));
	const char *dirs = arena_printf(a, "\"%s\"", hooks);

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (access(others[i], F_OK) == 0)
			dirs = arena_printf(a, "%s, \"%s\"", dirs, others[i]);
	return arena_printf(
		a,
		"# Written by stockade up --engine podman.\n[containers]\n"
		"default_ulimits = [\"nofile=%llu:%llu\", \"nproc=%llu:%llu\"]\ndefault_capabilities = []\ncgroupns = "
		"\"private\"\n[engine]\nhooks_dir = [%s]\n%s%s",
		files, files, processes, processes, dirs, wants_runc() ? "runtime = \"runc\"\n" : "",
		networks ? arena_printf(a, "[network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"%s\"\n", networks)
			 : "");
}

/* A project's name as a regular expression. */
static const char *literally(const char *project, struct arena *a)
{
	const char *text = "";

	for (const char *p = project; *p; p++)
		text = arena_printf(a, "%s%s%c", text, *p == '.' ? "\\\\" : "", *p);
	return text;
}

/* The runtime gives hooks no environment of its own. */
static const char *hook_json(const char *project, const char *run_dir, const char *program, struct arena *a)
{
	const size_t root = strlen(run_dir) - strlen(project) - 1;

	return arena_printf(
		a,
		"{\"version\":\"1.0.0\",\"hook\":{\"path\":\"%s\",\"args\":[\"stockade\",\"hook\",\"--project\",\"%s\"],"
		"\"env\":[\"STOCKADE_RUN_DIR=%.*s\"],\"timeout\":%d},"
		"\"when\":{\"annotations\":{\"^stockade\\\\.project$\":\"^%s$\"}},\"stages\":[\"createRuntime\"]}\n",
		program, project, (int)root, run_dir, HOOK_S, literally(project, a));
}

/* What is put between quotes in the files above. */
static int check_plain(const char *path, struct err *err)
{
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '"' || *p == '\\')
			return err_set(err, ERR_INPUT,
				       "a path with quotes, backslashes or control characters cannot be named to "
				       "Podman: %.200s",
				       path);
	return 0;
}

static int own_path(char ret[static PODMAN_PATH], struct err *err)
{
	const ssize_t n = readlink("/proc/self/exe", ret, PODMAN_PATH - 1);

	if (n < 0)
		return err_errno(err, "/proc/self/exe");
	ret[n] = '\0';
	return access(ret, X_OK) < 0 ? err_set(err, ERR_FAULT, "the program %.300s is not there any more; start it anew", ret) : 0;
}

static int write_all(const char *project, const char *dir, bool bridge, struct arena *a, struct err *err)
{
	char hooks[PODMAN_PATH], filters[PODMAN_PATH], pods[PODMAN_PATH], networks[PODMAN_PATH], program[PODMAN_PATH],
		run_dir[PODMAN_PATH];
	const char *filter = guard_seccomp_profile(a, err);

	if (!filter || own_path(program, err) < 0 || control_run_dir(project, run_dir, sizeof run_dir, err) < 0 ||
	    check_plain(program, err) < 0 || check_plain(run_dir, err) < 0 || check_plain(dir, err) < 0)
		return -1;
	if (make_dir(dir, "hooks.d", 0700, hooks, err) < 0 || make_dir(dir, "seccomp", 0700, filters, err) < 0 ||
	    make_dir(dir, "pods", 0700, pods, err) < 0 || (bridge && make_dir(dir, "networks", 0700, networks, err) < 0))
		return -1;
	return write_file(filters, PODMAN_SECCOMP, 0600, filter, err) < 0 ||
			       write_file(hooks, arena_printf(a, "stockade-%s.json", project), 0600,
					  hook_json(project, run_dir, program, a), err) < 0 ||
			       write_file(dir, "containers.conf", 0600, containers_conf(hooks, bridge ? networks : NULL, a), err) <
				       0
		       ? -1
		       : 0;
}

int podman_files_make(const char *project, const char *dir, bool bridge, struct err *err)
{
	struct arena a = { 0 };
	FD_CLOSE int made = run_dir_make(dir, err);
	const int rc = made < 0 ? -1 : write_all(project, dir, bridge, &a, err);

	arena_free(&a);
	return rc;
}

/* Podman makes this of a network's name too, and wants nothing but that no two are the same. */
int podman_files_network(const char *dir, const struct bridge_wire *w, const char *project, struct err *err)
{
	char id[SHA256_DIGEST_STRING_LENGTH], networks[PODMAN_PATH];
	struct arena a = { 0 };

	(void)SHA256Data((const uint8_t *)w->network, strlen(w->network), id);
	(void)snprintf(networks, sizeof networks, "%s/networks", dir);
	const int rc =
		write_file(networks, arena_printf(&a, "%s.json", w->network), 0600, plan_bridge_network(w, project, id, &a), err);

	arena_free(&a);
	return rc;
}

/* --- of a pod --- */

void podman_files_pod_dir(const char *dir, const char *pod, char ret[static PODMAN_PATH])
{
	(void)snprintf(ret, PODMAN_PATH, "%s/pods/%s", dir, pod);
}

static int write_volume(const char *volumes, const struct volume *v, struct err *err)
{
	char path[PODMAN_PATH];

	if (v->kind == VOLUME_HOST_PATH)
		return 0;
	if (make_dir(volumes, v->name, v->kind == VOLUME_EMPTY_DIR ? 0777 : 0755, path, err) < 0)
		return -1;
	for (size_t i = 0; i < v->file_count; i++)
		if (write_file(path, v->files[i].name, 0644, v->files[i].value, err) < 0)
			return -1;
	return 0;
}

static int write_pod(const char *dir, const struct plan *p, const struct plan_pod *pod, const struct podman_pod *how, bool bridge,
		     struct arena *a, struct err *err)
{
	char volumes[PODMAN_PATH];

	if (make_dir(dir, "volumes", 0755, volumes, err) < 0)
		return -1;
	for (size_t i = 0; i < pod->pod->volume_count; i++)
		if (write_volume(volumes, &pod->pod->volumes[i], err) < 0)
			return -1;
	const char *hosts = bridge ? plan_bridge_hosts(pod, a) : pod->hosts;
	const char *resolv_conf = bridge ? plan_bridge_resolv(p, a) : pod->resolv_conf;

	return write_file(dir, "hosts", 0644, hosts, err) < 0 || write_file(dir, "resolv.conf", 0644, resolv_conf, err) < 0
		       ? -1
		       : write_file(dir, "pod.json", 0600, plan_podman(p, pod, how, a), err);
}

int podman_files_pod(const char *dir, const struct plan *p, const struct plan_pod *pod, const char *project, bool init_restarts,
		     bool bridge, char ret[static PODMAN_PATH], struct err *err)
{
	char path[PODMAN_PATH], pods[PODMAN_PATH];
	struct arena a = { 0 };

	(void)snprintf(pods, sizeof pods, "%s/pods", dir);
	if (make_dir(pods, pod->pod->name, 0755, path, err) < 0)
		return -1;
	const struct podman_pod how = { project, path, PODMAN_SECCOMP, init_restarts };
	const int rc = write_pod(path, p, pod, &how, bridge, &a, err);

	arena_free(&a);
	if (rc == 0)
		(void)snprintf(ret, PODMAN_PATH, "%.490s/pod.json", path);
	return rc;
}
