/* The other half of the gate, for tests of this half: connections are taken and held, and nothing is ever read from them. */
#include <stdlib.h>
#include <unistd.h>

#include "gate/conn.h"

struct conn {
	struct conn *next;
	struct client *who;
	int fd;
};

struct conn_pools *conn_pools_new(void)
{
	return malloc(1);
}

void conn_pools_free(struct conn_pools *p)
{
	free(p);
}

bool conn_pools_trim(struct conn_pools *p, uint64_t now_ms)
{
	(void)p;
	(void)now_ms;
	return true;
}

void conn_accepted(struct worker *w, struct client *c, int fd)
{
	struct conn *n = malloc(sizeof *n);

	if (!n)
		abort();
	*n = (struct conn) { w->conns, c, fd };
	w->conns = n;
	c->connections++;
	worker_count(&w->counters.connections, 1);
	worker_gauge(&w->counters.connections_open, 1);
}

static void close_all(struct worker *w, const struct client *c)
{
	for (struct conn **at = &w->conns; *at;) {
		struct conn *n = *at;

		if (c && n->who != c) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		n->who->connections--;
		worker_gauge(&w->counters.connections_open, -1);
		(void)close(n->fd);
		free(n);
	}
}

/* Those of clients that are known no more. */
uint32_t conn_rejudge(struct worker *w)
{
	uint32_t closed = 0;

	for (struct client *c = w->clients; c; c = c->next) {
		if (c->number != CLIENT_NONE)
			continue;
		closed += c->connections;
		close_all(w, c);
	}
	return closed;
}

void conn_close_client(struct worker *w, struct client *c)
{
	close_all(w, c);
}

void conn_drain(struct worker *w)
{
	close_all(w, NULL);
}
