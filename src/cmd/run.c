/* run: what the command may have is worked out here, from the command line alone: no configuration file and nothing but a few
 * harmless variables of the caller's environment has a say. */
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "cmd/exit_status.h"
#include "cmd/options.h"
#include "cmd/say.h"
#include "cmd/values.h"
#include "config/project.h"
#include "engine/runtime.h"
#include "engine/sandbox.h"
#include "engine/volumes.h"

enum {
	LIST_BYTES_MOST = 64 * 1024 * 1024,
	VOLUMES_MOST = 64,
	PIDS_USUAL = 4096,
	PIDS_MOST = 1000000,
	MEMORY_LEAST = 1024 * 1024,
	KILLED = 128 + SIGKILL
};

struct run_options {
	struct strings allow, allow_files, volumes, env, dns, limits;
	struct gate_limits gate_limits;
	const char *memory, *timeout, *workdir, *log, *runtime;
	unsigned pids;
};

struct run {
	struct arena *arena;
	struct sandbox_options sandbox;
	struct oci_runtime runtime;
	struct rule *rules;
	struct sandbox_volume volumes[VOLUMES_MOST + 1];
	size_t volume_count;
};

/* --- what it may reach --- */

static int read_rules(struct run *r, const struct run_options *o, struct err *err)
{
	size_t count = 0;

	for (size_t i = 0; i < o->allow_files.count; i++) {
		struct span text;

		if (fd_read_settled(o->allow_files.items[i], LIST_BYTES_MOST, r->arena, &text, err) < 0 ||
		    config_list_parse(text, o->allow_files.items[i], r->arena, &r->rules, &count, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < o->allow.count; i++) {
		struct rule rule;

		if (config_entry_parse(o->allow.items[i], "--allow", (unsigned)i + 1, r->arena, &rule, err) < 0)
			return -1;
		ARENA_PUSH(r->arena, r->rules, count) = rule;
	}
	r->sandbox.rules = r->rules;
	r->sandbox.rule_count = count;
	return 0;
}

/* --- what it may see --- */

static const char *way_out(struct run *r, const char *path, bool writable)
{
	FD_CLOSE int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? NULL : volume_way_out(fd, path, writable, r->arena);
}

static int add_volume(struct run *r, const char *given, struct err *err)
{
	const size_t n = strlen(given);
	const bool marked = n > 3 && (strcmp(given + n - 3, ":ro") == 0 || strcmp(given + n - 3, ":rw") == 0);
	const bool read_only = marked && given[n - 1] == 'o';
	const char *path = arena_span(r->arena, (struct span) { given, marked ? n - 3 : n });
	char real[PATH_MAX];
	struct stat st;

	if (r->volume_count == VOLUMES_MOST)
		return err_set(err, ERR_INPUT, "more than %d volumes", VOLUMES_MOST);
	if (!realpath(path, real) || stat(real, &st) < 0)
		return err_set(err, ERR_INPUT,
			       "-v %s: %s; a volume is a directory or file that is there, as in -v DIR or -v DIR:ro", given,
			       strerror(errno));
	const char *why = config_path_forbidden(real);

	if (why)
		return err_set(err, ERR_INPUT, "-v %s: %s is refused: %s", given, real, why);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "-v %s: only directories and files can be given", given);
	const char *way = way_out(r, real, !read_only);

	if (way)
		return err_set(err, ERR_INPUT, "-v %s: it reaches the host without a network: %s; give a directory without one",
			       given, way);
	r->volumes[r->volume_count++] = (struct sandbox_volume) { arena_strdup(r->arena, real), read_only };
	return 0;
}

/* A home directory, or one that holds some: it has keys and tokens, so it is given by name or not at all. */
static bool is_home(const char *path)
{
	const char *home = getenv("HOME");
	char real[PATH_MAX];

	if (home && realpath(home, real) && path_within(real, path))
		return true;
	if (path_within("/root", path) || path_within("/home", path))
		return true;
	return strncmp(path, "/home/", 6) == 0 && !strchr(path + 6, '/');
}

static bool covered(const struct run *r, const char *path)
{
	for (size_t i = 0; i < r->volume_count; i++)
		if (path_within(path, r->volumes[i].path))
			return true;
	return false;
}

/* NULL when the current directory may be given unasked. */
static const char *why_not(struct run *r, const char *cwd)
{
	const char *why = config_path_forbidden(cwd);

	if (why)
		return why;
	if (is_home(cwd))
		return "it is or holds a home directory";
	const char *way = way_out(r, cwd, false);

	return way ? arena_printf(r->arena, "it reaches the host without a network: %s", way) : NULL;
}

/* The current directory, read-only, unless a volume has it already or it is one that is not given unasked. */
static int add_cwd(struct run *r, struct err *err)
{
	char cwd[PATH_MAX];

	if (!getcwd(cwd, sizeof cwd) || cwd[0] != '/')
		return err_set(err, ERR_INPUT, "the current directory is gone; go to another");
	if (!covered(r, cwd)) {
		const char *why = why_not(r, cwd);

		if (why) {
			fprintf(stderr,
				"stockade run: note: the current directory is not in the sandbox: %s; -v DIR:ro gives one\n", why);
			return 0;
		}
		r->volumes[r->volume_count++] = (struct sandbox_volume) { arena_strdup(r->arena, cwd), true };
	}
	r->sandbox.cwd = arena_strdup(r->arena, cwd);
	return 0;
}

static int by_depth(const void *a, const void *b)
{
	const size_t n = strlen(((const struct sandbox_volume *)a)->path), m = strlen(((const struct sandbox_volume *)b)->path);

	return (n > m) - (n < m);
}

/* What it is given, and what every sandbox has. Any other directory would be made for it, empty, whatever the host has there. */
static bool in_sandbox(const struct run *r, const char *path)
{
	return strcmp(path, "/") == 0 || strcmp(path, "/tmp") == 0 || path_within(path, "/usr") || covered(r, path);
}

static int choose_workdir(struct run *r, const char *workdir, struct err *err)
{
	char real[PATH_MAX];
	struct stat st;

	if (!workdir)
		return 0;
	if (!realpath(workdir, real) || stat(real, &st) < 0)
		return err_set(err, ERR_INPUT, "--workdir %s: %s", workdir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INPUT, "--workdir %s: it is not a directory", workdir);
	if (!in_sandbox(r, real))
		return err_set(err, ERR_INPUT, "--workdir %s: it is not in the sandbox; -v %s:ro gives it, -v %s to write to",
			       workdir, workdir, workdir);
	r->sandbox.cwd = arena_strdup(r->arena, real);
	return 0;
}

/* Outer volumes before those inside them. */
static int read_volumes(struct run *r, const struct run_options *o, struct err *err)
{
	for (size_t i = 0; i < o->volumes.count; i++)
		if (add_volume(r, o->volumes.items[i], err) < 0)
			return -1;
	if (add_cwd(r, err) < 0)
		return -1;
	qsort(r->volumes, r->volume_count, sizeof r->volumes[0], by_depth);
	for (size_t i = 1; i < r->volume_count; i++)
		if (strcmp(r->volumes[i].path, r->volumes[i - 1].path) == 0)
			return err_set(err, ERR_INPUT, "-v %s is given twice", r->volumes[i].path);
	r->sandbox.volumes = r->volumes;
	r->sandbox.volume_count = r->volume_count;
	return choose_workdir(r, o->workdir, err);
}

/* A log that the command could change would be none. */
static int check_log(struct run *r, const char *log, struct err *err)
{
	char real[PATH_MAX];
	struct stat st;

	if (!log)
		return 0;
	const char *slash = strrchr(log, '/');
	const char *dir = !slash ? "." : slash == log ? "/" : arena_span(r->arena, (struct span) { log, (size_t)(slash - log) });

	/* One that is not there yet is made in dir; a link that leads nowhere would have it made who knows where. */
	if (!realpath(log, real) && (lstat(log, &st) == 0 || !realpath(dir, real)))
		return err_set(err, ERR_INPUT, "--log %s: %s", log, strerror(errno));
	for (size_t i = 0; i < r->volume_count; i++)
		if (!r->volumes[i].read_only && path_within(real, r->volumes[i].path))
			return err_set(err, ERR_INPUT,
				       "--log %s: the command could change it, it is in the writable volume %s; put it elsewhere",
				       log, r->volumes[i].path);
	r->sandbox.log = log;
	return 0;
}

/* --- environment and limits --- */

static int read_env(struct run *r, const struct run_options *o, struct err *err)
{
	static const char *const passed[] = { "LANG", "LC_ALL", "TZ" };
	struct strings env = { 0 };

	for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
		if (getenv(passed[i]))
			ARENA_PUSH(r->arena, env.items, env.count) = arena_printf(r->arena, "%s=%s", passed[i], getenv(passed[i]));
	for (size_t i = 0; i < o->env.count; i++) {
		const char *entry = o->env.items[i], *value = strchr(entry, '=') ? NULL : getenv(entry);

		if (entry[0] == '\0' || entry[0] == '=')
			return err_set(err, ERR_INPUT, "--env takes NAME=VALUE, or NAME to pass on the caller's");
		if (strchr(entry, '='))
			ARENA_PUSH(r->arena, env.items, env.count) = entry;
		else if (value)
			ARENA_PUSH(r->arena, env.items, env.count) = arena_printf(r->arena, "%s=%s", entry, value);
	}
	ARENA_PUSH(r->arena, env.items, env.count) = NULL;
	r->sandbox.env = env.items;
	return 0;
}

static int read_limits(struct run *r, const struct run_options *o, struct err *err)
{
	if (o->memory && !size_parse(o->memory, &r->sandbox.memory_limit))
		return err_set(err, ERR_INPUT, "--memory takes a size, as in 64M or 2G, not '%.40s'", o->memory);
	if (o->memory && r->sandbox.memory_limit < MEMORY_LEAST)
		return err_set(err, ERR_INPUT, "--memory takes at least 1M, not '%.40s'", o->memory);
	if (o->timeout && !duration_parse(o->timeout, &r->sandbox.timeout_ms))
		return err_set(err, ERR_INPUT, "--timeout takes a time, as in 10s, 5m or 2h, not '%.40s'", o->timeout);
	if (o->pids == 0 || o->pids > PIDS_MOST)
		return err_set(err, ERR_INPUT, "--pids takes 1 to %d", PIDS_MOST);
	r->sandbox.pids_limit = o->pids;
	return 0;
}

static int prepare(struct run *r, struct run_options *o, struct err *err)
{
	if (geteuid() != 0)
		return err_set(err, ERR_INPUT, "the built-in engine needs root: run it with sudo");
	ARENA_PUSH(r->arena, o->dns.items, o->dns.count) = NULL;
	r->sandbox.dns = o->dns.count > 1 ? o->dns.items : NULL;
	r->sandbox.limits = &o->gate_limits;
	if (o->runtime && (runtime_find(o->runtime, &r->runtime, err) < 0 || runtime_probe(&r->runtime, err) < 0))
		return -1;
	r->sandbox.runtime = o->runtime ? &r->runtime : NULL;
	if (read_limits(r, o, err) < 0 || read_rules(r, o, err) < 0 || read_volumes(r, o, err) < 0)
		return -1;
	return check_log(r, o->log, err) < 0 ? -1 : read_env(r, o, err);
}

static int run_run(struct run_options *o, const char *const *argv, struct arena *a)
{
	struct run r = { .arena = a, .sandbox = { .argv = argv } };
	struct err err = { 0 };

	if (prepare(&r, o, &err) < 0)
		return say_err("run", &err);
	const int code = sandbox_run(&r.sandbox, &err);

	if (code == KILLED && o->memory)
		fprintf(stderr, "stockade run: note: it was killed; where nobody did that, it needs more than --memory %s\n",
			o->memory);
	return code < 0 ? exit_status_of("run", &err) : code;
}

int cmd_run(int argc, char **argv)
{
	struct run_options o = { .pids = PIDS_USUAL };
	const struct option_spec options[] = {
		OPTION_MANY('a', "allow", "HOST", &o.allow, "it may reach this: an entry as in a list; may be repeated"),
		OPTION_MANY(0, "allow-file", "LIST", &o.allow_files, "it may reach what this list names; may be repeated"),
		OPTION_MANY('v', "volume", "DIR[:ro]", &o.volumes,
			    "it has this directory (or file), writable or read-only; may be repeated"),
		OPTION_MANY('e', "env", "NAME[=VALUE]", &o.env,
			    "it has this variable; without =VALUE the caller's; may be repeated"),
		OPTION_TEXT('w', "workdir", "DIR", &o.workdir, "it starts in this directory; default: the current one"),
		OPTION_TEXT('m', "memory", "SIZE", &o.memory, "it may use so much memory: 64M, 2G"),
		OPTION_NUMBER(0, "pids", "N", &o.pids, "it may have so many processes and threads; default: 4096"),
		OPTION_TEXT('t', "timeout", "TIME", &o.timeout,
			    "it is ended after this: 500ms, 10s (or 10), 5m, 2h; exit status 124 then"),
		OPTION_MANY(0, "dns", "ADDR[:PORT]", &o.dns,
			    "names are resolved there instead of by the host's resolver; may be repeated"),
		OPTION_MANY(0, "limit", "NAME=VALUE", &o.limits,
			    "another limit of the gate than the default, see stockade(1); may be repeated"),
		OPTION_TEXT(0, "runtime", "NAME", &o.runtime, RUNTIME_HELP),
		OPTION_TEXT(0, "log", "FILE", &o.log, "every decision goes here, one JSON object a line"),
		OPTION_END,
	};
	const struct command command = {
		.verb = "run",
		.operands = "[--] CMD [ARG]...",
		.about = "Runs one command in a sandbox of its own, on the host's /usr read-only: no network but what --allow "
			 "names, the current\n"
			 "directory read-only, nothing else of the host's files. When it ends, by itself or by force, nothing is "
			 "left. The exit\n"
			 "status is the command's; 124: the time is up, 126: it cannot be executed, 127: it is not there.",
		.examples = "  stockade run -- python3 script.py\n"
			    "  stockade run --allow pypi.org --allow files.pythonhosted.org -v ./out -- ./build.sh\n"
			    "  stockade run --memory 512M --pids 100 --timeout 5m -- make test",
		.options = options,
		.rest = true,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0 && !arguments.rest[0])
		status = say_error("run", "the command is missing: stockade run [OPTION]... -- CMD [ARG]...");
	if (status < 0)
		status = dns_check("run", &o.dns);
	if (status < 0)
		status = limits_read("run", &o.limits, &o.gate_limits);
	if (status < 0)
		status = run_run(&o, arguments.rest, &arena);
	arena_free(&arena);
	return status;
}
