/* One worker of the gate in the kernel of kernel.h: its pod, its policy, names that resolve as the test says, and every line of the
 * decision log. All in the test's own thread; world_settle lets the worker do all that can be done now. */
#ifndef STOCKADE_REPLAY_WORLD_H
#define STOCKADE_REPLAY_WORLD_H

#include "kernel.h"

#include "gate/worker.h"

enum { WORLD_LINES = 512, WORLD_LINE_BYTES = 640, WORLD_NAMES = 64 };

/* How a name resolves. */
enum name_way {
	NAME_LATER, /* the answer comes after the worker has done everything else */
	NAME_NOW,   /* as from the cache */
	NAME_FAILS,
	NAME_HELD, /* until world_answer */
};

struct name_answer {
	enum name_way way;
	struct addresses addresses;
};

struct world_hooks {
	struct name_answer (*resolving)(const char *name);
	enum kernel_connect (*connecting)(const struct ip_addr *to, uint16_t port);
	const struct gate_limits *limits;     /* NULL: the defaults */
	bool (*own)(const struct ip_addr *a); /* the host's own addresses; NULL: none */
};

/* A decision as a line: "[open ]allowed|denied REASON adapter=.. method=.. host=.. port=.. address=..|none status=..
 * rule=FILE:LINE|none up=.. down=.. detail="..."", what is not there left out. */
struct world_line {
	char text[WORLD_LINE_BYTES];
};

/* entries: of the list of cli-pod, NULL at the end; NULL: cli-pod is not in the policy. */
void world_start(const struct world_hooks *hooks, const char *const *entries);
/* Takes the pod away, ends the worker, and fails when anything is left: descriptors, connections, gauges. */
void world_stop(void);

struct worker *world_worker(void);
struct budget *world_budget(void);
struct end *world_client(const struct ip_addr *to, uint16_t port);
struct end *world_dns_client(void);
void world_packet(struct span datagram); /* to the socket of refused packets */
void world_settle(void);
/* Time passes in steps, the worker doing in each what is due. */
void world_pass(uint64_t ms);
uint32_t world_reload(const char *const *entries); /* how many connections were closed */
void world_drain(void);
void world_detach(void);
void world_answer(const char *name); /* a held question; NULL: all */

unsigned world_line_count(void);
const struct world_line *world_line(unsigned i);
unsigned world_name_count(void); /* names that were resolved */
const char *world_name(unsigned i);

#endif
