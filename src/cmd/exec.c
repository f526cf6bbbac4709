/* exec: the supervisor gives the container's pid 1 and what its program was started with; the process is a child of this command.
 */
#include "cmd/cmd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/exit_status.h"
#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "cmd/target.h"
#include "engine/control.h"
#include "engine/runtime.h"
#include "pod/container.h"
#include "pod/keeper.h"
#include "process/terminal.h"

enum { UID_LIMIT = 65535 };

struct exec_options {
	const char *project, *workdir;
	const char *name; /* the container, as it was given */
	const char *const *argv;
	struct strings env;
	unsigned uid, gid; /* UINT_MAX: the container's own */
	bool interactive, terminal;
};

/* What the supervisor said of the container. */
struct inside {
	int pidfd;
	struct container_spec spec;
	struct oci_runtime runtime;
	const char *podman, *setting; /* Podman's id of the container, and what to set for its commands; NULL: one of our own */
};

static const struct target *find_target(const struct exec_options *o, const json_t *ps, struct arena *a, struct err *err)
{
	const struct targets all = targets_of_ps(ps, a);
	struct targets selected;

	if (target_select(&all, o->name, a, &selected, err) < 0)
		return NULL;
	return target_running(&selected, o->name, err);
}

static bool same_name(const char *a, const char *b)
{
	const size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && (b[n] == '=' || b[n] == '\0');
}

/* NAME=VALUE takes the place of an older one. */
static void env_put(struct strings *env, const char *entry, struct arena *a)
{
	for (size_t i = 0; i < env->count; i++)
		if (same_name(env->items[i], entry)) {
			env->items[i] = entry;
			return;
		}
	ARENA_PUSH(a, env->items, env->count) = entry;
}

static const char *const *make_env(const json_t *given, const struct exec_options *o, struct arena *a)
{
	struct strings env = { 0 };
	const char *term = getenv("TERM");

	for (size_t i = 0; i < json_array_size(given); i++)
		if (json_is_string(json_array_get(given, i)))
			ARENA_PUSH(a, env.items, env.count) = arena_strdup(a, json_string_value(json_array_get(given, i)));
	if (o->terminal && term)
		env_put(&env, arena_printf(a, "TERM=%s", term), a);
	for (size_t i = 0; i < o->env.count; i++)
		env_put(&env, o->env.items[i], a);
	ARENA_PUSH(a, env.items, env.count) = NULL;
	return env.items;
}

static void fill_spec(const struct exec_options *o, const json_t *reply, struct arena *a, struct container_spec *s)
{
	const char *cwd = json_string_value(json_object_get(reply, "cwd"));
	const char *cgroup = json_string_value(json_object_get(reply, "cgroup"));
	const json_int_t uid = json_integer_value(json_object_get(reply, "uid")),
			 gid = json_integer_value(json_object_get(reply, "gid"));

	*s = (struct container_spec) {
		.argv = o->argv,
		.envp = make_env(json_object_get(reply, "env"), o, a),
		.cwd = o->workdir ? o->workdir
		       : cwd      ? arena_strdup(a, cwd)
				  : NULL,
		.uid = o->uid <= UID_LIMIT ? o->uid : (uint32_t)uid,
		.gid = o->gid <= UID_LIMIT ? o->gid : (uint32_t)gid,
		.cgroup = cgroup ? arena_strdup(a, cgroup) : NULL,
		.uid_base = (uint32_t)json_integer_value(json_object_get(reply, "uid_base")),
		.netns = -1,
		.userns = -1,
	};
}

/* crun and runc make containers that can be entered as our own; into one of runsc only its own exec leads. */
static int use_runtime(const struct exec_options *o, const json_t *said, struct inside *p, struct err *err)
{
	const char *kind = json_string_value(json_object_get(said, "kind")),
		   *path = json_string_value(json_object_get(said, "path"));

	if (!kind || !path)
		return 0;
	p->spec.foreign = strcmp(kind, plan_oci_kind_name(OCI_RUNSC)) != 0;
	if (p->spec.foreign)
		return 0;
	p->runtime = (struct oci_runtime) { .kind = OCI_RUNSC, .overlays = json_is_true(json_object_get(said, "overlays")) };
	(void)snprintf(p->runtime.path, sizeof p->runtime.path, "%s", path);
	p->spec.runtime = &p->runtime;
	return runtime_check_text("an argument", o->argv, err) < 0 ? -1 : runtime_check_text("a variable", p->spec.envp, err);
}

