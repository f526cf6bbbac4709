/* What a process may still do, each tried in a child of its own; where something is refused, what is allowed is tried next to it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "guard/guard.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/own.h"
#include "net/pump.h"
#include "net/resolve.h"

static struct err err;

/* In the child: what must hold, or its line is the exit code. */
#define MUST(condition)                            \
	do {                                       \
		if (!(condition))                  \
			_exit(__LINE__ % 250 + 1); \
	} while (0)
#define REFUSED(call, number) MUST((errno = 0, (call)) == -1 && errno == (number))

/* The child's wait status. */
static int in_child(void (*body)(void))
{
	int status = -1;
	const pid_t pid = fork();

	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_good(void (*body)(void))
{
	const int status = in_child(body);

	if (WIFSIGNALED(status))
		fail_msg("ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		fail_msg("line %d (or 250 more)", WEXITSTATUS(status) - 1);
}

static void expect_killed(void (*body)(void))
{
	const int status = in_child(body);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* --- ids and capabilities --- */

static void drop_everything(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	MUST(guard_set_ids(12345, 23456, &err) == 0);
	MUST(guard_drop_capabilities(&err) == 0);
	MUST(getuid() == 12345 && getegid() == 23456 && getgroups(0, NULL) == 0);
	MUST(syscall(SYS_capget, &head, data) == 0);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		MUST((data[i].effective | data[i].permitted | data[i].inheritable) == 0);
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		MUST(prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 0);
	MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	REFUSED(setuid(0), EPERM);
	REFUSED(sethostname("x", 1), EPERM);
}

static void root_without_capabilities_can_nothing(void)
{
	MUST(guard_set_ids(0, 0, &err) == 0);
	MUST(guard_drop_capabilities(&err) == 0);
	REFUSED(setuid(12345), EPERM);
	REFUSED(chroot("/"), EPERM);
	REFUSED(unshare(CLONE_NEWNET), EPERM);
}

static void capabilities_and_ids_are_gone(void **state)
{
	expect_good(drop_everything);
	expect_good(root_without_capabilities_can_nothing);
}

/* --- the container's filter --- */

static void enter_container_filter(void)
{
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(guard_seccomp_container(false, &err) == 0);
}

/* Taken from another process, as it is. */
static void borrow_filter(void)
{
	int ready[2];
	char byte;

	MUST(pipe(ready) == 0);
	const pid_t other = fork();

	if (other == 0) {
		enter_container_filter();
		MUST(write(ready[1], "", 1) == 1);
		for (;;)
			(void)pause();
	}
	MUST(other > 0 && read(ready[0], &byte, 1) == 1);
	struct filter_copy *c = guard_seccomp_copy(other, &err);

	MUST(c != NULL);
	MUST(guard_seccomp_copy(0x7ffffffe, &err) == NULL);
	MUST(socket(40 /* AF_VSOCK */, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT); /* the control */
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(guard_seccomp_put(c, &err) == 0);
	REFUSED(socket(40, SOCK_STREAM, 0), EPERM);
	REFUSED(unshare(CLONE_NEWUSER), EPERM);
	REFUSED(ioctl(0, TIOCSTI, ""), EPERM); /* of the second program: both were taken */
	MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
	guard_seccomp_free(c);
	MUST(kill(other, SIGKILL) == 0 && waitpid(other, NULL, 0) == other);
}

static void a_filter_can_be_borrowed(void **state)
{
	expect_good(borrow_filter);
}

static void container_sockets(void)
{
	enter_container_filter();
	MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
	MUST(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP) >= 0);
	MUST(socket(AF_UNIX, SOCK_SEQPACKET, 0) >= 0);
	MUST(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
	REFUSED(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM);
	REFUSED(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EPERM);
	REFUSED(socket(AF_INET, SOCK_STREAM, 132 /* SCTP */), EPERM);
	REFUSED(socket(AF_INET, SOCK_STREAM, 262 /* MPTCP */), EPERM);
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0), EPERM);
	REFUSED(socket(40 /* AF_VSOCK */, SOCK_STREAM, 0), EPERM);
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 12 /* NETFILTER */), EPERM);
	/* What the kernel does not look at must not decide. */
	REFUSED((int)syscall(SYS_socket, 0x100000000UL | 40, SOCK_STREAM, 0), EPERM);
}

