/* The worker is the real one (gate/worker.c), run by loop_run until there is nothing left to do: epoll_wait then stops the loop. The
 * resolver alone is played here, by the same wraps as the kernel. */
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "config/project.h"
#include "policy/decide.h"

enum { PENDING = 64 };

static struct {
	struct world_hooks hooks;
	struct worker worker;
	struct budget budget;
	struct arena arena;
	uint64_t generation;
	int acknowledge, fds[GATE_LISTENER_COUNT];
	bool attached;
	struct world_line lines[WORLD_LINES];
	unsigned line_count;
	char names[WORLD_NAMES][256];
	unsigned name_count;
	struct {
		struct query *query; /* NULL: free */
		struct name_answer answer;
		char name[256];
	} pending[PENDING];
} w;

/* --- names --- */

struct resolver *__wrap_resolver_new(struct loop *l, const char *servers, struct err *err);
void __wrap_resolver_free(struct resolver *r);
struct resolver_client *__wrap_resolver_client_new(void);
void __wrap_resolver_client_free(struct resolver_client *c);
void __wrap_resolve_start(struct resolver *r, struct resolver_client *c, struct query *q, const char *name);
void __wrap_resolve_cancel(struct resolver *r, struct query *q);
int __wrap_own_open(struct own *o, struct err *err);
bool __wrap_own_has(struct own *o, const struct ip_addr *a);
void __wrap_audit_write(struct audit *a, unsigned ring, const struct generation *g, const struct decision *d);

int __wrap_own_open(struct own *o, struct err *err)
{
	(void)err;
	*o = (struct own) { .fd = -1, .host = -1 };
	return 0;
}

bool __wrap_own_has(struct own *o, const struct ip_addr *a)
{
	(void)o;
	return w.hooks.own && w.hooks.own(a);
}

struct resolver *__wrap_resolver_new(struct loop *l, const char *servers, struct err *err)
{
	(void)l;
	(void)servers;
	(void)err;
	return (struct resolver *)&w;
}

void __wrap_resolver_free(struct resolver *r)
{
	(void)r;
}

static void tell(struct query *q, const struct name_answer *a)
{
	q->pending = NULL;
	q->done(q, a->way == NAME_FAILS ? NULL : &a->addresses);
}

struct resolver_client *__wrap_resolver_client_new(void)
{
	return (struct resolver_client *)&w;
}

void __wrap_resolver_client_free(struct resolver_client *c)
{
	(void)c;
}

void __wrap_resolve_start(struct resolver *r, struct resolver_client *c, struct query *q, const char *name)
{
	assert(c == (struct resolver_client *)&w);
	const struct name_answer a = w.hooks.resolving(name);

	(void)r;
	if (w.name_count < WORLD_NAMES)
		(void)snprintf(w.names[w.name_count++], sizeof w.names[0], "%s", name);
	if (a.way == NAME_NOW) {
		tell(q, &a);
		return;
	}
	for (size_t i = 0; i < PENDING; i++) {
		if (w.pending[i].query)
			continue;
		w.pending[i].query = q;
		w.pending[i].answer = a;
		(void)snprintf(w.pending[i].name, sizeof w.pending[i].name, "%s", name);
		return;
	}
	tell(q, &(struct name_answer) { .way = NAME_FAILS });
}

void __wrap_resolve_cancel(struct resolver *r, struct query *q)
{
	(void)r;
	for (size_t i = 0; i < PENDING; i++)
		if (w.pending[i].query == q)
			w.pending[i].query = NULL;
}

static bool answer(bool held, const char *name)
{
	for (size_t i = 0; i < PENDING; i++) {
		struct query *q = w.pending[i].query;

		if (!q || (w.pending[i].answer.way == NAME_HELD) != held || (name && strcmp(name, w.pending[i].name) != 0))
			continue;
		const struct name_answer a = w.pending[i].answer;

		w.pending[i].query = NULL;
		tell(q, &a);
		return true;
	}
	return false;
}

void world_answer(const char *name)
{
	while (answer(true, name))
		;
	world_settle();
}

