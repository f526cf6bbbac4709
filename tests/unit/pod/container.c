/* Containers for real, as root: what they see, what they lack, how they end, and that nothing is left of them. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "guard/fdpass.h"
#include "jail/jail.h"
#include "walls.h"

enum { SKIPPED = 77 };

static struct walls walls;
static char output[OUTPUT_MAX];

static void expect(const char *script, int code, const char *wanted)
{
	struct container_spec spec = walls_spec(&walls, script);
	const int got = walls_run(&spec, output);

	if (got != code || strcmp(output, wanted) != 0)
		fail_msg("%s: exit %d instead of %d, '%s' instead of '%s'", script, got, code, output, wanted);
}

static void expect_error(struct container_spec *spec, enum err_class class, const char *says)
{
	struct err err = { 0 };

	assert_int_equal(container_start(spec, &err), -1);
	if (err.class != class || !strstr(err.text, says))
		fail_msg("class %d, '%s' does not say '%s'", (int)err.class, err.text, says);
}

static bool found_cgroup;

static int look(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type;
	found_cgroup |= strcmp(path + at->base, walls_spec(&walls, "").cgroup) == 0;
	return 0;
}

static bool cgroup_is_left(void)
{
	found_cgroup = false;
	(void)nftw("/sys/fs/cgroup", look, 16, FTW_PHYS);
	return found_cgroup;
}

static void test_output_and_status(void **state)
{
	(void)state;
	expect("echo ok; exit 3", 3, "ok\n");
	expect("kill -9 $$", 128 + SIGKILL, "");
	expect("echo $$; (sleep 0.01 & ); sleep 0.05; cat /proc/1/comm", 0, "2\nstockade-init\n");
	expect("tr '\\0' x </proc/1/cmdline | tr -d x", 0, "");
	expect("hostname; cat /etc/hosts /etc/resolv.conf; pwd; umask", 0,
	       "the-pod\n127.0.0.1 localhost\nnameserver 198.18.0.1\n/\n0022\n");
	assert_false(cgroup_is_left());
}

static void test_errors_leave_nothing(void **state)
{
	static const char *const missing[] = { "no-such-program", NULL }, *const not_executable[] = { "/etc/hosts", NULL };
	struct container_spec spec = walls_spec(&walls, "true");

	(void)state;
	spec.argv = missing;
	expect_error(&spec, ERR_INPUT, "'no-such-program' is not in the container's PATH");
	spec.argv = not_executable;
	expect_error(&spec, ERR_INPUT, "Permission denied");
	spec = walls_spec(&walls, "true");
	spec.cwd = "/etc/hosts";
	expect_error(&spec, ERR_INPUT, "the working directory /etc/hosts");
	spec = walls_spec(&walls, "true");
	spec.cgroup = "../x";
	expect_error(&spec, ERR_FAULT, "cannot be a control group's name");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_false(cgroup_is_left());
}

static void test_no_power(void **state)
{
	(void)state;
	expect("sed -n 's/^\\(Cap...\\|NoNewPrivs\\|Seccomp\\|Groups\\):[[:space:]]*/\\1 /p' /proc/self/status", 0,
	       "Groups \nCapInh 0000000000000000\nCapPrm 0000000000000000\nCapEff 0000000000000000\nCapBnd 0000000000000000\n"
	       "CapAmb 0000000000000000\nNoNewPrivs 1\nSeccomp 2\n");
	expect("cat /proc/1/status | grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' | tr -s '\\t ' ' '", 0,
	       "CapEff: 0000000000000000\nCapBnd: 0000000000000000\nNoNewPrivs: 1\nSeccomp: 2\n");
	expect("for f in mem environ maps exe root cwd ns/net fd fdinfo; do (cat /proc/1/$f || ls /proc/1/$f/ ) >/dev/null 2>&1 && "
	       "echo $f; done; true",
	       0, "");
	expect("cat /proc/sys/user/max_user_namespaces; unshare -U true 2>/dev/null || echo refused", 0, "0\nrefused\n");
	expect("echo 1 2>/dev/null >/proc/sys/net/ipv4/ip_forward || echo refused; "
	       "cat /proc/keys /proc/key-users /proc/kcore /proc/timer_list 2>/dev/null; ls -a / | grep covered; true",
	       0, "refused\n");
	expect("ulimit -c; ls /proc/self/fd | wc -l", 0, "0\n4\n"); /* and the one that lists */
	expect("mount -t tmpfs none /mnt 2>/dev/null || echo refused; mknod /tmp/m c 1 1 2>/dev/null || echo refused", 0,
	       "refused\nrefused\n");
}

