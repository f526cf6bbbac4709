/* The gate as a process (as root): what it gives up, what it answers, what ends it. Connections are no_conn.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gate/gate.h"
#include "gate_test.h"
#include "guard/fdpass.h"

enum { WORKERS = 2, WAIT_MS = 5000, GATE_ID = 0x6fff0000, SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct process {
	pid_t pid;
	int channel;
	struct arena arena;
	int listeners[GATE_LISTENER_COUNT];
	uint16_t port;
};

/* --- the process --- */

static int start(void **state, rlim_t files)
{
	struct process *p = calloc(1, sizeof *p);
	int pair[2];

	assert_non_null(p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		static const char *const dns[] = { "127.0.0.1:9", NULL };
		struct err err = { 0 };

		(void)setrlimit(RLIMIT_NOFILE, &(struct rlimit) { files, files });
		const int rc = gate_run(&(struct gate_options) { .channel = pair[1], .workers = WORKERS, .dns = dns }, &err);

		if (rc < 0)
			fprintf(stderr, "[%s]\n", err.text);
		exit(rc < 0 ? (int)err.class : 0); /* as main does: a leak is seen */
	}
	(void)close(pair[1]);
	p->channel = pair[0];
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		p->listeners[i] = -1;
	*state = p;
	return 0;
}

static int setup(void **state)
{
	return start(state, 4096);
}

/* Enough for 46 connections, or 44 and a pod. */
static int setup_few_files(void **state)
{
	return start(state, 636);
}

static void close_listeners(struct process *p)
{
	for (int i = 0; i < GATE_LISTENER_COUNT; i++) {
		if (p->listeners[i] >= 0)
			(void)close(p->listeners[i]);
		p->listeners[i] = -1;
	}
}

static int teardown(void **state)
{
	struct process *p = *state;

	(void)close(p->channel);
	if (p->pid > 0) {
		(void)kill(p->pid, SIGKILL);
		(void)waitpid(p->pid, NULL, 0);
	}
	close_listeners(p);
	arena_free(&p->arena);
	free(p);
	return 0;
}

