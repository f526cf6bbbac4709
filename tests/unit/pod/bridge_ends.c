/* A namespace that is none for a pod with a wire is refused, and left as it is. Needs root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "pod/bridge_ends.h"
#include "pod/netns.h"

enum { SKIPPED = 77 };

static struct bridge_wire wire;
static const struct plan_pod pod = { .v4 = { 4, { 198, 18, 0, 2 } }, .v6 = { 6, { 0xfd, 0x5a, [15] = 2 } } };

static void refused(int netns, const char *word)
{
	struct bridge_end end;
	struct err err = { 0 };

	assert_int_equal(bridge_ends_adopt_pod(netns, &wire, &pod, &end, &err), -1);
	if (!strstr(err.text, word))
		fail_msg("%s", err.text);
}

static void the_hosts_own(void **state)
{
	FD_CLOSE int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	refused(own, "the host's own network namespace");
}

static void no_wire(void **state)
{
	struct err err = { 0 };
	FD_CLOSE int netns = netns_create(&pod.v4, &pod.v6, &err);

	assert_true(netns >= 0);
	refused(netns, "0 network devices");
}

static void no_gate(void **state)
{
	struct err err = { 0 };
	struct bridge_join join;
	const struct bridge_end end = { .address = wire.pod };
	FD_CLOSE int netns = netns_create(&pod.v4, &pod.v6, &err);

	assert_true(netns >= 0);
	assert_int_equal(bridge_ends_join(netns, &wire, &end, &join, &err), -1);
	assert_non_null(strstr(err.text, "0 devices"));
}

static void routes(void **state)
{
	struct err err = { 0 };

	if (bridge_ends_check_routes(&wire, &err) < 0)
		fail_msg("%s", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_hosts_own), cmocka_unit_test(no_wire), cmocka_unit_test(no_gate),
					    cmocka_unit_test(routes) };

	if (geteuid() != 0)
		return SKIPPED;
	/* Whatever routes the machine has are none of the test's. */
	if (unshare(CLONE_NEWNET) < 0)
		return SKIPPED;
	plan_bridge_wire("/nowhere", "test", "pod", 0, 0, &wire);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
