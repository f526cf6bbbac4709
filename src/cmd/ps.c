#include "cmd/cmd.h"

#include <time.h>

#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "engine/control.h"

/* POD, CONTAINER, STATE, RESTARTS, STARTED, ADDRESSES */
enum { COLUMNS = 6 };
struct row {
	const char *cells[COLUMNS];
	enum color color; /* of the state */
};

struct table {
	struct row *rows;
	size_t count;
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* started_at: "2026-11-25T10:00:00Z". */
static const char *age_of(const json_t *container, struct arena *a)
{
	struct tm tm = { 0 };

	if (!strptime(text_of(container, "started_at"), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return "-";
	const long long age = (long long)time(NULL) - (long long)timegm(&tm);

	if (age < 120)
		return arena_printf(a, "%llds ago", age < 0 ? 0 : age);
	if (age < 2 * 3600)
		return arena_printf(a, "%lldm ago", age / 60);
	return age < 48 * 3600 ? arena_printf(a, "%lldh ago", age / 3600) : arena_printf(a, "%lldd ago", age / 86400);
}

static const char *addresses_of(const json_t *pod, struct arena *a)
{
	const json_t *addresses = json_object_get(pod, "addresses");
	const char *text = "";

	for (size_t i = 0; i < json_array_size(addresses); i++) {
		const char *address = json_string_value(json_array_get(addresses, i));

		text = arena_printf(a, "%s%s%s", text, i ? " " : "", address ? address : "?");
	}
	return text;
}

static const char *state_of(const json_t *container, struct arena *a)
{
	const char *state = text_of(container, "state");

	return strcmp(state, "exited") == 0 || strcmp(state, "backoff") == 0
		       ? arena_printf(a, "%s (%lld)", state, number_of(container, "exit_code"))
		       : state;
}

static enum color color_of(const json_t *container)
{
	const char *state = text_of(container, "state");

	if (strcmp(state, "running") == 0)
		return COLOR_GREEN;
	return strcmp(state, "exited") == 0 && number_of(container, "exit_code") == 0 ? COLOR_DIM : COLOR_YELLOW;
}

static void add_pod(struct table *t, const json_t *pod, struct arena *a)
{
	const json_t *containers = json_object_get(pod, "containers");
	const char *name = text_of(pod, "name"), *addresses = addresses_of(pod, a);
	const char *state = json_is_false(json_object_get(pod, "attached")) ? "not attached" : "no container";

	if (json_array_size(containers) == 0)
		ARENA_PUSH(a, t->rows, t->count) = (struct row) { { name, "-", state, "-", "-", addresses }, COLOR_YELLOW };
	const bool bare = json_is_false(json_object_get(pod, "walls"));

	for (size_t i = 0; i < json_array_size(containers); i++) {
		const json_t *c = json_array_get(containers, i);
		const char *kind = json_is_true(json_object_get(c, "init")) ? " (init)" : "";
		const char *container = arena_printf(a, "%s%s", text_of(c, "name"), kind);
		const char *restarts = arena_printf(a, "%lld", number_of(c, "restarts"));

		ARENA_PUSH(a, t->rows, t->count) =
			(struct row) { { name, container,
					 bare ? arena_printf(a, "%s, WITHOUT WALLS", state_of(c, a)) : state_of(c, a), restarts,
					 age_of(c, a), addresses },
				       bare ? COLOR_RED : color_of(c) };
	}
}

static void print_table(const struct table *t)
{
	int width[COLUMNS] = { 0 };

	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			if ((int)strlen(t->rows[i].cells[k]) > width[k])
				width[k] = (int)strlen(t->rows[i].cells[k]);
	for (size_t i = 0; i < t->count; i++) {
		const char *const *c = t->rows[i].cells;

		printf("%-*s  %-*s  %s%-*s%s  %-*s  %-*s  %s\n", width[0], c[0], width[1], c[1],
		       say_color(stdout, t->rows[i].color), width[2], c[2], say_color(stdout, COLOR_PLAIN), width[3], c[3],
		       width[4], c[4], c[5]);
	}
}

/* Its connections are not in the gate's numbers. */
static void print_haproxy(const json_t *haproxy)
{
	const long long restarts = number_of(haproxy, "restarts"), old = number_of(haproxy, "old");

	if (haproxy)
		printf("haproxy %s, pid %lld, %lld restart%s, %lld older process%s with connections; it carries the pods' TCP, the "
		       "gate "
		       "their DNS\n",
		       text_of(haproxy, "state"), number_of(haproxy, "pid"), restarts, restarts == 1 ? "" : "s", old,
		       old == 1 ? "" : "es");
}

static void print_gate(const json_t *ps)
{
	const json_t *gate = json_object_get(ps, "gate");
	const long long restarts = number_of(gate, "restarts"), open = number_of(gate, "connections_open");
	const bool silent = json_is_false(json_object_get(gate, "answers"));

	printf("\ngate %s%s%s%s, pid %lld, %lld restart%s, %lld connection%s open; policy generation %lld, sha256 %.12s\n",
	       text_of(gate, "state"), say_color(stdout, COLOR_RED), silent ? ", but it does not answer" : "",
	       say_color(stdout, COLOR_PLAIN), number_of(gate, "pid"), restarts, restarts == 1 ? "" : "s", open,
	       open == 1 ? "" : "s", number_of(ps, "generation"), text_of(ps, "hash"));
	print_haproxy(json_object_get(ps, "haproxy"));
}

/* What the manifest asks for and is not there: without a row it would not be missed. */
static void add_not_started(struct table *t, const json_t *ps, struct arena *a)
{
	json_t *all = json_object_get(ps, "not_started");
	const char *name;
	json_t *why;

	json_object_foreach(all, name, why) ARENA_PUSH(a, t->rows, t->count) =
		(struct row) { { name, "-", "not started", "-", "-", "" }, COLOR_RED };
}

static void print_not_started(const json_t *ps)
{
	json_t *all = json_object_get(ps, "not_started");
	const char *name;
	json_t *why;

	json_object_foreach(all, name, why)
	{
		printf("pod %s is not started: ", name);
		say_shown(stdout, span_of(json_string_value(why)));
		(void)putchar('\n');
	}
}

static void print_people(const json_t *ps, struct arena *a)
{
	const json_t *pods = json_object_get(ps, "pods");
	struct table t = { 0 };

	ARENA_PUSH(a, t.rows, t.count) =
		(struct row) { { "POD", "CONTAINER", "STATE", "RESTARTS", "STARTED", "ADDRESSES" }, COLOR_PLAIN };
	for (size_t i = 0; i < json_array_size(pods); i++)
		add_pod(&t, json_array_get(pods, i), a);
	add_not_started(&t, ps, a);
	print_table(&t);
	print_gate(ps);
	print_not_started(ps);
	if (json_object_get(ps, "runtime"))
		printf("runtime %s\n", text_of(json_object_get(ps, "runtime"), "path"));
	if (text_of(ps, "reload_error")[0])
		printf("\n%sthe files on disk are not in force, they are broken:%s\n%s\n", say_color(stdout, COLOR_RED),
		       say_color(stdout, COLOR_PLAIN), text_of(ps, "reload_error"));
}

static int ps_run(const char *named, bool as_json, struct arena *a)
{
	struct err err = { 0 };
	const char *project = project_name(named, NULL, a, &err);
	json_t *reply = project ? control_call(project, json_pack("{s:s}", "verb", "ps"), NULL, NULL, 0, NULL, &err) : NULL;
	int status = 0;

	if (!reply)
		return say_err("ps", &err);
	(void)json_object_del(reply, "done");
	if (as_json)
		status = say_json(reply);
	else
		print_people(reply, a);
	json_decref(reply);
	return status;
}

int cmd_ps(int argc, char **argv)
{
	const char *project = NULL;
	bool as_json = false;
	const struct option_spec options[] = {
		OPTION_FLAG(0, "json", &as_json, "all there is to know, as JSON"),
		OPTION_PROJECT(&project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "ps",
		.operands = "",
		.about = "Shows the pods and containers of a project that is up, its gate, and which policy is in force.",
		.examples = "  stockade ps\n"
			    "  stockade ps --project demo --json",
		.options = options,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0)
		status = ps_run(project, as_json, &arena);
	arena_free(&arena);
	return status;
}
