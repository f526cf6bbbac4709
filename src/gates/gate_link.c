/* What has been said to the present gate is a set of flags; tell() says what is missing, in order: policy, log, and, once the
 * policy is adopted, the pods. A new gate starts with all flags cleared. Messages that do not fit the socket wait for EPOLLOUT. */
#include "gates/gate_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "guard/fdpass.h"

enum { GATE_CHANNEL_FD = 3, GATE_STEADY_MS = 10000, GATE_ARGS = 24 + 2 * LIMIT_COUNT, GATE_FAREWELL_MS = 500 };

static void spawn(struct gate_link *g);

static struct gate_link *of_timer(struct timer *t, size_t offset)
{
	return (struct gate_link *)((char *)t - offset);
}

static void restart_due(struct timer *t)
{
	spawn(of_timer(t, offsetof(struct gate_link, restart)));
}

static void answer_late(struct timer *t)
{
	struct gate_link *g = of_timer(t, offsetof(struct gate_link, answer));

	log_error("the gate has not %s within %d s: it is started anew",
		  g->state == GATE_STARTING ? "said that it serves" : "taken on the policy", GATE_ANSWER_MS / 1000);
	child_signal(&g->child, SIGKILL);
}

/* --- what it is told --- */

/* true when said; false: try again when there is room, or the gate is gone anyway. */
static bool say(struct gate_link *g, const struct gate_message *m, const int *fds, size_t count)
{
	const int rc = fdpass_send(g->channel.fd, m, sizeof *m, fds, count);

	if (rc < 0 && rc != -EAGAIN && rc != -EPIPE && rc != -ECONNRESET) {
		log_error("the gate cannot be told anything: %s", strerror(-rc));
		child_signal(&g->child, SIGKILL);
	}
	return rc == 0;
}

static bool say_policy(struct gate_link *g)
{
	struct gate_message m = { .kind = GATE_POLICY, .generation = g->generation };

	(void)snprintf(m.hash, sizeof m.hash, "%s", g->hash);
	(void)snprintf(m.project, sizeof m.project, "%s", g->project);
	if (!say(g, &m, &g->policy, 1))
		return false;
	g->policy_sent = true;
	loop_timer_set(g->loop, &g->answer, GATE_ANSWER_MS);
	return true;
}

static bool say_pods(struct gate_link *g)
{
	while (g->detached_count) {
		const struct gate_message m = { .kind = GATE_DETACH, .id = g->detached[g->detached_count - 1] };

		if (!say(g, &m, NULL, 0))
			return false;
		g->detached_count--;
	}
	for (struct gate_pod *p = g->pods; p; p = p->next) {
		struct gate_message m = { .kind = g->haproxy ? GATE_ATTACH_NAMES : GATE_ATTACH, .id = p->id };
		const int first = g->haproxy ? GATE_DNS_TCP : 0;

		if (p->sent)
			continue;
		(void)snprintf(m.name, sizeof m.name, "%s", p->name);
		if (!say(g, &m, p->listeners + first, (size_t)(GATE_LISTENER_COUNT - first)))
			return false;
		p->sent = true;
	}
	return true;
}

static bool say_all(struct gate_link *g)
{
	if (g->log >= 0 && !g->log_sent) {
		const struct gate_message m = { .kind = GATE_LOG };

		if (!say(g, &m, &g->log, 1))
			return false;
		g->log_sent = true;
	}
	/* With HAProxy, once that serves it: what it refuses is never told here. */
	if (g->policy >= 0 && !g->policy_sent && (!g->haproxy || g->haproxy->adopted == g->generation) && !say_policy(g))
		return false;
	if (g->status_wanted) {
		const struct gate_message m = { .kind = GATE_STATUS };

		if (!say(g, &m, NULL, 0))
			return false;
		g->status_wanted = false;
	}
	return g->adopted == 0 || say_pods(g);
}

