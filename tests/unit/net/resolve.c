/* The resolver against a small name server in the same loop, on 127.0.0.1. What it answers hangs on the first label. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/dns_servers.h"
#include "net/name_cache.h"
#include "net/resolve.h"

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, LATE_AAAA_MS = 200, MESSAGE = 2048 };

static struct loop *loop;
static struct resolver *resolver;
static struct resolver_client *pod, *other; /* the second one asks in few tests */

/* --- the name server --- */

struct message {
	uint8_t bytes[MESSAGE];
	size_t n;
};

static struct source udp, tcp, tcp_connection;
static struct timer late;
static struct message late_reply;
static struct sockaddr_in late_to;
static unsigned asked, asked_tcp;

static void put(struct message *m, const void *bytes, size_t n)
{
	memcpy(m->bytes + m->n, bytes, n);
	m->n += n;
}

static void put_u16(struct message *m, unsigned value)
{
	const uint8_t bytes[] = { (uint8_t)(value >> 8), (uint8_t)value };

	put(m, bytes, 2);
}

static void put_answer(struct message *m, unsigned owner, unsigned type, unsigned ttl, const void *data, size_t n)
{
	put_u16(m, 0xc000 | owner);
	put_u16(m, type);
	put_u16(m, 1);
	put_u16(m, 0);
	put_u16(m, ttl);
	put_u16(m, (unsigned)n);
	put(m, data, n);
	m->bytes[7]++;
}

static void put_addresses(struct message *m, unsigned owner, unsigned type, unsigned ttl, unsigned count)
{
	for (unsigned i = 1; i <= count; i++) {
		const uint8_t v4[4] = { 192, 0, 2, (uint8_t)i };
		const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)i };

		put_answer(m, owner, type, ttl, type == TYPE_A ? v4 : v6, type == TYPE_A ? sizeof v4 : sizeof v6);
	}
}

static bool first_label(const struct message *question, const char *label)
{
	return question->bytes[12] == strlen(label) && memcmp(question->bytes + 13, label, strlen(label)) == 0;
}

/* False: no answer. */
static bool make_reply(const struct message *q, bool is_tcp, struct message *ret)
{
	const unsigned type = (unsigned)q->bytes[q->n - 4] << 8 | q->bytes[q->n - 3];

	*ret = *q;
	ret->bytes[2] |= 0x80;
	ret->bytes[3] = 0x80;
	if (first_label(q, "silent"))
		return false;
	if (first_label(q, "nx")) {
		ret->bytes[3] |= 3;
	} else if (first_label(q, "failing") || (first_label(q, "half") && type == TYPE_AAAA)) {
		ret->bytes[3] |= 2;
	} else if (first_label(q, "big") && !is_tcp) {
		ret->bytes[2] |= 2; /* truncated */
	} else if (first_label(q, "big")) {
		put_addresses(ret, 12, type, 60, 40);
	} else if (first_label(q, "alias")) {
		const unsigned target = (unsigned)ret->n + 12;

		put_answer(ret, 12, TYPE_CNAME, 60, "\6target\4test", 13);
		if (type == TYPE_A)
			put_addresses(ret, target, type, 60, 1);
	} else if (first_label(q, "short")) {
		put_addresses(ret, 12, type, 0, 1);
	} else if (first_label(q, "both") || first_label(q, "late")) {
		put_addresses(ret, 12, type, 60, type == TYPE_A ? 3 : 1);
	} else if (type == TYPE_A) {
		put_addresses(ret, 12, type, 60, 1);
	}
	return true;
}

static void send_late(struct timer *t)
{
	(void)sendto(udp.fd, late_reply.bytes, late_reply.n, 0, (struct sockaddr *)&late_to, sizeof late_to);
}

