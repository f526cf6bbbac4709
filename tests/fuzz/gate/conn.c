/* A whole worker, driven by bytes: what clients and origins send and do, time, reloads, failures. In whatever order they come:
 *  - only what the policy allows at that moment is dialled, and receives bytes;
 *  - what arrives at an origin is requests for its own host, which another parser reads alike, or a TLS stream with its own name;
 *  - no connection stands still while there is something to read for it;
 *  - nothing is left at the end (world_stop), and states follow each other as they may (conn_set_state). */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "gate/conn_state.h"
#include "wire/tls_server_hello.h"
#include "http_parser_check.h"
#include "text.h"
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 4, CONNECTS = 48, ORIGINS = 24, STREAM_MAX = 128 * 1024, STEPS = 400 };

/* Where names lead, and what may be behind an address. */
static const struct place {
	const char *name;
	struct ip_addr address;
} places[] = {
	{ "example.com", { 4, { 93, 184, 216, 34 } } },   { "example.org", { 4, { 93, 184, 216, 35 } } },
	{ "192.0.2.7", { 4, { 192, 0, 2, 7 } } },         { "evil.net", { 4, { 93, 184, 216, 66 } } }, /* no list has it */
	{ "local.example.com", { 4, { 127, 0, 0, 1 } } },
};

static const char *const lists[][6] = {
	{ "example.com", "example.com:22" },
	{ "example.com", "example.org", "example.com:8080" },
	{ NULL },
	{ "example.org", "!example.com" },
	{ "=example.com:443" },
	{ "example.com", "192.0.2.7:80", "192.0.2.7:443", "192.0.2.7:5432" },
	{ "example.com", "!93.184.216.0/24" },
};

static const char *const client_says[] = {
	"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
	"GET http://example.org/x HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n",
	"HEAD http://example.com/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	"POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\nContent-Length: 10\r\n\r\n",
	"POST http://example.com/ HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n",
	"5\r\nhello\r\n",
	"0\r\n\r\n",
	"0\r\nX: 1\r\n\r\n",
	"0123456789",
	"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
	"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n",
	"CONNECT example.com:22 HTTP/1.1\r\nHost: example.com\r\n\r\n",
	"GET /p HTTP/1.1\r\nHost: example.com\r\n\r\n",
	"GET http://evil.net/ HTTP/1.1\r\nHost: evil.net\r\n\r\n",
	"GET http://example.com/w HTTP/1.1\r\nHost: example.com\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	"PUT http://192.0.2.7/ HTTP/1.1\r\nHost: 192.0.2.7\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
	"GET http://local.example.com/ HTTP/1.1\r\nHost: local.example.com\r\n\r\n",
	"\r\n",
	"GET http://example.com/ HTTP/1.1\r\nHost: ",
	"Content-Length: 5\r\n",
	"Transfer-Encoding: chunked\r\n",
	"OPTIONS http://example.com HTTP/1.1\r\nHost: example.com\r\n",
	"GET http://example.com:443/ HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
};

static const char *const origin_says[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	"HTTP/1.0 200 OK\r\n\r\n",
	"3\r\nabc\r\n",
	"0\r\n\r\n",
	"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
};

static struct {
	const uint8_t *p, *end;
	struct end *clients[CLIENTS];
	struct {
		struct end *end;
		const struct place *place;
		size_t n;
		bool may_switch;
		bool may_have_greeted; /* it may have sent a ServerHello */
		char bytes[STREAM_MAX];
	} origins[ORIGINS];
	unsigned origin_count, connects;
	bool dns_held, connect_held;
	bool any_protocol; /* somebody has gone to the listed address by itself */
} f;

static uint8_t next(void)
{
	return f.p < f.end ? *f.p++ : 0;
}

static const struct place *place_of(const struct ip_addr *a)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (ip_equal(&places[i].address, a))
			return &places[i];
	abort(); /* an address that no name of ours has */
}

static bool allowed(const struct place *place, uint16_t port)
{
	const struct worker *w = world_worker();
	const struct snapshot *s = &w->generation->snapshot;
	struct host host;

	if (host_parse(span_of(place->name), &host) != HOST_OK || !w->clients)
		return false;
	return policy_decide(s, w->clients->number, HOST_OK, &host, port).allow &&
	       (host.kind == HOST_ADDRESS || policy_decide_address(s, w->clients->number, &place->address, port).allow);
}

static struct name_answer resolving(const char *name)
{
	struct name_answer a = { .way = f.dns_held ? NAME_HELD : NAME_LATER };

	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (strcmp(places[i].name, name) == 0)
			a.addresses.list[a.addresses.count++] = places[i].address;
	assert(strcmp(name, "evil.net") != 0); /* never resolved before it is allowed */
	return a;
}

static enum kernel_connect connecting(const struct ip_addr *to, uint16_t port)
{
	assert(allowed(place_of(to), port));
	return f.connect_held ? CONNECT_HELD : CONNECT_OK;
}

/* --- what has arrived --- */

