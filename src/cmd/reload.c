#include "cmd/cmd.h"

#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "engine/control.h"

static int reload_run(const char *named, bool as_json, struct arena *a)
{
	struct err err = { 0 };
	const char *project = project_name(named, NULL, a, &err);
	json_t *reply = project ? control_call(project, json_pack("{s:s}", "verb", "reload"), as_json ? NULL : say_line, NULL, 0,
					       NULL, &err)
				: NULL;
	int status = 0;

	if (!reply)
		return say_err("reload", &err);
	const json_int_t generation = json_integer_value(json_object_get(reply, "generation"));
	const json_int_t revoked = json_integer_value(json_object_get(reply, "revoked"));
	const json_int_t ending = json_integer_value(json_object_get(reply, "ending_s")); /* HAProxy's */
	const char *hash = json_string_value(json_object_get(reply, "hash"));

	(void)json_object_del(reply, "done");
	if (as_json)
		status = say_json(reply);
	else if (ending)
		printf("generation %lld in force (sha256 %.12s), connections of the one before end within %lld s\n",
		       (long long)generation, hash ? hash : "unknown", (long long)ending);
	else
		printf("generation %lld in force (sha256 %.12s), %lld tunnel%s closed\n", (long long)generation,
		       hash ? hash : "unknown", (long long)revoked, revoked == 1 ? "" : "s");
	json_decref(reply);
	return status;
}

int cmd_reload(int argc, char **argv)
{
	const char *project = NULL;
	bool as_json = false;
	const struct option_spec options[] = {
		OPTION_FLAG(0, "json", &as_json, "generation, hash and closed tunnels as JSON"),
		OPTION_PROJECT(&project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "reload",
		.operands = "",
		.about = "Reads all lists again and puts them in force together; tunnels that they no longer allow are closed, all "
			 "others are not\n"
			 "touched. A broken list changes nothing and is told with its place. (A changed file is noticed without "
			 "this command;\n"
			 "this one waits until the new policy is in force, and says so.)",
		.examples = "  echo example.com >>lists/cli_domains.lst && stockade reload",
		.options = options,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0)
		status = reload_run(project, as_json, &arena);
	arena_free(&arena);
	return status;
}