static void udp_ready(struct source *s, uint32_t events)
{
	struct message q = { 0 }, reply;
	struct sockaddr_in from;
	socklen_t n = sizeof from;
	const ssize_t got = recvfrom(s->fd, q.bytes, sizeof q.bytes, 0, (struct sockaddr *)&from, &n);

	if (got < 17)
		return;
	q.n = (size_t)got;
	asked++;
	if (!make_reply(&q, false, &reply))
		return;
	if (first_label(&q, "late") && q.bytes[q.n - 3] == TYPE_AAAA) {
		late_reply = reply;
		late_to = from;
		loop_timer_set(loop, &late, LATE_AAAA_MS);
		return;
	}
	if (first_label(&q, "forged")) {
		struct message forged = reply;

		forged.bytes[0] ^= 0x55;
		forged.bytes[forged.n - 1] = 66;
		(void)sendto(s->fd, forged.bytes, forged.n, 0, (struct sockaddr *)&from, n);
	}
	(void)sendto(s->fd, reply.bytes, reply.n, 0, (struct sockaddr *)&from, n);
}

static void tcp_connection_ready(struct source *s, uint32_t events)
{
	struct message q = { 0 }, reply, framed = { 0 };
	uint8_t head[2];

	while (recv(s->fd, head, 2, MSG_WAITALL | MSG_DONTWAIT) == 2) {
		const size_t n = (size_t)(head[0] << 8 | head[1]);

		if (recv(s->fd, q.bytes, n, MSG_WAITALL) != (ssize_t)n)
			return;
		q.n = n;
		asked_tcp++;
		if (!make_reply(&q, true, &reply))
			return;
		framed.n = 0;
		put_u16(&framed, (unsigned)reply.n);
		put(&framed, reply.bytes, reply.n);
		(void)send(s->fd, framed.bytes, framed.n, MSG_NOSIGNAL);
	}
}

static void tcp_ready(struct source *s, uint32_t events)
{
	if (tcp_connection.fd >= 0) {
		loop_forget(loop, &tcp_connection);
		(void)close(tcp_connection.fd);
	}
	tcp_connection = (struct source) { .fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC), .ready = tcp_connection_ready };
	assert_int_equal(loop_watch(loop, &tcp_connection, EPOLLIN), 0);
}

