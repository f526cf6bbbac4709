/* A question is one name being asked for, with all who wait for it; two halves, A and AAAA, are under way in c-ares for it.
 *
 * c-ares calls back from inside its own functions, so its callbacks only note what came and put the question on the settle list;
 * settle() calls the waiting, after c-ares has returned. Whoever waits may start and cancel as he likes. A question lives until
 * c-ares has answered both halves, waited for or not: c-ares cannot forget one of them. */
#include "net/resolve.h"

#include <ares.h>
#include <assert.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "net/dns_servers.h"
#include "net/name_cache.h"

enum {
	NAME_MAX_BYTES = 253,
	HALF_MAX = RESOLVE_ADDRESSES_MAX / 2,
	LATE_MS = 50,  /* RFC 8305 3: how long AAAA may come after A */
	TRY_MS = 1000, /* the first time round the servers; c-ares doubles it for the second */
	TRIES = 2,
	TICK_MS = 200, /* how often c-ares looks at its own time limits */
	SOURCES = 2 * DNS_SERVERS_MAX,
	BUCKETS = RESOLVE_IN_FLIGHT_MAX,
	DNS_CLASS_IN = 1,
	DNS_TYPE_A = 1,
	DNS_TYPE_AAAA = 28,
};

struct half {
	struct question *question;
	bool pending;
	uint8_t count; /* pending or failed: 0 */
	uint32_t ttl_s;
	struct ip_addr list[HALF_MAX];
};

struct resolver_client {
	unsigned questions;
	bool released;            /* freed with its last question */
	struct name_cache *cache; /* NULL before its first answer */
};

struct question {
	struct resolver *resolver;
	struct resolver_client *client;
	struct question *same_bucket; /* while not answered */
	struct question *settle_next;
	struct query *waiting;
	struct timer late, limit;
	uint64_t hash, answered_ms;
	bool on_settle_list, is_late, answered;
	struct half v4, v6;
	char name[NAME_MAX_BYTES + 1];
};

struct dns_source {
	struct source source; /* fd -1: free */
	struct resolver *resolver;
};

struct resolver {
	struct loop *loop;
	ares_channel channel;
	uint64_t seed;
	struct timer tick; /* runs while there are questions */
	unsigned questions;
	bool closing, settling;
	struct question *settle_first, **settle_end;
	struct dns_source sources[SOURCES];
	struct question *buckets[BUCKETS];
};

/* --- what c-ares says --- */

static void put_on_settle_list(struct question *q)
{
	struct resolver *r = q->resolver;

	if (q->on_settle_list)
		return;
	q->on_settle_list = true;
	q->settle_next = NULL;
	*r->settle_end = q;
	r->settle_end = &q->settle_next;
}

static void add_address(struct half *h, uint8_t family, const void *bytes, int ttl_s)
{
	struct ip_addr a = { .family = family };
	const uint32_t ttl = ttl_s < 0 ? 0 : (uint32_t)ttl_s;

	memcpy(a.bytes, bytes, family == 4 ? 4 : 16);
	if (h->count == 0 || ttl < h->ttl_s)
		h->ttl_s = ttl;
	h->list[h->count++] = a;
}

static void read_v4(struct half *h, const unsigned char *reply, int n)
{
	struct ares_addrttl found[HALF_MAX];
	int count = HALF_MAX;

	if (ares_parse_a_reply(reply, n, NULL, found, &count) != ARES_SUCCESS)
		return;
	for (int i = 0; i < count; i++)
		add_address(h, 4, &found[i].ipaddr, found[i].ttl);
}

static void read_v6(struct half *h, const unsigned char *reply, int n)
{
	struct ares_addr6ttl found[HALF_MAX];
	int count = HALF_MAX;

	if (ares_parse_aaaa_reply(reply, n, NULL, found, &count) != ARES_SUCCESS)
		return;
	for (int i = 0; i < count; i++)
		add_address(h, 6, &found[i].ip6addr, found[i].ttl);
}

static void client_drop(struct resolver_client *c)
{
	if (!c->released || c->questions)
		return;
	name_cache_free(c->cache);
	free(c);
}

static void question_free(struct question *q)
{
	q->client->questions--;
	client_drop(q->client);
	free(q);
}