static void tell(struct gate_link *g)
{
	if (g->state == GATE_SERVING)
		(void)loop_watch(g->loop, &g->channel, say_all(g) ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

/* --- what it says --- */

bool gate_link_serves(const struct gate_link *g)
{
	bool all = g->adopted != 0 && g->adopted == g->generation;

	for (const struct gate_pod *p = g->pods; p; p = p->next)
		all = all && p->answered;
	return all;
}

static void tell_if_serves(struct gate_link *g)
{
	if (g->on_serves && gate_link_serves(g))
		g->on_serves(g);
}

static void hear_adopted(struct gate_link *g, const struct gate_message *m)
{
	if (m->generation == g->generation)
		loop_timer_cancel(g->loop, &g->answer);
	if (m->refused) {
		log_error("the gate refused generation %llu", (unsigned long long)m->generation);
	} else {
		g->adopted = m->generation;
	}
	g->on_adopted(g, m->generation, m->refused != 0, m->revoked);
	tell_if_serves(g);
}

static void attached_if_both(struct gate_pod *p)
{
	if (!p->answered || !p->served || p->attached)
		return;
	p->attached = true;
	if (p->on_attached)
		p->on_attached(p);
}

static void hear_attached(struct gate_link *g, const struct gate_message *m)
{
	for (struct gate_pod *p = g->pods; p; p = p->next) {
		if (p->id != m->id || !p->sent || p->answered)
			continue;
		p->answered = true;
		attached_if_both(p);
		tell_if_serves(g);
		return;
	}
}

static void hear(struct gate_link *g, const struct gate_message *m)
{
	switch (m->kind) {
	case GATE_READY:
		g->state = GATE_SERVING;
		loop_timer_cancel(g->loop, &g->answer);
		break;
	case GATE_ADOPTED:
		hear_adopted(g, m);
		break;
	case GATE_ATTACHED:
		hear_attached(g, m);
		break;
	case GATE_STATUS_REPLY:
		g->on_status(g, &m->counters);
		break;
	default:
		log_error("the gate says something that is not in the protocol (%u): it is started anew", m->kind);
		child_signal(&g->child, SIGKILL);
	}
}

static void channel_ready(struct source *s, uint32_t events)
{
	struct gate_link *g = (struct gate_link *)((char *)s - offsetof(struct gate_link, channel));
	struct gate_message m;
	size_t count = 0;

	for (int i = 0; i < 64 && s->fd >= 0; i++) {
		const ssize_t n = fdpass_receive(s->fd, &m, sizeof m, NULL, 0, &count);

		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n != (ssize_t)sizeof m) {
			/* It has gone, or talks nonsense: either way this one is over. */
			loop_forget(g->loop, s);
			child_signal(&g->child, SIGKILL);
			return;
		}
		hear(g, &m);
	}
	if (s->fd >= 0)
		tell(g);
}

/* --- its life --- */

static void forget_process(struct gate_link *g)
{
	loop_forget(g->loop, &g->channel);
	fd_close(&g->channel.fd);
	loop_timer_cancel(g->loop, &g->answer);
	g->adopted = 0;
	g->policy_sent = g->log_sent = g->status_wanted = false;
	g->detached_count = 0;
	for (struct gate_pod *p = g->pods; p; p = p->next)
		p->sent = p->answered = p->attached = false;
}

unsigned gate_link_backoff_ms(const struct gate_link *g)
{
	const unsigned shift = g->failures > 8 ? 8 : g->failures;
	const unsigned wait = shift ? (unsigned)GATE_BACKOFF_MS << (shift - 1) : 0;

	return wait < GATE_BACKOFF_MAX_MS ? wait : GATE_BACKOFF_MAX_MS;
}

static void schedule(struct gate_link *g)
{
	const unsigned wait = gate_link_backoff_ms(g);

	g->failures++;
	g->state = GATE_DOWN;
	if (g->outside)
		return;
	if (wait == 0)
		spawn(g);
	else
		loop_timer_set(g->loop, &g->restart, wait);
}

static void gate_ended(struct child *c, int wait_status)
{
	struct gate_link *g = (struct gate_link *)((char *)c - offsetof(struct gate_link, child));
	const int code = child_exit_code(wait_status);

	forget_process(g);
	if (g->outside)
		log_error("the gate ended; whoever has started it starts it anew");
	else
		log_error("the gate ended (%s %d); it is started anew", code >= 128 ? "signal" : "exit status",
			  code >= 128 ? code - 128 : code);
	if (loop_now_ms(g->loop) - g->started_ms > GATE_STEADY_MS)
		g->failures = 0;
	g->restarts++;
	schedule(g);
}

size_t gate_link_limits(const struct gate_limits *limits, char text[static LIMIT_COUNT][LIMIT_TEXT_MAX], const char **args)
{
	struct gate_limits usual;
	size_t n = 0;

	limits_default(&usual);
	for (int i = 0; limits && i < LIMIT_COUNT; i++) {
		if (limits->of[i] == usual.of[i])
			continue;
		args[n++] = "--limit";
		args[n++] = limits_format(limits, (enum gate_limit)i, text[i]);
	}
	return n;
}

/* `stockade gate-role --channel 3 --workers N --limit NAME=VALUE... --dns ADDR...`: fd 3 is the channel, everything else but stderr
 * is closed by exec. */
static void become_gate(const struct gate_link *g, int channel)
{
	const char *args[GATE_ARGS] = { "stockade", "gate-role", "--channel", "3" };
	size_t n = 4;
	char workers[16], limits[LIMIT_COUNT][LIMIT_TEXT_MAX];
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (g->workers) {
		(void)snprintf(workers, sizeof workers, "%u", g->workers);
		args[n++] = "--workers";
		args[n++] = workers;
	}
	n += gate_link_limits(g->limits, limits, args + n);
	for (const char *const *d = g->dns; d && *d && n + 3 < GATE_ARGS; d++) {
		args[n++] = "--dns";
		args[n++] = *d;
	}
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    (g->quiet && dup2(null, STDERR_FILENO) < 0))
		_exit(126);
	/* dup2 onto itself would leave close-on-exec set. */
	if (channel == GATE_CHANNEL_FD)
		(void)fcntl(channel, F_SETFD, 0);
	else if (dup2(channel, GATE_CHANNEL_FD) < 0)
		_exit(126);
	(void)execv("/proc/self/exe", (char *const *)args);
	_exit(127);
}

