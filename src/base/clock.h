/* Time, as the rest of the house sees it: nanoseconds of the monotonic clock, and wall time only for logs. */
#ifndef STOCKADE_BASE_CLOCK_H
#define STOCKADE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

#endif