static void half_answered(struct half *h)
{
	struct question *q = h->question;

	h->pending = false;
	if (!q->resolver->closing)
		put_on_settle_list(q);
	else if (!q->v4.pending && !q->v6.pending)
		question_free(q);
}

static void on_v4(void *arg, int status, int timeouts, unsigned char *reply, int n)
{
	if (status == ARES_SUCCESS)
		read_v4(arg, reply, n);
	half_answered(arg);
}

static void on_v6(void *arg, int status, int timeouts, unsigned char *reply, int n)
{
	if (status == ARES_SUCCESS)
		read_v6(arg, reply, n);
	half_answered(arg);
}

/* --- from question to answer --- */

/* IPv6 first, families alternating. */
static void merge(const struct question *q, struct addresses *ret)
{
	ret->count = 0;
	for (unsigned i = 0; i < HALF_MAX; i++) {
		if (i < q->v6.count)
			ret->list[ret->count++] = q->v6.list[i];
		if (i < q->v4.count)
			ret->list[ret->count++] = q->v4.list[i];
	}
}

static uint64_t time_to_live_ms(const struct question *q)
{
	uint32_t ttl = RESOLVE_TTL_MAX_S;

	if (q->v4.count == 0 && q->v6.count == 0)
		return RESOLVE_NEGATIVE_S * 1000;
	if (q->v4.count && q->v4.ttl_s < ttl)
		ttl = q->v4.ttl_s;
	if (q->v6.count && q->v6.ttl_s < ttl)
		ttl = q->v6.ttl_s;
	return (ttl < RESOLVE_TTL_MIN_S ? RESOLVE_TTL_MIN_S : ttl) * 1000ULL;
}

static void query_link(struct query **head, struct query *query)
{
	query->next = *head;
	query->prev = head;
	if (query->next)
		query->next->prev = &query->next;
	*head = query;
}

static void query_unlink(struct query *query)
{
	assert(query->prev);
	*query->prev = query->next;
	if (query->next)
		query->next->prev = query->prev;
	query->next = NULL;
	query->prev = NULL;
	query->pending = NULL;
}

static void remove_from_bucket(struct question *q)
{
	struct question **at = &q->resolver->buckets[q->hash % BUCKETS];

	while (*at != q)
		at = &(*at)->same_bucket;
	*at = q->same_bucket;
}

static void remember(const struct question *q, const struct addresses *found)
{
	struct resolver_client *c = q->client;

	if (c->released)
		return;
	if (!c->cache)
		c->cache = name_cache_new(q->resolver->seed);
	if (c->cache)
		name_cache_put(c->cache, q->name, found, q->answered_ms + time_to_live_ms(q));
}

/* The cache is told first, so that those who ask again from done() are served by it. */
static void answer(struct question *q)
{
	struct resolver *r = q->resolver;
	struct addresses found;

	q->answered = true;
	q->answered_ms = loop_now_ms(r->loop);
	remove_from_bucket(q);
	loop_timer_cancel(r->loop, &q->late);
	loop_timer_cancel(r->loop, &q->limit);
	merge(q, &found);
	remember(q, &found);
	while (q->waiting) {
		struct query *query = q->waiting;

		query_unlink(query);
		query->done(query, found.count ? &found : NULL);
	}
}

/* The half that came too late for those who waited is there for the next. */
static void complete_cache(struct question *q)
{
	struct addresses found;

	merge(q, &found);
	if (found.count)
		remember(q, &found);
}

static void settle_question(struct question *q)
{
	const bool whole = !q->v4.pending && !q->v6.pending;

	if (q->answered)
		complete_cache(q);
	else if (whole || q->is_late)
		answer(q);
	else if (q->v4.count && !q->late.prev)
		loop_timer_set(q->resolver->loop, &q->late, LATE_MS);
	/* A done() may have made c-ares answer the other half: then it is on the list again. */
	if (whole && !q->on_settle_list) {
		q->resolver->questions--;
		question_free(q);
	}
}

static void settle(struct resolver *r)
{
	if (r->settling)
		return;
	r->settling = true;
	while (r->settle_first) {
		struct question *q = r->settle_first;

		r->settle_first = q->settle_next;
		if (!r->settle_first)
			r->settle_end = &r->settle_first;
		q->on_settle_list = false;
		settle_question(q);
	}
	r->settling = false;
	if (r->questions == 0)
		loop_timer_cancel(r->loop, &r->tick);
	else if (!r->tick.prev)
		loop_timer_set(r->loop, &r->tick, TICK_MS);
}

