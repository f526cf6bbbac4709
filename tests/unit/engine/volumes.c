/* Ways to the host that a volume may hold, and links on the way to one. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "engine/volumes.h"
#include "process/run_dir.h"

static char top[] = "/tmp/stockade-test-XXXXXX";
static struct arena arena;

static int make_top(void **state)
{
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	struct err err;

	arena_free(&arena);
	return run_dir_remove(top, &err);
}

static const char *in_top(const char *name)
{
	return arena_printf(&arena, "%s/%s", top, name);
}

static const char *way_out(bool writable)
{
	FD_CLOSE int fd = open(top, O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	return volume_way_out(fd, top, writable, &arena);
}

static void expect(const char *name, const char *what, bool when_read_only)
{
	const char *text = arena_printf(&arena, "%s/%s is %s", top, name, what);

	assert_string_equal(way_out(true), text);
	if (when_read_only)
		assert_string_equal(way_out(false), text);
	else
		assert_null(way_out(false));
	assert_int_equal(unlink(in_top(name)), 0);
	assert_null(way_out(true));
}

static void test_ways(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	FD_CLOSE int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(mkdir(in_top("a"), 0700) | mkdir(in_top("a/b"), 0700), 0);
	assert_int_equal(symlink("/run", in_top("a/link")), 0);
	assert_null(way_out(true));

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", in_top("a/b/door"));
	assert_int_equal(bind(sock, (const struct sockaddr *)&address, sizeof address), 0);
	expect("a/b/door", "a socket", true);
	assert_int_equal(mkfifo(in_top("a/pipe"), 0600), 0);
	expect("a/pipe", "a named pipe", true);

	FD_CLOSE int program = open(in_top("program"), O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

	assert_true(program >= 0);
	assert_null(way_out(true));
	assert_int_equal(fchmod(program, 04755), 0);
	expect("program", "a program that runs as its owner", false);
}

/* `run` has worked out real paths: a link on the way was put there since. */
static void test_links(void **state)
{
	struct err err = { 0 };
	const int fd = volume_open_host(in_top("a/b"), &err);

	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(rename(in_top("a"), in_top("c")) | symlink("/usr", in_top("a")), 0);
	assert_int_equal(volume_open_host(in_top("a"), &err), -1);
	assert_non_null(strstr(err.text, "symbolic link"));
	assert_int_equal(volume_open_host(in_top("a/bin"), &err), -1);
	assert_non_null(strstr(err.text, "symbolic link"));
}

/* Whatever the umask of this process, a pod's user that is not root is to read it. */
static void test_created(void **state)
{
	struct volume list[] = {
		{ .name = "d", .kind = VOLUME_HOST_PATH, .path = in_top("made"), .path_type = "DirectoryOrCreate" },
		{ .name = "f", .kind = VOLUME_HOST_PATH, .path = in_top("file"), .path_type = "FileOrCreate" }
	};
	const struct pod pod = { .name = "p", .volumes = list, .volume_count = 2 };
	const mode_t before = umask(077);
	struct err err = { 0 };
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		const struct volume_mount m = { .volume = list[i].name };
		FD_CLOSE int fd = volume_open(top, &pod, &m, &err);

		assert_true(fd >= 0);
	}
	assert_int_equal(umask(before), 077);
	assert_int_equal(stat(in_top("made"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	assert_int_equal(stat(in_top("file"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ways), cmocka_unit_test(test_links),
					    cmocka_unit_test(test_created) };

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
