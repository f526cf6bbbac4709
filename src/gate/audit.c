/* Rings of bytes: the worker writes at `head`, the thread reads at `tail`; both only grow and are taken modulo the size. A line is
 * put together on the worker's stack (audit_line.c) and copied whole or not at all, so what is between tail and head is whole
 * lines.
 *
 * The thread sleeps in read(2) of an eventfd. Before it does it sets `sleeping` and looks at the rings once more; whoever adds a
 * line and finds `sleeping` set takes it back and writes the eventfd. All four steps are sequentially consistent, so a line is
 * never left behind. After a batch the thread rests for BATCH_MS, so that a busy gate pays for a write(2) every so often and not a
 * line. */
#include "gate/audit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "gate/audit_line.h"

enum { RING_SIZE = 256 * 1024, BATCH_MS = 5, CACHE_LINE = 64 };

struct ring {
	_Alignas(CACHE_LINE) _Atomic uint64_t head;
	_Atomic uint64_t dropped; /* written by the worker */
	_Alignas(CACHE_LINE) _Atomic uint64_t tail;
	char bytes[RING_SIZE];
};

struct audit {
	struct ring *rings;
	unsigned count;
	int wake; /* eventfd */
	atomic_bool sleeping, stop;
	_Atomic int next_file;    /* -1: none */
	_Atomic uint64_t dropped; /* by the thread */
	/* the thread's own */
	int file;
	bool torn;   /* a line was cut off by a failed write: the next begins with a line end */
	bool failed; /* the last write; said once */
	pthread_t thread;
	bool started;
};

/* --- the thread --- */

static uint64_t count_lines(const struct iovec *parts, int count)
{
	uint64_t lines = 0;

	for (int i = 0; i < count; i++) {
		const char *p = parts[i].iov_base, *end = p + parts[i].iov_len;

		for (; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
			lines++;
	}
	return lines;
}

/* Takes the first n bytes off. Returns what is left of the parts. */
static int skip_parts(struct iovec **parts, int count, size_t n)
{
	while (count > 0 && n >= (*parts)->iov_len) {
		n -= (*parts)->iov_len;
		++*parts;
		count--;
	}
	if (count > 0) {
		(*parts)->iov_base = (char *)(*parts)->iov_base + n;
		(*parts)->iov_len -= n;
	}
	return count;
}

static void lose(struct audit *a, const struct iovec *parts, int count)
{
	if (!a->failed)
		log_error("the decision log cannot be written: %s", strerror(errno));
	a->failed = true;
	atomic_fetch_add(&a->dropped, count_lines(parts, count));
}

static void write_parts(struct audit *a, struct iovec *parts, int count)
{
	bool started = false;

	if (a->torn && write(a->file, "\n", 1) != 1) {
		lose(a, parts, count);
		return;
	}
	a->torn = false;
	while (count > 0) {
		const ssize_t n = writev(a->file, parts, count);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			a->torn = started && ((char *)parts->iov_base)[-1] != '\n';
			lose(a, parts, count);
			return;
		}
		started = n > 0;
		count = skip_parts(&parts, count, (size_t)n);
	}
	a->failed = false;
}

static bool drain_ring(struct audit *a, struct ring *r)
{
	const uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed), head = atomic_load(&r->head);
	const size_t from = tail % RING_SIZE, n = (size_t)(head - tail), first = n < RING_SIZE - from ? n : RING_SIZE - from;
	struct iovec parts[2] = { { r->bytes + from, first }, { r->bytes, n - first } };

	if (n == 0)
		return false;
	write_parts(a, parts, n > first ? 2 : 1);
	atomic_store(&r->tail, head);
	return true;
}

/* False: there was nothing to write. */
static bool drain(struct audit *a)
{
	const int next = atomic_exchange(&a->next_file, -1);
	bool any = false;

	if (next >= 0) {
		fd_close(&a->file);
		a->file = next;
		a->torn = false;
	}
	for (unsigned i = 0; a->file >= 0 && i < a->count; i++)
		any |= drain_ring(a, &a->rings[i]);
	return any;
}

static void *run(void *arg)
{
	const struct timespec rest = { .tv_nsec = BATCH_MS * 1000000L };
	struct audit *a = arg;
	uint64_t times;

	while (!a->stop) {
		if (drain(a)) {
			(void)nanosleep(&rest, NULL);
			continue;
		}
		a->sleeping = true;
		if (!drain(a) && !a->stop)
			(void)!read(a->wake, &times, sizeof times);
		a->sleeping = false;
	}
	(void)drain(a);
	return NULL;
}

static void wake(struct audit *a)
{
	const uint64_t one = 1;

	if (a->sleeping && atomic_exchange(&a->sleeping, false))
		(void)!write(a->wake, &one, sizeof one);
}

/* --- its users --- */

struct audit *audit_new(unsigned rings, struct err *err)
{
	struct audit *a = calloc(1, sizeof *a);

	if (!a || !(a->rings = aligned_alloc(CACHE_LINE, rings * sizeof *a->rings))) {
		free(a);
		(void)err_set(err, ERR_FAULT, "out of memory for the decision log");
		return NULL;
	}
	for (unsigned i = 0; i < rings; i++) { /* the bytes themselves are paid for when used */
		a->rings[i].head = a->rings[i].tail = 0;
		a->rings[i].dropped = 0;
	}
	a->count = rings;
	a->next_file = -1;
	a->file = -1;
	a->wake = eventfd(0, EFD_CLOEXEC);
	if (a->wake >= 0)
		return a;
	(void)err_errno(err, "cannot make the decision log's eventfd");
	audit_free(a);
	return NULL;
}

int audit_start(struct audit *a, struct err *err)
{
	const int rc = pthread_create(&a->thread, NULL, run, a);

	errno = rc;
	a->started = rc == 0;
	return rc ? err_errno(err, "cannot start the writer of the decision log") : 0;
}

void audit_set_file(struct audit *a, int fd)
{
	int before = atomic_exchange(&a->next_file, fd);

	fd_close(&before);
	wake(a);
}

void audit_write(struct audit *a, unsigned ring, const struct generation *g, const struct decision *d)
{
	struct ring *r = &a->rings[ring];
	char line[AUDIT_LINE_MAX];
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	const size_t n = audit_line_format(g, d, &now, line);
	const uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	const size_t at = head % RING_SIZE, first = n < RING_SIZE - at ? n : RING_SIZE - at;

	if (head - atomic_load(&r->tail) > RING_SIZE - n) {
		atomic_store_explicit(&r->dropped, r->dropped + 1, memory_order_relaxed);
		return;
	}
	memcpy(r->bytes + at, line, first);
	memcpy(r->bytes, line + first, n - first);
	atomic_store(&r->head, head + n);
	wake(a);
}

uint64_t audit_dropped(const struct audit *a)
{
	uint64_t sum = atomic_load(&a->dropped);

	for (unsigned i = 0; i < a->count; i++)
		sum += atomic_load_explicit(&a->rings[i].dropped, memory_order_relaxed);
	return sum;
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	a->stop = true;
	wake(a);
	if (a->started)
		(void)pthread_join(a->thread, NULL);
	int next = a->next_file;

	fd_close(&next);
	fd_close(&a->file);
	fd_close(&a->wake);
	free(a->rings);
	free(a);
}