unsigned world_name_count(void)
{
	return w.name_count;
}

const char *world_name(unsigned i)
{
	return w.names[i];
}

/* --- the log --- */

static const char *const adapter_words[] = {
#define X(constant, word) [ADAPTER_##constant] = (word),
	ADAPTERS(X)
#undef X
};

static size_t put_host(char *out, size_t size, struct span host)
{
	size_t n = (size_t)snprintf(out, size, " host=");

	for (size_t i = 0; i < host.n && i < 120 && n + 5 < size; i++) {
		const unsigned char c = (unsigned char)host.p[i];

		if (c > ' ' && c < 0x7f)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, size - n, "\\x%02x", c);
	}
	out[n] = '\0';
	return n;
}

#define PUT(...) (n += (size_t)snprintf(out + n, WORLD_LINE_BYTES - n, __VA_ARGS__))

static void put_line(char *out, const struct generation *g, const struct decision *d)
{
	char address[IP_TEXT_MAX];
	size_t n = 0;

	PUT("%s%s %s adapter=%s", d->event == DECISION_OPEN ? "open " : "", d->allow ? "allowed" : "denied", reason_word(d->reason),
	    adapter_words[d->adapter]);
	if (d->method)
		PUT(" method=%s", d->method);
	if (d->host.n)
		n += put_host(out + n, WORLD_LINE_BYTES - n, d->host);
	if (d->port)
		PUT(" port=%u", d->port);
	if (d->address.family)
		PUT(" address=%s", ip_format(&d->address, address));
	else
		PUT(" address=none");
	if (d->status)
		PUT(" status=%u", d->status);
	if (d->rule != RULE_NONE)
		PUT(" rule=%s:%u", snapshot_rule_file(&g->snapshot, d->rule), snapshot_rule_line(&g->snapshot, d->rule));
	else
		PUT(" rule=none");
	PUT(" up=%llu down=%llu", (unsigned long long)d->bytes_up, (unsigned long long)d->bytes_down);
	if (d->detail)
		PUT(" detail=\"%.200s\"", d->detail);
}

void __wrap_audit_write(struct audit *a, unsigned ring, const struct generation *g, const struct decision *d)
{
	(void)a;
	(void)ring;
	assert(d->allow || d->reason != REASON_ALLOWED);
	assert(d->reason < REASON_COUNT && d->adapter < ADAPTER_COUNT && g == w.worker.generation);
	if (w.line_count == WORLD_LINES)
		w.line_count = 0; /* only a fuzzer writes so many, and it looks at them as they come */
	put_line(w.lines[w.line_count++].text, g, d);
}

unsigned world_line_count(void)
{
	return w.line_count;
}

const struct world_line *world_line(unsigned i)
{
	return &w.lines[i];
}

/* --- the policy --- */

static const struct ip_addr gate4 = { 4, { 198, 18, 0, 1 } }, gate6 = { 6, { 0xfd, 0x5a, 0x53, 0x54, 0x4b, 0x44, [15] = 1 } },
			    pod4 = { 4, { 198, 18, 0, 5 } };

static struct span build(const char *const *entries)
{
	struct policy_builder *b = policy_builder_new(&w.arena);
	struct err err = { 0 };
	struct rule rule;

	(void)policy_builder_client(b, "other-pod");
	policy_builder_gate(b, &gate4, &gate6);
	policy_builder_name(b, "cli-pod", &pod4, NULL);
	if (!entries)
		return policy_builder_finish(b);
	const uint32_t c = policy_builder_client(b, "cli-pod");

