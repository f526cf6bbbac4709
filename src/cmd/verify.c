#include "cmd/cmd.h"

#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "verify/verify.h"

enum { PROMISES = 10 };

/* docs/threat-model.md, in its order. */
static const char *const promises[PROMISES + 1] = {
	[0] = "The three checks of the seed",
	[1] = "Only wire",
	[2] = "Unforgeable identity",
	[3] = "Names, not strings",
	[4] = "No address tricks",
	[5] = "No DNS channel",
	[6] = "No borrowed names",
	[7] = "Jailed before born",
	[8] = "Fails closed",
	[9] = "Revocation is now",
	[10] = "The policy shown is the policy in force",
};

/* Results come pod by pod and are shown promise by promise, so they are kept. */
struct results {
	json_t *all;
	struct verify_totals totals;
};

static void take(void *arg, const struct probe_result *r)
{
	struct results *x = arg;

	(void)json_array_append_new(x->all, probe_result_json(r));
}

static const char *text_of(const json_t *probe, const char *key)
{
	const char *s = json_string_value(json_object_get(probe, key));

	return s ? s : "";
}

static enum color color_of(const char *result)
{
	if (strcmp(result, "passed") == 0)
		return COLOR_GREEN;
	return strcmp(result, "skipped") == 0 ? COLOR_DIM : strcmp(result, "unsupported") == 0 ? COLOR_YELLOW : COLOR_RED;
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
	return strcmp(text_of(a, key), text_of(b, key)) == 0;
}

/* How many pods gave a probe this result; what went wrong is told for each pod. 0: an earlier line tells it. */
static unsigned pods_alike(const struct results *x, size_t index)
{
	const json_t *probe = json_array_get(x->all, index);
	const bool bad = color_of(text_of(probe, "result")) == COLOR_RED;
	unsigned n = 0;

	for (size_t i = 0; !bad && i < json_array_size(x->all); i++) {
		const json_t *other = json_array_get(x->all, i);
		const bool alike = same(probe, other, "id") && same(probe, other, "result");

		if (alike && i < index)
			return 0;
		n += alike;
	}
	return bad ? 1 : n;
}

static void print_probe(const struct results *x, const json_t *probe, unsigned pods)
{
	const char *result = text_of(probe, "result"), *pod = text_of(probe, "pod");
	char many[32];

	(void)snprintf(many, sizeof many, "%u pods", pods);
	printf("  %s%-*s%s  %-14s  ", say_color(stdout, color_of(result)), x->totals.count[PROBE_UNSUPPORTED] ? 11 : 7, result,
	       say_color(stdout, COLOR_PLAIN),
	       pods > 1 ? many
	       : pod[0] ? pod
			: "project");
	say_shown(stdout, span_of(text_of(probe, "title")));
	if (text_of(probe, "detail")[0]) {
		printf(": %s", say_color(stdout, COLOR_DIM));
		say_shown(stdout, span_of(text_of(probe, "detail")));
		fputs(say_color(stdout, COLOR_PLAIN), stdout);
	}
	if (color_of(result) == COLOR_RED) {
		printf("\n%27s(%s; control: ", "", text_of(probe, "id"));
		say_shown(stdout, span_of(text_of(probe, "control")));
		fputs(")", stdout);
	}
	(void)putchar('\n');
}

/* The section of a probe: its promise, but the seed's own checks come first, together. */
static int section_of(const json_t *probe)
{
	return strncmp(text_of(probe, "id"), "seed-", 5) == 0 ? 0 : (int)json_integer_value(json_object_get(probe, "promise"));
}

static void print_section(const struct results *x, int section)
{
	bool headed = false;

	for (size_t i = 0; i < json_array_size(x->all); i++) {
		const json_t *probe = json_array_get(x->all, i);
		const unsigned pods = section_of(probe) == section ? pods_alike(x, i) : 0;

		if (pods == 0)
			continue;
		if (!headed && section)
			printf("%s%d. %s%s\n", say_color(stdout, COLOR_BOLD), section, promises[section],
			       say_color(stdout, COLOR_PLAIN));
		else if (!headed)
			printf("%s%s%s\n", say_color(stdout, COLOR_BOLD), promises[section], say_color(stdout, COLOR_PLAIN));
		headed = true;
		print_probe(x, probe, pods);
	}
}

