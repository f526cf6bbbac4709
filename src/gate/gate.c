/* Start and end of the process. All that needs a file's name or a capability is done first, by the one thread there is; then it
 * gives up everything, and only then are threads started, so that each is born locked down. */
#include "gate/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "gate/control.h"
#include "guard/fdpass.h"
#include "guard/guard.h"

enum { GATE_ID = 0x6fff0000, SERVERS_MAX = 1024, HOST_MS = 10000 };
/* A connection has two sockets; a third, for a second attempt to connect, counts as another connection. So what one pod makes of its
 * share can never be what another, or a new policy, would have needed. Pipes are the worker's (WORKER_PIPES_MAX), as are its events and
 * the sockets to resolvers. Some are kept for the gate itself. */
enum { FDS_RESERVED = 256, FDS_A_CONNECTION = 2, FDS_A_PIPE = 2, FDS_A_WORKER = 16 };

#ifdef STOCKADE_SANITIZED
/* The look for leaks at exit needs /proc, which a gate gives up. */
static bool proc_is_gone;
int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
	return proc_is_gone;
}
#endif

/* Only the channel and stderr stay. 0 and 1 lead nowhere, so that no stray word of a library ends up in a socket. */
static int keep_files(int channel, struct err *err)
{
	const int keep[] = { STDERR_FILENO, channel };
	int type = 0;
	socklen_t size = sizeof type;

	if (channel <= STDERR_FILENO)
		return err_set(err, ERR_INPUT, "the channel is fd %d, where a standard stream should be", channel);
	if (getsockopt(channel, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
		return err_set(err, ERR_INPUT, "the channel, fd %d, is not a socket for whole messages", channel);
	if (guard_close_fds_except(keep, 2, err) < 0)
		return -1;
	if (open("/dev/null", O_RDWR) != STDIN_FILENO || dup(STDIN_FILENO) != STDOUT_FILENO)
		return err_errno(err, "cannot open /dev/null as standard input and output");
	if (fd_set_nonblock(channel) < 0 || fcntl(channel, F_SETFD, FD_CLOEXEC) < 0)
		return err_errno(err, "cannot set up the channel");
	return 0;
}

static int ignore_signals(struct err *err)
{
	static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT };

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		if (signal(ignored[i], SIG_IGN) == SIG_ERR)
			return err_errno(err, "cannot ignore signals");
	return 0;
}

static int find_servers(const char *const *dns, char ret[static SERVERS_MAX], struct err *err)
{
	size_t n = 0;

	ret[0] = '\0';
	for (; dns && *dns; dns++) {
		const int more = snprintf(ret + n, SERVERS_MAX - n, "%s%s", n ? "," : "", *dns);

		if (more < 0 || (size_t)more >= SERVERS_MAX - n)
			return err_set(err, ERR_INPUT, "too many addresses of resolvers");
		n += (size_t)more;
	}
	if (n == 0)
		resolver_read_resolv_conf("/etc/resolv.conf", ret, SERVERS_MAX);
	return 0;
}

/* As many fds as may be, and the connections that they are enough for. */
static int raise_limits(unsigned workers, unsigned *ret_connections, struct err *err)
{
	const rlim_t reserved = FDS_RESERVED + (rlim_t)workers * (WORKER_PIPES_MAX * FDS_A_PIPE + FDS_A_WORKER);
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_errno(err, "cannot read the limit of open files");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_errno(err, "cannot raise the limit of open files");
	const rlim_t most = files.rlim_cur > reserved ? (files.rlim_cur - reserved) / FDS_A_CONNECTION : 0;

	if (most < 2)
		return err_set(err, ERR_FAULT, "the limit of open files, %llu, is too low for a gate",
			       (unsigned long long)files.rlim_cur);
	*ret_connections = most < 1U << 30 ? (unsigned)most : 1U << 30;
	return 0;
}

static unsigned count_cores(void)
{
	cpu_set_t set;
	const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return count < WORKERS_MAX ? (unsigned)count : WORKERS_MAX;
}

/* From the supervisor, at once: the socket that tells the host's own addresses. It stays open as long as the process. */
static int receive_host(int channel, int *ret, struct err *err)
{
	struct pollfd p = { .fd = channel, .events = POLLIN };
	struct gate_message m;
	size_t count = 0;

	if (poll(&p, 1, HOST_MS) != 1 || fdpass_receive(channel, &m, sizeof m, ret, 1, &count) != (ssize_t)sizeof m)
		return err_set(err, ERR_FAULT, "the supervisor does not say which addresses are the host's");
	if (m.kind == GATE_HOST && count == 1)
		return 0;
	if (count)
		(void)close(*ret);
	return err_set(err, ERR_FAULT, "the supervisor says something else than which addresses are the host's");
}

static int init_workers(struct control *c, const char *servers, const struct gate_options *options, struct err *err)
{
	struct worker_options o = {
		.count = c->count,
		.servers = servers,
		.limits = options->limits,
		.audit = c->audit,
		.budget = &c->budget,
		.acknowledge = c->acknowledged.fd,
	};
	int host;

	for (; o.index < c->count; o.index++) {
		if (options->contained && receive_host(options->channel, &host, err) < 0)
			return -1;
		o.host = options->contained ? &host : NULL;
		if (worker_init(&c->workers[o.index], &o, err) < 0)
			return -1;
	}
	return 0;
}

static int init(struct control *c, const struct gate_options *o, struct err *err)
{
	char servers[SERVERS_MAX];

	c->count = o->workers > WORKERS_MAX ? WORKERS_MAX : o->workers ? o->workers : count_cores();
	if (find_servers(o->dns, servers, err) < 0 || raise_limits(c->count, &c->budget.max, err) < 0)
		return -1;
	c->workers = calloc(c->count, sizeof *c->workers);
	c->loop = loop_new();
	c->acknowledged.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!c->workers || !c->loop || c->acknowledged.fd < 0)
		return err_errno(err, "cannot make the gate's loop");
	c->audit = audit_new(c->count, err);
	return c->audit ? init_workers(c, servers, o, err) : -1;
}