/* Its exit status, or -1. */
static int ended(struct process *p, int within_ms)
{
	const struct timespec nap = { 0, 10000000 };
	int status;

	for (int i = 0; i <= within_ms / 10; i++) {
		if (waitpid(p->pid, &status, WNOHANG) == p->pid) {
			p->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		(void)nanosleep(&nap, NULL);
	}
	return -1;
}

static void tell(struct process *p, const struct gate_message *m, const int *fds, size_t count)
{
	assert_int_equal(fdpass_send(p->channel, m, sizeof *m, fds, count), 0);
}

static struct gate_message hear(struct process *p, uint32_t kind)
{
	struct pollfd poll_in = { .fd = p->channel, .events = POLLIN };
	struct gate_message m = { 0 };
	size_t count;

	assert_int_equal(poll(&poll_in, 1, WAIT_MS), 1);
	assert_int_equal(fdpass_receive(p->channel, &m, sizeof m, NULL, 0, &count), sizeof m);
	assert_int_equal(m.kind, kind);
	return m;
}

/* --- what it is told --- */

static int policy_file(struct span block, int seals)
{
	const int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, block.p, block.n), block.n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static struct gate_message publish(struct process *p, struct span block, int seals, uint64_t generation)
{
	const struct gate_message m = { .kind = GATE_POLICY, .generation = generation, .hash = HASH, .project = "demo" };
	const int fd = policy_file(block, seals);

	tell(p, &m, &fd, 1);
	(void)close(fd);
	return hear(p, GATE_ADOPTED);
}

static void make_listeners(struct process *p)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t size = sizeof at;
	const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

	p->listeners[GATE_TCP4] = socket(AF_INET, SOCK_STREAM | flags, 0);
	assert_int_equal(bind(p->listeners[GATE_TCP4], (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(p->listeners[GATE_TCP4], (struct sockaddr *)&at, &size), 0);
	p->port = at.sin_port;
	p->listeners[GATE_TCP6] = socket(AF_INET6, SOCK_STREAM | flags, 0);
	p->listeners[GATE_DNS_TCP] = socket(AF_INET6, SOCK_STREAM | flags, 0);
	p->listeners[GATE_DNS_UDP] = socket(AF_INET6, SOCK_DGRAM | flags, 0);
	p->listeners[GATE_DROPS] = socket(AF_NETLINK, SOCK_RAW | flags, 0);
	assert_int_equal(bind(p->listeners[GATE_TCP6], (struct sockaddr *)&at6, sizeof at6), 0);
	assert_int_equal(bind(p->listeners[GATE_DNS_TCP], (struct sockaddr *)&at6, sizeof at6), 0);
	assert_int_equal(bind(p->listeners[GATE_DNS_UDP], (struct sockaddr *)&at6, sizeof at6), 0);
	assert_int_equal(listen(p->listeners[GATE_TCP4], 128), 0);
	assert_int_equal(listen(p->listeners[GATE_TCP6], 128), 0);
	assert_int_equal(listen(p->listeners[GATE_DNS_TCP], 128), 0);
}

static void attach(struct process *p, uint32_t id)
{
	make_listeners(p);
	tell(p, &(struct gate_message) { .kind = GATE_ATTACH, .id = id, .name = "cli-pod" }, p->listeners, GATE_LISTENER_COUNT);
	assert_int_equal(hear(p, GATE_ATTACHED).id, id);
}

static int connect_to(const struct process *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = p->port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static struct gate_message ask_status(struct process *p)
{
	tell(p, &(struct gate_message) { .kind = GATE_STATUS }, NULL, 0);
	return hear(p, GATE_STATUS_REPLY);
}

/* Until so many are open. */
static struct gate_message wait_open(struct process *p, uint32_t open)
{
	const struct timespec nap = { 0, 10000000 };
	struct gate_message m = { 0 };

	for (int i = 0; i < WAIT_MS / 10; i++) {
		m = ask_status(p);
		if (m.counters.connections_open == open)
			return m;
		(void)nanosleep(&nap, NULL);
	}
	assert_int_equal(m.counters.connections_open, open);
	return m;
}

/* Until so many have been accepted in all: one that is turned away changes no number of open ones. */
static struct gate_message wait_connections(struct process *p, uint64_t all)
{
	const struct timespec nap = { 0, 10000000 };
	struct gate_message m = { 0 };

	for (int i = 0; i < WAIT_MS / 10; i++) {
		m = ask_status(p);
		if (m.counters.connections >= all)
			return m;
		(void)nanosleep(&nap, NULL);
	}
	assert_int_equal(m.counters.connections, all);
	return m;
}

static bool is_closed(int fd)
{
	struct pollfd poll_in = { .fd = fd, .events = POLLIN };
	char c;

	return poll(&poll_in, 1, WAIT_MS) == 1 && recv(fd, &c, 1, 0) <= 0;
}

/* --- tests --- */

static unsigned count_entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned count = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	(void)closedir(d);
	return count;
}

#ifndef __SANITIZE_THREAD__
static void check_status(const char *path)
{
	static const char *const wanted[] = { "Uid:\t1878982656\t1878982656\t1878982656\t1878982656\n",
					      "Gid:\t1878982656\t1878982656\t1878982656\t1878982656\n",
					      "Groups:\t \n",
					      "CapInh:\t0000000000000000\n",
					      "CapPrm:\t0000000000000000\n",
					      "CapEff:\t0000000000000000\n",
					      "CapBnd:\t0000000000000000\n",
					      "CapAmb:\t0000000000000000\n",
					      "NoNewPrivs:\t1\n",
					      "Seccomp:\t2\n" };
	char text[4096];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = read(fd, text, sizeof text - 1);

	assert_true(n > 0);
	(void)close(fd);
	text[n] = '\0';
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (!strstr(text, wanted[i]))
			fail_msg("%s says otherwise than %s", path, wanted[i]);
}

static void every_thread_has_given_up_everything(void **state)
{
	struct process *p = *state;
	char path[64], status[512];

	(void)hear(p, GATE_READY);
	(void)snprintf(path, sizeof path, "/proc/%d/task", p->pid);
	DIR *d = opendir(path);
	unsigned threads = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(status, sizeof status, "%s/%s/status", path, e->d_name);
		check_status(status);
		threads++;
	}
	(void)closedir(d);
	assert_true(threads >= 1 + 1 + WORKERS);
	(void)snprintf(path, sizeof path, "/proc/%d/root", p->pid);
	assert_int_equal(count_entries(path), 0);
}

#endif

static void it_serves(void **state)
{
	struct process *p = *state;
	int fds[40];
	char name[] = "/tmp/gate-log-XXXXXX";
	int log = mkstemp(name);

	assert_true(log >= 0);
	(void)close(log);
	log = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
	(void)unlink(name);
	(void)hear(p, GATE_READY);
	tell(p, &(struct gate_message) { .kind = GATE_LOG }, &log, 1);
	assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 5).refused, 0);
	attach(p, 11);
	for (int i = 0; i < 40; i++)
		assert_true((fds[i] = connect_to(p)) >= 0);
	const struct gate_message m = wait_open(p, 40);

	assert_int_equal(m.generation, 5);
	assert_int_equal(m.counters.connections, 40);
	/* a policy that does not know the pod */
	struct arena arena = { 0 };
	struct policy_builder *b = policy_builder_new(&arena);

	(void)policy_builder_client(b, "other-pod");
	const struct gate_message adopted = publish(p, policy_builder_finish(b), SEALS, 6);

	arena_free(&arena);
	assert_int_equal(adopted.generation, 6);
	assert_int_equal(adopted.revoked, 40);
	for (int i = 0; i < 40; i++) {
		assert_true(is_closed(fds[i]));
		(void)close(fds[i]);
	}
	/* detached: what is open is closed, and so are the listeners */
	assert_true((fds[0] = connect_to(p)) >= 0);
	(void)wait_open(p, 1);
	close_listeners(p);
	tell(p, &(struct gate_message) { .kind = GATE_DETACH, .id = 11 }, NULL, 0);
	assert_true(is_closed(fds[0]));
	(void)close(fds[0]);
	(void)wait_open(p, 0);
	assert_int_equal(connect_to(p), -1);
	attach(p, 11);
	(void)close(log);
}