static void test_only_lo(void **state)
{
	(void)state;
	expect("ls /proc/sys/net/ipv4/conf; tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d ' '", 0, "all\ndefault\nlo\nlo\n");
	expect("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", 0, "0\n");
}

static void test_file_system(void **state)
{
	(void)state;
	expect("ls /home /root /run /opt /srv /tmp /sys", 0,
	       "/home:\n\n/opt:\n\n/root:\n\n/run:\nlock\n\n/srv:\n\n/sys:\n\n/tmp:\n");
	expect("ls /dev", 0, "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n");
	expect("for d in /etc /tmp /var/tmp /run /root /home /opt /srv /dev/shm; do touch $d/x || echo $d; done; touch /usr/x 2>&1",
	       1, "touch: cannot touch '/usr/x': Read-only file system\n");
	expect("test -s /etc/ssl/certs/ca-certificates.crt && test ! -e /etc/shadow && ls /etc/ssl/private 2>&1 | grep -c denied",
	       0, "1\n");
	expect("echo x >/dev/null && head -c 3 /dev/zero | wc -c; : >/dev/ptmx && ls /dev/pts", 0, "3\nptmx\n");
	expect("grep -c ' / / ' /proc/self/mountinfo", 0, "1\n");
}

static void test_read_only_root(void **state)
{
	struct container_spec spec =
		walls_spec(&walls, "touch /x /etc/x /root/x 2>/dev/null || touch /tmp/x /run/x /dev/shm/x && echo good");

	(void)state;
	spec.read_only_root = true;
	assert_int_equal(walls_run(&spec, output), 0);
	assert_string_equal(output, "good\n");
}

static void test_real_programs(void **state)
{
	(void)state;
	expect("/usr/bin/python3 -c 'import ssl, subprocess, threading; print(6 * 7)'", 0, "42\n");
	expect("curl --version | grep -c ^curl", 0, "1\n");
	expect("cd /tmp && printf 'int main(void) { return 9; }' >a.c && gcc -o a a.c && ./a", 9, "");
	expect("cd /tmp && git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m x && git log "
	       "--format=%s",
	       0, "x\n");
}

static void test_other_user(void **state)
{
	struct container_spec spec = walls_spec(&walls, "id -u; id -g; id -un; kill -TERM 1; sleep 5");

	(void)state;
	spec.uid = 1000;
	spec.gid = 1001;
	/* A signal to pid 1 reaches the program, whose user is not 0. */
	assert_int_equal(walls_run(&spec, output), 128 + SIGTERM);
	assert_string_equal(output, "1000\n1001\nuser\n");
}