static void note_origins(void)
{
	unsigned i = 0;

	for (struct end *e = kernel_origins(); e && i < ORIGINS; e = e->next, i++) {
		if (i < f.origin_count)
			continue;
		f.origins[i].end = e;
		f.origins[i].place = place_of(&e->address);
		f.origins[i].n = 0;
		f.origins[i].may_switch = f.origins[i].may_have_greeted = false;
		f.origin_count = i + 1;
	}
}

static void take_arrivals(bool may_be_late)
{
	note_origins();
	for (unsigned i = 0; i < f.origin_count; i++) {
		struct end *e = f.origins[i].end;
		const size_t room = STREAM_MAX - f.origins[i].n, n = e->count < room ? e->count : room;

		if (e->count == 0)
			continue;
		assert(may_be_late || allowed(f.origins[i].place, e->port));
		memcpy(f.origins[i].bytes + f.origins[i].n, e->bytes, n);
		f.origins[i].n += n;
		end_take(e, e->count);
	}
	world_settle(); /* there is room again */
	for (unsigned i = 0; i < f.origin_count; i++)
		if (f.origins[i].end->count && f.origins[i].n == STREAM_MAX)
			end_take(f.origins[i].end, f.origins[i].end->count);
}

/* Every greeting up to the server's own names the place. */
static void check_greetings(struct span s, const struct place *place, bool first_alone)
{
	static struct tls_hello hello;
	struct host named;
	size_t passed = 0;

	for (;;) {
		const enum wire_result r = tls_hello_parse(s, &hello);

		assert(r != WIRE_BAD);
		if (r == WIRE_MORE)
			return;
		assert(strcmp(place->name, "192.0.2.7") == 0 ||
		       (host_parse((struct span) { hello.name, hello.name_length }, &named) == HOST_OK &&
			strcmp(named.text, place->name) == 0));
		if (first_alone)
			return;
		s = span_skip(s, hello.size);
		const enum wire_result between = tls_between_parse(s, true, &passed);

		assert(between != WIRE_BAD);
		if (between == WIRE_MORE)
			return;
		s = span_skip(s, passed);
	}
}

static void check_origin(unsigned i)
{
	const struct span s = { f.origins[i].bytes, f.origins[i].n };
	const struct place *place = f.origins[i].place;
	const uint16_t port = f.origins[i].end->port;

	if (s.n == 0 || (port != 80 && port != 443))
		return;
	if (f.any_protocol && strcmp(place->name, "192.0.2.7") == 0)
		return;
	if (s.p[0] == 0x16)
		check_greetings(s, place, f.origins[i].may_have_greeted);
	else
		check_requests(s, span_of(place->name), port, f.origins[i].may_switch);
}

/* With room everywhere nothing may wait to be read. */
static void check_progress(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (f.clients[i])
			f.clients[i]->room = SIZE_MAX / 2;
	for (unsigned i = 0; i < f.origin_count; i++)
		f.origins[i].end->room = SIZE_MAX / 2;
	world_settle();
	for (const struct conn *c = world_worker()->conns; c; c = c->next) {
		const bool exchange = c->state == CONN_EXCHANGE, tunnel = c->state == CONN_TUNNEL;
		const bool reads = tunnel || c->state == CONN_HEAD || c->state == CONN_HELLO || (exchange && !c->up_over);

		for (unsigned i = 0; reads && i < CLIENTS; i++)
			assert(!f.clients[i] || f.clients[i]->near != c->client.fd || end_unread(f.clients[i]) == 0);
		for (unsigned i = 0; (tunnel || (exchange && !c->reply_over)) && i < f.origin_count; i++)
			assert(f.origins[i].end->near != c->server.fd || end_unread(f.origins[i].end) == 0);
		assert(buffer_used(&c->up.in) <= BUFFER_LARGE && buffer_used(&c->down.in) <= BUFFER_LARGE);
	}
}

/* --- steps --- */

static struct end *client(void)
{
	static const struct ip_addr gate = { 4, { 198, 18, 0, 1 } };
	static const uint16_t ports[] = { 443, 80, 22, 5432, 8080 };
	const uint8_t which = next();
	struct end **c = &f.clients[which % CLIENTS];

	if (*c && (!((*c)->closed && which & 0x80) || f.connects >= CONNECTS))
		return *c;
	f.connects++;
	if (which & 0x40) {
		const struct place *to = &places[which >> 4 & 3];

		f.any_protocol = f.any_protocol || to == &places[2];
		*c = world_client(&to->address, ports[(which >> 2 & 0xf) % 5]);
	} else {
		*c = world_client(&gate, 8080);
	}
	return *c;
}

static struct end *origin(unsigned *ret)
{
	const unsigned i = next() % ORIGINS;

	note_origins();
	if (f.origin_count == 0)
		return NULL;
	*ret = f.origin_count - 1 - i % f.origin_count;
	return f.origins[*ret].end;
}

static struct span raw(void)
{
	const size_t n = next(), left = (size_t)(f.end - f.p);
	const struct span s = { (const char *)f.p, n < left ? n : left };

	f.p += s.n;
	return s;
}

