/* The loop: what was forgotten hears nothing more, also within a batch; timers in order, cancelled, moved, far away; deferred
 * calls. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "net/loop.h"

static struct loop *loop;

static int make_loop(void **state)
{
	loop = loop_new();
	return loop ? 0 : -1;
}

static int free_loop(void **state)
{
	loop_free(loop);
	return 0;
}

static uint64_t now_ms(void)
{
	return clock_now_ns() / 1000000;
}

struct heard {
	struct source source;
	int count;
	struct heard *other; /* forgotten when this one is ready */
};

static void hear(struct source *s, uint32_t events)
{
	struct heard *h = (struct heard *)s;

	h->count++;
	if (h->other) {
		loop_forget(loop, &h->other->source);
		(void)close(h->other->source.fd);
	}
	loop_stop(loop);
}

static struct heard ready_source(void)
{
	return (struct heard) { .source = { .fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), .ready = hear } };
}

static void a_source_forgotten_in_the_batch_hears_nothing(void **state)
{
	struct heard a = ready_source(), b = ready_source();

	a.other = &b;
	b.other = &a;
	assert_int_equal(loop_watch(loop, &a.source, EPOLLIN), 0);
	assert_int_equal(loop_watch(loop, &b.source, EPOLLIN), 0);
	loop_run(loop, NULL, NULL);
	assert_int_equal(a.count + b.count, 1);
	assert_true(a.source.registered != b.source.registered);
	loop_forget(loop, &a.source); /* one of them a second time: nothing to do */
	loop_forget(loop, &b.source);
	(void)close(a.count ? a.source.fd : b.source.fd);
}

static void watching_changes_and_is_level_triggered(void **state)
{
	struct heard a = ready_source(), b = ready_source();

	assert_int_equal(loop_watch(loop, &a.source, 0), 0);
	assert_int_equal(loop_watch(loop, &b.source, EPOLLIN), 0);
	loop_run(loop, NULL, NULL);
	loop_run(loop, NULL, NULL);
	assert_int_equal(a.count, 0);
	assert_int_equal(b.count, 2);
	assert_int_equal(loop_watch(loop, &a.source, EPOLLIN), 0);
	assert_int_equal(loop_watch(loop, &a.source, EPOLLIN), 0);
	assert_int_equal(loop_watch(loop, &b.source, 0), 0);
	loop_run(loop, NULL, NULL);
	assert_int_equal(a.count, 1);
	assert_int_equal(b.count, 2);
	loop_forget(loop, &a.source);
	loop_forget(loop, &b.source);
	(void)close(a.source.fd);
	(void)close(b.source.fd);
}

static void an_exclusive_listener_is_paused_and_resumed(void **state)
{
	struct heard a = ready_source(), b = ready_source();

	assert_int_equal(loop_watch(loop, &a.source, EPOLLIN | EPOLLEXCLUSIVE), 0);
	assert_int_equal(loop_watch(loop, &a.source, 0), 0);
	assert_int_equal(loop_watch(loop, &b.source, EPOLLIN), 0);
	loop_run(loop, NULL, NULL);
	assert_int_equal(a.count, 0);
	assert_int_equal(loop_watch(loop, &a.source, EPOLLIN | EPOLLEXCLUSIVE), 0);
	loop_forget(loop, &b.source);
	loop_run(loop, NULL, NULL);
	assert_int_equal(a.count, 1);
	loop_forget(loop, &a.source);
	(void)close(a.source.fd);
	(void)close(b.source.fd);
}

static void a_bad_fd_is_an_error(void **state)
{
	struct source s = { .fd = -1, .ready = hear };

	assert_int_equal(loop_watch(loop, &s, EPOLLIN), -EBADF);
	assert_false(s.registered);
}

static void stop_before_run_ends_it_at_once(void **state)
{
	loop_stop(loop);
	loop_run(loop, NULL, NULL);
}

/* --- timers --- */

struct alarm {
	struct timer timer;
	uint64_t at_ms;
	int count;
	struct alarm *cancels, *sets;
	uint32_t again_ms;
	bool stops;
};

static void ring(struct timer *t)
{
	struct alarm *a = (struct alarm *)t;

	assert_null(t->prev);
	a->at_ms = now_ms();
	a->count++;
	if (a->cancels)
		loop_timer_cancel(loop, &a->cancels->timer);
	if (a->sets)
		loop_timer_set(loop, &a->sets->timer, 10);
	if (a->again_ms && a->count < 3)
		loop_timer_set(loop, t, a->again_ms);
	else if (a->stops)
		loop_stop(loop);
}

static void timers_expire_in_time_and_never_early(void **state)
{
	static const uint32_t after[] = { 300, 1, 130, 0, 64, 65, 63 };
	struct alarm alarms[sizeof after / sizeof *after] = { 0 };
	const uint64_t start_ns = clock_now_ns();

	for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
		alarms[i] = (struct alarm) { .timer.expired = ring, .stops = after[i] == 300 };
		loop_timer_set(loop, &alarms[i].timer, after[i]);
	}
	loop_run(loop, NULL, NULL);
	for (size_t i = 0; i < sizeof after / sizeof *after; i++) {
		const uint64_t took = alarms[i].at_ms - start_ns / 1000000;

		assert_int_equal(alarms[i].count, 1);
		assert_in_range(took, after[i], after[i] + 64 + 60 /* a busy machine */);
	}
}