	for (unsigned i = 0; entries[i]; i++) {
		if (config_entry_parse(entries[i], "list", i + 1, &w.arena, &rule, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			abort();
		}
		policy_builder_rule(b, c, &rule);
	}
	return policy_builder_finish(b);
}

/* As generation_map makes it: the last reference unmaps it. */
static const struct generation *generation_new(const char *const *entries)
{
	const struct span block = build(entries);
	struct generation *g = calloc(1, sizeof *g);
	void *p = mmap(NULL, block.n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(g && p != MAP_FAILED);
	memcpy(p, block.p, block.n);
	arena_free(&w.arena);
	if (!snapshot_open((struct span) { p, block.n }, &g->snapshot))
		abort();
	g->snapshot.generation = ++w.generation;
	g->references = 1;
	return g;
}

/* --- the worker --- */

static void idle(void)
{
	loop_stop(w.worker.loop);
}

void world_settle(void)
{
	kernel_inside(true);
	/* Twice, since what a timer does may be news for epoll. */
	do {
		loop_run(w.worker.loop, NULL, NULL);
		loop_run(w.worker.loop, NULL, NULL);
	} while (answer(false, NULL));
	kernel_inside(false);
}

static void obey(struct command *c)
{
	c->pending = 1;
	worker_post(&w.worker, c);
	world_settle();
	assert(c->pending == 0 && !c->failed);
}

void world_start(const struct world_hooks *hooks, const char *const *entries)
{
	const struct kernel_hooks kernel = { .connecting = hooks->connecting, .idle = idle };
	struct command adopt = { .kind = COMMAND_ADOPT }, attach = { .kind = COMMAND_ATTACH, .id = 1, .name = "cli-pod" };
	struct err err = { 0 };

	kernel_start(&kernel);
	memset(&w.pending, 0, sizeof w.pending);
	w.hooks = *hooks;
	w.line_count = w.name_count = 0;
	w.generation = 0;
	w.budget = (struct budget) { .max = 64 };
	const struct worker_options options = {
		.count = 1, .servers = "", .limits = hooks->limits, .budget = &w.budget, .acknowledge = -1
	};

	if (worker_init(&w.worker, &options, &err) < 0)
		abort();
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		w.fds[i] = i == GATE_DROPS || i == GATE_DNS_UDP ? kernel_datagrams() : kernel_listener();
	adopt.generation = generation_new(entries);
	obey(&adopt);
	attach.listeners = listeners_new(w.fds, 1);
	assert(attach.listeners);
	obey(&attach);
	w.attached = true;
}

void world_stop(void)
{
	const struct gate_counters *n = &w.worker.counters;

	for (int c = 0; c < CALL_COUNT; c++)
		kernel_fail((enum kernel_call)c, 0, 0, 0);
	world_detach();
	assert(!w.worker.conns && !w.worker.clients);
	assert(n->connections_open == 0 && n->tunnels_open == 0 && w.budget.open == 0);
	for (size_t i = 0; i < PENDING; i++)
		assert(!w.pending[i].query);
	worker_free(&w.worker);
	const unsigned left = kernel_stop();

	assert(left == 0);
	(void)left;
}

struct worker *world_worker(void)
{
	return &w.worker;
}

struct budget *world_budget(void)
{
	return &w.budget;
}

struct end *world_client(const struct ip_addr *to, uint16_t port)
{
	return kernel_client(w.fds[to->family == 6 ? GATE_TCP6 : GATE_TCP4], to, port);
}

struct end *world_dns_client(void)
{
	return kernel_client(w.fds[GATE_DNS_TCP], &gate4, 53);
}

void world_packet(struct span datagram)
{
	kernel_datagram(w.fds[GATE_DROPS], datagram);
	world_settle();
}

void world_pass(uint64_t ms)
{
	enum { STEP_MS = 480, STEPS = 64 };
	const uint64_t step = ms / STEPS > STEP_MS ? ms / STEPS : STEP_MS;

	for (; ms > step; ms -= step) {
		kernel_advance_ms(step);
		world_settle();
	}
	kernel_advance_ms(ms);
	world_settle();
}

uint32_t world_reload(const char *const *entries)
{
	struct command c = { .kind = COMMAND_ADOPT, .generation = generation_new(entries) };

	obey(&c);
	return c.revoked;
}

void world_drain(void)
{
	struct command c = { .kind = COMMAND_DRAIN };

	obey(&c);
}

void world_detach(void)
{
	struct command c = { .kind = COMMAND_DETACH, .id = 1 };

	if (w.attached)
		obey(&c);
	w.attached = false;
}
