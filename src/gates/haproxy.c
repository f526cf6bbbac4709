/* One change at a time: files written and checked (checker), a process started from them (next), the one before told to let go of the
 * listeners (yielding). What changes meanwhile is served by the round after. */
#include "gates/haproxy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "gates/gate_link.h"

enum { STEADY_MS = 10000, BACKOFF_MS = 50, BACKOFF_MAX_MS = 5000, YIELD_POLL_MS = 1 };

static void begin(struct haproxy *x);

static const char *const state_words[] = {
	[HAPROXY_DOWN] = "down",         [HAPROXY_CHECKING] = "checking", [HAPROXY_STARTING] = "starting",
	[HAPROXY_CHANGING] = "changing", [HAPROXY_SERVING] = "serving",
};

/* --- a process's end --- */

static void release(struct deferred *d)
{
	struct haproxy_process *p = (struct haproxy_process *)((char *)d - offsetof(struct haproxy_process, end));

	haproxy_stage_remove(&p->stage);
	free(p);
}

static void forget_ready(struct haproxy_process *p)
{
	loop_forget(p->owner->loop, &p->ready);
	fd_close(&p->ready.fd);
}

static void process_free(struct haproxy_process *p)
{
	child_kill(&p->child);
	loop_timer_cancel(p->owner->loop, &p->limit);
	forget_ready(p);
	p->end.run = release;
	loop_defer(p->owner->loop, &p->end);
}

static void unlink_old(struct haproxy_process *p)
{
	for (struct haproxy_process **at = &p->owner->old; *at; at = &(*at)->next) {
		if (*at != p)
			continue;
		*at = p->next;
		return;
	}
}

static void kill_late(struct timer *t)
{
	child_signal(&((struct haproxy_process *)((char *)t - offsetof(struct haproxy_process, limit)))->child, SIGKILL);
}

/* --- going on --- */

/* What was wrong with the last attempt is over in a while, or it is tried for ever at this pace, and says so each time. */
static void later(struct haproxy *x)
{
	const unsigned shift = x->failures > 8 ? 8 : x->failures;
	unsigned wait = shift ? (unsigned)BACKOFF_MS << (shift - 1) : 1;

	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	x->failures++;
	loop_timer_set(x->loop, &x->again, wait);
}

static void again_due(struct timer *t)
{
	begin((struct haproxy *)((char *)t - offsetof(struct haproxy, again)));
}

/* Files that are being made may be too old already; they are looked at again once they are served, or have been refused. */
static void check_own(struct haproxy *x)
{
	if (!x->current || x->checker.pid > 0 || x->next || x->yielding || haproxy_own_is(x->current->stage.own.print))
		return;
	log_info("the host's addresses have changed");
	(void)haproxy_change(x);
}

/* A generation that cannot be served is the publisher's matter; all else is tried again. */
static void fail(struct haproxy *x, uint64_t change, uint64_t generation, const char *why)
{
	log_error("HAProxy: generation %llu: %s", (unsigned long long)generation, why);
	if (generation != x->adopted && generation == x->generation) {
		x->policy = -1;
		x->on_adopted(x, generation, why);
		check_own(x);
	} else if (change == x->change) {
		later(x);
	} else {
		begin(x);
	}
}

static void served(struct haproxy *x)
{
	const bool newer = x->current->stage.generation != x->adopted;

	x->adopted = x->current->stage.generation;
	for (struct haproxy_process *p = x->old; p; p = p->next)
		if (p->stage.generation != x->adopted && !p->limit.prev) {
			p->limit.expired = kill_late;
			loop_timer_set(x->loop, &p->limit, HAPROXY_REVOKE_MS);
		}
	log_info("HAProxy, process %d, serves generation %llu", x->current->child.pid, (unsigned long long)x->adopted);
	x->on_served(x, x->current->stage.change);
	if (newer)
		x->on_adopted(x, x->adopted, NULL);
	if (x->change != x->current->stage.change)
		begin(x);
	else
		check_own(x);
}

/* --- the old one --- */

static void yielded(struct haproxy_process *p)
{
	struct haproxy *x = p->owner;

	loop_timer_cancel(x->loop, &p->limit);
	x->yielding = NULL;
	if (x->current)
		served(x);
	else
		begin(x); /* the new one has ended meanwhile */
}

