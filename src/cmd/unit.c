/* unit: nothing is asked of the project's supervisor, and nothing is put where systemd looks unless --output says so. */
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "cmd/up.h"
#include "config/project.h"
#include "config/utf8.h"
#include "engine/control.h"
#include "engine/podman_files.h"
#include "engine/runtime.h"
#include "plan/unit.h"
#include "process/owner.h"

struct unit_options {
	struct up_options up;
	const char *output;
	bool quadlet;
};

struct writer {
	const char *dir; /* NULL: standard output */
	int fd;
	struct arena *arena;
};

/* --- what is written where --- */

/* Beside, then in its place. */
static int write_file(const struct writer *w, const char *name, const char *text, struct err *err)
{
	const char *beside = arena_printf(w->arena, ".%s.new", name);

	(void)unlinkat(w->fd, beside, 0);
	FD_CLOSE int fd = openat(w->fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	const int rc = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	if (rc < 0 || fchmod(fd, 0644) < 0 || renameat(w->fd, beside, w->fd, name) < 0) {
		errno = rc < 0 ? -rc : errno;
		return err_errno(err, "%s/%s", w->dir, name);
	}
	printf("%s/%s\n", w->dir, name);
	return 0;
}

static int put(const struct writer *w, const char *name, const char *text, const char *why, struct err *err)
{
	if (!text)
		return err_set(err, ERR_INPUT, "%s", why);
	if (w->dir)
		return write_file(w, name, text, err);
	fputs(text, stdout);
	return 0;
}

static int put_all(const struct writer *w, const struct unit *u, const struct manifest *m, bool quadlet, struct err *err)
{
	const char *why = NULL, *text = plan_unit(u, w->arena, &why);

	if (put(w, plan_unit_name(u, w->arena), text, why, err) < 0)
		return -1;
	for (size_t i = 0; quadlet && i < m->pod_count; i++) {
		const char *pod = m->pods[i].name;

		if (m->pods[i].gate)
			continue;
		if (!w->dir)
			(void)putchar('\n');
		text = plan_unit_quadlet(u, pod, w->arena, &why);
		if (put(w, plan_unit_quadlet_name(u, pod, w->arena), text, why, err) < 0)
			return -1;
	}
	return 0;
}

static int write_units(const struct unit_options *o, const struct unit *u, const struct manifest *m, struct arena *a,
		       struct err *err)
{
	struct writer w = { .dir = o->output, .fd = -1, .arena = a };

	if (o->output) {
		w.fd = open(o->output, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (w.fd < 0)
			return err_set(err, ERR_INPUT, "--output %s: %s", o->output, strerror(errno));
	}
	const int rc = put_all(&w, u, m, o->quadlet, err);

	fd_close(&w.fd);
	return rc;
}

/* --- what is in it --- */

static void add_option(struct strings *s, const char *name, const char *value, struct arena *a)
{
	if (value)
		ARENA_PUSH(a, s->items, s->count) = arena_printf(a, "--%s=%s", name, value);
}

static void add_up(struct strings *s, const struct up_options *o, struct arena *a)
{
	add_option(s, "engine", o->engine, a);
	add_option(s, "gate", strcmp(o->gate, "builtin") == 0 ? NULL : o->gate, a);
	add_option(s, "runtime", o->runtime, a);
	add_option(s, "network", o->network, a);
	if (o->host_root)
		ARENA_PUSH(a, s->items, s->count) = "--host-root";
	for (size_t i = 0; i < o->dns.count; i++)
		add_option(s, "dns", o->dns.items[i], a);
	for (size_t i = 0; i < o->limits.count; i++)
		add_option(s, "limit", o->limits.items[i], a);
	if (o->workers)
		add_option(s, "workers", arena_printf(a, "%u", o->workers), a);
}

/* Where this project's directories are is told by the environment: so it is to the unit. */
static void add_environment(struct strings *s, struct arena *a)
{
	static const char *const names[] = { "STOCKADE_RUN_DIR", "STOCKADE_STATE_DIR" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *value = secure_getenv(names[i]);

		if (value && value[0])
			ARENA_PUSH(a, s->items, s->count) = arena_printf(a, "%s=%s", names[i], value);
	}
}

static int check_text(const struct unit *u, struct err *err)
{
	if (!utf8_valid(span_of(u->manifest)) || !utf8_valid(span_of(u->program)))
		return err_set(err, ERR_INPUT, "a path that is no UTF-8 cannot be put into a unit: %.200s", u->manifest);
	for (size_t i = 0; i < u->up.count; i++)
		if (!utf8_valid(span_of(u->up.items[i])))
			return err_set(err, ERR_INPUT, "an option that is no UTF-8 cannot be put into a unit");
	return 0;
}

/* All but its project's name. */
static int fill(struct unit *u, const struct unit_options *o, struct arena *a, struct err *err)
{
	char program[PATH_MAX], manifest[PATH_MAX], run_dir[PATH_MAX], podman[PODMAN_PATH];
	const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

	if (n < 0 || !realpath(o->up.file, manifest))
		return err_errno(err, "%s", n < 0 ? "/proc/self/exe" : o->up.file);
	program[n] = '\0';
	if (control_run_dir(u->project, run_dir, sizeof run_dir, err) < 0 || podman_dir(u->project, podman, err) < 0)
		return -1;
	u->program = arena_strdup(a, program);
	u->manifest = arena_strdup(a, manifest);
	u->run_dir = arena_strdup(a, run_dir);
	u->podman_dir = arena_strdup(a, podman);
	u->podman = strcmp(o->up.engine, "podman") == 0;
	add_up(&u->up, &o->up, a);
	add_environment(&u->environment, a);
	return check_text(u, err);
}

/* At boot both are root's to run and to obey. */
static int check_owners(const struct unit *u, struct err *err)
{
	struct err why = { 0 };

	if (owner_check("the program", u->program, err) < 0)
		return -1;
	if (owner_check("the manifest", u->manifest, &why) < 0)
		(void)fprintf(stderr, "stockade unit: warning: %s; whoever can, decides at every boot what root starts\n",
			      why.text);
	return 0;
}

static int unit_run(const struct unit_options *o, struct arena *a)
{
	struct unit u = { 0 };
	struct manifest *m = NULL;
	struct err err = { 0 };

	if (config_load(o->up.file, a, &m, &err) < 0)
		return say_err("unit", &err);
	u.project = project_name(o->up.project, m->project_dir, a, &err);
	if (!u.project || fill(&u, o, a, &err) < 0 || check_owners(&u, &err) < 0 || write_units(o, &u, m, a, &err) < 0)
		return say_err("unit", &err);
	return 0;
}

static int check(const struct unit_options *o)
{
	const bool podman = strcmp(o->up.engine, "podman") == 0;
	struct oci_runtime runtime;
	struct err err = { 0 };
	const int status = up_check("unit", &o->up);

	if (status >= 0)
		return status;
	if (!podman && !o->up.host_root)
		return say_error("unit", "the built-in engine does not run images yet; give --host-root, or --engine podman");
	if (o->quadlet && (!podman || o->up.network))
		return say_error("unit", "--quadlet is for pods on Podman without a network: --engine podman, no --network");
	if (o->up.runtime && runtime_find(o->up.runtime, &runtime, &err) < 0)
		return say_err("unit", &err);
	return -1;
}

int cmd_unit(int argc, char **argv)
{
	struct unit_options o = { .up = { .file = MANIFEST_DEFAULT, .engine = "builtin", .gate = "builtin" } };
	const struct option_spec options[] = {
		OPTION_TEXT('f', "file", "FILE", &o.up.file, "the manifest; default: " MANIFEST_DEFAULT),
		OPTION_TEXT('p', "project", "NAME", &o.up.project, "the project's name; default: that of the manifest's directory"),
		OPTION_TEXT('o', "output", "DIR", &o.output, "write the files there, as in /etc/systemd/system, and say which"),
		OPTION_TEXT(0, "engine", "NAME", &o.up.engine, "as of 'stockade up', like those that follow"),
		OPTION_TEXT(0, "gate", "NAME", &o.up.gate, "builtin or haproxy"),
		OPTION_TEXT(0, "runtime", "NAME", &o.up.runtime, "builtin: " RUNTIME_HELP),
		OPTION_TEXT(0, "network", "FORM", &o.up.network, "podman: none or bridge"),
		OPTION_FLAG(0, "host-root", &o.up.host_root, "builtin: every image is the host's own /usr, read-only"),
		OPTION_MANY(0, "dns", "ADDR[:PORT]", &o.up.dns, "the gate asks this resolver"),
		OPTION_MANY(0, "limit", "NAME=VALUE", &o.up.limits, "another limit of the gate"),
		OPTION_NUMBER(0, "workers", "N", &o.up.workers, "the gate's threads"),
		OPTION_FLAG(0, "quadlet", &o.quadlet, "podman: a .kube file for each pod too, for Podman 4.5 and later"),
		OPTION_END,
	};
	const struct command command = {
		.verb = "unit",
		.operands = "",
		.about = "Prints a unit of systemd that starts a project at boot, reloads its lists on 'systemctl reload', starts "
			 "it "
			 "again when its\n"
			 "supervisor is killed, and stops it at shutdown.",
		.examples = "  stockade unit --host-root --output /etc/systemd/system\n"
			    "  stockade unit -f /srv/demo/pods.yaml --engine podman\n"
			    "  systemctl daemon-reload; systemctl enable --now stockade-demo",
		.options = options,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0)
		status = check(&o);
	if (status < 0)
		status = unit_run(&o, &arena);
	arena_free(&arena);
	return status;
}
