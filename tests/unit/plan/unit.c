/* Units of systemd, byte for byte as in tests/cases/unit, and what cannot be put into one. tests/system/unit.bats has systemd look at them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "plan/unit.h"

static struct arena arena;

static void compare(const char *name, const char *text)
{
	golden_compare(arena_printf(&arena, "unit/%s", name), span_of(text));
}

static struct unit plain(void)
{
	return (struct unit) { .program = "/usr/bin/stockade",
			       .project = "demo",
			       .manifest = "/srv/demo/pods.yaml",
			       .run_dir = "/run/stockade/demo",
			       .podman_dir = "/var/lib/stockade/demo/podman" };
}

static const char *render(const struct unit *u)
{
	const char *why = NULL, *text = plan_unit(u, &arena, &why);

	if (!text)
		fail_msg("%s", why);
	assert_null(why);
	return text;
}

static void test_builtin(void **state)
{
	static const char *up[] = { "--engine=builtin", "--host-root", "--runtime=runsc" };
	struct unit u = plain();

	u.up = (struct strings) { up, 3 };
	compare("builtin.service", render(&u));
}

static void test_podman(void **state)
{
	static const char *up[] = { "--engine=podman", "--gate=haproxy" };
	struct unit u = plain();
	const char *why = NULL;

	u.up = (struct strings) { up, 2 };
	u.podman = true;
	compare("podman.service", render(&u));
	compare("podman.kube", plan_unit_quadlet(&u, "cli-pod", &arena, &why));
	assert_string_equal(plan_unit_quadlet_name(&u, "cli-pod", &arena), "stockade-demo-cli-pod.kube");
}

/* What systemd gives a meaning to: specifiers, variables, quotes, escapes, separators. */
static void test_hostile(void **state)
{
	static const char *up[] = { "--host-root", "--dns=%n $X ${Y} \"z\" \\" }, *env[] = { "STOCKADE_RUN_DIR=/run/a%b" };
	struct unit u = plain();

	u.manifest = "/srv/%h $HOME 'a' \"b\" \\c; d # e\xc3\xa9/pods.yaml";
	u.up = (struct strings) { up, 2 };
	u.environment = (struct strings) { env, 1 };
	compare("hostile.service", render(&u));
}

static void refused(const struct unit *u, const char *word)
{
	const char *why = NULL;

	assert_null(plan_unit(u, &arena, &why));
	assert_non_null(why);
	assert_non_null(strstr(why, word));
	why = NULL;
	assert_null(plan_unit_quadlet(u, "pod", &arena, &why));
	assert_non_null(why);
}

static void test_refused(void **state)
{
	static const char *line[] = { "--dns=1.1.1.1\nExecStartPre=/bin/sh" };
	static const char *const programs[] = { "/opt/\x7f/stockade", "/opt/a$b/stockade",  "/opt/a\"b/stockade",
						"/opt/a b/stockade",  "/opt/100%/stockade", "stockade" };
	struct unit u = plain();

	u.manifest = "/srv/a\nExecStartPre=/bin/sh/pods.yaml";
	refused(&u, "manifest");
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		u = plain();
		u.program = programs[i];
		refused(&u, "program");
	}
	u = plain();
	u.up = (struct strings) { line, 1 };
	refused(&u, "option");
	u = plain();
	u.environment = (struct strings) { line, 1 };
	refused(&u, "environment");
	u = plain();
	u.run_dir = "/run/with space/demo";
	refused(&u, "STOCKADE_RUN_DIR");
	u = plain();
	u.podman = true;
	u.podman_dir = "/var/%n/demo";
	refused(&u, "STOCKADE_STATE_DIR");
}

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

int main(int argc, char **args)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_podman),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_refused),
	};

	golden_begin(argc, args);
	return cmocka_run_group_tests(tests, NULL, end);
}