static void spawn(struct gate_link *g)
{
	struct err err = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		log_error("the gate cannot be started: %s", strerror(errno));
		schedule(g);
		return;
	}
	const pid_t pid = child_fork(&err);

	if (pid == 0)
		become_gate(g, pair[1]);
	(void)close(pair[1]);
	g->channel = (struct source) { .fd = pair[0], .ready = channel_ready };
	g->started_ms = loop_now_ms(g->loop);
	if (pid < 0 || child_watch(&g->child, g->loop, pid, gate_ended, &err) < 0 ||
	    loop_watch(g->loop, &g->channel, EPOLLIN) < 0) {
		log_error("the gate cannot be started: %s", err.text);
		child_kill(&g->child);
		forget_process(g);
		if (g->failures == 0)
			g->failures = 1;
		schedule(g);
		return;
	}
	g->state = GATE_STARTING;
	loop_timer_set(g->loop, &g->answer, GATE_ANSWER_MS);
}

void gate_link_start(struct gate_link *g)
{
	g->restart.expired = restart_due;
	g->answer.expired = answer_late;
	g->policy = g->log = g->channel.fd = -1;
	if (!g->outside)
		spawn(g);
}

/* What it may still have said is not heard any more; its end is, and starts the next one. */
void gate_link_restart(struct gate_link *g)
{
	child_signal(&g->child, SIGKILL);
	forget_process(g);
	g->state = GATE_DOWN;
}

