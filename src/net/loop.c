/* epoll, level-triggered; the source's address is the event's data.
 *
 * The batch under way is kept in the loop: forgetting a source strikes its later events of the batch, so that no freed owner hears
 * one. Timers hang in a wheel of WHEEL_SLOTS lists by their tick of expiry. A list also holds timers of later turns of the wheel;
 * they are passed over when the hand comes by. A bit for each occupied slot tells how far ahead the next one is, which is how long
 * to wait. */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

enum { BATCH = 256, TICK_SHIFT = 6, WHEEL_SLOTS = 1024, WORD_BITS = 64, WHEEL_WORDS = WHEEL_SLOTS / WORD_BITS };

struct loop {
	int epoll;
	bool running, stopped;
	uint64_t now_ms;
	struct epoll_event batch[BATCH];
	int batch_next, batch_count;
	struct deferred *deferred, **deferred_end; /* in order of coming */

	uint64_t tick; /* every timer of this tick and of those before has expired */
	struct timer *wheel[WHEEL_SLOTS];
	struct timer *expired; /* of the slot under the hand, still to be called */
	uint64_t occupied[WHEEL_WORDS];
};

static uint64_t read_clock_ms(void)
{
	return clock_now_ns() / 1000000;
}

/* --- timers --- */

static void timer_unlink(struct timer *t)
{
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

static void timer_link(struct timer **head, struct timer *t)
{
	t->next = *head;
	t->prev = head;
	if (t->next)
		t->next->prev = &t->next;
	*head = t;
}

/* The first tick that begins after the timer is due: the clock is read in whole milliseconds, so the tick of due_ms is too early.
 */
static uint64_t tick_of(const struct timer *t)
{
	return (t->due_ms >> TICK_SHIFT) + 1;
}

static void note_occupied(struct loop *l, size_t slot)
{
	const uint64_t bit = 1ULL << (slot % WORD_BITS);

	if (l->wheel[slot])
		l->occupied[slot / WORD_BITS] |= bit;
	else
		l->occupied[slot / WORD_BITS] &= ~bit;
}

/* Ticks from the present one to the next occupied slot; 0: there is none. */
static unsigned ticks_ahead(const struct loop *l)
{
	const size_t start = (l->tick + 1) % WHEEL_SLOTS;

	for (size_t i = 0; i <= WHEEL_WORDS; i++) {
		const size_t word = (start / WORD_BITS + i) % WHEEL_WORDS;
		uint64_t bits = l->occupied[word];

		if (i == 0)
			bits &= ~0ULL << (start % WORD_BITS);
		if (bits) {
			const size_t slot = word * WORD_BITS + (size_t)__builtin_ctzll(bits);

			return (unsigned)((slot + WHEEL_SLOTS - start) % WHEEL_SLOTS) + 1;
		}
	}
	return 0;
}

static int wait_ms(const struct loop *l)
{
	const unsigned ahead = ticks_ahead(l);

	if (l->deferred)
		return 0;
	if (ahead == 0)
		return -1;
	const uint64_t due = (l->tick + ahead) << TICK_SHIFT;

	return due > l->now_ms ? (int)(due - l->now_ms) : 0;
}

static void expire_slot(struct loop *l, size_t slot, uint64_t now_tick)
{
	struct timer *next;

	for (struct timer *t = l->wheel[slot]; t; t = next) {
		next = t->next;
		if (tick_of(t) > now_tick)
			continue;
		timer_unlink(t);
		timer_link(&l->expired, t); /* turns the order: those set first come first */
	}
	note_occupied(l, slot);
	while (l->expired) {
		struct timer *t = l->expired;

		timer_unlink(t);
		t->expired(t);
	}
}

static void expire_timers(struct loop *l)
{
	const uint64_t now_tick = l->now_ms >> TICK_SHIFT;
	const uint64_t passed = now_tick - l->tick;

	/* One turn of the wheel visits every slot; a sleep of many turns needs no second one. */
	for (uint64_t i = passed > WHEEL_SLOTS ? passed - WHEEL_SLOTS : 0; i < passed; i++) {
		const size_t slot = (l->tick + 1 + i) % WHEEL_SLOTS;

		if (l->wheel[slot])
			expire_slot(l, slot, now_tick);
	}
	l->tick = now_tick;
}

/* --- a batch --- */

static void run_deferred(struct loop *l)
{
	while (l->deferred) {
		struct deferred *d = l->deferred;

		l->deferred = d->next;
		if (!l->deferred)
			l->deferred_end = &l->deferred;
		d->run(d);
	}
}

static void dispatch(struct loop *l)
{
	while (l->batch_next < l->batch_count) {
		const struct epoll_event *e = &l->batch[l->batch_next++];
		struct source *s = e->data.ptr;

		if (s)
			s->ready(s, e->events);
	}
}

static void run_batch(struct loop *l)
{
	l->batch_next = 0;
	l->batch_count = epoll_wait(l->epoll, l->batch, BATCH, wait_ms(l));
	if (l->batch_count < 0) {
		assert(errno == EINTR);
		l->batch_count = 0;
	}
	l->now_ms = read_clock_ms();
	dispatch(l);
	expire_timers(l);
	run_deferred(l);
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return NULL;
	}
	l->deferred_end = &l->deferred;
	l->now_ms = read_clock_ms();
	l->tick = l->now_ms >> TICK_SHIFT;
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	run_deferred(l);
	(void)close(l->epoll);
	free(l);
}

int loop_watch(struct loop *l, struct source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	if (s->registered && s->events == events)
		return 0;
	/* EPOLLEXCLUSIVE can be set at registration only. */
	if (s->registered && ((s->events | events) & EPOLLEXCLUSIVE))
		loop_forget(l, s);
	if (epoll_ctl(l->epoll, s->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &e) < 0)
		return -errno;
	s->registered = true;
	s->events = events;
	return 0;
}

void loop_forget(struct loop *l, struct source *s)
{
	if (!s->registered)
		return;
	/* An fd that was closed before, but is open in another process too, would go on sending events to a dead source. */
	const int rc = epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);

	assert(rc == 0);
	(void)rc;
	s->registered = false;
	s->events = 0;
	for (int i = l->batch_next; i < l->batch_count; i++)
		if (l->batch[i].data.ptr == s)
			l->batch[i].data.ptr = NULL;
}

void loop_timer_set(struct loop *l, struct timer *t, uint32_t after_ms)
{
	loop_timer_cancel(l, t);
	t->due_ms = loop_now_ms(l) + after_ms;
	const size_t slot = tick_of(t) % WHEEL_SLOTS;

	timer_link(&l->wheel[slot], t);
	note_occupied(l, slot);
}

void loop_timer_cancel(struct loop *l, struct timer *t)
{
	if (!t->prev)
		return;
	timer_unlink(t);
	note_occupied(l, tick_of(t) % WHEEL_SLOTS);
}

void loop_defer(struct loop *l, struct deferred *d)
{
	d->next = NULL;
	*l->deferred_end = d;
	l->deferred_end = &d->next;
}

uint64_t loop_now_ms(const struct loop *l)
{
	return l->running ? l->now_ms : read_clock_ms();
}

void loop_run(struct loop *l, void (*after_batch)(void *arg), void *arg)
{
	/* Set-up may have taken its time; timers set meanwhile have a fresh start, and the wait is reckoned from now. */
	l->now_ms = read_clock_ms();
	l->running = true;
	while (!l->stopped) {
		run_batch(l);
		if (after_batch)
			after_batch(arg);
	}
	l->running = l->stopped = false;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}