static unsigned total_of(const struct results *x)
{
	unsigned n = 0;

	for (size_t i = 0; i < PROBE_OUTCOME_COUNT; i++)
		n += x->totals.count[i];
	return n;
}

static void print_people(const struct results *x)
{
	for (int section = 0; section <= PROMISES; section++)
		print_section(x, section);
	printf("\n%u probes: ", total_of(x));
	for (size_t i = 0; i < PROBE_OUTCOME_COUNT; i++) {
		const enum color color =
			i == PROBE_PASSED || i == PROBE_SKIPPED || x->totals.count[i] == 0 ? COLOR_PLAIN : COLOR_RED;

		if (i == PROBE_UNSUPPORTED && x->totals.count[i] == 0)
			continue;
		printf("%s%s%u %s%s", i ? ", " : "", say_color(stdout, color), x->totals.count[i],
		       probe_outcome_word((enum probe_outcome)i), say_color(stdout, COLOR_PLAIN));
	}
	printf("; policy generation %llu, sha256 %.12s\n", x->totals.generation, x->totals.hash);
}

static int print_json(const struct results *x)
{
	json_t *counts = json_object();

	for (size_t i = 0; i < PROBE_OUTCOME_COUNT; i++)
		(void)json_object_set_new(counts, probe_outcome_word((enum probe_outcome)i), json_integer(x->totals.count[i]));
	json_t *whole = json_pack("{s:O, s:o, s:I, s:s}", "probes", x->all, "totals", counts, "generation",
				  (json_int_t)x->totals.generation, "hash", x->totals.hash);
	const int status = whole ? say_json(whole) : ERR_FAULT;

	json_decref(whole);
	return status;
}

static int verdict(const struct results *x, bool accept_unsupported)
{
	const unsigned bad = x->totals.count[PROBE_FAILED] + x->totals.count[PROBE_BROKEN] +
			     (accept_unsupported ? 0 : x->totals.count[PROBE_UNSUPPORTED]);

	/* Nothing that passed is no proof either. */
	return bad || x->totals.count[PROBE_PASSED] == 0 ? ERR_FINDING : 0;
}

static int verify_project(const char *named, const char *pod, bool as_json, bool accept_unsupported, struct arena *a)
{
	struct results x = { .all = json_array() };
	struct err err = { 0 };
	const char *project = project_name(named, NULL, a, &err);
	const struct verify_options o = { .project = project, .pod = pod };
	int status = 0;

	if (!project || verify_run(&o, take, &x, &x.totals, &err) < 0)
		status = say_err("verify", &err);
	else if (as_json)
		status = print_json(&x);
	else
		print_people(&x);
	if (status == 0)
		status = verdict(&x, accept_unsupported);
	json_decref(x.all);
	return status;
}

int cmd_verify(int argc, char **argv)
{
	const char *project = NULL, *pod = NULL;
	bool as_json = false, accept_unsupported = false;
	const struct option_spec options[] = {
		OPTION_TEXT(0, "pod", "POD", &pod, "only this pod"),
		OPTION_FLAG(0, "json", &as_json, "every probe with what it saw, as JSON"),
		OPTION_FLAG(0, "accept-unsupported", &accept_unsupported,
			    "what the chosen gate cannot keep (docs/haproxy.md) is shown, but no reason for exit status 1"),
		OPTION_PROJECT(&project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "verify",
		.operands = "",
		.about = "Tries to get through every wall of a project that is up, from inside its pods and containers, and says "
			 "for each promise\n"
			 "of docs/threat-model.md whether it holds. Every probe has a control that must succeed; where that fails "
			 "the probe is\n"
			 "broken, which counts as a failure. Exit status 1 when anything failed, was broken, or is unsupported by "
			 "the "
			 "gate that was\n"
			 "chosen (--gate haproxy).",
		.examples = "  stockade verify\n"
			    "  stockade verify --pod cli-pod --json",
		.options = options,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0)
		status = verify_project(project, pod, as_json, accept_unsupported, &arena);
	arena_free(&arena);
	return status;
}