static void question_overdue(struct question *q)
{
	q->is_late = true;
	put_on_settle_list(q);
	settle(q->resolver);
}

static void late_due(struct timer *t)
{
	question_overdue((struct question *)((char *)t - offsetof(struct question, late)));
}

static void limit_due(struct timer *t)
{
	question_overdue((struct question *)((char *)t - offsetof(struct question, limit)));
}

/* --- c-ares in the loop --- */

static void socket_ready(struct source *s, uint32_t events)
{
	struct resolver *r = ((struct dns_source *)((char *)s - offsetof(struct dns_source, source)))->resolver;
	const bool writable = (events & EPOLLOUT) != 0;
	const bool readable = (events & ~(uint32_t)EPOLLOUT) != 0; /* errors are read too */

	ares_process_fd(r->channel, readable ? s->fd : ARES_SOCKET_BAD, writable ? s->fd : ARES_SOCKET_BAD);
	settle(r);
}

static struct dns_source *find_source(struct resolver *r, int fd)
{
	for (size_t i = 0; i < SOURCES; i++)
		if (r->sources[i].source.fd == fd)
			return &r->sources[i];
	return NULL;
}

/* c-ares tells before it closes a socket. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	struct dns_source *s = find_source(r, fd);

	if (!readable && !writable) {
		if (!s)
			return;
		loop_forget(r->loop, &s->source);
		s->source.fd = -1;
		return;
	}
	if (!s)
		s = find_source(r, -1);
	/* Not watched, it hears nothing, and its questions run into their limit. So is one more than a server's one of each kind. */
	if (!s)
		return;
	s->source.fd = fd;
	(void)loop_watch(r->loop, &s->source, (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0));
}

static void tick_due(struct timer *t)
{
	struct resolver *r = (struct resolver *)((char *)t - offsetof(struct resolver, tick));

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	settle(r);
}

/* --- start and end --- */

static int set_servers(struct resolver *r, const struct dns_servers *servers)
{
	struct ares_addr_port_node nodes[DNS_SERVERS_MAX] = { 0 };

	for (unsigned i = 0; i < servers->count; i++) {
		const struct ip_addr *a = &servers->list[i].address;

		nodes[i].next = i + 1 < servers->count ? &nodes[i + 1] : NULL;
		nodes[i].family = a->family == 4 ? AF_INET : AF_INET6;
		memcpy(&nodes[i].addr, a->bytes, a->family == 4 ? 4 : 16);
		nodes[i].udp_port = nodes[i].tcp_port = servers->list[i].port;
	}
	return ares_set_servers_ports(r->channel, nodes);
}

/* Every setting that c-ares would look for in a file is given, also a first server, so that it looks for none. */
static int open_channel(struct resolver *r, const struct dns_servers *servers)
{
	char lookups[] = "b";
	struct in_addr none = { .s_addr = htonl(INADDR_LOOPBACK) };
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = TRY_MS,
		.tries = TRIES,
		.ndots = 1,
		.servers = &none,
		.nservers = 1,
		.lookups = lookups,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = r,
	};
	const int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_SERVERS |
			  ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE;
	const int rc = ares_init_options(&r->channel, &o, given);

	if (rc != ARES_SUCCESS) {
		r->channel = NULL;
		return rc;
	}
	return set_servers(r, servers);
}

struct resolver *resolver_new(struct loop *l, const char *servers, struct err *err)
{
	struct dns_servers list;

	if (dns_servers_parse(servers, &list, err) < 0)
		return NULL;
	struct resolver *r = calloc(1, sizeof *r);

	if (!r || getrandom(&r->seed, sizeof r->seed, 0) != (ssize_t)sizeof r->seed) {
		free(r);
		(void)err_set(err, ERR_FAULT, "out of memory for the resolver");
		return NULL;
	}
	r->loop = l;
	r->tick.expired = tick_due;
	r->settle_end = &r->settle_first;
	for (size_t i = 0; i < SOURCES; i++)
		r->sources[i] = (struct dns_source) { .source = { .fd = -1, .ready = socket_ready }, .resolver = r };
	const int rc = open_channel(r, &list);