/* One number for both; the kernel's choice for the one may be taken for the other. */
static uint16_t bind_both(void)
{
	for (int i = 0; i < 20; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t n = sizeof a;

		tcp.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		udp.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (bind(tcp.fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(tcp.fd, 4) == 0 &&
		    getsockname(tcp.fd, (struct sockaddr *)&a, &n) == 0 && bind(udp.fd, (struct sockaddr *)&a, sizeof a) == 0)
			return ntohs(a.sin_port);
		(void)close(tcp.fd);
		(void)close(udp.fd);
	}
	return 0;
}

static uint16_t start_server(void)
{
	asked = asked_tcp = 0;
	udp = (struct source) { .fd = -1, .ready = udp_ready };
	tcp = (struct source) { .fd = -1, .ready = tcp_ready };
	tcp_connection = (struct source) { .fd = -1 };
	late = (struct timer) { .expired = send_late };
	const uint16_t port = bind_both();

	return port && loop_watch(loop, &udp, EPOLLIN) == 0 && loop_watch(loop, &tcp, EPOLLIN) == 0 ? port : 0;
}

static int make_resolver(void **state)
{
	struct err err = { 0 };
	char servers[32];

	loop = loop_new();
	const uint16_t port = start_server();

	(void)snprintf(servers, sizeof servers, "127.0.0.1:%u", port);
	resolver = resolver_new(loop, servers, &err);
	pod = resolver_client_new();
	other = resolver_client_new();
	return port && resolver && pod && other ? 0 : -1;
}

static int free_resolver(void **state)
{
	resolver_client_free(pod); /* before the resolver or after, as it comes */
	resolver_free(resolver);
	resolver_client_free(other);
	(void)close(udp.fd);
	(void)close(tcp.fd);
	if (tcp_connection.fd >= 0)
		(void)close(tcp_connection.fd);
	loop_free(loop);
	return 0;
}

/* --- who asks --- */

struct asker {
	struct query query;
	unsigned told;
	struct addresses found; /* count 0: none */
	struct asker *cancels;
	const char *then; /* asked from inside done */
	struct asker *then_asker;
};

static unsigned waiting_for;

static void asker_done(struct query *q, const struct addresses *found)
{
	struct asker *a = (struct asker *)q;

	assert_true(!found || found->count > 0);
	a->told++;
	if (found)
		a->found = *found;
	if (a->cancels)
		resolve_cancel(resolver, &a->cancels->query);
	if (a->then)
		resolve_start(resolver, pod, &a->then_asker->query, a->then);
	if (--waiting_for == 0)
		loop_stop(loop);
}

static void ask(struct asker *a, const char *name)
{
	a->query.done = asker_done;
	resolve_start(resolver, pod, &a->query, name);
}

/* Runs until `count` askers in all have been told. */
static void run(unsigned count)
{
	waiting_for += count;
	if (waiting_for)
		loop_run(loop, NULL, NULL);
}

static struct asker resolve(const char *name)
{
	struct asker a = { 0 };

	waiting_for = 1;
	ask(&a, name);
	loop_run(loop, NULL, NULL); /* told already: it ends at once */
	assert_int_equal(a.told, 1);
	return a;
}

static void stop_now(struct timer *t)
{
	loop_stop(loop);
}

static void run_for(uint32_t ms)
{
	struct timer t = { .expired = stop_now };

	loop_timer_set(loop, &t, ms);
	loop_run(loop, NULL, NULL);
}

static void expect(const struct addresses *a, const char *text)
{
	char got[RESOLVE_ADDRESSES_MAX * IP_TEXT_MAX] = "", one[IP_TEXT_MAX];

	for (unsigned i = 0; i < a->count; i++) {
		(void)strcat(got, i ? " " : "");
		(void)strcat(got, ip_format(&a->list[i], one));
	}
	assert_string_equal(got, text);
}

/* --- tests --- */

static void ipv6_comes_first_and_families_alternate(void **state)
{
	struct asker a = resolve("both.test");

	expect(&a.found, "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
}

static void an_alias_is_followed(void **state)
{
	struct asker a = resolve("alias.test");

	expect(&a.found, "192.0.2.1");
}

static void what_is_known_is_not_asked_again(void **state)
{
	struct asker a = resolve("both.test"), b = { 0 };

	assert_int_equal(asked, 2);
	waiting_for = 2;
	ask(&b, "BOTH.Test");
	assert_int_equal(b.told, 1); /* at once */
	expect(&a.found, "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
	expect(&b.found, "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
	assert_int_equal(asked, 2);
}

static void a_short_time_to_live_is_kept(void **state)
{
	(void)resolve("short.test");
	(void)resolve("short.test");
	assert_int_equal(asked, 2);
	run_for(1050);
	struct asker a = resolve("short.test");

	assert_int_equal(asked, 4);
	expect(&a.found, "2001:db8::1 192.0.2.1");
}

static void no_such_name_is_remembered_too(void **state)
{
	struct asker a = resolve("nx.test");

	assert_int_equal(a.found.count, 0);
	assert_int_equal(asked, 2);
	a = resolve("nx.test");
	assert_int_equal(a.found.count, 0);
	assert_int_equal(asked, 2);
}

static void one_family_is_enough(void **state)
{
	struct asker a = resolve("half.test");

	expect(&a.found, "192.0.2.1");
}

static void a_failing_server_is_a_failure(void **state)
{
	struct asker a = resolve("failing.test");

	assert_int_equal(a.found.count, 0);
}

static void equal_questions_share_one(void **state)
{
	struct asker a[5] = { 0 };

	for (size_t i = 0; i < 5; i++)
		ask(&a[i], i % 2 ? "both.test" : "BOTH.test");
	run(5);
	assert_int_equal(asked, 2);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(a[i].told, 1);
		assert_int_equal(a[i].found.count, 4);
	}
}

static void a_late_aaaa_is_not_waited_for_but_kept(void **state)
{
	const uint64_t start = clock_now_ns();
	struct asker a = resolve("late.test");
	const uint64_t took = (clock_now_ns() - start) / 1000000;

	expect(&a.found, "192.0.2.1 192.0.2.2 192.0.2.3");
	assert_in_range(took, 50, LATE_AAAA_MS - 1);
	a = resolve("late.test");
	expect(&a.found, "192.0.2.1 192.0.2.2 192.0.2.3");
	run_for(LATE_AAAA_MS);
	a = resolve("late.test");
	expect(&a.found, "2001:db8::1 192.0.2.1 192.0.2.2 192.0.2.3");
	assert_int_equal(asked, 2);
}

static void what_does_not_fit_comes_by_tcp(void **state)
{
	struct asker a = resolve("big.test");

	assert_int_equal(asked_tcp, 2);
	assert_int_equal(a.found.count, RESOLVE_ADDRESSES_MAX);
	assert_int_equal(a.found.list[0].family, 6);
	assert_int_equal(a.found.list[1].family, 4);
}

static void a_forged_answer_is_passed_over(void **state)
{
	struct asker a = resolve("forged.test");

	expect(&a.found, "192.0.2.1");
}

static void a_cancelled_query_is_silent(void **state)
{
	struct asker a = { 0 }, b = { 0 }, idle = { 0 };

	ask(&a, "both.test");
	ask(&b, "both.test");
	resolve_cancel(resolver, &a.query);
	resolve_cancel(resolver, &a.query);
	resolve_cancel(resolver, &idle.query);
	run(1);
	assert_int_equal(a.told, 0);
	assert_int_equal(b.told, 1);
}

static void cancel_and_start_inside_done(void **state)
{
	struct asker a = { 0 }, b = { 0 }, c = { 0 }, known = { 0 };

	/* The last to come is told first. */
	a.cancels = &b;
	b.cancels = &a;
	known.then = "one.test";
	known.then_asker = &c;
	c.query.done = known.query.done = asker_done;
	ask(&a, "both.test");
	ask(&b, "both.test");
	run(1);
	assert_int_equal(a.told + b.told, 1);
	waiting_for = 2;
	ask(&known, "both.test");
	assert_int_equal(known.told, 1);
	assert_int_equal(c.told, 0);
	run(0);
	assert_int_equal(c.told, 1);
	expect(&c.found, "192.0.2.1");
}

static void odd_names_are_not_asked(void **state)
{
	static const char *const names[] = { "", "a b.test", "a\\.test", "a/b", "\xc3\xa9.test" };
	char long_name[300];

	memset(long_name, 'a', sizeof long_name);
	for (size_t i = 63; i < sizeof long_name; i += 64)
		long_name[i] = '.';
	long_name[254] = '\0';
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(resolve(names[i]).found.count, 0);
	assert_int_equal(resolve(long_name).found.count, 0);
	assert_int_equal(asked, 0);
}

/* Asks `count` names that are never answered; the last `refused` are told so. The server reads meanwhile, lest its socket be full. */
static struct asker *ask_silent(struct resolver_client *c, const char *of, int count, int refused)
{
	struct asker *a = calloc((size_t)count, sizeof *a);
	char name[40];

	assert_non_null(a);
	waiting_for = (unsigned)count + 1;
	for (int i = 0; i < count; i++) {
		(void)snprintf(name, sizeof name, "silent.%s%d.test", of, i);
		a[i].query.done = asker_done;
		resolve_start(resolver, c, &a[i].query, name);
		assert_int_equal(a[i].told, i >= count - refused);
		assert_int_equal(a[i].found.count, 0);
		if (i % 100 == 0 && i < 820)
			run_for(1);
	}
	waiting_for = 0;
	return a;
}

static void questions_in_flight_are_bounded(void **state)
{
	enum { ALONE = 820, SECOND = 164 }; /* of 1024; of the 204 left */
	struct asker *a = ask_silent(pod, "a", ALONE + 1, 1);
	struct asker *b = ask_silent(other, "b", SECOND + 1, 1);

	resolver_free(resolver); /* with all of them outstanding */
	resolver = NULL;
	assert_int_equal(a[0].told + a[ALONE - 1].told + b[0].told + b[SECOND - 1].told, 0);
	free(a);
	free(b);
}

/* One that asks for all there is, again and again, keeps nobody from asking. */
static void a_flood_leaves_others_theirs(void **state)
{
	struct asker *flood = ask_silent(pod, "a", 3000, 3000 - 820);

	for (int i = 0; i < 118; i++) {
		struct asker a = { .query.done = asker_done };
		char name[32];

		(void)snprintf(name, sizeof name, "both.n%d.test", i);
		waiting_for = 1;
		resolve_start(resolver, other, &a.query, name);
		run(0);
		assert_int_equal(a.found.count, 4);
	}
	for (int i = 0; i < 820; i++)
		resolve_cancel(resolver, &flood[i].query);
	free(flood);
}

/* Neither what another knows nor what it is asking is to be had: each asks the servers. */
static void clients_share_nothing(void **state)
{
	struct asker a = resolve("both.test"), b = { .query.done = asker_done }, c = { .query.done = asker_done };
	const unsigned before = asked;

	assert_int_equal(a.found.count, 4);
	resolve_start(resolver, pod, &c.query, "both.test");
	assert_int_equal(c.told, 1);
	assert_int_equal(asked, before);
	waiting_for = 1;
	resolve_start(resolver, other, &b.query, "both.test");
	assert_int_equal(b.told, 0);
	run(0);
	assert_int_equal(b.found.count, 4);
	assert_int_equal(asked, before + 2);
	/* Nor a name under way. */
	struct asker d = { .query.done = asker_done }, e = { .query.done = asker_done };

	resolve_start(resolver, pod, &d.query, "both.x.test");
	resolve_start(resolver, other, &e.query, "both.x.test");
	run(2);
	assert_int_equal(asked, before + 6);
}

/* A pod that is taken away while its names are asked for: the rest is freed when the servers have answered, or never will. */
static void a_client_goes_with_questions_outstanding(void **state)
{
	struct asker a = { .query.done = asker_done };

	resolve_start(resolver, pod, &a.query, "both.test");
	resolve_cancel(resolver, &a.query);
	resolver_client_free(pod);
	pod = NULL;
	waiting_for = 1;
	struct asker b = { .query.done = asker_done };

	resolve_start(resolver, other, &b.query, "both.test");
	run(0);
	run_for(50);
	assert_int_equal(a.told, 0);
	assert_int_equal(b.found.count, 4);
	resolve_start(resolver, other, &a.query, "silent.test");
	resolve_cancel(resolver, &a.query);
	resolver_client_free(other);
	other = NULL;
}

static void nobody_listens(void **state)
{
	loop_forget(loop, &udp);
	(void)close(udp.fd);
	udp.fd = -1;
	const uint64_t start = clock_now_ns();
	struct asker a = resolve("both.test");

	assert_int_equal(a.found.count, 0);
	assert_true((clock_now_ns() - start) / 1000000 < 1000);
}

/* --- servers and cache --- */

static void servers_are_read_strictly(void **state)
{
	static const char *const good[] = { "1.2.3.4", "1.2.3.4:5353",  "[::1]:53",
					    "::1",     "[2001:db8::1]", "1.1.1.1,8.8.8.8:54,[::1]:55" };
	static const char *const bad[] = { "",         ",",           "1.2.3.4,",      "1.2.3",    "name.test",
					   "1.2.3.4:", "1.2.3.4:0",   "1.2.3.4:65536", "[::1",     "[1.2.3.4]:53",
					   "[::1]x",   "1.2.3.4:53x", "fe80::1%lo",    "1.2.3.4 ", "01.2.3.4" };
	struct dns_servers s;
	struct err err;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(dns_servers_parse(good[i], &s, &err), 0);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.list[0].port, 53);
	assert_int_equal(s.list[1].port, 54);
	assert_int_equal(s.list[2].port, 55);
	assert_int_equal(s.list[2].address.family, 6);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err = (struct err) { 0 };
		assert_int_equal(dns_servers_parse(bad[i], &s, &err), -1);
		assert_int_equal(err.class, ERR_INPUT);
		assert_null(resolver_new(NULL, bad[i], &err));
	}
	assert_int_equal(dns_servers_parse("1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1", &s, &err),
			 -1);
}

static void expect_resolv_conf(const char *text, size_t size, const char *servers)
{
	char path[] = "/tmp/stockade-resolv-XXXXXX", got[256];
	FD_CLOSE int fd = mkstemp(path);

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	resolver_read_resolv_conf(path, got, size);
	assert_int_equal(unlink(path), 0);
	assert_string_equal(got, servers);
}

static void resolv_conf_gives_its_servers(void **state)
{
	char got[64];

	resolver_read_resolv_conf("/nonexistent/resolv.conf", got, sizeof got);
	assert_string_equal(got, "127.0.0.1");
	expect_resolv_conf("", 256, "127.0.0.1");
	expect_resolv_conf("# nameserver 1.1.1.1\nsearch x\nnameservers 2.2.2.2\n", 256, "127.0.0.1");
	expect_resolv_conf(
		"nameserver 10.0.0.1\nnameserver\tfd00::53  # home\r\nnameserver fe80::1%eth0\noptions x\nnameserver 9.9.9.9", 256,
		"10.0.0.1,[fd00::53],9.9.9.9");
	expect_resolv_conf("nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n", 256,
			   "1.1.1.1,2.2.2.2,3.3.3.3");
	expect_resolv_conf("nameserver 1.1.1.1\nnameserver 2.2.2.2\n", 12, "1.1.1.1");
}

static void the_cache_is_bounded_and_forgets_the_oldest(void **state)
{
	struct name_cache *c = name_cache_new(7);
	struct addresses a = { .count = 1, .list[0] = { .family = 4, .bytes = { 192, 0, 2, 1 } } }, got;
	char name[32];

	for (int i = 0; i < RESOLVE_CACHE_ENTRIES + 10; i++) {
		(void)snprintf(name, sizeof name, "n%d.test", i);
		a.list[0].bytes[3] = (uint8_t)i;
		name_cache_put(c, name, &a, 1000);
		if (i == 1000) /* replaced: it is young again */
			name_cache_put(c, "n0.test", &a, 1000);
	}
	assert_true(name_cache_get(c, "n0.test", 999, &got));
	assert_int_equal(got.list[0].bytes[3], 1000 % 256);
	assert_false(name_cache_get(c, "n10.test", 0, &got));
	assert_true(name_cache_get(c, "n11.test", 999, &got));
	assert_int_equal(got.list[0].bytes[3], 11);
	assert_false(name_cache_get(c, "n11.test", 1000, &got));
	assert_false(name_cache_get(c, "n11.test", 0, &got)); /* gone for good */
	a.count = 0;
	name_cache_put(c, "n11.test", &a, 1000);
	assert_true(name_cache_get(c, "n11.test", 0, &got));
	assert_int_equal(got.count, 0);
	name_cache_free(c);
	name_cache_free(NULL);
}

int main(void)
{
#define ASKING(name) cmocka_unit_test_setup_teardown(name, make_resolver, free_resolver)
	const struct CMUnitTest tests[] = {
		ASKING(ipv6_comes_first_and_families_alternate),
		ASKING(an_alias_is_followed),
		ASKING(what_is_known_is_not_asked_again),
		ASKING(a_short_time_to_live_is_kept),
		ASKING(no_such_name_is_remembered_too),
		ASKING(one_family_is_enough),
		ASKING(a_failing_server_is_a_failure),
		ASKING(equal_questions_share_one),
		ASKING(a_late_aaaa_is_not_waited_for_but_kept),
		ASKING(what_does_not_fit_comes_by_tcp),
		ASKING(a_forged_answer_is_passed_over),
		ASKING(a_cancelled_query_is_silent),
		ASKING(cancel_and_start_inside_done),
		ASKING(odd_names_are_not_asked),
		ASKING(questions_in_flight_are_bounded),
		ASKING(a_flood_leaves_others_theirs),
		ASKING(clients_share_nothing),
		ASKING(a_client_goes_with_questions_outstanding),
		ASKING(nobody_listens),
		cmocka_unit_test(servers_are_read_strictly),
		cmocka_unit_test(resolv_conf_gives_its_servers),
		cmocka_unit_test(the_cache_is_bounded_and_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
