/* How the gate reads streams of requests, as JSON for tests/differential/differential to hold against other readers.
 * Of each stream:
 *   {"requests": [{method, target, minor, fields, framing, length, form, host, port, whole, end, body: [pieces]}], "stop", "why", "at"}
 * stop: more (nothing or too little is left), refused, closed (by version and Connection), tunnel. end: where the next begins. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/host.h"
#include "stream.h"
#include "wire/http_chunked.h"
#include "wire/http_head.h"
#include "wire/http_target.h"

enum stop { STOP_NONE, STOP_MORE, STOP_REFUSED, STOP_CLOSED, STOP_TUNNEL };

struct stream {
	struct span all;
	size_t at; /* where the present request, then its body, begins */
	enum stop stop;
	const char *why;
};

static struct http_head head;

static void put_key(const char *key, struct span s)
{
	(void)printf("\"%s\": ", key);
	stream_put_text(s);
	(void)printf(", ");
}

static void put_fields(void)
{
	(void)printf("\"fields\": [");
	for (size_t i = 0; i < head.field_count; i++) {
		(void)printf("%s[", i ? ", " : "");
		stream_put_text(head.fields[i].name);
		(void)printf(", ");
		stream_put_text(head.fields[i].value);
		(void)printf("]");
	}
	(void)printf("], ");
}

static void stop(struct stream *s, enum stop how, const char *why)
{
	s->stop = how;
	s->why = why;
}

/* What the gate asks of a request besides its syntax (gate/http.c): a target and a Host field that agree. NULL: right. */
static const char *check_place(struct http_target *t, struct host *host, uint16_t *port)
{
	const bool connect = span_eq(head.method, SPAN_LITERAL("CONNECT"));
	struct host named;
	uint16_t named_port;

	if (!http_target_parse(head.target, connect, t))
		return "the target is malformed";
	const struct span raw = t->form == HTTP_TARGET_ABSOLUTE || connect ? t->authority : head.host;

	if (!raw.p)
		return "no Host field";
	if (host_port_parse(raw, connect ? 0 : 80, host, port) != HOST_OK)
		return "the host is malformed";
	if (head.host.p && (host_port_parse(head.host, connect ? *port : 80, &named, &named_port) != HOST_OK ||
			    named_port != *port || !host_equal(&named, host)))
		return "the Host field differs from the target";
	return NULL;
}

static void put_head(const struct http_target *t, const struct host *host, uint16_t port)
{
	static const char *const framings[] = { "none", "length", "chunked", "close" };
	static const char *const forms[] = { "origin", "absolute", "authority", "asterisk" };

	(void)printf("{");
	put_key("method", head.method);
	put_key("target", head.target);
	put_fields();
	put_key("framing", span_of(framings[head.framing]));
	put_key("form", span_of(forms[t->form]));
	put_key("host", span_of(host->text));
	(void)printf("\"minor\": %u, \"length\": %" PRIu64 ", \"port\": %u, ", head.minor, head.length, port);
}

/* The data of the chunks in `used`, which are well-formed as far as they go. */
static void put_chunks(struct span used)
{
	size_t at = 0;

	for (;;) {
		const char *lf = at < used.n ? memchr(used.p + at, '\n', used.n - at) : NULL;
		const unsigned long long size = lf ? strtoull(used.p + at, NULL, 16) : 0;

		if (size == 0)
			break;
		(void)printf("%s", at ? ", " : "");
		at = (size_t)(lf - used.p) + 1;
		const size_t n = size < used.n - at ? (size_t)size : used.n - at;

		stream_put_text((struct span) { used.p + at, n });
		at += n + 2;
	}
}

/* The body's bytes that are there; whether that is all of it. */
static bool read_body(struct stream *s)
{
	const struct span rest = span_skip(s->all, s->at);
	struct http_chunked c = { 0 };
	size_t used = 0;

	(void)printf("\"body\": [");
	if (head.framing != HTTP_BODY_CHUNKED) {
		const uint64_t want = head.framing == HTTP_BODY_LENGTH ? head.length : 0;

		used = want < rest.n ? (size_t)want : rest.n;
		stream_put_text(span_first(rest, used));
		(void)printf("], ");
		s->at += used;
		if (used < want)
			stop(s, STOP_MORE, "");
		return used == want;
	}
	const enum wire_result r = http_chunked_feed(&c, rest, &used);

	put_chunks(span_first(rest, used));
	(void)printf("], ");
	s->at += used;
	if (r != WIRE_DONE)
		stop(s, r == WIRE_BAD ? STOP_REFUSED : STOP_MORE, r == WIRE_BAD ? "a malformed chunk" : "");
	return r == WIRE_DONE;
}

static void read_request(struct stream *s, bool first)
{
	enum http_bad bad;
	struct http_target t;
	struct host host;
	uint16_t port = 0;
	const enum wire_result r = http_request_parse(span_skip(s->all, s->at), &head, &bad);

	if (r != WIRE_DONE) {
		stop(s, r == WIRE_BAD ? STOP_REFUSED : STOP_MORE, r == WIRE_BAD ? http_bad_text(bad) : "");
		return;
	}
	const char *why = check_place(&t, &host, &port);

	if (why) {
		stop(s, STOP_REFUSED, why);
		return;
	}
	(void)printf("%s", first ? "" : ", ");
	put_head(&t, &host, port);
	s->at += head.size;
	/* What follows may be another protocol (gate/http.c, wants_upgrade). */
	const bool switches = head.framing == HTTP_BODY_NONE && span_eq(head.method, SPAN_LITERAL("GET")) && head.upgrade.p &&
			      span_eq_nocase(head.upgrade, SPAN_LITERAL("websocket"));

	if (t.form == HTTP_TARGET_AUTHORITY || switches)
		stop(s, STOP_TUNNEL, "");
	const bool whole = read_body(s);

	(void)printf("\"whole\": %s, \"end\": %zu}", whole ? "true" : "false", s->at);
	if (whole && s->stop == STOP_NONE && !head.persistent)
		stop(s, STOP_CLOSED, "");
}

static void read_stream(struct span all)
{
	static const char *const stops[] = { "", "more", "refused", "closed", "tunnel" };
	struct stream s = { .all = all, .why = "" };
	bool first = true;

	(void)printf("{\"requests\": [");
	for (; s.stop == STOP_NONE; first = false)
		read_request(&s, first);
	(void)printf("], ");
	put_key("stop", span_of(stops[s.stop]));
	put_key("why", span_of(s.why));
	(void)printf("\"at\": %zu}\n", s.at);
}

int main(void)
{
	return stream_each(read_stream);
}