static void callbacks_set_and_cancel_timers(void **state)
{
	struct alarm victim = { .timer.expired = ring }, child = { .timer.expired = ring };
	struct alarm first = { .timer.expired = ring, .cancels = &victim, .sets = &child };
	struct alarm repeats = { .timer.expired = ring, .again_ms = 30, .stops = true };

	/* Both in one slot, and the one set first rings first. */
	loop_timer_set(loop, &first.timer, 20);
	loop_timer_set(loop, &victim.timer, 20);
	loop_timer_set(loop, &repeats.timer, 30);
	loop_run(loop, NULL, NULL);
	assert_int_equal(first.count, 1);
	assert_int_equal(victim.count, 0);
	assert_int_equal(child.count, 1);
	assert_int_equal(repeats.count, 3);
	loop_timer_cancel(loop, &victim.timer); /* idle */
}

static void a_moved_timer_rings_once(void **state)
{
	struct alarm moved = { .timer.expired = ring }, end = { .timer.expired = ring, .stops = true };
	const uint64_t start = now_ms();

	loop_timer_set(loop, &moved.timer, 3600000);
	loop_timer_set(loop, &moved.timer, 1);
	loop_timer_set(loop, &moved.timer, 100);
	loop_timer_set(loop, &end.timer, 250);
	loop_run(loop, NULL, NULL);
	assert_int_equal(moved.count, 1);
	assert_true(moved.at_ms - start >= 100);
}

/* Turns of the wheel (65536 ms) away, in the slots that the hand passes now. */
static void far_timers_wait_for_their_turn(void **state)
{
	struct alarm far[20] = { 0 }, end = { .timer.expired = ring, .stops = true };

	for (size_t i = 0; i < 20; i++) {
		far[i].timer.expired = ring;
		loop_timer_set(loop, &far[i].timer, (uint32_t)(65536 * (1 + i % 4) + i * 10));
	}
	loop_timer_set(loop, &end.timer, 260);
	loop_run(loop, NULL, NULL);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(far[i].count, 0);
		loop_timer_cancel(loop, &far[i].timer);
	}
}

static volatile int batches;

static void count_batch(void *arg)
{
	batches++;
}

static void a_waiting_loop_sleeps(void **state)
{
	struct alarm cancelled = { .timer.expired = ring }, end = { .timer.expired = ring, .stops = true };

	batches = 0;
	loop_timer_set(loop, &cancelled.timer, 70);
	loop_timer_cancel(loop, &cancelled.timer);
	loop_timer_set(loop, &end.timer, 200);
	loop_run(loop, count_batch, NULL);
	assert_int_equal(batches, 1);
}

/* --- deferred --- */

struct later {
	struct deferred deferred;
	struct deferred *then;
	int order;
};

static int order;

static void run_later(struct deferred *d)
{
	struct later *l = (struct later *)d;

	l->order = ++order;
	if (l->then)
		loop_defer(loop, l->then);
	if (order == 3)
		loop_stop(loop);
}

static void deferred_calls_come_in_order_and_do_not_wait(void **state)
{
	struct later a = { .deferred.run = run_later }, b = a, c = a;

	order = 0;
	a.then = &c.deferred;
	loop_defer(loop, &a.deferred);
	loop_defer(loop, &b.deferred);
	loop_run(loop, NULL, NULL);
	assert_int_equal(a.order, 1);
	assert_int_equal(b.order, 2);
	assert_int_equal(c.order, 3);
}

static void freeing_the_loop_runs_what_was_deferred(void **state)
{
	struct loop *other = loop_new();
	struct later a = { .deferred.run = run_later };

	order = 0;
	loop_defer(other, &a.deferred);
	loop_free(other);
	assert_int_equal(a.order, 1);
	loop_free(NULL);
}

int main(void)
{
#define WITH_LOOP(name) cmocka_unit_test_setup_teardown(name, make_loop, free_loop)
	const struct CMUnitTest tests[] = {
		WITH_LOOP(a_source_forgotten_in_the_batch_hears_nothing),
		WITH_LOOP(watching_changes_and_is_level_triggered),
		WITH_LOOP(an_exclusive_listener_is_paused_and_resumed),
		WITH_LOOP(a_bad_fd_is_an_error),
		WITH_LOOP(stop_before_run_ends_it_at_once),
		WITH_LOOP(timers_expire_in_time_and_never_early),
		WITH_LOOP(callbacks_set_and_cancel_timers),
		WITH_LOOP(a_moved_timer_rings_once),
		WITH_LOOP(far_timers_wait_for_their_turn),
		WITH_LOOP(a_waiting_loop_sleeps),
		WITH_LOOP(deferred_calls_come_in_order_and_do_not_wait),
		cmocka_unit_test(freeing_the_loop_runs_what_was_deferred),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
