/* The comparison of listings, as data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "jail/listing.h"

#define HEAD  "table inet stockade {\n\tchain output {\n\t\ttype filter hook output priority filter; policy drop;\n"
#define RULES "\t\tmeta l4proto tcp accept\n\t\tudp dport 53 accept\n"
#define TAIL  "\t}\n}\n"

static void compare(const char *found, const char *says)
{
	struct err err = { 0 };
	const int rc = listing_compare(HEAD RULES TAIL, found, &err);

	if (!says) {
		assert_int_equal(rc, 0);
		return;
	}
	assert_int_equal(rc, -1);
	assert_int_equal(err.class, ERR_FINDING);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
}

static void test_compare(void **state)
{
	(void)state;
	compare(HEAD RULES TAIL, NULL);
	compare(HEAD "\n" RULES TAIL, NULL);
	compare("", "the jail is not there: no table inet stockade");
	compare(HEAD TAIL, "chain output: '}' should be 'meta l4proto tcp accept'");
	compare(HEAD "\t\tudp dport 53 accept\n\t\tmeta l4proto tcp accept\n" TAIL,
		"chain output: 'udp dport 53 accept' should be");
	compare(HEAD RULES "\t\taccept\n" TAIL, "'accept' should be '}'");
	compare("table inet stockade {\n\tchain output {\n\t\ttype filter hook output priority filter; policy accept;\n" RULES TAIL,
		"policy accept");
	compare(HEAD RULES TAIL "table ip x {\n}\n", "'table ip x' is none of ours");
	compare("table ip x {\n}\n" HEAD RULES TAIL, "'table ip x' is none of ours");
	compare(HEAD RULES, "'' should be '}'");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_compare) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