static void test_volumes(void **state)
{
	static const struct pair files[] = { { "a", "text of a" } };
	char dir[] = "/tmp/stockade-pod-XXXXXX", path[64];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	const struct container_mount mounts[] = {
		{ .kind = MOUNT_FILES, .source_fd = -1, .target = "/data/sub/files", .files = files, .file_count = 1 },
		{ .kind = MOUNT_BIND, .source_fd = -1, .source = dir, .target = "/data" },
		{ .kind = MOUNT_BIND, .source_fd = -1, .source = dir, .target = "/seen", .read_only = true },
		{ .kind = MOUNT_TMPFS, .source_fd = -1, .target = "/scratch", .size = 1 << 20 },
	};
	struct container_spec spec = walls_spec(
		&walls,
		"id -u >/data/made; stat -c %u /data /data/made; cat /data/sub/files/a; touch /seen/x 2>/dev/null || echo ' ro';"
		"head -c 2000000 /dev/zero 2>/dev/null >/scratch/f || echo full; chmod 4755 /data/made 2>/dev/null || echo no "
		"set-id");

	spec.mounts = mounts;
	spec.mount_count = 4;
	assert_int_equal(walls_run(&spec, output), 0);
	assert_string_equal(output, "0\n0\ntext of a ro\nfull\nno set-id\n");
	(void)snprintf(path, sizeof path, "%s/made", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof path, "%s/sub/files", dir);
	assert_int_equal(rmdir(path), 0);
	(void)snprintf(path, sizeof path, "%s/sub", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* A link that a pod left in its volume does not lead a mount elsewhere. */
static void test_planted_link(void **state)
{
	char dir[] = "/tmp/stockade-pod-XXXXXX", link[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(link, sizeof link, "%s/sub", dir);
	assert_int_equal(symlink("/etc", link), 0);
	const struct container_mount mounts[] = {
		{ .kind = MOUNT_BIND, .source_fd = -1, .source = dir, .target = "/data" },
		{ .kind = MOUNT_TMPFS, .source_fd = -1, .target = "/data/sub/x" },
	};
	struct container_spec spec = walls_spec(&walls, "true");

	spec.mounts = mounts;
	spec.mount_count = 2;
	expect_error(&spec, ERR_INPUT, "a symbolic link lies on the way");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* A volume shows one file system: not what the host has mounted below it. */
static void test_volume_is_not_recursive(void **state)
{
	char dir[] = "/tmp/stockade-pod-XXXXXX", below[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(below, sizeof below, "%s/below", dir);
	assert_int_equal(mkdir(below, 0755), 0);
	assert_int_equal(mount("/proc", below, NULL, MS_BIND, NULL), 0);
	const struct container_mount mount = { .kind = MOUNT_BIND, .source_fd = -1, .source = dir, .target = "/data" };
	struct container_spec spec = walls_spec(&walls, "ls /data/below");

	spec.mounts = &mount;
	spec.mount_count = 1;
	const int code = walls_run(&spec, output);

	assert_int_equal(umount(below), 0);
	assert_int_equal(rmdir(below), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(code, 0);
	assert_string_equal(output, "");
}

static void test_limits(void **state)
{
	struct container_spec spec = walls_spec(&walls, "/usr/bin/python3 -c 'x = bytearray(300 << 20); print(1)'");

	(void)state;
	spec.memory_limit = 64 << 20;
	assert_int_equal(walls_run(&spec, output), 128 + SIGKILL);
	assert_null(strstr(output, "1\n"));
	spec = walls_spec(&walls, "for i in $(seq 40); do sleep 1 & done; wait");
	spec.pids_limit = 20;
	(void)walls_run(&spec, output);
	assert_non_null(strstr(output, "fork"));
	spec = walls_spec(&walls, "true");
	spec.cpu_limit_milli = 500;
	assert_int_equal(walls_run(&spec, output), 0);
	assert_false(cgroup_is_left());
}

static pid_t start_sleeper(struct container_spec *spec)
{
	struct err err = { 0 };

	if (!spec->cgroup)
		*spec = walls_spec(&walls, "trap 'exit 4' TERM; sleep 60 & wait");
	const pid_t pid = container_start(spec, &err);

	if (pid < 0)
		fail_msg("%s", err.text);
	return pid;
}

static int report_dumpable(void *arg)
{
	return prctl(PR_GET_DUMPABLE) == 0 && geteuid() == 7 && *(int *)arg == 11 ? 5 : 6;
}

static void test_enter(void **state)
{
	struct container_spec spec = { 0 }, inside;
	const pid_t pid = start_sleeper(&spec);
	int eleven = 11;

	(void)state;
	inside = walls_spec(&walls,
			    "id -u; sed -n 's/^CapEff:.//p; s/^Seccomp:.//p; s/^NoNewPrivs:.//p' /proc/self/status; hostname;"
			    "ls /proc/self/fd | wc -l; tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d ' '; exit 6");
	assert_int_equal(walls_enter(pid, &inside, NULL, NULL, output), 6);
	assert_string_equal(output, "0\n0000000000000000\n1\n2\nthe-pod\n4\nlo\n");
	inside.uid = 7;
	assert_int_equal(walls_enter(pid, &inside, report_dumpable, &eleven, output), 5);
	static const char *const missing[] = { "no-such-program", NULL };
	struct err err = { 0 };
	FD_CLOSE int self = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	inside.argv = missing;
	inside.stdio[1] = inside.stdio[2] = -1;
	assert_int_equal(container_enter(self, &inside, NULL, NULL, &err), -1); /* no pidfd */
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(walls_wait(pid), 4);
	container_cleanup(&spec);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_false(cgroup_is_left());
}

/* SIGKILL of the one who started it takes the container along. */
static void test_dies_with_parent(void **state)
{
	int report[2];
	struct container_spec spec = walls_spec(&walls, "sleep 60");
	pid_t inside = 0;

	(void)state;
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	const pid_t parent = fork();

	if (parent == 0) {
		const pid_t pid = start_sleeper(&spec);

		(void)!write(report[1], &pid, sizeof pid);
		(void)pause();
	}
	assert_int_equal(read(report[0], &inside, sizeof inside), sizeof inside);
	assert_int_equal(kill(inside, 0), 0);
	assert_int_equal(kill(parent, SIGKILL), 0);
	(void)walls_wait(parent);
	for (int i = 0; i < 200 && kill(inside, 0) == 0; i++)
		(void)usleep(10000);
	assert_int_equal(kill(inside, 0), -1);
	container_cleanup(&spec);
	(void)close(report[0]);
	(void)close(report[1]);
	assert_false(cgroup_is_left());
}

/* What is mounted on the host's certificates is what the container sees. */
static void test_host_mounts(void **state)
{
	char file[] = "/tmp/stockade-pod-XXXXXX";
	FD_CLOSE int fd = mkstemp(file);

	(void)state;
	assert_int_equal(fd_write_all(fd, "other", 5), 0);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(mount(file, "/etc/ssl/certs/ca-certificates.crt", NULL, MS_BIND, NULL), 0);
	struct container_spec spec = walls_spec(&walls, "cat /etc/ssl/certs/ca-certificates.crt");
	const int code = walls_run(&spec, output);

	assert_int_equal(umount("/etc/ssl/certs/ca-certificates.crt"), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(code, 0);
	assert_string_equal(output, "other");
}

/* The terminal is the program's own: what is typed there reaches it as a signal. */
static void test_terminal(void **state)
{
	struct container_spec spec = walls_spec(&walls, "test -t 0 && echo ready >/dev/tty; stty size; tty; sleep 60");
	struct err err = { 0 };
	char text[64] = "", word[16];
	int channel[2], master = -1;
	size_t count = 0, n = 0;
	struct container_terminal terminal = { .size = { .ws_row = 33, .ws_col = 77 } };

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel), 0);
	terminal.channel = channel[1];
	spec.terminal = &terminal;
	spec.stdio[0] = spec.stdio[1] = spec.stdio[2] = CONTAINER_TERMINAL;
	const pid_t pid = container_start(&spec, &err);

	if (pid < 0)
		fail_msg("%s", err.text);
	assert_int_equal(fdpass_receive(channel[0], word, sizeof word, &master, 1, &count), 8);
	assert_int_equal(count, 1);
	assert_int_equal(fcntl(master, F_SETFL, 0), 0);
	while (n < 6 + 6 + 11)
		n += (size_t)read(master, text + n, sizeof text - 1 - n);
	assert_string_equal(text, "ready\n33 77\n/dev/pts/0\n");
	assert_int_equal(write(master, "\003", 1), 1);
	assert_int_equal(walls_wait(pid), 128 + SIGINT);
	container_cleanup(&spec);
	assert_int_equal(close(master) | close(channel[0]) | close(channel[1]), 0);
}

static int set_up(void **state)
{
	(void)state;
	/* Mounts of these tests are seen by nobody else. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	walls_raise(&walls);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	walls_close(&walls);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_status),
		cmocka_unit_test(test_errors_leave_nothing),
		cmocka_unit_test(test_no_power),
		cmocka_unit_test(test_only_lo),
		cmocka_unit_test(test_file_system),
		cmocka_unit_test(test_read_only_root),
		cmocka_unit_test(test_real_programs),
		cmocka_unit_test(test_other_user),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_planted_link),
		cmocka_unit_test(test_volume_is_not_recursive),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_enter),
		cmocka_unit_test(test_dies_with_parent),
		cmocka_unit_test(test_host_mounts),
		cmocka_unit_test(test_terminal),
	};

	return geteuid() != 0 ? SKIPPED : cmocka_run_group_tests(tests, set_up, tear_down);
}