static void a_bad_policy_changes_nothing(void **state)
{
	struct process *p = *state;
	const struct span good = gate_test_block(&p->arena);
	char *bad = arena_alloc(&p->arena, good.n);

	(void)hear(p, GATE_READY);
	assert_int_equal(publish(p, good, SEALS, 1).refused, 0);
	memcpy(bad, good.p, good.n);
	memset(bad + good.n / 2, 0xff, good.n / 4);
	const struct {
		struct span block;
		int seals;
	} refused[] = { { good, 0 },
			{ good, SEALS & ~F_SEAL_WRITE },
			{ good, SEALS & ~F_SEAL_SHRINK },
			{ good, SEALS & ~F_SEAL_GROW },
			{ span_first(good, 0), SEALS },
			{ span_first(good, good.n - 1), SEALS },
			{ { bad, good.n }, SEALS } };

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		const struct gate_message m = publish(p, refused[i].block, refused[i].seals, 2 + i);

		assert_int_equal(m.refused, 1);
		assert_int_equal(m.generation, 2 + i);
	}
	assert_int_equal(wait_open(p, 0).generation, 1);
}

static void many_messages_at_once_are_done_in_order(void **state)
{
	struct process *p = *state;
	const int fd = policy_file(gate_test_block(&p->arena), SEALS);
	struct gate_message m = { .kind = GATE_POLICY, .hash = HASH, .project = "demo" };

	(void)hear(p, GATE_READY);
	for (m.generation = 1; m.generation <= 100; m.generation++)
		tell(p, &m, &fd, 1);
	for (uint64_t i = 1; i <= 100; i++)
		assert_int_equal(hear(p, GATE_ADOPTED).generation, i);
	(void)close(fd);
}