bool gate_link_connected(struct gate_link *g, int fd, pid_t pid)
{
	struct err err = { 0 };

	if (g->state != GATE_DOWN || g->child.pid > 0) {
		log_error("a second gate, process %d, is turned away", pid);
		(void)close(fd);
		return false;
	}
	g->channel = (struct source) { .fd = fd, .ready = channel_ready };
	g->started_ms = loop_now_ms(g->loop);
	/* No child of this process: how it ends is not told, that it ends is. */
	if (child_watch(&g->child, g->loop, pid, gate_ended, &err) < 0 || loop_watch(g->loop, &g->channel, EPOLLIN) < 0) {
		log_error("the gate cannot be watched: %s", err.text);
		child_kill(&g->child);
		forget_process(g);
		return false;
	}
	g->state = GATE_STARTING;
	loop_timer_set(g->loop, &g->answer, GATE_ANSWER_MS);
	return true;
}

void gate_link_publish(struct gate_link *g, int policy, uint64_t generation, const char *hash)
{
	g->policy = policy;
	g->generation = generation;
	(void)snprintf(g->hash, sizeof g->hash, "%s", hash);
	g->policy_sent = false;
	g->refusal[0] = '\0';
	if (g->haproxy)
		haproxy_publish(g->haproxy, policy, generation, hash);
	tell(g);
}

void gate_link_haproxy_adopted(struct gate_link *g, uint64_t generation, const char *why)
{
	if (why)
		(void)snprintf(g->refusal, sizeof g->refusal, "HAProxy: %s", why);
	if (why && generation == g->generation)
		g->on_adopted(g, generation, true, 0);
	tell(g);
}

void gate_link_haproxy_served(struct gate_link *g, uint64_t change)
{
	struct gate_pod *next;

	for (struct gate_pod *p = g->pods; p; p = next) {
		next = p->next;
		p->served = p->change <= change;
		p->attached = p->attached && p->served;
		attached_if_both(p);
	}
}

void gate_link_log(struct gate_link *g, int log)
{
	g->log = log;
	g->log_sent = false;
	if (g->haproxy)
		haproxy_log(g->haproxy, log);
	tell(g);
}

void gate_link_attach(struct gate_link *g, struct gate_pod *p)
{
	p->id = ++g->next_id;
	p->sent = p->answered = p->attached = false;
	p->next = g->pods;
	g->pods = p;
	p->served = !g->haproxy;
	p->change = g->haproxy ? haproxy_change(g->haproxy) : 0;
	tell(g);
}

void gate_link_detach(struct gate_link *g, struct gate_pod *p)
{
	for (struct gate_pod **at = &g->pods; *at; at = &(*at)->next) {
		if (*at != p)
			continue;
		*at = p->next;
		if (p->sent && g->detached_count < GATE_DETACH_MAX)
			g->detached[g->detached_count++] = p->id;
		else if (p->sent) /* so many at once that the gate cannot be told: a new one knows of none of them */
			child_signal(&g->child, SIGKILL);
		p->sent = p->answered = p->attached = false;
		if (g->haproxy)
			(void)haproxy_change(g->haproxy);
		tell(g);
		tell_if_serves(g);
		return;
	}
}

void gate_link_status(struct gate_link *g)
{
	g->status_wanted = true;
	tell(g);
}

void gate_link_stop(struct gate_link *g)
{
	struct pollfd end = { .fd = g->child.source.fd, .events = POLLIN };

	g->state = GATE_STOPPING;
	loop_timer_cancel(g->loop, &g->restart);
	/* Without its channel it ends by itself, and writes what is still to be logged. */
	if (g->child.pid > 0 && g->log >= 0 && g->channel.fd >= 0 && shutdown(g->channel.fd, SHUT_RDWR) == 0)
		(void)poll(&end, 1, GATE_FAREWELL_MS);
	child_kill(&g->child);
	forget_process(g);
}
