/* One message is handled at a time: while the workers are at a command, or its answer waits for room in the socket, the channel is
 * watched for its end only. So nothing is queued here, and answers come in the order of the messages. Likewise for a moment when there
 * are not enough descriptors left for those that come with a message: it stays where it is.
 *
 * Whatever is not exactly as protocol.h says ends the gate: half-told is wrongly told. */
#include "gate/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "guard/fdpass.h"

enum { MESSAGES_A_TURN = 64, DRAIN_MS = 5000, RECEIVE_AGAIN_MS = 50 };

struct attached {
	struct attached *next;
	uint32_t id;
};

/* --- ending --- */

static void fail(struct control *c, const char *why)
{
	if (!c->failed)
		(void)err_set(c->err, ERR_FAULT, "the gate stops: %s", why);
	c->failed = true;
	loop_stop(c->loop);
}

static void drain_over(struct timer *t)
{
	loop_stop(((struct control *)((char *)t - offsetof(struct control, drain_limit)))->loop);
}

/* --- saying --- */

static void send_reply(struct control *c)
{
	const int rc = fdpass_send(c->channel.fd, &c->reply, sizeof c->reply, NULL, 0);

	c->replying = rc == -EAGAIN;
	if (rc == -EPIPE || rc == -ECONNRESET)
		loop_stop(c->loop);
	else if (rc < 0 && rc != -EAGAIN)
		fail(c, strerror(-rc));
}

static void say(struct control *c, const struct gate_message *m)
{
	c->reply = *m;
	send_reply(c);
}

/* --- commands --- */

static void begin(struct control *c)
{
	c->busy = true;
	c->command.revoked = 0;
	c->command.failed = false;
	c->command.pending = c->count;
	for (unsigned i = 0; i < c->count; i++)
		worker_post(&c->workers[i], &c->command);
}

static void done(struct control *c)
{
	const struct command *command = &c->command;

	c->busy = false;
	if (command->failed) {
		fail(c, "a worker cannot serve a pod's sockets");
		return;
	}
	switch (command->kind) {
	case COMMAND_ADOPT:
		c->generation = command->generation->snapshot.generation;
		say(c, &(struct gate_message) { .kind = GATE_ADOPTED, .generation = c->generation, .revoked = command->revoked });
		break;
	case COMMAND_ATTACH:
		say(c, &(struct gate_message) { .kind = GATE_ATTACHED, .id = command->id });
		break;
	case COMMAND_DETACH:
	case COMMAND_DRAIN:
		break;
	}
}

/* --- hearing --- */

