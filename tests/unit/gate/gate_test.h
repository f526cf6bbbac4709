/* What the tests of the gate share: a worker without a thread, with a policy and a decision log in a memory file. */
#ifndef STOCKADE_TESTS_GATE_TEST_H
#define STOCKADE_TESTS_GATE_TEST_H

#include "gate/worker.h"

struct gate_test {
	struct arena arena;
	struct generation generation;
	struct worker worker;
	struct client client;
	int log;
	char text[1 << 20]; /* of the log, after gate_test_log */
};

/* The policy: client "cli-pod" with the rule "=api.example.com" of lists/cli.lst:7; names cli-pod (198.18.0.5, fd5a::5), v4-pod. */
int gate_test_setup(void **state);
int gate_test_teardown(void **state);
/* Ends the log's thread, so that all is written, and reads it. Once a test. */
const char *gate_test_log(struct gate_test *t);
unsigned gate_test_lines(const char *text);
struct span gate_test_block(struct arena *a);

#endif
