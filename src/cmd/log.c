/* log: the gate's decisions, as it wrote them (--json) or one readable line each. */
#include "cmd/cmd.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/follow.h"
#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "engine/control.h"

struct log_options {
	const char *project, *pod;
	unsigned last; /* lines that fit, at the end; FOLLOW_ALL */
	bool follow, json, denied;
	/* while history is read with --tail: the last lines that fit, in a ring */
	char **ring;
	size_t ring_used;
	bool live, seen; /* seen: a line of --pod */
	struct arena *arena;
};

static const char *text_of(const json_t *line, const char *key)
{
	const char *s = json_string_value(json_object_get(line, key));

	return s ? s : "";
}

/* What a pod may have chosen: any bytes, NUL too. */
static void print_shown(const json_t *line, const char *key)
{
	const json_t *s = json_object_get(line, key);

	say_shown_word(stdout, (struct span) { text_of(line, key), json_string_length(s) });
}

static bool fits(struct log_options *o, const json_t *line)
{
	if (o->pod && strcmp(text_of(line, "client"), o->pod) != 0)
		return false;
	o->seen = true;
	return !o->denied || strcmp(text_of(line, "verdict"), "deny") == 0;
}

/* "storage.googleapis.com:443", "1.1.1.1:9999", "-" */
static void print_destination(const json_t *line)
{
	const json_t *host = json_object_get(line, "host");
	const char *key = json_string_length(host) ? "host" : "address";
	const json_int_t port = json_integer_value(json_object_get(line, "port"));
	const char *name = text_of(line, key);
	const bool bare_v6 = strchr(name, ':') && name[0] != '[';

	if (!json_string_length(json_object_get(line, key))) {
		fputs("-", stdout);
		return;
	}
	fputs(bare_v6 ? "[" : "", stdout);
	print_shown(line, key);
	fputs(bare_v6 ? "]" : "", stdout);
	if (port)
		printf(":%lld", (long long)port);
}

static void print_people(const json_t *line)
{
	const bool allow = strcmp(text_of(line, "verdict"), "allow") == 0;
	const json_int_t up = json_integer_value(json_object_get(line, "bytes_up")),
			 down = json_integer_value(json_object_get(line, "bytes_down"));

	print_shown(line, "time");
	printf("  %s%-5s%s  ", say_color(stdout, allow ? COLOR_GREEN : COLOR_RED), allow ? "allow" : "deny",
	       say_color(stdout, COLOR_PLAIN));
	print_shown(line, "client");
	printf("  %s  ", text_of(line, "adapter"));
	print_destination(line);
	printf("  %s", text_of(line, "reason"));
	if (text_of(line, "detail")[0]) {
		fputs(" (", stdout);
		print_shown(line, "detail");
		fputs(")", stdout);
	}
	if (text_of(line, "rule")[0]) {
		fputs("  ", stdout);
		print_shown(line, "rule");
	}
	if (strcmp(text_of(line, "event"), "open") == 0)
		fputs("  open", stdout); /* another line follows when it is closed */
	else if (up || down)
		printf("  %lld bytes up, %lld down", (long long)up, (long long)down);
	(void)putchar('\n');
}

static void print_line(const struct log_options *o, struct span text, const json_t *line)
{
	if (o->json)
		printf("%.*s\n", (int)text.n, text.p);
	else
		print_people(line);
}

static void keep(struct log_options *o, struct span text)
{
	if (o->last == 0)
		return;
	char **slot = &o->ring[o->ring_used++ % o->last];

	free(*slot);
	*slot = strndup(text.p, text.n);
}

static void take(struct follow *f, struct span text, bool ended)
{
	struct log_options *o = f->arg;
	json_t *line = ended ? json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL) : NULL;

	if (line && fits(o, line)) {
		if (o->live || o->last == FOLLOW_ALL)
			print_line(o, text, line);
		else
			keep(o, text);
	}
	json_decref(line);
}