static int enter(const struct exec_options *o, struct arena *a, struct inside *ret, struct err *err)
{
	json_t *ps = control_call(o->project, json_pack("{s:s}", "verb", "ps"), NULL, NULL, 0, NULL, err);
	const struct target *t = ps ? find_target(o, ps, a, err) : NULL;
	size_t count = 0;
	json_t *reply = NULL;

	if (t)
		reply = control_call(o->project,
				     json_pack("{s:s, s:s, s:s}", "verb", "enter", "pod", t->pod, "container", t->container), NULL,
				     &ret->pidfd, 1, &count, err);
	json_decref(ps);
	if (reply && count != 1) {
		(void)err_set(err, ERR_FAULT, "the supervisor gave no process to enter; see supervisor.log in the run directory");
		json_decref(reply);
		return -1;
	}
	if (!reply)
		return -1;
	const char *engine = json_string_value(json_object_get(reply, "engine"));

	if (engine && strcmp(engine, "podman") == 0) {
		ret->podman = arena_strdup(a, json_string_value(json_object_get(reply, "id")));
		ret->setting = arena_strdup(a, json_string_value(json_object_get(reply, "setting")));
	}
	fill_spec(o, reply, a, &ret->spec);
	const int rc = use_runtime(o, json_object_get(reply, "runtime"), ret, err);

	json_decref(reply);
	return rc;
}

/* The program's exit code, or -1. */
static int run_inside(const struct exec_options *o, struct inside *p, struct err *err)
{
	FD_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const int stdio[3] = { o->interactive ? STDIN_FILENO : null, STDOUT_FILENO, STDERR_FILENO };
	struct terminal terminal = { 0 };

	if (null < 0)
		return err_errno(err, "/dev/null");
	if (terminal_open(&terminal, stdio, &p->spec, err) < 0)
		return -1;
	const pid_t pid = container_enter(p->pidfd, &p->spec, NULL, NULL, err);
	const int code = pid > 0 ? terminal_run(&terminal, pid, err) : -1;

	terminal_leave(&terminal);
	keeper_appended(&p->spec);
	return code;
}

/* Podman enters its own containers; this process becomes it. */
static int become_podman(const struct exec_options *o, const struct inside *p, struct arena *a, struct err *err)
{
	struct strings argv = { 0 };
	const char *term = getenv("TERM");

	ARENA_PUSH(a, argv.items, argv.count) = "podman";
	ARENA_PUSH(a, argv.items, argv.count) = "exec";
	if (o->interactive)
		ARENA_PUSH(a, argv.items, argv.count) = "--interactive";
	if (o->terminal)
		ARENA_PUSH(a, argv.items, argv.count) = "--tty";
	if (o->uid <= UID_LIMIT)
		ARENA_PUSH(a, argv.items, argv.count) = arena_printf(a, "--user=%u:%u", o->uid, o->gid);
	if (o->workdir)
		ARENA_PUSH(a, argv.items, argv.count) = arena_printf(a, "--workdir=%s", o->workdir);
	if (o->terminal && term)
		ARENA_PUSH(a, argv.items, argv.count) = arena_printf(a, "--env=TERM=%s", term);
	for (size_t i = 0; i < o->env.count; i++)
		ARENA_PUSH(a, argv.items, argv.count) = arena_printf(a, "--env=%s", o->env.items[i]);
	ARENA_PUSH(a, argv.items, argv.count) = p->podman;
	for (size_t i = 0; o->argv[i]; i++)
		ARENA_PUSH(a, argv.items, argv.count) = o->argv[i];
	ARENA_PUSH(a, argv.items, argv.count) = NULL;
	if (putenv((char *)p->setting) != 0)
		return err_errno(err, "the environment of podman");
	(void)execvp(argv.items[0], (char *const *)argv.items);
	return err_errno(err, "podman cannot be run");
}

