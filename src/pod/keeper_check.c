/* What the kernel says of a container's first process. A runtime is trusted to make a container, not to be without flaws: one that
 * leaves a wall out has its container ended. */
#include "pod/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"

enum { STATUS_LIMIT = 64 * 1024, TRIES = 2000, PAUSE_NS = 5 * 1000 * 1000 };

static ino_t namespace_of(const char *pid, const char *name)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof path, "/proc/%s/ns/%s", pid, name);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static int read_status(pid_t pid, struct arena *a, const char **ret, struct err *err)
{
	char path[64];
	struct span text;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (fd_read_file(path, STATUS_LIMIT, a, &text, err) < 0)
		return -1;
	*ret = text.p;
	return 0;
}

/* ULLONG_MAX when it is not there. */
static unsigned long long field(const char *status, const char *key, int base)
{
	char line[40];

	(void)snprintf(line, sizeof line, "\n%s:", key);
	const char *at = strstr(status, line);

	return at ? strtoull(at + strlen(line), NULL, base) : ~0ULL;
}

static int wrong(const struct oci_runtime *r, struct err *err, const char *what)
{
	return err_set(err, ERR_FAULT, "the runtime %s made a container that %s; it is not used", r->path, what);
}

/* The keeper is where the container must be, and where it must not. runsc's sandbox only has to be in the pod's. */
static int check_namespaces(pid_t first, const struct oci_runtime *r, struct err *err)
{
	static const char *const own[] = { "pid", "mnt", "ipc", "uts", "cgroup" };
	char pid[16];

	(void)snprintf(pid, sizeof pid, "%d", (int)first);
	if (namespace_of(pid, "net") == 0 || namespace_of(pid, "net") != namespace_of("self", "net"))
		return wrong(r, err, "is not in the pod's network namespace");
	if (namespace_of(pid, "user") != namespace_of("self", "user"))
		return wrong(r, err, "is not in the pod's user namespace");
	for (size_t i = 0; r->kind != OCI_RUNSC && i < sizeof own / sizeof own[0]; i++)
		if (namespace_of(pid, own[i]) == 0 || namespace_of(pid, own[i]) == namespace_of("self", own[i]))
			return wrong(r, err, "has no namespaces of its own");
	return 0;
}

/* runsc gives its sandbox what it needs in the pod's user namespace, and the program nothing. */
static int check_rights(const char *status, const struct oci_runtime *r, struct err *err)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };

	if (field(status, "NoNewPrivs", 10) != 1)
		return wrong(r, err, "could gain privileges");
	for (size_t i = 0; r->kind != OCI_RUNSC && i < sizeof sets / sizeof sets[0]; i++)
		if (field(status, sets[i], 16) != 0)
			return wrong(r, err, "has capabilities");
	return 0;
}

static ino_t program_of(pid_t pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

int keeper_check_created(pid_t first, const struct oci_runtime *r, ino_t *ret_program, struct err *err)
{
	struct arena a = { 0 };
	const char *status = NULL;
	const int rc = read_status(first, &a, &status, err) < 0 ? -1 : check_rights(status, r, err);

	arena_free(&a);
	if (rc < 0 || check_namespaces(first, r, err) < 0)
		return -1;
	*ret_program = program_of(first);
	return 0;
}

/* One that has ended has nothing left to be looked at. */
static bool has_ended(const char *status)
{
	const char *state = strstr(status, "\nState:\t");

	return state && (state[8] == 'Z' || state[8] == 'X');
}

/* The filter comes right before the program, a moment after the runtime has said that it is started. */
int keeper_check_started(pid_t first, const struct oci_runtime *r, ino_t program, struct err *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	struct arena a = { 0 };
	const char *status = NULL;
	int rc = read_status(getpid(), &a, &status, err);
	const unsigned long long ours = rc == 0 ? field(status, "Seccomp_filters", 10) : 0;

	for (int i = 0; rc == 0; i++) {
		/* Asked for first: when it is another one, what is read next is of the program. */
		const ino_t now = program_of(first);

		rc = read_status(first, &a, &status, err);
		if (rc < 0 || has_ended(status))
			break;
		const unsigned long long filters = field(status, "Seccomp_filters", 10);

		if (filters != ~0ULL && filters > ours)
			break;
		if (i == TRIES || (r->kind != OCI_RUNSC && program && now && now != program))
			rc = wrong(r, err, "has no system-call filter");
		(void)nanosleep(&pause, NULL);
	}
	arena_free(&a);
	return rc;
}