static bool is_text(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* Each returns why the message is wrong, or NULL. They own fds. */
static const char *hear_policy(struct control *c, const struct gate_message *m, const int *fds)
{
	const bool good = m->generation > 0 && is_text(m->project, sizeof m->project) && is_text(m->hash, sizeof m->hash) &&
			  strspn(m->hash, "0123456789abcdef") == sizeof m->hash - 1;
	const struct generation *g = good ? generation_map(fds[0], m->generation, m->hash, m->project, c->count) : NULL;

	(void)close(fds[0]);
	if (!good)
		return "a policy without generation, hash or project";
	if (!g) {
		say(c, &(struct gate_message) { .kind = GATE_ADOPTED, .generation = m->generation, .refused = 1 });
		return NULL;
	}
	c->command.kind = COMMAND_ADOPT;
	c->command.generation = g;
	begin(c);
	return NULL;
}

static struct attached **find_attached(struct control *c, uint32_t id)
{
	struct attached **at = &c->attached;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static const char *check_attach(struct control *c, const struct gate_message *m, const int *fds)
{
	if (c->generation == 0 || c->draining)
		return "a pod before the first policy, or in a drain";
	if (m->name[0] == '\0' || !is_text(m->name, sizeof m->name) || *find_attached(c, m->id))
		return "a pod without a name, or with an id in use";
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		if (fds[i] >= 0 && !(fcntl(fds[i], F_GETFL) & O_NONBLOCK))
			return "a listener that blocks";
	return NULL;
}

static const char *hear_attach(struct control *c, const struct gate_message *m, const int *fds)
{
	const char *why = check_attach(c, m, fds);
	struct attached *a = why ? NULL : malloc(sizeof *a);
	struct listeners *l = a ? listeners_new(fds, c->count) : NULL;

	if (!l) {
		free(a);
		for (int i = 0; i < GATE_LISTENER_COUNT; i++)
			if (fds[i] >= 0)
				(void)close(fds[i]);
		return why ? why : "a pod, and out of memory for it";
	}
	*a = (struct attached) { c->attached, m->id };
	c->attached = a;
	atomic_fetch_add(&c->budget.open, BUDGET_A_POD);
	c->command.kind = COMMAND_ATTACH;
	c->command.id = m->id;
	c->command.listeners = l;
	memcpy(c->command.name, m->name, sizeof c->command.name);
	begin(c);
	return NULL;
}

static const char *hear_attach_names(struct control *c, const struct gate_message *m, const int *fds)
{
	int all[GATE_LISTENER_COUNT];

	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		all[i] = i < GATE_DNS_TCP ? -1 : fds[i - GATE_DNS_TCP];
	return hear_attach(c, m, all);
}

static const char *hear_detach(struct control *c, const struct gate_message *m, const int *fds)
{
	struct attached **at = find_attached(c, m->id), *a = *at;

	(void)fds;
	if (!a)
		return "the detachment of a pod that is not attached";
	*at = a->next;
	free(a);
	atomic_fetch_sub(&c->budget.open, BUDGET_A_POD);
	c->command.kind = COMMAND_DETACH;
	c->command.id = m->id;
	begin(c);
	return NULL;
}

static const char *hear_log(struct control *c, const struct gate_message *m, const int *fds)
{
	const int flags = fcntl(fds[0], F_GETFL);

	(void)m;
	if (flags < 0 || !(flags & O_APPEND) || (flags & O_ACCMODE) == O_RDONLY) {
		(void)close(fds[0]);
		return "a log that cannot be appended to";
	}
	audit_set_file(c->audit, fds[0]);
	return NULL;
}

static void add_counters(struct gate_counters *sum, const struct gate_counters *one)
{
#define ADD(name) sum->name += __atomic_load_n(&one->name, __ATOMIC_RELAXED)
	ADD(connections);
	ADD(requests);
	ADD(allowed);
	ADD(denied);
	ADD(tunnels);
	ADD(dns_queries);
	ADD(packets_refused);
	ADD(log_dropped);
	ADD(bytes_up);
	ADD(bytes_down);
	ADD(connections_open);
	ADD(tunnels_open);
	ADD(shared_out);
	ADD(accept_pauses);
	for (int i = 0; i < LIMIT_COUNT; i++)
		ADD(limited[i]);
#undef ADD
}

static const char *hear_status(struct control *c, const struct gate_message *m, const int *fds)
{
	struct gate_message reply = { .kind = GATE_STATUS_REPLY, .generation = c->generation };

	(void)m;
	(void)fds;
	for (unsigned i = 0; i < c->count; i++)
		add_counters(&reply.counters, &c->workers[i].counters);
	reply.counters.log_dropped += audit_dropped(c->audit);
	say(c, &reply);
	return NULL;
}

static const char *hear_drain(struct control *c, const struct gate_message *m, const int *fds)
{
	(void)m;
	(void)fds;
	if (c->draining)
		return "a second drain";
	c->draining = true;
	loop_timer_set(c->loop, &c->drain_limit, DRAIN_MS);
	c->command.kind = COMMAND_DRAIN;
	begin(c);
	return NULL;
}

static const struct {
	const char *(*hear)(struct control *c, const struct gate_message *m, const int *fds);
	size_t fds;
} messages[] = {
	[GATE_POLICY] = { hear_policy, 1 },
	[GATE_ATTACH] = { hear_attach, GATE_LISTENER_COUNT },
	[GATE_DETACH] = { hear_detach, 0 },
	[GATE_LOG] = { hear_log, 1 },
	[GATE_STATUS] = { hear_status, 0 },
	[GATE_DRAIN] = { hear_drain, 0 },
	[GATE_ATTACH_NAMES] = { hear_attach_names, GATE_LISTENER_COUNT - GATE_DNS_TCP },
};

static const char *hear(struct control *c, const struct gate_message *m, const int *fds, size_t count)
{
	const bool known = m->kind < sizeof messages / sizeof *messages && messages[m->kind].hear;

	if (known && messages[m->kind].fds == count)
		return messages[m->kind].hear(c, m, fds);
	for (size_t i = 0; i < count; i++)
		(void)close(fds[i]);
	return known ? "a message with the wrong number of files" : "a message of no known kind";
}

/* False: nothing more now. */
static bool receive(struct control *c)
{
	struct gate_message m;
	int fds[FDPASS_MAX];
	size_t count = 0;
	const ssize_t n = fdpass_receive(c->channel.fd, &m, sizeof m, fds, FDPASS_MAX, &count);

	if (n == -EAGAIN)
		return false;
	if (n == -EMFILE) {
		if (!c->starved)
			log_warn("a message of the supervisor waits for free descriptors");
		c->starved = true;
		loop_timer_set(c->loop, &c->receive_again, RECEIVE_AGAIN_MS);
		return false;
	}
	c->starved = false;
	if (n == 0 || n == -ECONNRESET) {
		loop_stop(c->loop);
		return false;
	}
	if (n == (ssize_t)sizeof m) {
		const char *why = hear(c, &m, fds, count);

		if (why)
			fail(c, why);
		return !why;
	}
	for (size_t i = 0; n >= 0 && i < count; i++)
		(void)close(fds[i]);
	fail(c, "a message of the wrong size");
	return false;
}

static void watch(struct control *c)
{
	const uint32_t events = c->replying ? EPOLLOUT : c->busy || c->starved ? 0 : EPOLLIN;
	const int rc = loop_watch(c->loop, &c->channel, events);

	if (rc < 0)
		fail(c, strerror(-rc));
}

static void channel_ready(struct source *s, uint32_t events)
{
	struct control *c = (struct control *)((char *)s - offsetof(struct control, channel));

	if (events & (EPOLLHUP | EPOLLERR)) {
		loop_stop(c->loop);
		return;
	}
	if (c->replying)
		send_reply(c);
	for (int i = 0; i < MESSAGES_A_TURN && !c->busy && !c->replying && receive(c); i++)
		;
	watch(c);
}

static void receive_again(struct timer *t)
{
	channel_ready(&((struct control *)((char *)t - offsetof(struct control, receive_again)))->channel, 0);
}

static void acknowledged_ready(struct source *s, uint32_t events)
{
	struct control *c = (struct control *)((char *)s - offsetof(struct control, acknowledged));
	uint64_t times;
	bool drained = c->draining;

	(void)events;
	(void)!read(s->fd, &times, sizeof times);
	if (c->busy && c->command.pending == 0)
		done(c);
	for (unsigned i = 0; i < c->count; i++)
		drained = drained && worker_drained(&c->workers[i]);
	if (drained)
		loop_stop(c->loop);
	watch(c);
}

int control_run(struct control *c, struct err *err)
{
	c->err = err;
	c->channel.ready = channel_ready;
	c->acknowledged.ready = acknowledged_ready;
	c->drain_limit.expired = drain_over;
	c->receive_again.expired = receive_again;
	say(c, &(struct gate_message) { .kind = GATE_READY });
	watch(c);
	const int rc = loop_watch(c->loop, &c->acknowledged, EPOLLIN);

	if (rc < 0)
		fail(c, strerror(-rc));
	loop_run(c->loop, NULL, NULL);
	loop_timer_cancel(c->loop, &c->drain_limit);
	loop_timer_cancel(c->loop, &c->receive_again);
	while (c->attached) {
		struct attached *a = c->attached;

		c->attached = a->next;
		free(a);
	}
	return c->failed ? -1 : 0;
}
