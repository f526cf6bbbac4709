/* How long a restart waits and when it is wanted; children and their exit codes; names and numbers that must differ. */
#include <setjmp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "engine/launch.h"
#include "engine/live_container.h"
#include "pod/terminal.h"
#include "process/child.h"
#include "process/container_log.h"
#include "process/terminal.h"

static void test_back_off(void **state)
{
	static const uint32_t waits[] = { 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000 };

	for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++)
		assert_int_equal(restart_wait_ms(i + 1), waits[i]);
	assert_int_equal(restart_wait_ms(4000000000U), RESTART_MAX_MS);
	assert_int_equal(restart_wait_ms(0), RESTART_FIRST_MS);
}

static void test_wanted(void **state)
{
	assert_true(restart_wanted(RESTART_ALWAYS, 0));
	assert_true(restart_wanted(RESTART_ALWAYS, 1));
	assert_false(restart_wanted(RESTART_ON_FAILURE, 0));
	assert_true(restart_wanted(RESTART_ON_FAILURE, 137));
	assert_false(restart_wanted(RESTART_NEVER, 0));
	assert_false(restart_wanted(RESTART_NEVER, 1));
}

struct watched {
	struct child child;
	struct loop *loop;
	int code;
};

static void ended(struct child *c, int wait_status)
{
	struct watched *w = (struct watched *)c;

	w->code = child_exit_code(wait_status);
	loop_stop(w->loop);
}

static int code_of(int exit_code, int number)
{
	struct watched w = { .loop = loop_new(), .code = -1 };
	struct err err = { 0 };
	const pid_t pid = child_fork(&err);

	if (pid == 0) {
		if (number)
			(void)raise(number);
		_exit(exit_code);
	}
	assert_int_equal(child_watch(&w.child, w.loop, pid, ended, &err), 0);
	loop_run(w.loop, NULL, NULL);
	assert_int_equal(w.child.pid, 0);
	loop_free(w.loop);
	return w.code;
}

static void test_exit_codes(void **state)
{
	assert_int_equal(code_of(0, 0), 0);
	assert_int_equal(code_of(7, 0), 7);
	assert_int_equal(code_of(0, SIGKILL), 137);
	assert_int_equal(code_of(0, SIGTERM), 143);
}

static void test_child_kill(void **state)
{
	struct watched w = { .loop = loop_new() };
	struct err err = { 0 };
	const pid_t pid = child_fork(&err);

	if (pid == 0)
		for (;;)
			(void)pause();
	assert_int_equal(child_watch(&w.child, w.loop, pid, ended, &err), 0);
	child_kill(&w.child);
	assert_int_equal(kill(pid, 0), -1);
	child_kill(&w.child);
	loop_free(w.loop);
}

static void test_log(void **state)
{
	char dir[] = "/tmp/stockade-test-XXXXXX", path[64], text[64] = "";
	struct loop *loop = loop_new();
	struct container_log l = { 0 };
	struct err err = { 0 };

	assert_non_null(mkdtemp(dir));
	const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int out = container_log_open(&l, loop, fd, "app", getuid(), &err);

	assert_true(out >= 0);
	assert_int_equal(write(out, "a\0b\n", 4), 4);
	(void)close(out);
	container_log_close(&l);
	container_log_close(&l);
	(void)snprintf(path, sizeof path, "%s/app.log", dir);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fread(text, 1, sizeof text, f), 4);
	assert_memory_equal(text, "a\0b\n", 4);
	(void)fclose(f);
	(void)unlink(path);
	(void)close(fd);
	(void)rmdir(dir);
	loop_free(loop);
}

static void test_cgroup_names(void **state)
{
	struct arena a = { 0 };
	const struct pod b_c = { .name = "b-c" }, c = { .name = "c" };
	const struct plan_pod planned_b_c = { .pod = &b_c }, planned_c = { .pod = &c };
	const struct container d = { .name = "d" };
	const struct launch_pod one = { .project = "a", .pod = &planned_b_c }, other = { .project = "a-b", .pod = &planned_c };
	char prefix[LAUNCH_CGROUP_PREFIX];

	launch_cgroup_prefix("a", prefix);
	assert_int_equal(strncmp(launch_cgroup(&one, &d, &a), prefix, strlen(prefix)), 0);
	assert_int_not_equal(strncmp(launch_cgroup(&other, &d, &a), prefix, strlen(prefix)), 0);
	arena_free(&a);
}

static void test_uid_bases(void **state)
{
	const uint32_t first = pod_uid_base("demo", "cli-pod");

	assert_int_equal(first, pod_uid_base("demo", "cli-pod"));
	assert_int_not_equal(first, pod_uid_base("demo", "sandbox-pod"));
	assert_true(first >= 0x70000000U && first % 65536 == 0);
	assert_int_equal(pod_uid_base_next(0x70000000U), 0x70010000U);
	assert_int_equal(pod_uid_base_next(0x70000000U + 0x3fffU * 65536U), 0x70000000U);
}

static void test_no_terminal(void **state)
{
	struct container_spec spec = { 0 };
	int ends[2];
	struct terminal t;
	struct err err;

	assert_int_equal(pipe(ends), 0);
	const int stdio[3] = { ends[0], ends[1], ends[1] };

	assert_int_equal(terminal_open(&t, stdio, &spec, &err), 0);
	assert_memory_equal(spec.stdio, stdio, sizeof stdio);
	assert_null(spec.terminal);
	terminal_leave(&t);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* The slave of a terminal of the test's own stands for the caller's: it is raw while joined, and as before afterwards. */
static void test_terminal_mode(void **state)
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct loop *loop = loop_new();
	struct terminal t;
	struct termios now;
	struct err err = { 0 };
	struct container_spec spec = { 0 };
	char name[64], text[8] = "";

	assert_true(master >= 0 && unlockpt(master) == 0 && ptsname_r(master, name, sizeof name) == 0);
	const int mine = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	const int stdio[3] = { mine, mine, mine };

	assert_true(mine >= 0);
	assert_int_equal(terminal_open(&t, stdio, &spec, &err), 0);
	assert_true(spec.terminal && spec.stdio[0] == CONTAINER_TERMINAL && spec.stdio[2] == CONTAINER_TERMINAL);
	/* What happens in the container, done here. */
	const int program = terminal_make(spec.terminal, &err);

	if (program < 0)
		fail_msg("%s", err.text);
	assert_int_equal(terminal_join(&t, loop, &err), 0);
	assert_int_equal(tcgetattr(mine, &now), 0);
	assert_false(now.c_lflag & ICANON);
	assert_int_equal(write(program, "shown", 5), 5);
	terminal_leave(&t);
	terminal_leave(&t);
	assert_int_equal(tcgetattr(mine, &now), 0);
	assert_true(now.c_lflag & ICANON);
	assert_int_equal(read(master, text, sizeof text), 5);
	assert_string_equal(text, "shown");
	(void)close(program);
	(void)close(mine);
	(void)close(master);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back_off),   cmocka_unit_test(test_wanted),      cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_child_kill), cmocka_unit_test(test_log),         cmocka_unit_test(test_cgroup_names),
		cmocka_unit_test(test_uid_bases),  cmocka_unit_test(test_no_terminal), cmocka_unit_test(test_terminal_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
