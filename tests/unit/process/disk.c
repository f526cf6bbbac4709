/* The run directory and its lock; changes of lists that are seen, and those that are not. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fd.h"
#include "process/run_dir.h"
#include "process/watch.h"

static char top[] = "/tmp/stockade-test-XXXXXX";

static int make_top(void **state)
{
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	struct err err;

	return run_dir_remove(top, &err);
}

static const char *in_top(const char *name)
{
	static char path[4][256];
	static unsigned n;

	n = (n + 1) % 4;
	(void)snprintf(path[n], sizeof path[n], "%s/%s", top, name);
	return path[n];
}

static void put(const char *path, const char *text)
{
	FD_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

/* Whether another process gets the lock: 0 yes, else the class of its error. */
static int other_lock(int dir, const char *path)
{
	struct err err = { 0 };
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0)
		_exit(run_dir_lock(dir, path, &err) >= 0 ? 0 : (int)err.class);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void test_lock(void **state)
{
	const char *path = in_top("a/b/project");
	struct err err = { 0 };
	struct stat st;
	const int dir = run_dir_make(path, &err);

	assert_true(dir >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(other_lock(dir, path), 0);
	const int lock = run_dir_lock(dir, path, &err);

	assert_true(lock >= 0);
	assert_int_equal(other_lock(dir, path), ERR_FINDING);
	(void)close(lock);
	assert_int_equal(other_lock(dir, path), 0);
	/* Removed and made anew under our hands: the old one is not locked in its place. */
	assert_int_equal(run_dir_remove(path, &err), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(run_dir_lock(dir, path, &err), -1);
	assert_int_equal(err.class, ERR_FINDING);
	(void)close(dir);
	/* The same when it was only moved away. */
	const int moved = run_dir_make(path, &err);

	assert_int_equal(rename(path, in_top("moved")), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(run_dir_lock(moved, path, &err), -1);
	assert_int_equal(err.class, ERR_FINDING);
	(void)close(moved);
}

static void test_foreign_directory(void **state)
{
	const char *open_to_all = in_top("open"), *link = in_top("link");
	struct err err = { 0 };

	assert_int_equal(mkdir(open_to_all, 0700), 0);
	assert_int_equal(symlink(open_to_all, link), 0);
	assert_int_equal(run_dir_make(link, &err), -1);
	assert_int_equal(chmod(open_to_all, 0777), 0);
	assert_int_equal(run_dir_make(open_to_all, &err), -1);
	assert_int_equal(run_dir_make("relative", &err), -1);
}

static void test_remove(void **state)
{
	const char *path = in_top("gone"), *kept = in_top("kept");
	struct err err = { 0 };
	char below[300];

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mkdir(kept, 0700), 0);
	put(in_top("kept/file"), "x");
	(void)snprintf(below, sizeof below, "%s/logs", path);
	assert_int_equal(mkdir(below, 0700), 0);
	(void)snprintf(below, sizeof below, "%s/logs/x.log", path);
	put(below, "x");
	(void)snprintf(below, sizeof below, "%s/link", path);
	assert_int_equal(symlink(kept, below), 0);
	assert_int_equal(run_dir_remove(path, &err), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(in_top("kept/file"), F_OK), 0);
	assert_int_equal(run_dir_remove(path, &err), 0);
}

static struct loop *loop;
static unsigned changes;

static void changed(struct watch *w)
{
	(void)watch_take(w);
	changes++;
}

static void enough(struct timer *t)
{
	loop_stop(loop);
}

/* How often changed() is called within the next 300 ms. */
static unsigned changes_seen(void)
{
	struct timer t = { .expired = enough };

	changes = 0;
	loop_timer_set(loop, &t, 300);
	loop_run(loop, NULL, NULL);
	return changes;
}

static void test_watch(void **state)
{
	struct watch w;
	struct err err = { 0 };

	loop = loop_new();
	put(in_top("pods.yaml"), "x");
	assert_int_equal(mkdir(in_top("more"), 0700), 0);
	put(in_top("more/cli.lst"), "x");
	assert_int_equal(watch_init(&w, loop, changed, &err), 0);
	json_t *files = json_pack("[s]", in_top("more/cli.lst"));

	watch_set(&w, in_top("pods.yaml"), files);
	json_decref(files);
	assert_int_equal(changes_seen(), 0);
	put(in_top("other"), "x");
	put(in_top("more/other.lst"), "x");
	put(in_top("more/pods.yaml"), "x");
	put(in_top("cli.lst"), "x");
	assert_int_equal(changes_seen(), 0);
	put(in_top("more/cli.lst"), "y");
	put(in_top("more/cli.lst"), "z");
	assert_int_equal(changes_seen(), 1);
	put(in_top("pods.new"), "y");
	assert_int_equal(rename(in_top("pods.new"), in_top("pods.yaml")), 0);
	assert_int_equal(changes_seen(), 1);
	assert_int_equal(unlink(in_top("more/cli.lst")), 0);
	assert_int_equal(changes_seen(), 1);
	/* A place for lists that comes later. */
	assert_int_equal(mkdir(in_top("lists"), 0700), 0);
	assert_int_equal(changes_seen(), 1);
	files = json_array();
	watch_set(&w, in_top("pods.yaml"), files);
	json_decref(files);
	put(in_top("lists/new_domains.lst"), "y");
	assert_int_equal(changes_seen(), 1);
	put(in_top("more/cli.lst"), "no more");
	assert_int_equal(changes_seen(), 0);
	/* Seen even before the loop has told of it. */
	put(in_top("pods.yaml"), "z");
	assert_true(watch_take(&w));
	assert_false(watch_take(&w));
	watch_free(&w);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_foreign_directory),
		cmocka_unit_test(test_remove),
		cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