static void container_calls(void)
{
	char c = 'x';

	enter_container_filter();
	MUST(access("/", R_OK) == 0);
	REFUSED(syscall(425 /* io_uring_setup */, 1, NULL), ENOSYS);
	REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS);
	REFUSED(unshare(CLONE_NEWUSER), EPERM);
	REFUSED(unshare(CLONE_NEWNET), EPERM);
	REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0), EPERM);
	REFUSED(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
	REFUSED(syscall(SYS_bpf, 0, NULL, 0), EPERM);
	REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	REFUSED(syscall(SYS_ptrace, 0, 0, 0, 0), EPERM);
	REFUSED(syscall(SYS_open_by_handle_at, 0, NULL, 0), EPERM);
	REFUSED(ioctl(0, TIOCSTI, &c), EPERM);
	REFUSED((int)syscall(SYS_ioctl, 0, 0x100000000UL | TIOCSTI, &c), EPERM);
	REFUSED(chmod("/nonexistent", S_ISUID | 0755), EPERM);
	REFUSED(chmod("/nonexistent", 0755), ENOENT);
	REFUSED(syscall(500, 0), ENOSYS);
	/* Programs, threads and children as ever. */
	const pid_t pid = fork();

	if (pid == 0)
		(void)execl("/bin/true", "true", (char *)NULL);
	int status = -1;

	MUST(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void other_architecture(void)
{
	enter_container_filter();
#ifdef __x86_64__
	/* getpid by the 32-bit gate. */
	long rc = 20;

	__asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
#else
	(void)raise(SIGSYS);
#endif
}

static void the_containers_filter_holds(void **state)
{
	expect_good(container_sockets);
	expect_good(container_calls);
	expect_killed(other_architecture);
}

/* --- the gate's walls --- */

static void look_around_in_the_empty_root(void)
{
	MUST(access("/etc/passwd", R_OK) == 0);
	MUST(guard_empty_root(&err) == 0);
	REFUSED(open("/etc/passwd", O_RDONLY), ENOENT);
	REFUSED(open("/proc/self/exe", O_RDONLY), ENOENT);
	REFUSED(open("../../../etc/passwd", O_RDONLY), ENOENT);
	REFUSED(open("/x", O_WRONLY | O_CREAT, 0600), EROFS);
	REFUSED(mkdir("/x", 0700), EROFS);
	(void)umount2("/", MNT_DETACH); /* this child still may, and finds nothing underneath */
	REFUSED(open("/etc/passwd", O_RDONLY), ENOENT);
}

static void the_empty_root_has_nothing(void **state)
{
	expect_good(look_around_in_the_empty_root);
}

#ifndef STOCKADE_SANITIZED
static void enter_gate_walls(void)
{
	MUST(guard_empty_root(&err) == 0);
	MUST(guard_set_ids(12345, 12345, &err) == 0);
	MUST(guard_drop_capabilities(&err) == 0);
	MUST(guard_seccomp_gate(&err) == 0);
}

static void gate_executes(void)
{
	enter_gate_walls();
	(void)syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void gate_forks(void)
{
	enter_gate_walls();
	(void)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

static void gate_traces(void)
{
	enter_gate_walls();
	(void)syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void gate_talks_to_unix_sockets(void)
{
	enter_gate_walls();
	(void)syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);
}

static void gate_opens_files(void)
{
	enter_gate_walls();
	REFUSED(open("/", O_RDONLY), EACCES);
	MUST(socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

/* All of room net at work behind the walls: resolve (nobody answers), dial a listener of our own, pump. */
static struct loop *loop;
static bool resolved;
static int connected = -1;

static void on_resolved(struct query *q, const struct addresses *found)
{
	resolved = true;
	if (connected >= 0)
		loop_stop(loop);
}

static void on_dialled(void *arg, int fd, const struct ip_addr *address)
{
	connected = fd;
	MUST(fd >= 0);
	if (resolved)
		loop_stop(loop);
}

static bool may_attempt(struct dial_room *r)
{
	return true;
}

static void gate_works(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	const int listener = socket(AF_INET, SOCK_STREAM, 0), closed = socket(AF_INET, SOCK_DGRAM, 0);
	char servers[32];
	struct query q = { .done = on_resolved };
	const struct addresses to = { .count = 1, .list[0] = { .family = 4, .bytes = { 127, 0, 0, 1 } } };
	struct pump p = { 0 };

	MUST(bind(closed, (struct sockaddr *)&a, sizeof a) == 0 && getsockname(closed, (struct sockaddr *)&a, &n) == 0);
	(void)snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(a.sin_port));
	a.sin_port = 0;
	MUST(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 4) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&a, &n) == 0);
	MUST(close(closed) == 0);
	loop = loop_new();
	struct resolver *r = resolver_new(loop, servers, &err);
	struct resolver_client *names = resolver_client_new();
	struct pipe_pool *pool = pipe_pool_new(2, 4);
	struct own own;

	MUST(loop && r && names && pool && own_open(&own, &err) == 0);
	enter_gate_walls();
	MUST(own_has(&own, &to.list[0]) && !own_has(&own, &(struct ip_addr) { .family = 4, .bytes = { 203, 0, 113, 1 } }));
	own_close(&own);
	resolve_start(r, names, &q, "name.test");
	static struct dial_room room = { .may = may_attempt };

	MUST(dial_start(loop, &to, ntohs(a.sin_port), &(struct dial_options) { .room = &room }, on_dialled, NULL));
	loop_run(loop, NULL, NULL);
	const int served = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	MUST(served >= 0 && send(served, "x", 1, MSG_NOSIGNAL) == 1);
	MUST(pump_move(&p, pool, connected, connected, UINT64_MAX, false) == PUMP_WAIT_FROM && p.total == 1);
	pump_close(&p, pool);
	pipe_pool_free(pool);
	resolver_free(r);
	resolver_client_free(names);
	loop_free(loop);
}

static void the_gates_filter_holds(void **state)
{
	expect_killed(gate_executes);
	expect_killed(gate_forks);
	expect_killed(gate_traces);
	expect_killed(gate_talks_to_unix_sockets);
	expect_good(gate_opens_files);
}

static void the_gate_works_behind_its_walls(void **state)
{
	expect_good(gate_works);
}
#endif

/* --- descriptors --- */

static void close_all_but_some(void)
{
	const int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY), c = open("/dev/null", O_RDONLY);
	const int keep[] = { 0, 2, b };

	MUST(a > 2 && b > a && c > b);
	MUST(guard_close_fds_except(keep, 3, &err) == 0);
	for (int fd = 0; fd < 1000; fd++)
		MUST((fcntl(fd, F_GETFD) >= 0) == (fd == 0 || fd == 2 || fd == b));
}

static void descriptors_are_closed_but_those_kept(void **state)
{
	expect_good(close_all_but_some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_and_ids_are_gone),
		cmocka_unit_test(the_containers_filter_holds),
		cmocka_unit_test(a_filter_can_be_borrowed),
		cmocka_unit_test(the_empty_root_has_nothing),
#ifndef STOCKADE_SANITIZED
		cmocka_unit_test(the_gates_filter_holds),
		cmocka_unit_test(the_gate_works_behind_its_walls),
#endif
		cmocka_unit_test(descriptors_are_closed_but_those_kept),
	};

	if (geteuid() != 0) {
		(void)fputs("skipped: needs root\n", stderr);
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
