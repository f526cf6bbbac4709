/* The table of probes: nothing twice, every promise covered, and no probe without a control. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "verify/probe.h"

enum { PROMISES = 10, FEWEST = 45 };

static void ids_are_distinct(void **state)
{
	for (size_t i = 0; i < probe_count; i++) {
		assert_true(strspn(probes[i].id, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(probes[i].id));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(probes[i].id, probes[k].id);
	}
	assert_true(probe_count >= FEWEST);
}

static void the_seed_comes_first(void **state)
{
	for (size_t i = 0; i < probe_count; i++)
		assert_int_equal(strncmp(probes[i].id, "seed-", 5) == 0, i < 3);
}

static void every_promise_is_probed(void **state)
{
	unsigned count[PROMISES + 1] = { 0 };

	for (size_t i = 0; i < probe_count; i++) {
		assert_in_range(probes[i].promise, 1, PROMISES);
		count[probes[i].promise]++;
	}
	for (size_t i = 1; i <= PROMISES; i++)
		assert_true(count[i] >= 2);
}

static void every_probe_has_a_control(void **state)
{
	for (size_t i = 0; i < probe_count; i++) {
		assert_non_null(probes[i].look);
		assert_non_null(probes[i].title);
		assert_int_equal(probes[i].control != NULL, probes[i].control_place == CONTROL_HERE);
		if (probes[i].place == PLACE_CONTAINER)
			assert_int_not_equal(probes[i].control_place, CONTROL_HERE);
	}
}

static void passes_only_with_its_control(void **state)
{
	for (enum sight probe = 0; probe < SIGHT_COUNT; probe++)
		for (enum sight control = 0; control < SIGHT_COUNT; control++) {
			const enum probe_outcome o = probe_judge(probe, control);

			assert_int_equal(o == PROBE_PASSED, probe == SIGHT_HELD && control == SIGHT_THROUGH);
			if (probe == SIGHT_THROUGH)
				assert_int_equal(o, PROBE_FAILED);
			if (probe == SIGHT_NONE)
				assert_int_equal(o, PROBE_BROKEN);
		}
	assert_int_equal(probe_judge(SIGHT_UNCLEAR, SIGHT_THROUGH), PROBE_FAILED);
	assert_int_equal(probe_judge(SIGHT_UNCLEAR, SIGHT_HELD), PROBE_BROKEN);
	assert_int_equal(probe_judge(SIGHT_HELD, SIGHT_NONE), PROBE_BROKEN);
	assert_int_equal(probe_judge(SIGHT_HELD, SIGHT_ABSENT), PROBE_SKIPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_distinct),
		cmocka_unit_test(the_seed_comes_first),
		cmocka_unit_test(every_promise_is_probed),
		cmocka_unit_test(every_probe_has_a_control),
		cmocka_unit_test(passes_only_with_its_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
