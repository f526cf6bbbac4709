#include "engine/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "config/utf8.h"
#include "engine/pod_walls.h"
#include "pod/keeper.h"
#include "pod/netns.h"
#include "process/owner.h"
#include "process/program.h"

enum { VERSION_MS = 10000 };

/* --- which it is --- */

/* Debian's packages have their names. */
static int find_in_path(const char *name, char ret[static PATH_MAX], struct err *err)
{
	static const char *const dirs[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		(void)snprintf(ret, PATH_MAX, "%s/%s", dirs[i], name);
		if (access(ret, X_OK) == 0)
			return 0;
	}
	return err_set(err, ERR_INPUT, "the runtime %s is not installed; on Debian: apt-get install %s", name, name);
}

static bool is_known(const char *name)
{
	for (int k = 0; k < OCI_OTHER; k++)
		if (strcmp(name, plan_oci_kind_name((enum oci_kind)k)) == 0)
			return true;
	return false;
}

static int ask(const char *const *argv, struct arena *a, const char **ret_out, struct err *err)
{
	const struct program p = { .argv = argv, .mounts = -1, .limit_ms = VERSION_MS };

	return program_wait(&p, a, ret_out, err);
}

static int identify(struct oci_runtime *r, struct err *err)
{
	const char *const version[] = { r->path, "--version", NULL }, *const overlay[] = { r->path, "--overlay2=none", "--version",
											   NULL };
	struct arena a = { 0 };
	const char *text = "";
	struct err ignored;
	const int code = ask(version, &a, &text, err);

	if (code == 0) {
		r->kind = plan_oci_kind(text);
		r->overlays = r->kind == OCI_RUNSC && ask(overlay, &a, NULL, &ignored) == 0;
	}
	arena_free(&a);
	return code == 0 ? 0 : err_wrap(err, "the runtime %s does not tell its version", r->path);
}

int runtime_find(const char *named, struct oci_runtime *ret, struct err *err)
{
	char path[PATH_MAX], real[PATH_MAX];

	if (named[0] != '/' && !is_known(named))
		return err_set(err, ERR_INPUT, "--runtime is crun, runc, runsc or an absolute path, not '%.80s'", named);
	if (named[0] != '/' && find_in_path(named, path, err) < 0)
		return -1;
	if (named[0] == '/')
		(void)snprintf(path, sizeof path, "%s", named);
	if (!realpath(path, real))
		return err_set(err, ERR_INPUT, "the runtime %.200s: %s", path, strerror(errno));
	if (strlen(real) >= sizeof ret->path)
		return err_set(err, ERR_INPUT, "the runtime's path is too long: %.200s", real);
	/* It runs with root's power for a moment: its version is asked for. */
	if (owner_check("the runtime", real, err) < 0)
		return -1;
	*ret = (struct oci_runtime) { 0 };
	(void)snprintf(ret->path, sizeof ret->path, "%s", real);
	return identify(ret, err);
}

/* --- does it work --- */

/* It was looked at when it was started, its filter too, unless it had ended by then: this one does not end. */
static int check_stays(int first, struct err *err)
{
	struct pollfd end = { .fd = first, .events = POLLIN };

	return poll(&end, 1, 0) == 0 ? 0 : err_set(err, ERR_FAULT, "'sleep' ended at once");
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static int run_sleep(const struct oci_runtime *r, const struct pod_walls *w, struct err *err)
{
	static const char *const argv[] = { "sleep", "60", NULL };
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	char cgroup[64];
	int first = -1;

	(void)snprintf(cgroup, sizeof cgroup, "stockade-run-%d", (int)getpid());
	const struct container_spec spec = { .hostname = "probe",
					     .argv = argv,
					     .envp = env,
					     .cgroup = cgroup,
					     .uid_base = w->uid_base,
					     .stdio = { -1, -1, -1 },
					     .netns = w->netns,
					     .userns = w->userns,
					     .runtime = r,
					     .die_with_parent = true };
	const pid_t pid = keeper_start(&spec, &first, err);

	if (pid < 0)
		return -1;
	const int rc = check_stays(first, err);

	end(pid);
	fd_close(&first);
	container_cleanup(&spec);
	return rc;
}

int runtime_probe(const struct oci_runtime *r, struct err *err)
{
	const struct ip_addr v4 = { .family = 4, .bytes = { 198, 18, 0, 2 } };
	const struct ip_addr v6 = { .family = 6, .bytes = { 0xfd, 0x5a, 0x53, 0x54, 0x4b, 0x44, [15] = 2 } };
	struct pod_walls w = { .userns = -1, .netns = -1, .uid_base = pod_uid_base("", "probe") };
	int rc = -1;

	w.userns = container_userns(w.uid_base, err);
	if (w.userns >= 0)
		w.netns = netns_create(&v4, &v6, err);
	if (w.netns >= 0)
		rc = run_sleep(r, &w, err);
	fd_close(&w.userns);
	fd_close(&w.netns);
	return rc < 0 ? err_wrap(err, "the runtime %s does not work here, tried with 'sleep'", r->path) : 0;
}

int runtime_check_text(const char *what, const char *const *list, struct err *err)
{
	for (; list && *list; list++)
		if (!utf8_valid(span_of(*list)))
			return err_set(err, ERR_INPUT,
				       "%s that is no UTF-8 cannot be handed to an OCI runtime; run it without --runtime", what);
	return 0;
}