static int exec_run(const struct exec_options *o, struct arena *a)
{
	struct inside p = { .pidfd = -1 };
	struct err err = { 0 };

	if (enter(o, a, &p, &err) < 0)
		return say_err("exec", &err);
	const int code = p.podman ? become_podman(o, &p, a, &err) : run_inside(o, &p, &err);

	fd_close(&p.pidfd);
	return code < 0 ? exit_status_of("exec", &err) : code;
}

/* UID or UID:GID, numbers of the container. */
static bool read_user(const char *text, struct exec_options *o)
{
	char *end;
	const unsigned long uid = strtoul(text, &end, 10);
	unsigned long gid = uid;

	if (end == text || text[0] == '-' || text[0] == '+' || uid > UID_LIMIT)
		return false;
	if (*end == ':') {
		const char *group = end + 1;

		gid = strtoul(group, &end, 10);
		if (end == group || group[0] == '-' || group[0] == '+' || gid > UID_LIMIT)
			return false;
	}
	o->uid = (unsigned)uid;
	o->gid = (unsigned)gid;
	return *end == '\0';
}

static int check(struct exec_options *o, const struct arguments *given, const char *user)
{
	o->name = given->operands[0];
	o->argv = given->rest;
	if (!given->rest[0])
		return say_error("exec", "the command is missing: stockade exec %s -- CMD [ARG]...", o->name);
	if (user && !read_user(user, o))
		return say_error("exec", "--user takes numbers from 0 to %d, UID or UID:GID, not '%.40s'", UID_LIMIT, user);
	if (o->workdir && o->workdir[0] != '/')
		return say_error("exec", "--workdir takes an absolute path in the container, not '%.80s'", o->workdir);
	if (o->terminal && !isatty(STDIN_FILENO))
		return say_error("exec", "-t asks for a terminal, and standard input is none; leave -t out");
	for (size_t i = 0; i < o->env.count; i++)
		if (o->env.items[i][0] == '=' || !strchr(o->env.items[i], '='))
			return say_error("exec", "--env takes NAME=VALUE, not '%.80s'", o->env.items[i]);
	return -1;
}

int cmd_exec(int argc, char **argv)
{
	struct exec_options o = { .uid = ~0U, .gid = ~0U };
	const char *project = NULL, *user = NULL;
	const struct option_spec options[] = {
		OPTION_FLAG('i', "interactive", &o.interactive, "pass standard input on"),
		OPTION_FLAG('t', "tty", &o.terminal, "on a terminal of its own; standard input must be one"),
		OPTION_TEXT('u', "user", "UID[:GID]", &user, "as this user of the container"),
		OPTION_TEXT('w', "workdir", "DIR", &o.workdir, "in this directory of the container"),
		OPTION_MANY('e', "env", "NAME=VALUE", &o.env, "with this variable"),
		OPTION_PROJECT(&project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "exec",
		.operands = "POD[/CONTAINER] [--] CMD [ARG]...",
		.about = "Runs a command in a running container, within the same walls. The exit status is the command's; 126: it "
			 "cannot be\n"
			 "executed, 127: it is not there. Without /CONTAINER: the first container of the pod that runs.",
		.examples = "  stockade exec -it sandbox-pod -- bash\n"
			    "  stockade exec cli-pod/cli-app -- curl -sS https://storage.googleapis.com\n"
			    "  stockade exec -i cli-pod -- python3 - <script.py",
		.options = options,
		.least = 1,
		.most = 1,
		.rest = true,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	struct err err = { 0 };
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0)
		status = check(&o, &arguments, user);
	if (status < 0 && !(o.project = project_name(project, NULL, &arena, &err)))
		status = say_err("exec", &err);
	if (status < 0)
		status = exec_run(&o, &arena);
	arena_free(&arena);
	return status;
}
