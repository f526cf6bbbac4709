/* What the gate sends on: each stream of stdin (stream.h) comes from a client of a whole worker (tests/replay/world.h), and a line
 * of JSON says what arrived at the origins on port 80, where only requests and TLS may go: {"requests": [], "sent": ["...", ...]}. */
#include <stdio.h>

#include "stream.h"
#include "world.h"

enum { ROUNDS = 12 };

static struct name_answer resolving(const char *name)
{
	struct name_answer a = { .way = NAME_NOW, .addresses = { .count = 1, .list = { { 4, { 93, 184, 216, 34 } } } } };

	(void)name;
	return a;
}

static enum kernel_connect connecting(const struct ip_addr *to, uint16_t port)
{
	(void)to;
	(void)port;
	return CONNECT_OK;
}

/* Origins answer as soon as something new has come, so that a kept connection goes on. */
static bool answer_all(void)
{
	static size_t seen[64];
	bool news = false;
	size_t i = 0;

	for (struct end *e = kernel_origins(); e && i < sizeof seen / sizeof *seen; e = e->next, i++) {
		if (e->count == seen[i])
			continue;
		news = news || e->count > seen[i];
		seen[i] = e->count;
		if (e->count > 0 && e->near >= 0 && !e->closed)
			end_send(e, SPAN_LITERAL("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
	}
	for (; i < sizeof seen / sizeof *seen; i++)
		seen[i] = 0;
	return news;
}

/* A target that begins with a slash is of a client that knows of no proxy. */
static struct end *client_for(struct span stream)
{
	static const struct ip_addr gate = { 4, { 198, 18, 0, 1 } }, site = { 4, { 93, 184, 216, 34 } };
	const char *space = memchr(stream.p, ' ', stream.n);
	const size_t at = space ? (size_t)(space - stream.p) + 1 : stream.n;

	return at < stream.n && stream.p[at] == '/' ? world_client(&site, 80) : world_client(&gate, 8080);
}

static void send_on(struct span stream)
{
	static const struct world_hooks hooks = { resolving, connecting };
	static const char *const list[] = { "example.com", "example.org", "a.test", "192.0.2.7", "[2001:db8::1]", NULL };
	const char *comma = "";

	world_start(&hooks, list);
	(void)answer_all();
	end_send(client_for(stream), stream);
	for (unsigned i = 0; i < ROUNDS; i++) {
		world_settle();
		if (!answer_all())
			break;
	}
	(void)printf("{\"requests\": [], \"sent\": [");
	for (struct end *e = kernel_origins(); e; e = e->next) {
		if (e->port == 80 && e->count > 0) {
			(void)printf("%s", comma);
			stream_put_text((struct span) { e->bytes, e->count });
			comma = ", ";
		}
	}
	(void)printf("]}\n");
	world_stop();
}

int main(void)
{
	return stream_each(send_on);
}
