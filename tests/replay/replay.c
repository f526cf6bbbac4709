/* Runs case files (tests/cases/gate/README) and says how many there were.
 *
 *	replay [-v] FILE|DIRECTORY...      -v: what the gate did after each line, in the words of case files */
#include "policy/host.h"
#include "text.h"
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 32, ENTRIES = 64, CLIENTS = 8, ORIGINS = 64 };

static struct {
	const char *path;
	const struct line *line;
	jmp_buf failed;
	bool verbose, started;
	struct arena arena;

	const char *entries[ENTRIES + 1];
	size_t entry_count;
	bool unknown_client;
	struct gate_limits limits;

	struct {
		const char *name;
		struct name_answer answer;
	} names[NAMES];
	size_t name_count;
	enum kernel_connect connecting;
	struct {
		struct ip_addr address;
		enum kernel_connect how;
	} connects[NAMES];
	size_t connect_count;
	struct ip_addr own[NAMES];
	size_t own_count;

	struct end *clients[CLIENTS];
	unsigned lines_seen;
	bool origin_named[ORIGINS];
	uint32_t revoked;
} t;

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)printf("%s:%u: ", t.path, t.line ? t.line->number : 0);
	(void)vprintf(fmt, ap);
	(void)printf("\n");
	va_end(ap);
	longjmp(t.failed, 1);
}

/* --- what the test set up --- */

static struct name_answer resolving(const char *name)
{
	struct name_answer usual = { .way = NAME_LATER, .addresses = { .count = 1, .list = { { 4, { 93, 184, 216, 34 } } } } };

	for (size_t i = 0; i < t.name_count; i++)
		if (strcmp(t.names[i].name, name) == 0)
			return t.names[i].answer;
	return usual;
}

static bool is_own(const struct ip_addr *a)
{
	for (size_t i = 0; i < t.own_count; i++)
		if (ip_equal(&t.own[i], a))
			return true;
	return false;
}

static enum kernel_connect connecting(const struct ip_addr *to, uint16_t port)
{
	(void)port;
	for (size_t i = 0; i < t.connect_count; i++)
		if (ip_equal(&t.connects[i].address, to))
			return t.connects[i].how;
	return t.connecting;
}

