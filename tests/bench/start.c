/* What the start of a pod and of a container in it takes: the medians of 101 starts of `true`. As root. Usage: bench-start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../unit/pod/walls.h"
#include "base/clock.h"

enum { STARTS = 101 };

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void start_many(void **state)
{
	static const char *const argv[] = { "true", NULL };
	uint64_t raised[STARTS], started[STARTS];

	(void)state;
	for (int i = 0; i < STARTS; i++) {
		struct walls w;
		struct err err = { 0 };
		uint64_t began = clock_now_ns();

		walls_raise(&w);
		raised[i] = clock_now_ns() - began;
		struct container_spec spec = walls_spec(&w, "");

		spec.argv = argv;
		began = clock_now_ns();
		const pid_t pid = container_start(&spec, &err);

		started[i] = clock_now_ns() - began;
		assert_true(pid > 0);
		assert_int_equal(walls_wait(pid), 0);
		container_cleanup(&spec);
		walls_close(&w);
	}
	qsort(raised, STARTS, sizeof *raised, by_size);
	qsort(started, STARTS, sizeof *started, by_size);
	printf("walls %u us, container %u us\n", (unsigned)(raised[STARTS / 2] / 1000), (unsigned)(started[STARTS / 2] / 1000));
}

int main(void)
{
	const struct CMUnitTest all[] = { cmocka_unit_test(start_many) };

	return cmocka_run_group_tests(all, NULL, NULL);
}
