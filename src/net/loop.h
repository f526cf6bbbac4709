/* One epoll loop, for one thread: typed sources, timers by a wheel, deferred frees. Nothing here knows what a policy is. */
#ifndef STOCKADE_NET_LOOP_H
#define STOCKADE_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* A file descriptor that is watched; embedded in its owner. */
struct source {
	int fd;
	uint32_t events; /* what is asked for now (EPOLLIN | EPOLLOUT | EPOLLRDHUP ...); 0: registered, only errors and hang-ups */
	bool registered;
	void (*ready)(struct source *s, uint32_t events);
};

/* A time limit; embedded in its owner. Never earlier than asked, at most one tick (64 ms) later; O(1) set and cancel. */
struct timer {
	struct timer *next, **prev; /* prev is NULL when idle */
	uint64_t due_ms;
	void (*expired)(struct timer *t);
};

/* Freed after the present batch of events, so that no event of the batch finds freed memory. */
struct deferred {
	struct deferred *next;
	void (*run)(struct deferred *d);
};

struct loop *loop_new(void); /* NULL: errno says why */
void loop_free(struct loop *l);
/* Registers, changes or (events unchanged) does nothing. 0, or -errno. EPOLLEXCLUSIVE may be among events of listeners. */
int loop_watch(struct loop *l, struct source *s, uint32_t events);
void loop_forget(struct loop *l, struct source *s);                      /* before the fd is closed */
void loop_timer_set(struct loop *l, struct timer *t, uint32_t after_ms); /* sets or moves */
void loop_timer_cancel(struct loop *l, struct timer *t);                 /* idle timers too */
void loop_defer(struct loop *l, struct deferred *d);
uint64_t loop_now_ms(const struct loop *l); /* read once a batch */
/* Until loop_stop. Each batch: wait, dispatch, timers, deferred, then after_batch (may be NULL). */
void loop_run(struct loop *l, void (*after_batch)(void *arg), void *arg);
void loop_stop(struct loop *l); /* from this thread */

#endif