static char *next_word(char **rest)
{
	char *word = *rest;

	while (*word == ' ')
		word++;
	char *end = word;

	while (*end && *end != ' ')
		end++;
	*rest = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

static void read_addresses(char *rest, struct addresses *ret)
{
	for (char *word; *(word = next_word(&rest));)
		if (ret->count == RESOLVE_ADDRESSES_MAX || !ip_parse(span_of(word), &ret->list[ret->count++]))
			fail("not an address: %s", word);
}

static void do_dns(char *rest)
{
	const char *name = next_word(&rest);
	struct name_answer a = { .way = NAME_LATER };
	size_t at = 0;

	if (strncmp(rest, "now ", 4) == 0 || strcmp(rest, "now") == 0) {
		a.way = NAME_NOW;
		rest += 3;
	} else if (strncmp(rest, "held", 4) == 0) {
		a.way = NAME_HELD;
		rest += 4;
	} else if (strcmp(rest, "fails") == 0) {
		a.way = NAME_FAILS;
		rest += 5;
	}
	read_addresses(rest, &a.addresses);
	while (at < t.name_count && strcmp(t.names[at].name, name) != 0)
		at++;
	if (at == NAMES)
		fail("too many names");
	t.names[at].name = name;
	t.names[at].answer = a;
	t.name_count += at == t.name_count;
}

static enum kernel_connect connect_word(const char *word)
{
	static const char *const words[] = { "ok", "refused", "unreachable", "held" };

	for (unsigned i = 0; i < 4; i++)
		if (strcmp(word, words[i]) == 0)
			return (enum kernel_connect)i;
	fail("connect ok, refused, unreachable or held");
}

/* connect HOW, or connect ADDRESS HOW */
static void do_connect(char *rest)
{
	const char *first = next_word(&rest);

	if (*rest == '\0') {
		t.connecting = connect_word(first);
		return;
	}
	if (t.connect_count == NAMES || !ip_parse(span_of(first), &t.connects[t.connect_count].address))
		fail("not an address: %s", first);
	t.connects[t.connect_count++].how = connect_word(rest);
}

/* own ADDRESS... */
static void do_own(char *rest)
{
	for (char *word; *(word = next_word(&rest));)
		if (t.own_count == NAMES || !ip_parse(span_of(word), &t.own[t.own_count++]))
			fail("not an address: %s", word);
}

/* limit NAME=VALUE, as for stockade up */
static void do_limit(char *rest)
{
	struct err err;

	if (t.started)
		fail("limits are set first");
	if (limits_set(&t.limits, rest, &err) < 0)
		fail("%s", err.text);
}

static void add_entries(char *rest)
{
	if (strcmp(rest, "none") == 0) {
		t.entry_count = 0;
		t.entries[0] = NULL;
		return;
	}
	if (strcmp(rest, "unknown-client") == 0) {
		t.unknown_client = true;
		return;
	}
	for (char *word; *(word = next_word(&rest));) {
		if (t.entry_count == ENTRIES)
			fail("too many entries");
		t.entries[t.entry_count++] = word;
		t.entries[t.entry_count] = NULL;
	}
}

static void start(void)
{
	const struct world_hooks hooks = { resolving, connecting, &t.limits, is_own };

	if (t.started)
		return;
	t.started = true;
	world_start(&hooks, t.unknown_client ? NULL : t.entries);
}

static void do_reload(char *rest)
{
	start();
	t.entry_count = 0;
	t.entries[0] = NULL;
	t.unknown_client = false;
	add_entries(rest);
	t.revoked = world_reload(t.unknown_client ? NULL : t.entries);
}

/* --- ends --- */

static const struct ip_addr gate4 = { 4, { 198, 18, 0, 1 } };

static unsigned index_of(const char *name, const char *kind)
{
	const size_t n = strlen(kind);
	const char *digits = name + n;

	if (strncmp(name, kind, n) != 0)
		return UINT32_MAX;
	return *digits ? (unsigned)strtoul(digits, NULL, 10) - 1 : 0;
}

static struct end *end_of(const char *name)
{
	const unsigned c = index_of(name, "client"), o = index_of(name, "origin");

	start();
	if (c < CLIENTS) {
		if (!t.clients[c])
			t.clients[c] = world_client(&gate4, 8080);
		return t.clients[c];
	}
	if (o >= ORIGINS)
		fail("no such end: %s", name);
	struct end *e = kernel_origins();

	for (unsigned i = 0; e && i < o; i++)
		e = e->next;
	if (!e)
		fail("%s was not dialled", name);
	t.origin_named[o] = true;
	return e;
}

/* open CLIENT [dns | ADDRESS:PORT]: where it believes to connect to */
static void do_open(char *rest)
{
	const unsigned c = index_of(next_word(&rest), "client");
	struct host host;
	uint16_t port = 8080;

	start();
	if (c >= CLIENTS || t.clients[c])
		fail("open which client?");
	if (strcmp(rest, "dns") == 0) {
		t.clients[c] = world_dns_client();
	} else if (*rest == '\0') {
		t.clients[c] = world_client(&gate4, port);
	} else {
		if (host_port_parse(span_of(rest), 0, &host, &port) != HOST_OK || host.kind != HOST_ADDRESS)
			fail("not ADDRESS:PORT: %s", rest);
		t.clients[c] = world_client(&host.addr, port);
	}
	world_settle();
}

static struct span bytes_of(const char *expression)
{
	const char *why = "";
	const struct span s = text_bytes(&t.arena, expression, &why);

	if (!s.p)
		fail("%s: %s", why, expression);
	return s;
}

static void do_send(struct end *e, const char *rest, bool one_by_one)
{
	const struct span s = bytes_of(rest);

	if (!one_by_one) {
		end_send(e, s);
		world_settle();
		return;
	}
	for (size_t i = 0; i < s.n; i++) {
		end_send(e, (struct span) { s.p + i, 1 });
		world_settle();
	}
}

static struct span received(const struct end *e)
{
	return (struct span) { e->bytes ? e->bytes : "", e->count };
}

/* The gate's own answer: "answer STATUS REASON", whole and rightly framed. */
static void expect_answer(struct end *e, char *rest, bool head_only)
{
	const char *status = next_word(&rest), *reason = next_word(&rest);
	const struct span got = received(e);
	char *text = arena_span(&t.arena, got);
	char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "\r\nContent-Length: ");
	char *const begins = arena_printf(&t.arena, "HTTP/1.1 %s ", status);
	char *const proxy_status = arena_printf(&t.arena, "details=\"%s\"\r\n", reason);

	if (strncmp(text, begins, strlen(begins)) != 0 || !body || !length || length > body)
		fail("wanted the gate's answer %s %s\ngot    %s", status, reason, text_show(&t.arena, got));
	char *found = strstr(text, proxy_status);
	const size_t head = (size_t)(body + 4 - text), all = head + (head_only ? 0 : strtoul(length + 18, NULL, 10));

	if (!found || found > body)
		fail("wanted the reason %s\ngot    %s", reason, text_show(&t.arena, got));
	if (got.n < all || (head_only && got.n != head))
		fail("the answer's length is wrong: %s", text_show(&t.arena, got));
	if (*rest && (!strstr(text, rest) || strstr(text, rest) > text + all))
		fail("the answer does not say \"%s\": %s", rest, text_show(&t.arena, got));
	end_take(e, all);
}