static void print_kept(struct log_options *o)
{
	const size_t n = o->ring_used < o->last ? o->ring_used : o->last;

	for (size_t i = o->ring_used - n; i < o->ring_used; i++) {
		char **slot = &o->ring[i % o->last];
		json_t *line = *slot ? json_loads(*slot, JSON_ALLOW_NUL, NULL) : NULL;

		if (line)
			print_line(o, span_of(*slot), line);
		json_decref(line);
		free(*slot);
		*slot = NULL;
	}
	(void)fflush(stdout);
}

/* A pod that is misspelt would look like one that was never denied anything. */
static int check_pod(const struct log_options *o, struct err *err)
{
	struct err why = { 0 };
	json_t *ps = control_call(o->project, json_pack("{s:s}", "verb", "ps"), NULL, NULL, 0, NULL, &why);
	const json_t *pods = json_object_get(ps, "pods");
	const char *names = "";
	bool known =
		!ps || json_object_get(json_object_get(ps, "not_started"), o->pod); /* who is not answered does not know better */

	for (size_t i = 0; i < json_array_size(pods); i++) {
		const char *name = text_of(json_array_get(pods, i), "name");

		known = known || strcmp(name, o->pod) == 0;
		if (strlen(names) < 600)
			names = arena_printf(o->arena, "%s%s%s", names, i ? ", " : "", name);
	}
	json_decref(ps);
	if (known)
		return 0;
	return err_set(err, ERR_INPUT, "no pod has the name '%.80s', nor is one in the log%s%s", o->pod,
		       names[0] ? "; there are: " : "", names);
}

static int show(struct log_options *o, struct err *err)
{
	char dir[PATH_MAX];
	struct follow f = { .on_line = take, .arg = o, .project = o->project, .once = !o->follow };

	if (control_run_dir(o->project, dir, sizeof dir, err) < 0)
		return -1;
	const char *path = arena_printf(o->arena, "%s/decisions.log", dir);

	if (access(path, R_OK) < 0)
		return err_set(err, ERR_FINDING,
			       "project '%s' has no decision log that you may read; 'stockade up', as root, starts a project",
			       o->project);
	if (o->last != FOLLOW_ALL)
		o->ring = arena_array(o->arena, o->last + 1, sizeof *o->ring);
	follow_file(&f, path, NULL, o->arena);
	int result = follow_history(&f, FOLLOW_ALL, err);

	if (o->last != FOLLOW_ALL)
		print_kept(o);
	if (result == 0 && o->pod && !o->seen)
		result = check_pod(o, err);
	o->live = true;
	if (result == 0 && o->follow)
		result = follow_run(&f, err);
	follow_end(&f);
	return result;
}

static int log_run(struct log_options *o)
{
	struct err err = { 0 };

	o->project = project_name(o->project, NULL, o->arena, &err);
	if (!o->project || show(o, &err) < 0)
		return say_err("log", &err);
	return 0;
}

enum { LAST_MOST = 1000000 };

int cmd_log(int argc, char **argv)
{
	struct arena arena = { 0 };
	struct log_options o = { .last = FOLLOW_ALL, .arena = &arena };
	const struct option_spec options[] = {
		OPTION_FLAG('f', "follow", &o.follow, "go on with each decision as it is made"),
		OPTION_NUMBER('n', "tail", "N", &o.last, "only the last N (of those that fit)"),
		OPTION_FLAG('d', "denied", &o.denied, "only what was denied"),
		OPTION_TEXT(0, "pod", "POD", &o.pod, "only of this pod"),
		OPTION_FLAG(0, "json", &o.json, "as the gate wrote them, one JSON object a line"),
		OPTION_PROJECT(&o.project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "log",
		.operands = "",
		.about = "Shows the gate's decisions: when, allow or deny, who asked, how, for what, why, and by which line of "
			 "which list.",
		.examples = "  stockade log -f --denied\n"
			    "  stockade log --pod cli-pod -n 20\n"
			    "  stockade log --json | jq .host",
		.options = options,
	};
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0 && o.last != FOLLOW_ALL && o.last > LAST_MOST)
		status = say_error("log", "--tail takes at most %d", LAST_MOST);
	if (status < 0)
		status = log_run(&o);
	arena_free(&arena);
	return status;
}
