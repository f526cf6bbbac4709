/* Arena, error and file helpers: growth across blocks, nothing half-written on failure, limits kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <errno.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/span.h"

static void arena_memory_is_zeroed_and_separate(void **state)
{
	struct arena a = { 0 };
	char *last = NULL;

	for (size_t size = 1; size < 40000; size = size * 3 + 1) {
		char *p = arena_alloc(&a, size);

		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 'x', size);
		assert_true((uintptr_t)p % _Alignof(max_align_t) == 0);
		assert_true(p != last);
		last = p;
	}
	arena_free(&a);
	assert_null(a.blocks);
}

static void arena_push_keeps_every_item(void **state)
{
	struct arena a = { 0 };
	int *items = NULL;
	size_t count = 0;

	for (int i = 0; i < 1000; i++)
		ARENA_PUSH(&a, items, count) = i;
	assert_int_equal(count, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	arena_free(&a);
}

static void arena_printf_formats(void **state)
{
	struct arena a = { 0 };

	assert_string_equal(arena_printf(&a, "%s:%d", "file", 7), "file:7");
	assert_string_equal(arena_span(&a, (struct span) { "abcdef", 3 }), "abc");
	arena_free(&a);
}

static void err_keeps_class_and_wraps(void **state)
{
	struct err e = { 0 };

	assert_int_equal(err_set(&e, ERR_INPUT, "line %d", 3), -1);
	assert_int_equal(err_wrap(&e, "pods.yaml"), -1);
	assert_string_equal(e.text, "pods.yaml: line 3");
	assert_int_equal(e.class, ERR_INPUT);
	errno = ENOENT;
	(void)err_errno(&e, "open %s", "x");
	assert_string_equal(e.text, "open x: No such file or directory");
	assert_int_equal(e.class, ERR_FAULT);
}

static void files_are_read_whole_or_refused(void **state)
{
	struct arena a = { 0 };
	struct err e = { 0 };
	struct span got = { 0 };
	char path[] = "/tmp/stockade-base-XXXXXX";
	FD_CLOSE int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, "hello", 5), 0);
	assert_int_equal(fd_read_file(path, 5, &a, &got, &e), 0);
	assert_true(span_eq(got, SPAN_LITERAL("hello")));
	got = (struct span) { 0 };
	assert_int_equal(fd_read_file(path, 4, &a, &got, &e), -1);
	assert_int_equal(e.class, ERR_INPUT);
	assert_null(got.p);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fd_read_file(path, 4, &a, &got, &e), -1);
	assert_int_equal(fd_read_file("/", 4, &a, &got, &e), -1);
	assert_int_equal(fd_read_file("/proc/self/status", 1 << 20, &a, &got, &e), 0);
	assert_true(got.n > 100);
	arena_free(&a);
}

/* Opens the file for writing, says so, and writes only a while later. */
static pid_t slow_writer(const char *path, unsigned ms)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	const pid_t pid = fork();

	if (pid == 0) {
		const int fd = open(path, O_WRONLY | O_TRUNC);
		const bool said = write(ready[1], "r", 1) == 1;

		(void)usleep(ms * 1000);
		_exit(said && fd_write_all(fd, "whole", 5) == 0 ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pid;
}

static void half_written_files_are_waited_for(void **state)
{
	struct arena a = { 0 };
	struct err e = { 0 };
	struct span got = { 0 };
	char path[] = "/tmp/stockade-base-XXXXXX";
	FD_CLOSE int fd = mkstemp(path);
	int status = 1;

	fd_close(&fd);
	pid_t writer = slow_writer(path, 100);

	assert_int_equal(fd_read_settled(path, 9, &a, &got, &e), 0);
	assert_true(span_eq(got, SPAN_LITERAL("whole")));
	assert_true(waitpid(writer, &status, 0) == writer && status == 0);
	writer = slow_writer(path, 2 * FD_SETTLE_MS);
	assert_int_equal(fd_read_settled(path, 9, &a, &got, &e), -1);
	assert_int_equal(e.class, ERR_INPUT);
	assert_non_null(strstr(e.text, "is being written to"));
	(void)kill(writer, SIGKILL);
	(void)waitpid(writer, NULL, 0);
	(void)unlink(path);
	arena_free(&a);
}

static void spans_compare(void **state)
{
	assert_true(span_eq_nocase(SPAN_LITERAL("Host"), SPAN_LITERAL("hOST")));
	assert_false(span_eq_nocase(SPAN_LITERAL("Host"), SPAN_LITERAL("Hos")));
	assert_false(span_eq(SPAN_LITERAL("a"), SPAN_LITERAL("b")));
	assert_true(span_eq((struct span) { NULL, 0 }, SPAN_LITERAL("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_memory_is_zeroed_and_separate),
		cmocka_unit_test(arena_push_keeps_every_item),
		cmocka_unit_test(arena_printf_formats),
		cmocka_unit_test(err_keeps_class_and_wraps),
		cmocka_unit_test(files_are_read_whole_or_refused),
		cmocka_unit_test(half_written_files_are_waited_for),
		cmocka_unit_test(spans_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