static void expect(struct end *e, const char *name, char *rest)
{
	const struct span got = received(e);
	const bool begins = strncmp(rest, "begins ", 7) == 0;

	if (strcmp(rest, "nothing") == 0) {
		if (got.n)
			fail("%s received %s", name, text_show(&t.arena, got));
	} else if (strcmp(rest, "end") == 0) {
		if (got.n || !e->saw_end || e->saw_reset)
			fail("%s: no ordinary end (%s) after %s", name, e->saw_reset ? "a reset" : "open",
			     text_show(&t.arena, got));
	} else if (strcmp(rest, "reset") == 0) {
		if (!e->saw_reset)
			fail("%s: no reset (%s)", name, e->saw_end ? "an end" : "open");
	} else if (strcmp(rest, "open") == 0) {
		if (e->saw_end || e->saw_reset || e->near < 0)
			fail("%s: not open any more", name);
	} else if (strncmp(rest, "answer ", 7) == 0) {
		expect_answer(e, rest + 7, false);
	} else if (strncmp(rest, "answer-head ", 12) == 0) {
		expect_answer(e, rest + 12, true);
	} else {
		const struct span wanted = bytes_of(begins ? rest + 7 : rest);
		const size_t n = begins && got.n > wanted.n ? wanted.n : got.n;

		if (!span_eq(wanted, (struct span) { got.p, n }))
			fail("%s\nwanted %s\ngot    %s", name, text_show(&t.arena, wanted), text_show(&t.arena, got));
		end_take(e, got.n);
	}
}

static void do_end(const char *name, char *rest)
{
	struct end *e = end_of(name);
	const char *word = next_word(&rest);

	if (strcmp(word, "close-quietly") == 0) {
		end_close(e);
		return; /* together with what comes next */
	}
	if (strcmp(word, "end") == 0)
		end_shut(e);
	else if (strcmp(word, "close") == 0)
		end_close(e);
	else if (strcmp(word, "reset") == 0)
		end_reset(e);
	else if (strcmp(word, "room") == 0)
		e->room = strcmp(rest, "any") == 0 ? SIZE_MAX / 2 : strtoul(rest, NULL, 10);
	else if (strcmp(word, "at") == 0) {
		char *const at = arena_printf(&t.arena, e->address.family == 6 ? "[%s]:%u" : "%s:%u",
					      ip_format(&e->address, (char[IP_TEXT_MAX]) { 0 }), e->port);
		if (strcmp(at, rest) != 0)
			fail("%s is at %s", name, at);
	} else if (strcmp(word, "unread") == 0) {
		if (end_unread(e) < strtoul(rest, NULL, 10))
			fail("%s: only %zu bytes unread", name, end_unread(e));
	} else if (strcmp(word, "connects") == 0)
		end_establish(e, connect_word(rest));
	else
		fail("what of %s?", name);
	world_settle();
}

/* --- the rest --- */

static bool has_word(const char *line, const char *word)
{
	const size_t n = strlen(word);

	for (const char *at = line; (at = strstr(at, word)); at++)
		if ((at == line || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
			return true;
	return false;
}

/* log LINE: the next line of the log has each of these words; detail="..." goes to the end. */
static void do_log(char *rest)
{
	if (t.lines_seen == world_line_count())
		fail("no more lines in the log");
	const char *got = world_line(t.lines_seen)->text;
	char *const wanted = arena_strdup(&t.arena, rest), *detail = strstr(rest, "detail=");

	if (detail) {
		if (!strstr(got, detail))
			fail("wanted %s\nlogged %s", wanted, got);
		*detail = '\0';
	}
	const bool open = strncmp(rest, "open ", 5) == 0;

	if (open != (strncmp(got, "open ", 5) == 0))
		fail("wanted %s\nlogged %s", wanted, got);
	for (char *word; *(word = next_word(&rest));)
		if (!has_word(got, word))
			fail("wanted %s\nlogged %s", wanted, got);
	t.lines_seen++;
}

static int errno_of(const char *word)
{
	static const struct {
		const char *word;
		int number;
	} known[] = { { "EMFILE", EMFILE },   { "ENFILE", ENFILE },          { "ENOMEM", ENOMEM },
		      { "ENOBUFS", ENOBUFS }, { "ECONNRESET", ECONNRESET },  { "EINTR", EINTR },
		      { "EPIPE", EPIPE },     { "ENOSPC", ENOSPC },          { "ECONNABORTED", ECONNABORTED },
		      { "EACCES", EACCES },   { "ENETUNREACH", ENETUNREACH } };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].word, word) == 0)
			return known[i].number;
	fail("which error is %s?", word);
}

