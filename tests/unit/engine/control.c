/* Control messages: there and back with fds, what is refused, and what a project may be called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "engine/control.h"
#include "guard/fdpass.h"

static void make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void test_round_trip(void **state)
{
	int pair[2], fds[2] = { -1, -1 };
	size_t count = 0;
	struct err err = { 0 };
	struct stat sent, got;

	make_pair(pair);
	json_t *message = json_pack("{ss sI}", "verb", "apply", "big", (json_int_t)1 << 40);

	assert_int_equal(control_send(pair[0], message, &pair[0], 1, &err), 0);
	json_t *back = control_receive(pair[1], fds, 2, &count, &err);

	assert_non_null(back);
	assert_true(json_equal(message, back));
	assert_int_equal(count, 1);
	assert_int_equal(fstat(pair[0], &sent), 0);
	assert_int_equal(fstat(fds[0], &got), 0);
	assert_true(sent.st_ino == got.st_ino);
	json_decref(message);
	json_decref(back);
	fd_close(&fds[0]);
	fd_close(&pair[0]);
	assert_null(control_receive(pair[1], fds, 2, &count, &err));
	assert_non_null(strstr(err.text, "ended"));
	fd_close(&pair[1]);
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "[]", "3", "{", "{\"a\":1,\"a\":2}", "{}x", "\xff" };
	int pair[2];
	struct err err = { 0 };

	make_pair(pair);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(fdpass_send(pair[0], bad[i], strlen(bad[i]), NULL, 0), 0);
		assert_null(control_receive(pair[1], NULL, 0, NULL, &err));
	}
	/* An fd where none is expected, and a message over the limit. */
	assert_int_equal(fdpass_send(pair[0], "{}", 2, &pair[0], 1), 0);
	assert_null(control_receive(pair[1], NULL, 0, NULL, &err));
	char *text = malloc(200 * 1024);

	memset(text, 'x', 200 * 1024);
	json_t *big = json_pack("{so}", "x", json_stringn(text, 200 * 1024));

	assert_int_equal(control_send(pair[0], big, NULL, 0, &err), -1);
	json_decref(big);
	free(text);
	/* And the socket still works. */
	assert_int_equal(fdpass_send(pair[0], "{}", 2, NULL, 0), 0);
	json_t *fine = control_receive(pair[1], NULL, 0, NULL, &err);

	assert_non_null(fine);
	json_decref(fine);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

static void test_project_names(void **state)
{
	static const char *const good[] = { "a", "demo", "my-app_2.x", "0123456789012345678901234567890123456789" };
	static const char *const bad[] = {
		"", ".", "..", "-a", "_a", ".a", "A", "a/b", "a b", "\xc3\xa4", "01234567890123456789012345678901234567890"
	};
	char path[512];
	struct err err;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(control_run_dir(good[i], path, sizeof path, &err), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(control_run_dir(bad[i], path, sizeof path, &err), -1);
	assert_int_equal(control_run_dir("demo", path, 10, &err), -1);
}

static void test_not_up(void **state)
{
	struct err err;

	assert_int_equal(control_connect("no-such-project-in-tests", &err), -1);
	assert_int_equal(err.class, ERR_FINDING);
	assert_null(control_call("no-such-project-in-tests", json_object(), NULL, NULL, 0, NULL, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_project_names),
		cmocka_unit_test(test_not_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
