#include "engine/publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/guard.h"
#include "net/pump.h"
#include "policy/address.h"

int publish_listen(const char *host_ip, uint16_t port, struct err *err)
{
	struct ip_addr ip;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const char *text = host_ip ? host_ip : "127.0.0.1";
	const int on = 1;

	if (!ip_parse(span_of(text), &ip))
		return err_set(err, ERR_INPUT, "hostIP '%.60s' is not an address", text);
	memcpy(&v4.sin_addr, ip.bytes, 4);
	memcpy(&v6.sin6_addr, ip.bytes, 16);
	FD_CLOSE int fd = socket(ip.family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, ip.family == 4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6,
		 ip.family == 4 ? sizeof v4 : sizeof v6) < 0 ||
	    listen(fd, 128) < 0)
		return err_errno(err, "publishing at %s port %u", text, port);
	return fd_steal(&fd);
}

/* --- in the process --- */

struct relay {
	struct loop *loop;
	struct pipe_pool *pipes;
	struct source listener;
	uint16_t port;
	unsigned connections;
};

struct flow {
	struct source client, server;
	struct pump up, down;
	struct relay *relay;
	struct timer connecting;
	struct deferred end;
	bool connected, over;
};

static void flow_free(struct deferred *d)
{
	free((char *)d - offsetof(struct flow, end));
}

static void flow_close(struct flow *f)
{
	struct relay *r = f->relay;

	if (f->over)
		return;
	f->over = true;
	loop_timer_cancel(r->loop, &f->connecting);
	pump_close(&f->up, r->pipes);
	pump_close(&f->down, r->pipes);
	loop_forget(r->loop, &f->client);
	loop_forget(r->loop, &f->server);
	fd_close(&f->client.fd);
	fd_close(&f->server.fd);
	/* There is room for one more again. */
	if (r->connections-- == PUBLISH_CONNECTIONS)
		(void)loop_watch(r->loop, &r->listener, EPOLLIN);
	f->end.run = flow_free;
	loop_defer(r->loop, &f->end);
}

static void flow_move(struct flow *f)
{
	const enum pump_result up = pump_move(&f->up, f->relay->pipes, f->client.fd, f->server.fd, UINT64_MAX, true);
	const enum pump_result down = pump_move(&f->down, f->relay->pipes, f->server.fd, f->client.fd, UINT64_MAX, true);

	if (up == PUMP_FAILED || down == PUMP_FAILED || (up == PUMP_ENDED && down == PUMP_ENDED)) {
		flow_close(f);
		return;
	}
	const uint32_t client = (up == PUMP_WAIT_FROM ? EPOLLIN : 0U) | (down == PUMP_WAIT_TO ? EPOLLOUT : 0U);
	const uint32_t server = (down == PUMP_WAIT_FROM ? EPOLLIN : 0U) | (up == PUMP_WAIT_TO ? EPOLLOUT : 0U);

	if (loop_watch(f->relay->loop, &f->client, client) < 0 || loop_watch(f->relay->loop, &f->server, server) < 0)
		flow_close(f);
}

static void client_ready(struct source *s, uint32_t events)
{
	struct flow *f = (struct flow *)((char *)s - offsetof(struct flow, client));

	if (f->over)
		return;
	/* An error, or a hang-up with nothing left to read, would be told again and again. */
	if ((events & EPOLLERR) || ((events & EPOLLHUP) && (!f->connected || f->up.to_shut)))
		flow_close(f);
	else if (f->connected)
		flow_move(f);
}

static void server_ready(struct source *s, uint32_t events)
{
	struct flow *f = (struct flow *)((char *)s - offsetof(struct flow, server));
	int error = 0;
	socklen_t size = sizeof error;

	if (f->over)
		return;
	if (!f->connected) {
		if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error) {
			flow_close(f);
			return;
		}
		f->connected = true;
		loop_timer_cancel(f->relay->loop, &f->connecting);
	} else if ((events & EPOLLERR) || ((events & EPOLLHUP) && f->down.to_shut)) {
		flow_close(f);
		return;
	}
	flow_move(f);
}

static void connect_late(struct timer *t)
{
	flow_close((struct flow *)((char *)t - offsetof(struct flow, connecting)));
}

static void flow_start(struct relay *r, int client)
{
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(r->port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct flow *f = calloc(1, sizeof *f);

	if (!f) {
		(void)close(client);
		return;
	}
	f->relay = r;
	f->client = (struct source) { .fd = client, .ready = client_ready };
	f->server = (struct source) { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .ready = server_ready };
	f->connecting.expired = connect_late;
	r->connections++;
	if (f->server.fd < 0 || (connect(f->server.fd, (const struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) ||
	    loop_watch(r->loop, &f->server, EPOLLOUT) < 0 || loop_watch(r->loop, &f->client, 0) < 0) {
		flow_close(f);
		return; /* NOLINT(clang-analyzer-unix.Malloc): the loop frees it after this batch */
	}
	loop_timer_set(r->loop, &f->connecting, PUBLISH_CONNECT_MS);
}

static void accept_ready(struct source *s, uint32_t events)
{
	struct relay *r = (struct relay *)((char *)s - offsetof(struct relay, listener));

	for (int i = 0; i < 16 && r->connections < PUBLISH_CONNECTIONS; i++) {
		const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		flow_start(r, fd);
	}
	if (r->connections >= PUBLISH_CONNECTIONS)
		(void)loop_watch(r->loop, s, 0);
}

static int serve(int listener, int netns, uint16_t port, pid_t parent)
{
	struct err err = { 0 };
	int low = listener, high = netns;

	if (low > high)
		low = netns, high = listener;
	const int keep[] = { STDERR_FILENO, low, high };

	if (guard_close_fds_except(keep, sizeof keep / sizeof keep[0], &err) < 0 || setns(netns, CLONE_NEWNET) < 0 ||
	    close(netns) < 0 || guard_empty_root(&err) < 0 || guard_set_ids(PUBLISH_UID, PUBLISH_UID, &err) < 0 ||
	    guard_drop_capabilities(&err) < 0)
		return 1;
	(void)prctl(PR_SET_NAME, "stockade-port");
	/* The change of user has cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return 1;
	struct relay r = { .loop = loop_new(),
			   .pipes = pipe_pool_new(16, UINT_MAX),
			   .listener = { .fd = listener, .ready = accept_ready },
			   .port = port };

	if (!r.loop || !r.pipes || loop_watch(r.loop, &r.listener, EPOLLIN) < 0)
		return 1;
	loop_run(r.loop, NULL, NULL);
	return 0;
}

pid_t publish_start(int listener, int netns, uint16_t container_port, struct err *err)
{
	const pid_t parent = getpid(), pid = child_fork(err);

	if (pid == 0)
		_exit(serve(listener, netns, container_port, parent));
	return pid;
}
