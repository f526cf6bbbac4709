/* What OCI runtimes are given: the bundle's config.json, byte for byte as in tests/cases/oci, read back as JSON; command lines; and what
 * is made of what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "golden.h"
#include "plan/oci.h"

static struct arena arena;

static const char *const argv[] = { "sh", "-c", "echo \"quoted\\path\"\n\t\x7f\xc3\xa9", "", NULL };
static const char *const envp[] = { "PATH=/usr/bin:/bin", "EMPTY=", "A=b=c", NULL };

static struct oci_container container(void)
{
	return (struct oci_container) {
		.process = { .argv = argv,
			     .envp = envp,
			     .cwd = "/work",
			     .uid = 1000,
			     .gid = 7,
			     .files_soft = 1024,
			     .files_hard = 4096 },
		.hostname = "cli-pod",
		.seccomp = "{\"defaultAction\":\"SCMP_ACT_ERRNO\"}\n",
	};
}

static void compare(const char *name, const char *text)
{
	golden_compare(arena_printf(&arena, "oci/%s", name), span_of(text));
}

static json_t *parse(const char *text)
{
	json_error_t why;
	json_t *whole = json_loads(text, 0, &why);

	if (!whole)
		fail_msg("%d:%d: %s", why.line, why.column, why.text);
	return whole;
}

static void test_config(void **state)
{
	const struct oci_container c = container();
	const char *text = plan_oci_config(&c, &arena);
	json_t *config = parse(text), *process = json_object_get(config, "process"),
	       *sets = json_object_get(process, "capabilities");
	const char *key;
	json_t *value;
	size_t i;

	compare("config.json", text);
	json_array_foreach(json_object_get(process, "args"), i, value) assert_string_equal(json_string_value(value), argv[i]);
	assert_int_equal(i, 4);
	json_array_foreach(json_object_get(process, "env"), i, value) assert_string_equal(json_string_value(value), envp[i]);
	assert_int_equal(i, 3);
	assert_true(json_is_true(json_object_get(process, "noNewPrivileges")));
	assert_int_equal(json_object_size(sets), 5);
	json_object_foreach(sets, key, value) assert_int_equal(json_array_size(value), 0);
	/* The pod's network and users are inherited: a namespace of its own, or one by path, would be another. */
	json_array_foreach(json_object_get(json_object_get(config, "linux"), "namespaces"), i, value)
	{
		const char *type = json_string_value(json_object_get(value, "type"));

		assert_string_not_equal(type, "network");
		assert_string_not_equal(type, "user");
		assert_null(json_object_get(value, "path"));
	}
	assert_int_equal(i, 5);
	json_decref(config);
}

static void test_process(void **state)
{
	struct oci_container c = container();

	c.process.cwd = NULL;
	c.process.terminal = true;
	const char *text = plan_oci_process(&c.process, &arena);
	json_t *process = parse(text);

	compare("process.json", text);
	assert_true(json_is_true(json_object_get(process, "terminal")));
	assert_string_equal(json_string_value(json_object_get(process, "cwd")), "/");
	json_decref(process);
}

static void test_command_lines(void **state)
{
	const char *text = "";

	for (int kind = 0; kind < OCI_KIND_COUNT; kind++) {
		struct oci_runtime r = { .kind = (enum oci_kind)kind, .overlays = kind == OCI_RUNSC };

		(void)snprintf(r.path, sizeof r.path, "/usr/bin/%s", plan_oci_kind_name(r.kind));
		for (int verb = 0; verb < OCI_VERB_COUNT; verb++) {
			const char *const *words =
				plan_oci_argv(&r, (enum oci_verb)verb, "id", verb == OCI_CREATE, "/proc/self/fd/3", &arena);

			for (size_t i = 0; words[i]; i++)
				text = arena_printf(&arena, "%s%s%s", text, i ? " " : "", words[i]);
			text = arena_printf(&arena, "%s\n", text);
		}
	}
	compare("commands.txt", text);
}

static void test_ids(void **state)
{
	const char *one = plan_oci_id("stockade-demo-1-pod.a", &arena), *other = plan_oci_id("stockade-demo-1-pod.b", &arena);

	assert_string_not_equal(one, other);
	assert_string_equal(one, plan_oci_id("stockade-demo-1-pod.a", &arena));
	assert_int_equal(strspn(one, "stockade-0123456789bcef"), strlen(one));
}

static void test_kinds(void **state)
{
	assert_int_equal(plan_oci_kind("runc version 1.1.5+ds1\ncommit: x\n"), OCI_RUNC);
	assert_int_equal(plan_oci_kind("crun version 1.8.1\n"), OCI_CRUN);
	assert_int_equal(plan_oci_kind("runsc version 0.0~20221219.0\n"), OCI_RUNSC);
	assert_int_equal(plan_oci_kind("runcible 1\n"), OCI_OTHER);
	assert_int_equal(plan_oci_kind("youki version 0.3\n"), OCI_OTHER);
	assert_int_equal(plan_oci_kind(""), OCI_OTHER);
}

static void test_reasons(void **state)
{
	static const char *const list[][2] = {
		{ "time=\"2026\" level=warning msg=\"first\"\ntime=\"2026\" level=error msg=\"exec: \\\"x\\\": not\\nthere\"\n",
		  "exec: \"x\": not there" },
		{ "{\"msg\":\"a \\\"b\\\" c\",\"level\":\"error\",\"time\":\"2026\"}\n", "a \"b\" c" },
		{ "2026-11-25T10:00:00.000000Z: open executable: Operation not permitted\n",
		  "open executable: Operation not permitted" },
		{ "plain\x1b[31m words\r\n\n", "plain [31m words" },
		{ "msg=\"without an end\\", "without an end\\" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		assert_string_equal(plan_oci_reason(span_of(list[i][0]), &arena), list[i][1]);
}

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

int main(int argc, char **args)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config), cmocka_unit_test(test_process), cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_ids),    cmocka_unit_test(test_kinds),   cmocka_unit_test(test_reasons),
	};

	golden_begin(argc, args);
	return cmocka_run_group_tests(tests, NULL, end);
}