static enum kernel_call call_of(const char *word)
{
	for (int i = 0; i < CALL_COUNT; i++)
		if (strcmp(kernel_call_name((enum kernel_call)i), word) == 0)
			return (enum kernel_call)i;
	fail("which call is %s?", word);
}

/* fail CALL ERRNO [SKIP [TIMES]] */
static void do_fail(char *rest)
{
	const enum kernel_call call = call_of(next_word(&rest));
	const int number = errno_of(next_word(&rest));
	const char *skip = next_word(&rest), *times = next_word(&rest);

	kernel_fail(call, number, (unsigned)strtoul(skip, NULL, 10), *times ? (unsigned)strtoul(times, NULL, 10) : 1);
}

static void do_short(char *rest)
{
	const enum kernel_call call = call_of(next_word(&rest));

	kernel_limit(call, strtoul(rest, NULL, 10));
}

static void do_time(const char *rest)
{
	char *unit;
	const unsigned long n = strtoul(rest[0] == '+' ? rest + 1 : rest, &unit, 10);

	if (rest[0] != '+' || (strcmp(unit, "ms") != 0 && strcmp(unit, "s") != 0))
		fail("time +Ns or +Nms");
	world_pass(strcmp(unit, "s") == 0 ? n * 1000 : n);
}

static unsigned count_origins(void)
{
	unsigned n = 0;

	for (const struct end *e = kernel_origins(); e; e = e->next)
		n++;
	return n;
}

/* met NAME N: so often that limit was met */
static void do_met(char *rest)
{
	const char *name = next_word(&rest);
	int i = 0;

	while (i < LIMIT_COUNT && strcmp(limit_name((enum gate_limit)i), name) != 0)
		i++;
	if (i == LIMIT_COUNT)
		fail("no such limit: %s", name);
	if (world_worker()->counters.limited[i] != strtoul(rest, NULL, 10))
		fail("met %s: %llu", name, (unsigned long long)world_worker()->counters.limited[i]);
}

static void do_expect_number(const char *what, unsigned got, const char *wanted)
{
	if (strtoul(wanted, NULL, 10) != got)
		fail("%s: %u", what, got);
}

static const struct {
	const char *word;
	void (*run)(char *rest);
} setting_up[] = { { "policy", add_entries },
		   { "dns", do_dns },
		   { "connect", do_connect },
		   { "limit", do_limit },
		   { "own", do_own } },
  doing[] = { { "open", do_open },   { "log", do_log },       { "fail", do_fail },
	      { "short", do_short }, { "reload", do_reload }, { "met", do_met } };

static bool run_more(const char *word, char *rest)
{
	start();
	if (strcmp(word, "time") == 0)
		do_time(rest);
	else if (strcmp(word, "drain") == 0)
		world_drain();
	else if (strcmp(word, "detach") == 0)
		world_detach();
	else if (strcmp(word, "answer") == 0)
		world_answer(*rest ? rest : NULL);
	else if (strcmp(word, "packet") == 0)
		world_packet(bytes_of(rest));
	else if (strcmp(word, "revoked") == 0)
		do_expect_number("revoked", t.revoked, rest);
	else if (strcmp(word, "requests") == 0)
		do_expect_number("requests", (unsigned)world_worker()->counters.requests, rest);
	else if (strcmp(word, "dialled") == 0)
		do_expect_number("dialled", count_origins(), rest);
	else if (strcmp(word, "descriptors") == 0)
		do_expect_number("descriptors", kernel_descriptors(), rest);
	else if (strcmp(word, "backwards") == 0)
		kernel_turn_order(true);
	else if (strcmp(word, "budget") == 0)
		world_budget()->max = (unsigned)strtoul(rest, NULL, 10);
	else
		return false;
	return true;
}

static bool run_end_line(char *word, char *rest)
{
	const size_t n = strlen(word);

	if (n > 2 && strcmp(word + n - 2, ">>") == 0) {
		word[n - 2] = '\0';
		do_send(end_of(word), rest, true);
	} else if (n > 1 && word[n - 1] == '>') {
		word[n - 1] = '\0';
		do_send(end_of(word), rest, false);
	} else if (n > 1 && word[n - 1] == '<') {
		word[n - 1] = '\0';
		expect(end_of(word), word, rest);
	} else if (strncmp(word, "client", 6) == 0 || strncmp(word, "origin", 6) == 0) {
		do_end(word, rest);
	} else {
		return false;
	}
	return true;
}