static void look(struct timer *t)
{
	struct haproxy_process *p = (struct haproxy_process *)((char *)t - offsetof(struct haproxy_process, limit));
	struct haproxy *x = p->owner;

	if (!haproxy_stage_held(&p->stage, p->child.pid)) {
		yielded(p);
		return;
	}
	if (loop_now_ms(x->loop) - p->since_ms > HAPROXY_YIELD_MS) {
		log_error("HAProxy, process %d, does not let go of the listeners: it is ended", p->child.pid);
		child_signal(&p->child, SIGKILL); /* its end is what is waited for */
		return;
	}
	loop_timer_set(x->loop, t, YIELD_POLL_MS);
}

static void retire(struct haproxy_process *p)
{
	struct haproxy *x = p->owner;
	struct haproxy_process *last = p;
	unsigned count = 0;

	p->next = x->old;
	x->old = p;
	for (struct haproxy_process *o = x->old; o; o = o->next) {
		count++;
		last = o;
	}
	if (count > HAPROXY_OLD_MAX)
		child_signal(&last->child, SIGKILL);
	x->yielding = p;
	p->since_ms = loop_now_ms(x->loop);
	p->limit.expired = look;
	child_signal(&p->child, SIGUSR1);
	loop_timer_set(x->loop, &p->limit, YIELD_POLL_MS);
}

/* --- the new one --- */

static void ready(struct source *s, uint32_t events)
{
	struct haproxy_process *p = (struct haproxy_process *)((char *)s - offsetof(struct haproxy_process, ready));
	struct haproxy *x = p->owner;
	char word[sizeof HAPROXY_READY];
	const ssize_t n = read(s->fd, word, sizeof word);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	forget_ready(p); /* whatever else it says: at its end it has gone, which is told otherwise */
	if (n < (ssize_t)sizeof HAPROXY_READY - 1 || memcmp(word, HAPROXY_READY, sizeof HAPROXY_READY - 1) != 0 || x->next != p)
		return;
	struct haproxy_process *before = x->current;

	loop_timer_cancel(x->loop, &p->limit);
	p->since_ms = loop_now_ms(x->loop);
	x->next = NULL;
	x->current = p;
	if (before)
		retire(before);
	else
		served(x);
}

static void ended(struct child *c, int wait_status)
{
	struct haproxy_process *p = (struct haproxy_process *)c; /* its first member */
	struct haproxy *x = p->owner;
	const int code = child_exit_code(wait_status);
	const uint64_t change = p->stage.change, generation = p->stage.generation;

	if (p == x->next) {
		char why[120];

		x->next = NULL;
		(void)snprintf(why, sizeof why, "it ended as soon as it was started (%s %d); see supervisor.log",
			       code >= 128 ? "signal" : "exit status", code >= 128 ? code - 128 : code);
		process_free(p);
		fail(x, change, generation, why);
	} else if (p == x->current) {
		log_error("HAProxy ended (%s %d); it is started anew", code >= 128 ? "signal" : "exit status",
			  code >= 128 ? code - 128 : code);
		if (loop_now_ms(x->loop) - p->since_ms > STEADY_MS)
			x->failures = 0;
		x->current = NULL;
		x->restarts++;
		x->change++;
		process_free(p);
		x->on_served(x, 0);
		later(x);
	} else {
		const bool awaited = p == x->yielding;

		unlink_old(p);
		if (awaited)
			yielded(p);
		process_free(p);
	}
}

static void start(struct haproxy *x, struct haproxy_stage *stage)
{
	struct haproxy_process *p = calloc(1, sizeof *p);
	struct err err = { .class = ERR_FAULT, .text = "out of memory" };
	int out = -1;
	const pid_t pid = p ? haproxy_stage_run(stage, &out, &err) : -1;

	if (p)
		*p = (struct haproxy_process) { .owner = x,
						.ready = { .fd = out, .ready = ready },
						.limit = { .expired = kill_late } };
	if (pid < 0 || child_watch(&p->child, x->loop, pid, ended, &err) < 0 || loop_watch(x->loop, &p->ready, EPOLLIN) < 0) {
		const uint64_t change = stage->change, generation = stage->generation;

		haproxy_stage_remove(stage);
		if (p)
			process_free(p);
		fail(x, change, generation, err.text);
		return;
	}
	haproxy_stage_close(stage);
	p->stage = *stage;
	*stage = (struct haproxy_stage) { .log = -1, .errors = -1 };
	x->next = p;
	loop_timer_set(x->loop, &p->limit, HAPROXY_READY_MS);
}

/* --- the check --- */