/* What Podman was asked for. */
static int check_container(struct err *err)
{
	struct statvfs root;

	if (guard_check_powerless(GATE_ID, GATE_ID, err) < 0)
		return err_wrap(err, "the gate's container has more power than it may have");
	if (statvfs("/", &root) < 0 || !(root.f_flag & ST_RDONLY))
		return err_set(err, ERR_FAULT, "the gate's container has a root directory that can be written to");
	return guard_seccomp_gate(err) < 0 ? err_wrap(err, "the gate cannot lock itself down") : 0;
}

static int lock_down(struct err *err)
{
#ifdef STOCKADE_SANITIZED
	proc_is_gone = true;
#endif
	if (guard_empty_root(err) < 0 || guard_set_ids(GATE_ID, GATE_ID, err) < 0 || guard_drop_capabilities(err) < 0)
		return err_wrap(err, "the gate cannot lock itself down (it is to be started by root)");
	/* The change of user has cleared it. One whose keeper has gone before this line finds its channel at its end. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_errno(err, "the gate cannot bind itself to its keeper's life");
	return guard_seccomp_gate(err) < 0 ? err_wrap(err, "the gate cannot lock itself down") : 0;
}

static int start_threads(struct control *c, struct err *err)
{
	if (audit_start(c->audit, err) < 0)
		return -1;
	for (unsigned i = 0; i < c->count; i++)
		if (worker_start(&c->workers[i], err) < 0)
			return -1;
	return 0;
}

static void end(struct control *c)
{
	for (unsigned i = 0; c->workers && i < c->count; i++)
		worker_join(&c->workers[i]);
	audit_free(c->audit); /* after the last worker's last line */
	for (unsigned i = 0; c->workers && i < c->count; i++)
		worker_free(&c->workers[i]);
	free(c->workers);
	loop_free(c->loop);
	fd_close(&c->acknowledged.fd);
}

int gate_run(const struct gate_options *o, struct err *err)
{
	struct control c = { .channel = { .fd = o->channel }, .acknowledged = { .fd = -1 } };
	int rc = -1;

	log_set_role("gate");
	if (keep_files(o->channel, err) < 0 || ignore_signals(err) < 0)
		return -1;
	if (init(&c, o, err) == 0 && (o->contained ? check_container(err) : lock_down(err)) == 0 && start_threads(&c, err) == 0)
		rc = control_run(&c, err);
	end(&c);
	return rc;
}
