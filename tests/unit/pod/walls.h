/* A pod with its walls up, and containers in it, for the tests of this room. */
#ifndef STOCKADE_TESTS_POD_WALLS_H
#define STOCKADE_TESTS_POD_WALLS_H

#include "gate/protocol.h"
#include "pod/container.h"
#include "pod/netns.h"

enum { UID_BASE = 0x7ffe0000, OUTPUT_MAX = 65536 };

struct walls {
	int userns, netns, drops;
	int listeners[GATE_LISTENER_COUNT];
};

void walls_raise(struct walls *w);
void walls_close(struct walls *w);
/* A spec for `sh -c script` in that pod. */
struct container_spec walls_spec(const struct walls *w, const char *script);
/* Starts it, takes what it writes (stdout and stderr) and waits for its end. Returns the exit code as a shell would see it. */
int walls_run(struct container_spec *spec, char ret_output[static OUTPUT_MAX]);
/* The same for code in a running container. */
int walls_enter(pid_t container, struct container_spec *spec, int (*fn)(void *arg), void *arg, char ret_output[static OUTPUT_MAX]);
int walls_wait(pid_t pid);

#endif