	if (rc == ARES_SUCCESS)
		return r;
	(void)err_set(err, ERR_FAULT, "cannot start the resolver: %s", ares_strerror(rc));
	resolver_free(r);
	return NULL;
}

static void drop_waiting(struct question *q)
{
	loop_timer_cancel(q->resolver->loop, &q->late);
	loop_timer_cancel(q->resolver->loop, &q->limit);
	while (q->waiting)
		query_unlink(q->waiting);
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	assert(!r->settling);
	r->closing = true;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct question *q = r->buckets[i]; q; q = q->same_bucket)
			drop_waiting(q);
	if (r->channel)
		ares_destroy(r->channel); /* calls back for every half that is pending, which frees the questions */
	loop_timer_cancel(r->loop, &r->tick);
	free(r);
}

/* --- asking --- */

struct resolver_client *resolver_client_new(void)
{
	return calloc(1, sizeof(struct resolver_client));
}

void resolver_client_free(struct resolver_client *c)
{
	if (!c)
		return;
	c->released = true;
	client_drop(c);
}

/* Lower case, and only what a canonical host name is made of: c-ares reads a backslash as an escape. */
static bool canonical(const char *name, char ret[static NAME_MAX_BYTES + 1])
{
	size_t n = 0;

	for (; name[n]; n++) {
		const char c = ascii_lower(name[n]);

		if (n == NAME_MAX_BYTES || !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
		ret[n] = c;
	}
	ret[n] = '\0';
	return n > 0;
}

static struct question *find_question(const struct resolver *r, const struct resolver_client *c, uint64_t hash, const char *name)
{
	struct question *q = r->buckets[hash % BUCKETS];

	while (q && (q->client != c || q->hash != hash || strcmp(q->name, name) != 0))
		q = q->same_bucket;
	return q;
}

/* As connections are shared out (gate/worker.h): n who grow together have 4/(4n + 1) each, and some are left for the next. */
static bool has_share(const struct resolver *r, const struct resolver_client *c)
{
	return r->questions < RESOLVE_IN_FLIGHT_MAX && c->questions / RESOLVE_SHARES < RESOLVE_IN_FLIGHT_MAX - r->questions;
}

static struct question *new_question(struct resolver *r, struct resolver_client *c, uint64_t hash, const char *name)
{
	struct question *q = has_share(r, c) ? calloc(1, sizeof *q) : NULL;

	if (!q)
		return NULL;
	q->resolver = r;
	q->client = c;
	q->hash = hash;
	memcpy(q->name, name, strlen(name) + 1);
	q->late.expired = late_due;
	q->limit.expired = limit_due;
	q->v4 = (struct half) { .question = q, .pending = true };
	q->v6 = (struct half) { .question = q, .pending = true };
	q->same_bucket = r->buckets[hash % BUCKETS];
	r->buckets[hash % BUCKETS] = q;
	r->questions++;
	c->questions++;
	loop_timer_set(r->loop, &q->limit, RESOLVE_TIMEOUT_MS);
	return q;
}

void resolve_start(struct resolver *r, struct resolver_client *c, struct query *query, const char *name)
{
	char key[NAME_MAX_BYTES + 1];
	struct addresses found;

	query->next = NULL;
	query->prev = NULL;
	query->pending = NULL;
	if (!canonical(name, key)) {
		query->done(query, NULL);
		return;
	}
	if (c->cache && name_cache_get(c->cache, key, loop_now_ms(r->loop), &found)) {
		query->done(query, found.count ? &found : NULL);
		return;
	}
	const uint64_t hash = name_hash(r->seed, key);
	struct question *q = find_question(r, c, hash, key);
	const bool fresh = !q;

	if (fresh && !(q = new_question(r, c, hash, key))) {
		query->done(query, NULL);
		return;
	}
	query->pending = q;
	query_link(&q->waiting, query);
	if (!fresh)
		return;
	ares_query(r->channel, q->name, DNS_CLASS_IN, DNS_TYPE_AAAA, on_v6, &q->v6);
	ares_query(r->channel, q->name, DNS_CLASS_IN, DNS_TYPE_A, on_v4, &q->v4);
	settle(r);
}

void resolve_cancel(struct resolver *r, struct query *query)
{
	if (query->prev)
		query_unlink(query);
}