static void run_line(const struct line *l)
{
	/* "form:", "rfc:", "part:": for docs/http-conformance.md */
	if (l->word[strlen(l->word) - 1] == ':')
		return;
	for (size_t i = 0; i < sizeof setting_up / sizeof *setting_up; i++)
		if (strcmp(l->word, setting_up[i].word) == 0) {
			setting_up[i].run(l->rest);
			return;
		}
	for (size_t i = 0; i < sizeof doing / sizeof *doing; i++)
		if (strcmp(l->word, doing[i].word) == 0) {
			start();
			doing[i].run(l->rest);
			return;
		}
	if (!run_end_line(l->word, l->rest) && !run_more(l->word, l->rest))
		fail("unknown: %s", l->word);
}

/* What happened and was not expected. */
static void check_rest(void)
{
	unsigned i = 0;

	if (t.lines_seen < world_line_count())
		fail("logged and not expected: %s", world_line(t.lines_seen)->text);
	for (const struct end *e = kernel_origins(); e; e = e->next, i++) {
		if (i < ORIGINS && !t.origin_named[i] && e->established)
			fail("origin%u was dialled and not expected", i + 1);
		if (e->count)
			fail("origin%u received and it was not expected: %s", i + 1, text_show(&t.arena, received(e)));
	}
	for (unsigned c = 0; c < CLIENTS; c++)
		if (t.clients[c] && t.clients[c]->count)
			fail("client%u received and it was not expected: %s", c + 1, text_show(&t.arena, received(t.clients[c])));
	for (unsigned n = 0; n < world_name_count(); n++) {
		bool known = i > 0;

		for (size_t k = 0; k < t.name_count; k++)
			known = known || strcmp(t.names[k].name, world_name(n)) == 0;
		if (!known)
			fail("%s was resolved and it was not expected", world_name(n));
	}
}

/* --- telling --- */

static unsigned told_lines;

static void tell(void)
{
	unsigned i = 0;

	for (; told_lines < world_line_count(); told_lines++)
		(void)printf("  log %s\n", world_line(told_lines)->text);
	for (const struct end *e = kernel_origins(); e; e = e->next)
		(void)printf("  origin%u:%s%s %s\n", ++i, e->saw_reset ? " reset" : "", e->saw_end ? " end" : "",
			     text_show(&t.arena, received(e)));
	for (unsigned c = 0; c < CLIENTS; c++)
		if (t.clients[c])
			(void)printf("  client%u:%s%s %s\n", c + 1, t.clients[c]->saw_reset ? " reset" : "",
				     t.clients[c]->saw_end ? " end" : "", text_show(&t.arena, received(t.clients[c])));
}

static void run_lines(const struct line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		t.line = &lines[i];
		if (t.verbose)
			(void)printf("%s %s\n", lines[i].word, lines[i].rest);
		run_line(&lines[i]);
		if (t.verbose && t.started)
			tell();
	}
	start();
	check_rest();
}

static bool run_case(const char *path, bool verbose)
{
	struct line *lines;
	size_t count;

	memset(&t, 0, sizeof t);
	limits_default(&t.limits);
	t.path = path;
	t.verbose = verbose;
	told_lines = 0;
	if (text_read(path, &t.arena, &lines, &count) < 0)
		return false;
	const bool good = setjmp(t.failed) == 0 && (run_lines(lines, count), true);

	if (t.started)
		world_stop();
	arena_free(&t.arena);
	return good;
}

static int is_case(const struct dirent *d)
{
	const size_t n = strlen(d->d_name);

	return n > 5 && strcmp(d->d_name + n - 5, ".case") == 0;
}

static unsigned run_all(const char *dir, bool verbose, unsigned *ret_failed)
{
	struct dirent **list;
	char path[4096];
	const int n = scandir(dir, &list, is_case, alphasort);

	if (n < 0) {
		*ret_failed += !run_case(dir, verbose);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
		*ret_failed += !run_case(path, verbose);
		free(list[i]);
	}
	free(list);
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	const bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	unsigned failed = 0, count = 0;

	for (int i = verbose ? 2 : 1; i < argc; i++)
		count += run_all(argv[i], verbose, &failed);
	if (count == 0) {
		(void)fprintf(stderr, "usage: replay [-v] FILE|DIRECTORY...\n");
		return 2;
	}
	(void)printf("%u cases, %u failed\n", count, failed);
	return failed ? 1 : 0;
}