static void send_hello(struct end *e)
{
	static const char *const names[] = { "example.com", "example.org", "evil.net", "" };
	struct arena a = { 0 };

	end_send(e, text_hello(&a, names[next() % 4], false));
	arena_free(&a);
}

static void send_server_hello(struct end *e, unsigned origin)
{
	struct arena a = { 0 };
	const bool retry = next() % 4;

	f.origins[origin].may_have_greeted = f.origins[origin].may_have_greeted || !retry;
	end_send(e, text_server_hello(&a, retry));
	arena_free(&a);
}

static void send_many(struct end *e)
{
	static char many[8192];

	memset(many, 'x', sizeof many);
	for (unsigned i = next() % 8 + 1; i; i--)
		end_send(e, (struct span) { many, sizeof many });
}

static void end_somehow(struct end *e)
{
	switch (next() % 6) {
	case 0:
		end_shut(e);
		break;
	case 1:
		end_close(e);
		break;
	case 2:
		end_reset(e);
		break;
	case 3:
		e->room = next();
		break;
	case 4:
		e->room = SIZE_MAX / 2;
		break;
	default:
		end_establish(e, next() & 1 ? CONNECT_OK : CONNECT_REFUSED);
		break;
	}
}

static void fail_somehow(void)
{
	static const int numbers[] = { EMFILE, ENOMEM, ECONNRESET, EINTR, EPIPE, ENOBUFS };
	const enum kernel_call c = (enum kernel_call)(next() % CALL_COUNT);
	const int number = numbers[next() % 6];

	/* What the kernel never says there. */
	if (c == CALL_malloc || number != EINTR || c == CALL_recv || c == CALL_sendmsg || c == CALL_splice)
		kernel_fail(c, number, next() % 4, next() % 3 + 1);
}

static void client_step(uint8_t op)
{
	struct end *e = client();
	const struct span s = op % 4 == 0   ? raw()
			      : op % 4 == 1 ? span_of(client_says[next() % (sizeof client_says / sizeof *client_says)])
					    : (struct span) { "", 0 };

	end_send(e, s);
	if (op % 4 == 2)
		send_hello(e);
	else if (op % 4 == 3)
		send_many(e);
}

static void origin_step(uint8_t op)
{
	unsigned i = 0;
	struct end *e = origin(&i);

	if (!e || e->near < 0)
		return;
	const uint8_t which = op % 2 ? 0 : next() % (sizeof origin_says / sizeof *origin_says);
	const struct span s = op % 2 ? raw() : span_of(origin_says[which]);

	f.origins[i].may_switch = f.origins[i].may_switch || op % 2 || strstr(origin_says[which], " 101 ");
	if (op % 2 == 0 && op & 0x40) {
		send_server_hello(e, i);
		return;
	}
	f.origins[i].may_have_greeted = f.origins[i].may_have_greeted || op % 2;
	if (op % 4 == 3)
		send_many(e);
	else
		end_send(e, s);
}

static void step(void)
{
	static const uint32_t jumps[] = { 10, 300, 2100, 5100, 11000, 15100, 61000, 301000 };
	const uint8_t op = next();
	struct end *e;
	unsigned i;
	bool reloaded = false;

	switch (op >> 2 & 0xf) {
	case 0 ... 4:
		client_step(op);
		break;
	case 5 ... 8:
		origin_step(op);
		break;
	case 9:
		end_somehow(client());
		break;
	case 10:
		e = origin(&i);
		if (e)
			end_somehow(e);
		break;
	case 11:
		world_pass(jumps[next() % 8]);
		break;
	case 12:
		i = next() % (sizeof lists / sizeof *lists + 1);
		(void)world_reload(i < sizeof lists / sizeof *lists ? lists[i] : NULL);
		reloaded = true;
		break;
	case 13:
		fail_somehow();
		break;
	case 14:
		kernel_limit(op & 1 ? CALL_recv : op & 2 ? CALL_sendmsg : CALL_splice, next());
		break;
	default:
		f.dns_held = next() & 1;
		f.connect_held = op & 1;
		kernel_turn_order(op & 2);
		if (!f.dns_held)
			world_answer(NULL);
		break;
	}
	if (!(op & 0x80))
		world_settle();
	take_arrivals(reloaded || op & 0x80);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct world_hooks hooks = { resolving, connecting };

	f.p = data;
	f.end = data + size;
	f.origin_count = f.connects = 0;
	memset(f.clients, 0, sizeof f.clients);
	f.dns_held = f.connect_held = f.any_protocol = false;
	world_start(&hooks, lists[0]);
	for (unsigned i = 0; i < STEPS && f.p < f.end; i++)
		step();
	for (int c = 0; c < CALL_COUNT; c++) {
		kernel_fail((enum kernel_call)c, 0, 0, 0);
		kernel_limit((enum kernel_call)c, 0);
	}
	world_settle();
	take_arrivals(true);
	check_progress();
	for (unsigned i = 0; i < f.origin_count; i++)
		check_origin(i);
	world_stop();
	return 0;
}