static void checked(struct child *c, int wait_status)
{
	struct haproxy *x = (struct haproxy *)((char *)c - offsetof(struct haproxy, checker));
	const uint64_t change = x->stage.change, generation = x->stage.generation;
	char why[HAPROXY_WHY];

	loop_timer_cancel(x->loop, &x->limit);
	if (child_exit_code(wait_status) == 0) {
		start(x, &x->stage);
		return;
	}
	haproxy_stage_why(&x->stage, why);
	haproxy_stage_remove(&x->stage);
	fail(x, change, generation, why);
}

static void check_late(struct timer *t)
{
	child_signal(&((struct haproxy *)((char *)t - offsetof(struct haproxy, limit)))->checker, SIGKILL);
}

static void begin(struct haproxy *x)
{
	struct err err = { 0 };

	if (!x->started || x->policy < 0 || x->checker.pid > 0 || x->next || x->yielding)
		return;
	loop_timer_cancel(x->loop, &x->again);
	pid_t pid = haproxy_stage_begin(&x->stage, x, &err);

	if (pid == 0)
		pid = child_fork(&err);
	if (pid == 0)
		_exit(haproxy_stage_check(&x->stage, x));
	if (pid < 0 || child_watch(&x->checker, x->loop, pid, checked, &err) < 0) {
		const uint64_t change = x->stage.change, generation = x->stage.generation;

		haproxy_stage_remove(&x->stage);
		fail(x, change, generation, err.text);
		return;
	}
	loop_timer_set(x->loop, &x->limit, HAPROXY_STAGE_MS);
}

/* --- for its owner --- */

static void begin_due(struct deferred *d)
{
	struct haproxy *x = (struct haproxy *)((char *)d - offsetof(struct haproxy, begin));

	d->run = NULL;
	begin(x);
}

static void addresses_changed(struct haproxy_own *o)
{
	check_own((struct haproxy *)((char *)o - offsetof(struct haproxy, own)));
}

int haproxy_start(struct haproxy *x, struct err *err)
{
	char path[PATH_MAX];

	x->policy = -1;
	x->stage.log = x->stage.errors = -1;
	x->limit.expired = check_late;
	x->again.expired = again_due;
	if (haproxy_find(path, err) < 0 || haproxy_log_open(&x->lines, x->loop, x->log, err) < 0 ||
	    haproxy_own_watch(&x->own, x->loop, addresses_changed, err) < 0) {
		haproxy_own_end(&x->own);
		haproxy_log_close(&x->lines);
		return -1;
	}
	x->started = true;
	return 0;
}

void haproxy_publish(struct haproxy *x, int policy, uint64_t generation, const char *hash)
{
	x->policy = policy;
	x->generation = generation;
	(void)snprintf(x->hash, sizeof x->hash, "%s", hash);
	/* Back to what is served, after a refusal and nothing else. */
	if (x->current && x->current->stage.generation == generation && x->change == x->current->stage.change + 1)
		x->change--;
	else
		(void)haproxy_change(x);
}

uint64_t haproxy_change(struct haproxy *x)
{
	x->change++;
	/* After this batch of events: several pods that come at once are served by one process. */
	if (x->started && !x->begin.run && !x->again.prev) {
		x->begin.run = begin_due;
		loop_defer(x->loop, &x->begin);
	}
	return x->change;
}

void haproxy_log(struct haproxy *x, int log)
{
	x->log = x->lines.file = log;
}

enum haproxy_state haproxy_state(const struct haproxy *x)
{
	if (x->current)
		return x->checker.pid > 0 || x->next || x->yielding ? HAPROXY_CHANGING : HAPROXY_SERVING;
	return x->next ? HAPROXY_STARTING : x->checker.pid > 0 ? HAPROXY_CHECKING : HAPROXY_DOWN;
}

const char *haproxy_state_word(enum haproxy_state s)
{
	return state_words[s];
}

unsigned haproxy_old(const struct haproxy *x)
{
	unsigned n = 0;

	for (const struct haproxy_process *p = x->old; p; p = p->next)
		n++;
	return n;
}

void haproxy_stop(struct haproxy *x)
{
	struct haproxy_process *next;

	if (!x->started)
		return;
	x->started = false;
	loop_timer_cancel(x->loop, &x->again);
	loop_timer_cancel(x->loop, &x->limit);
	child_kill(&x->checker);
	haproxy_stage_remove(&x->stage);
	haproxy_own_end(&x->own);
	if (x->next)
		process_free(x->next);
	if (x->current)
		process_free(x->current);
	for (struct haproxy_process *p = x->old; p; p = next) {
		next = p->next;
		process_free(p);
	}
	x->next = x->current = x->old = x->yielding = NULL;
	haproxy_log_close(&x->lines);
}
