/* Texts that are kept whole in tests/cases. A test program takes the source tree and, to write them anew, --write: look at the difference
 * before you keep it. */
#ifndef STOCKADE_TESTS_PLAN_GOLDEN_H
#define STOCKADE_TESTS_PLAN_GOLDEN_H

#include "base/span.h"

void golden_begin(int argc, char **args);
/* name: within tests/cases. */
void golden_compare(const char *name, struct span text);

#endif