static void the_end_of_the_channel_ends_it(void **state)
{
	struct process *p = *state;

	(void)hear(p, GATE_READY);
	assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
	attach(p, 1);
	(void)shutdown(p->channel, SHUT_RDWR);
	assert_int_equal(ended(p, WAIT_MS), 0);
}

static void a_drain_ends_it(void **state)
{
	struct process *p = *state;

	(void)hear(p, GATE_READY);
	assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
	attach(p, 1);
	const int fd = connect_to(p);

	(void)wait_open(p, 1);
	tell(p, &(struct gate_message) { .kind = GATE_DRAIN }, NULL, 0);
	assert_int_equal(ended(p, 1000), 0);
	assert_true(is_closed(fd));
	(void)close(fd);
}

/* Of 44 connections one pod gets 36, the next 7; who is over is reset, and may try again when another is closed. */
static void no_pod_takes_all(void **state)
{
	struct process *p = *state;
	int fds[50], other[50], log_pipe = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
	uint32_t open_now = 0;

	(void)hear(p, GATE_READY);
	tell(p, &(struct gate_message) { .kind = GATE_LOG }, &log_pipe, 1);
	(void)close(log_pipe);
	assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
	attach(p, 1);
	for (int i = 0; i < 50; i++) {
		assert_true((fds[i] = connect_to(p)) >= 0);
		(void)wait_open(p, open_now += i < 36);
	}
	for (int i = 36; i < 50; i++)
		assert_true(is_closed(fds[i]));
	close_listeners(p);
	attach(p, 2);
	for (int i = 0; i < 50; i++) {
		assert_true((other[i] = connect_to(p)) >= 0);
		(void)wait_open(p, open_now += i < 5);
	}
	const struct gate_message m = wait_connections(p, 100);

	assert_int_equal(m.counters.connections, 100);
	assert_int_equal(m.counters.connections_open, 41);
	assert_int_equal(m.counters.denied, 59);
	tell(p, &(struct gate_message) { .kind = GATE_DETACH, .id = 1 }, NULL, 0);
	(void)wait_open(p, 5);
	for (int i = 5; i < 9; i++) {
		(void)close(other[i]);
		assert_true((other[i] = connect_to(p)) >= 0);
		(void)wait_open(p, (uint32_t)i + 1);
	}
	for (int i = 0; i < 50; i++) {
		(void)close(fds[i]);
		(void)close(other[i]);
	}
}

