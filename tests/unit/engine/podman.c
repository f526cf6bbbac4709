/* The files of a project on Podman, and programs that are run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/fd.h"
#include "engine/podman_files.h"
#include "process/program.h"
#include "process/run_dir.h"

static struct arena arena;
static struct err err;
static char root[] = "/tmp/stockade-podman-XXXXXX";

static int begin(void **state)
{
	return mkdtemp(root) && setenv("STOCKADE_STATE_DIR", root, 1) == 0 && setenv("STOCKADE_RUN_DIR", "/run/other", 1) == 0 ? 0
															       : -1;
}

static int end(void **state)
{
	arena_free(&arena);
	return run_dir_remove(root, &err);
}

static const char *text_of(const char *path)
{
	struct span text = { "", 0 };

	if (fd_read_file(path, 1024 * 1024, &arena, &text, &err) < 0)
		fail_msg("%s", err.text);
	return text.p;
}

/* --- files --- */

static void test_where(void **state)
{
	char dir[PODMAN_PATH];

	assert_int_equal(podman_dir("a.b-1", dir, &err), 0);
	assert_string_equal(dir, arena_printf(&arena, "%s/a.b-1/podman", root));
	assert_int_equal(podman_dir("../x", dir, &err), -1);
	assert_int_equal(setenv("STOCKADE_STATE_DIR", "relative", 1), 0);
	assert_int_equal(podman_dir("a", dir, &err), -1);
	assert_int_equal(setenv("STOCKADE_STATE_DIR", root, 1), 0);
}

static void test_files(void **state)
{
	char dir[PODMAN_PATH];
	struct stat st;
	json_error_t why;

	assert_int_equal(podman_dir("a.b-1", dir, &err), 0);
	/* Twice: they are written in place of older ones. */
	for (int i = 0; i < 2; i++)
		if (podman_files_make("a.b-1", dir, false, &err) < 0)
			fail_msg("%s", err.text);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_non_null(strstr(text_of(arena_printf(&arena, "%s/containers.conf", dir)),
			       arena_printf(&arena, "hooks_dir = [\"%s/hooks.d\"", dir)));
	json_t *hook = json_loads(text_of(arena_printf(&arena, "%s/hooks.d/stockade-a.b-1.json", dir)), 0, &why);

	assert_non_null(hook);
	const json_t *when = json_object_get(json_object_get(hook, "when"), "annotations");
	const json_t *what = json_object_get(hook, "hook");

	/* The dot of the name is a dot. */
	assert_string_equal(json_string_value(json_object_get(when, "^stockade\\.project$")), "^a\\.b-1$");
	assert_string_equal(json_string_value(json_array_get(json_object_get(what, "env"), 0)), "STOCKADE_RUN_DIR=/run/other");
	assert_string_equal(json_string_value(json_array_get(json_object_get(what, "args"), 3)), "a.b-1");
	assert_string_equal(json_string_value(json_array_get(json_object_get(hook, "stages"), 0)), "createRuntime");
	json_decref(hook);
}

static bool names_call(const json_t *rule, const char *call)
{
	return strcmp(json_string_value(json_array_get(json_object_get(rule, "names"), 0)), call) == 0;
}

static void test_filter(void **state)
{
	char dir[PODMAN_PATH];
	json_error_t why;
	const json_t *rule;
	size_t i, sockets = 0;
	bool clone = false;

	assert_int_equal(podman_dir("a.b-1", dir, &err), 0);
	json_t *all = json_loads(text_of(arena_printf(&arena, "%s/seccomp/" PODMAN_SECCOMP, dir)), 0, &why);

	assert_non_null(all);
	assert_string_equal(json_string_value(json_object_get(all, "defaultAction")), "SCMP_ACT_ERRNO");
	json_array_foreach(json_object_get(all, "syscalls"), i, rule)
	{
		const size_t args = json_array_size(json_object_get(rule, "args"));

		assert_false(names_call(rule, "mount") || names_call(rule, "setns") || names_call(rule, "bpf"));
		if (names_call(rule, "io_uring_setup") || names_call(rule, "clone3"))
			assert_int_equal(json_integer_value(json_object_get(rule, "errnoRet")), 38);
		/* Sockets and clones only under conditions. */
		if (names_call(rule, "socket") || names_call(rule, "clone") || names_call(rule, "unshare"))
			assert_true(args >= 1);
		sockets += names_call(rule, "socket");
		clone = clone || names_call(rule, "clone");
	}
	assert_true(sockets >= 10 && clone);
	json_decref(all);
}

/* --- programs --- */

static int run(const char *script, unsigned limit_ms, const char **out)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct program p = { .argv = argv, .env = "TOLD=yes", .mounts = -1, .limit_ms = limit_ms };

	err = (struct err) { 0 };
	return program_wait(&p, &arena, out, &err);
}

static void test_program(void **state)
{
	const char *out = NULL;

	assert_int_equal(run("echo $TOLD; pwd; echo aside >&2; cat", 5000, &out), 0);
	assert_string_equal(out, "yes\n/\n");
	assert_int_equal(run("echo one >&2; printf 'two\\033[1m\\n' >&2; exit 7", 5000, &out), 7);
	assert_string_equal(err.text, "one two [1m");
	assert_int_equal(run("sleep 30", 50, &out), PROGRAM_KILLED);
	assert_true(err.class != ERR_NONE);
}

static void test_program_missing(void **state)
{
	const char *const argv[] = { "no-such-program-here", NULL };
	const struct program p = { .argv = argv, .mounts = -1, .limit_ms = 5000 };

	assert_int_equal(program_wait(&p, &arena, NULL, &err), PROGRAM_NOT_RUN);
	assert_non_null(strstr(err.text, "no-such-program-here: No such file"));
}

static struct loop *loop;
static char told[64];
static int told_code;

static void done(struct program_call *c, int code, const char *out, const char *errors)
{
	told_code = code;
	(void)snprintf(told, sizeof told, "%s|%s", out, errors);
	loop_stop(loop);
}

static void test_call(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	const char *const forever[] = { "sleep", "30", NULL };
	struct program p = { .argv = argv, .mounts = -1, .limit_ms = 5000 };
	struct program_call c = { 0 };

	loop = loop_new();
	assert_non_null(loop);
	assert_int_equal(program_start(&c, loop, &p, done, &err), 0);
	loop_run(loop, NULL, NULL);
	assert_int_equal(told_code, 3);
	assert_string_equal(told, "out\n|err");
	p.argv = forever;
	p.limit_ms = 10;
	assert_int_equal(program_start(&c, loop, &p, done, &err), 0);
	loop_run(loop, NULL, NULL);
	assert_int_equal(told_code, PROGRAM_KILLED);
	p.limit_ms = 60000;
	assert_int_equal(program_start(&c, loop, &p, done, &err), 0);
	assert_true(program_runs(&c));
	program_kill(&c);
	assert_false(program_runs(&c));
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where),   cmocka_unit_test(test_files),           cmocka_unit_test(test_filter),
		cmocka_unit_test(test_program), cmocka_unit_test(test_program_missing), cmocka_unit_test(test_call),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
