/* http-parser tells what it reads by callbacks; they are held against what ours said before. */
#include "http_parser_check.h"

#include <assert.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/host.h"
#include "wire/http_chunked.h"
#include "wire/http_head.h"
#include "wire/http_target.h"

enum { VALUE_MAX = 70000 };

/* One message as the other parser reads it. */
struct reading {
	const struct http_head *ours;
	size_t url, field, name, value; /* bytes seen of each, and which field */
	bool in_value, head_done, done;
	char value_bytes[VALUE_MAX];
	uint64_t body;
};

static struct http_head head;

static struct reading *of(http_parser *p)
{
	return p->data;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
	struct reading *r = of(p);

	assert(r->url + n <= r->ours->target.n && memcmp(r->ours->target.p + r->url, at, n) == 0);
	r->url += n;
	return 0;
}

/* A field is whole when the next begins or the head ends. Blanks behind a value are no part of it (RFC 9110 5.5). */
static void end_field(struct reading *r)
{
	struct span value = { r->value_bytes, r->value };

	if (!r->in_value)
		return;
	assert(r->field < r->ours->field_count && r->name == r->ours->fields[r->field].name.n);
	while (value.n && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	assert(span_eq(value, r->ours->fields[r->field].value));
	r->field++;
	r->name = r->value = 0;
	r->in_value = false;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
	struct reading *r = of(p);

	if (r->head_done)
		return 0; /* trailers */
	end_field(r);
	assert(r->field < r->ours->field_count);
	const struct span name = r->ours->fields[r->field].name;

	assert(r->name + n <= name.n && memcmp(name.p + r->name, at, n) == 0);
	r->name += n;
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
	struct reading *r = of(p);

	if (r->head_done)
		return 0;
	assert(r->value + n <= sizeof r->value_bytes);
	memcpy(r->value_bytes + r->value, at, n);
	r->value += n;
	r->in_value = true;
	return 0;
}

static int on_head(http_parser *p)
{
	struct reading *r = of(p);
	const struct http_head *h = r->ours;

	end_field(r);
	assert(r->field == h->field_count && r->url == h->target.n);
	assert(span_eq(h->method, span_of(http_method_str((enum http_method)p->method))));
	assert(p->http_major == 1 && p->http_minor == h->minor);
	assert(((p->flags & F_CHUNKED) != 0) == (h->framing == HTTP_BODY_CHUNKED));
	assert(h->framing == HTTP_BODY_LENGTH ? p->content_length == h->length
					      : p->content_length == UINT64_MAX || p->content_length == 0);
	/* In 1.0 it does not see keep-alive after an empty element of the list (RFC 9110, 5.6.1.2). */
	assert(!h->persistent || h->minor == 0 || http_should_keep_alive(p));
	r->head_done = true;
	/* 1 would skip the body; an upgrade is told by p->upgrade and must not take it away. */
	return 0;
}

static int on_body(http_parser *p, const char *at, size_t n)
{
	(void)at;
	of(p)->body += n;
	return 0;
}

static int on_end(http_parser *p)
{
	of(p)->done = true;
	http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_body = on_body,
	.on_message_complete = on_end,
};

/* It knows a list of methods, ours any token. */
static bool knows_method(struct span method)
{
	for (int m = 0; m <= HTTP_SOURCE; m++)
		if (span_eq(method, span_of(http_method_str((enum http_method)m))))
			return true;
	return false;
}

/* Does a tab follow the length, which RFC 9110, 5.6.3 allows? It refuses that, which is no other reading. */
static bool length_before_tab(const struct http_head *h)
{
	for (size_t i = 0; i < h->field_count; i++) {
		const struct span value = h->fields[i].value;

		if (!span_eq_nocase(h->fields[i].name, SPAN_LITERAL("content-length")))
			continue;
		for (const char *p = value.p + value.n; *p == ' ' || *p == '\t'; p++)
			if (*p == '\t')
				return true;
	}
	return false;
}

/* The bytes of one message that it reads from the front of s; *ret_done: it is whole. SIZE_MAX: it refuses it. */
static size_t read_other(struct span s, const struct http_head *ours, bool *ret_done, uint64_t *ret_body)
{
	static struct reading r;
	http_parser p;

	memset(&r, 0, offsetof(struct reading, value_bytes));
	r.body = 0;
	r.ours = ours;
	http_parser_init(&p, HTTP_REQUEST);
	p.data = &r;
	const size_t n = http_parser_execute(&p, &settings, s.p, s.n);
	const enum http_errno e = HTTP_PARSER_ERRNO(&p);

	*ret_done = r.done;
	*ret_body = r.body;
	if (e == HPE_INVALID_CONTENT_LENGTH && length_before_tab(ours))
		return SIZE_MAX;
	if (e != HPE_OK && e != HPE_PAUSED) {
		(void)fprintf(stderr, "http-parser: %s in: %.*s\n", http_errno_description(e), (int)s.n, s.p);
		abort();
	}
	return n;
}

void check_head(struct span in)
{
	enum http_bad bad;
	struct http_target t;
	bool done;
	uint64_t body;

	if (http_request_parse(in, &head, &bad) != WIRE_DONE || !knows_method(head.method) ||
	    !http_target_parse(head.target, span_eq(head.method, SPAN_LITERAL("CONNECT")), &t))
		return;
	if (read_other(span_first(in, head.size), &head, &done, &body) == SIZE_MAX)
		return;
	assert(done == (head.framing == HTTP_BODY_NONE || (head.framing == HTTP_BODY_LENGTH && head.length == 0)));
	assert(body == 0);
}

/* Bytes of the body that are there; *ret_done: all of it. */
static size_t read_body(struct span s, const struct http_head *h, bool *ret_done)
{
	struct http_chunked c = { 0 };
	size_t used = 0;

	*ret_done = true;
	if (h->framing == HTTP_BODY_NONE)
		return 0;
	if (h->framing == HTTP_BODY_LENGTH) {
		*ret_done = s.n >= h->length;
		return *ret_done ? (size_t)h->length : s.n;
	}
	const enum wire_result r = http_chunked_feed(&c, s, &used);

	assert(r != WIRE_BAD);
	*ret_done = r == WIRE_DONE;
	return used;
}

void check_requests(struct span s, struct span host, unsigned port, bool switched)
{
	while (s.n) {
		enum http_bad bad;
		struct http_target t;
		struct host named;
		uint16_t named_port;
		bool ended, other_ended;
		uint64_t other_body;
		const enum wire_result r = http_request_parse(s, &head, &bad);

		if (r == WIRE_BAD) {
			(void)fprintf(stderr, "%s in: %.*s\n", http_bad_text(bad), (int)s.n, s.p);
			abort();
		}
		if (r == WIRE_MORE)
			return;
		assert(http_target_parse(head.target, false, &t));
		assert(t.form == HTTP_TARGET_ORIGIN || t.form == HTTP_TARGET_ASTERISK);
		assert(head.host.p && host_port_parse(head.host, 80, &named, &named_port) == HOST_OK);
		assert(named_port == port && span_eq(host, (struct span) { named.text, named.length }));
		const size_t body = read_body(span_skip(s, head.size), &head, &ended);

		if (knows_method(head.method)) {
			const size_t n = read_other(s, &head, &other_ended, &other_body);

			if (n == SIZE_MAX)
				return;
			if (other_ended != ended || (ended && n != head.size + body)) {
				(void)fprintf(stderr, "ours: %d at %zu; http-parser: %d at %zu; in: %.*s\n", ended,
					      head.size + body, other_ended, n, (int)s.n, s.p);
				abort();
			}
		}
		if (!ended || (head.upgrade.p && switched))
			return;
		s = span_skip(s, head.size + body);
	}
}