static uint64_t cpu_ticks(const struct process *p)
{
	char path[64], text[1024];
	unsigned long user = 0, system = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", p->pid);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = read(fd, text, sizeof text - 1);

	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	assert_int_equal(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return user + system;
}

/* A process may limit another of its own user. 0: as before. */
static void limit_files(const struct process *p, rlim_t soft)
{
	const pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit files;
		const bool good = setresgid(GATE_ID, GATE_ID, GATE_ID) == 0 && setresuid(GATE_ID, GATE_ID, GATE_ID) == 0 &&
				  prlimit(p->pid, RLIMIT_NOFILE, NULL, &files) == 0;

		files.rlim_cur = soft ? soft : files.rlim_max;
		_exit(good && prlimit(p->pid, RLIMIT_NOFILE, &files, NULL) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Out of fds it waits, does not spin, and goes on when there are some again. */
static void without_files_it_waits(void **state)
{
	struct process *p = *state;
	const struct timespec nap = { 0, 500000000 };

	(void)hear(p, GATE_READY);
	assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
	attach(p, 1);
	limit_files(p, 3);
	const int fd = connect_to(p);

	assert_true(fd >= 0);
	const uint64_t before = cpu_ticks(p);

	(void)nanosleep(&nap, NULL);
	assert_in_range(cpu_ticks(p) - before, 0, 20);
	assert_int_equal(ask_status(p).counters.connections, 0);
	limit_files(p, 0);
	(void)wait_open(p, 1);
	(void)close(fd);
}

/* The message with its file is neither lost nor taken for a wrong one. */
static void without_files_a_new_policy_waits(void **state)
{
	struct process *p = *state;
	const struct gate_message m = { .kind = GATE_POLICY, .generation = 2, .hash = HASH, .project = "demo" };
	struct pollfd answer = { .fd = p->channel, .events = POLLIN };

	(void)hear(p, GATE_READY);
	assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
	const int fd = policy_file(gate_test_block(&p->arena), SEALS);

	limit_files(p, 3);
	tell(p, &m, &fd, 1);
	(void)close(fd);
	const uint64_t before = cpu_ticks(p);

	assert_int_equal(poll(&answer, 1, 500), 0);
	assert_in_range(cpu_ticks(p) - before, 0, 20);
	limit_files(p, 0);
	assert_int_equal(hear(p, GATE_ADOPTED).generation, 2);
	assert_int_equal(ask_status(p).generation, 2);
}

/* Each of these, said after the first policy, ends the gate with exit status 3. */
static const struct gate_message wrong[] = {
	{ .kind = 0 },
	{ .kind = 7 },
	{ .kind = GATE_READY },
	{ .kind = 0xffffffff },
	{ .kind = GATE_POLICY, .generation = 2, .hash = HASH, .project = "demo" }, /* no file */
	{ .kind = GATE_LOG },
	{ .kind = GATE_ATTACH, .id = 1, .name = "cli-pod" },
	{ .kind = GATE_DETACH, .id = 1 },
};

static void a_wrong_message_ends_it(void **state)
{
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct process *p = *state;

		(void)hear(p, GATE_READY);
		assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
		tell(p, &wrong[i], NULL, 0);
		assert_int_equal(ended(p, WAIT_MS), 3);
		(void)teardown(state);
		(void)setup(state);
	}
}

static void wrong_files_end_it(void **state)
{
	struct process *p = *state;
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const int five[] = { null, null, null, null, null };
	const struct {
		struct gate_message m;
		size_t fds;
	} rows[] = {
		{ { .kind = GATE_STATUS }, 1 },
		{ { .kind = GATE_LOG }, 1 }, /* cannot be written */
		{ { .kind = GATE_ATTACH, .id = 1, .name = "cli-pod" }, 4 },
		{ { .kind = GATE_ATTACH, .id = 1, .name = "cli-pod" }, 5 }, /* blocks */
		{ { .kind = GATE_ATTACH_NAMES, .id = 1, .name = "cli-pod" }, 5 },
		{ { .kind = GATE_ATTACH_NAMES, .id = 1, .name = "cli-pod" }, 3 },   /* blocks */
		{ { .kind = GATE_ATTACH, .id = 1 }, 5 },                            /* no name */
		{ { .kind = GATE_POLICY, .generation = 2, .project = "demo" }, 1 }, /* no hash */
		{ { .kind = GATE_POLICY, .hash = HASH, .project = "demo" }, 1 },    /* no generation */
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++, p = *state) {
		(void)hear(p, GATE_READY);
		assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
		tell(p, &rows[i].m, five, rows[i].fds);
		assert_int_equal(ended(p, WAIT_MS), 3);
		(void)teardown(state);
		(void)setup(state);
	}
	(void)close(null);
}

/* A connection to the pod's TCP listener is left to who serves it: it waits, and is taken by the next attach that has the listener. */
static void a_pod_whose_tcp_is_served_elsewhere(void **state)
{
	struct process *p = *state;

	(void)hear(p, GATE_READY);
	assert_int_equal(publish(p, gate_test_block(&p->arena), SEALS, 1).refused, 0);
	make_listeners(p);
	tell(p, &(struct gate_message) { .kind = GATE_ATTACH_NAMES, .id = 1, .name = "cli-pod" }, p->listeners + GATE_DNS_TCP,
	     GATE_LISTENER_COUNT - GATE_DNS_TCP);
	assert_int_equal(hear(p, GATE_ATTACHED).id, 1);
	const int fd = connect_to(p);

	assert_true(fd >= 0);
	(void)ask_status(p);
	assert_int_equal(ask_status(p).counters.connections, 0);
	tell(p, &(struct gate_message) { .kind = GATE_DETACH, .id = 1 }, NULL, 0);
	tell(p, &(struct gate_message) { .kind = GATE_ATTACH, .id = 2, .name = "cli-pod" }, p->listeners, GATE_LISTENER_COUNT);
	assert_int_equal(hear(p, GATE_ATTACHED).id, 2);
	assert_int_equal(wait_connections(p, 1).counters.connections, 1);
	(void)close(fd);
}

static void a_pod_before_the_policy_ends_it(void **state)
{
	struct process *p = *state;

	(void)hear(p, GATE_READY);
	make_listeners(p);
	tell(p, &(struct gate_message) { .kind = GATE_ATTACH, .id = 1, .name = "cli-pod" }, p->listeners, GATE_LISTENER_COUNT);
	assert_int_equal(ended(p, WAIT_MS), 3);
}

static void a_short_message_ends_it(void **state)
{
	struct process *p = *state;

	(void)hear(p, GATE_READY);
	assert_int_equal(send(p->channel, "x", 1, 0), 1);
	assert_int_equal(ended(p, WAIT_MS), 3);
}

static uint32_t heads_of_worker(uint32_t heads, unsigned workers)
{
	struct budget budget = { .max = 8 };
	struct gate_limits limits;
	struct worker w;
	struct err err = { 0 };

	limits_default(&limits);
	limits.of[LIMIT_HEADS_PER_SECOND] = heads;
	const struct worker_options o = {
		.count = workers, .servers = "127.0.0.1:9", .limits = &limits, .budget = &budget, .acknowledge = -1
	};

	assert_int_equal(worker_init(&w, &o, &err), 0);
	assert_int_equal(w.limits.of[LIMIT_CONNECTIONS], limits.of[LIMIT_CONNECTIONS]);
	const uint32_t ret = w.limits.of[LIMIT_HEADS_PER_SECOND];

	worker_free(&w);
	return ret;
}

static void workers_share_what_may_come_in_a_second(void **state)
{
	(void)state;
	assert_int_equal(heads_of_worker(100, 1), 100);
	assert_int_equal(heads_of_worker(100, 4), 25);
	assert_int_equal(heads_of_worker(7, 4), 1);
	assert_int_equal(heads_of_worker(4, 4), 1);
	assert_int_equal(heads_of_worker(1, 64), 1); /* never none */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_THREAD__ /* which has a thread of its own from the start */
		TEST(every_thread_has_given_up_everything),
#endif
		cmocka_unit_test(workers_share_what_may_come_in_a_second),
		TEST(it_serves),
		TEST(a_bad_policy_changes_nothing),
		TEST(many_messages_at_once_are_done_in_order),
		TEST(the_end_of_the_channel_ends_it),
		TEST(a_drain_ends_it),
		cmocka_unit_test_setup_teardown(no_pod_takes_all, setup_few_files, teardown),
		TEST(without_files_it_waits),
		TEST(without_files_a_new_policy_waits),
		TEST(a_wrong_message_ends_it),
		TEST(wrong_files_end_it),
		TEST(a_pod_whose_tcp_is_served_elsewhere),
		TEST(a_pod_before_the_policy_ends_it),
		TEST(a_short_message_ends_it),
	};

	if (geteuid() != 0) {
		puts("skipped: a gate is started by root");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
