/* Message heads. A head that passes is read again by a naive reader, which must see the same framing fields; its every prefix
 * must be wanting more, and nothing behind it may matter. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_head head, again;

enum kind { KIND_REQUEST, KIND_REPLY, KIND_REPLY_TO_HEAD, KIND_REPLY_TO_CONNECT, KIND_COUNT };

static enum wire_result parse(enum kind kind, struct span in, struct http_head *h, enum http_bad *bad)
{
	if (kind == KIND_REQUEST)
		return http_request_parse(in, h, bad);
	return http_reply_parse(in, kind == KIND_REPLY_TO_HEAD, kind == KIND_REPLY_TO_CONNECT, h, bad);
}

static size_t count_lines_with(struct span s, const char *prefix)
{
	const size_t n = strlen(prefix);
	size_t count = 0;

	for (size_t i = 0; i + n <= s.n; i++)
		count += (i > 0 && s.p[i - 1] == '\n') && span_eq_nocase((struct span) { s.p + i, n }, span_of(prefix));
	return count;
}

static void check_bytes(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		const uint8_t c = (uint8_t)s.p[i];

		assert(c >= ' ' || c == '\t' || (c == '\r' && s.p[i + 1] == '\n') || (c == '\n' && i > 0 && s.p[i - 1] == '\r'));
		assert(c != 0x7f);
		if (c == '\n' && i + 1 < s.n)
			assert(s.p[i + 1] != ' ' && s.p[i + 1] != '\t');
	}
}

static void check_framing(enum kind kind, struct span s, const struct http_head *h)
{
	const size_t lengths = count_lines_with(s, "content-length:"), codings = count_lines_with(s, "transfer-encoding:");

	assert(lengths + codings <= 1);
	assert(count_lines_with(s, "content-length ") + count_lines_with(s, "transfer-encoding\t") == 0);
	if (kind == KIND_REQUEST) {
		assert(h->framing == (codings ? HTTP_BODY_CHUNKED : lengths ? HTTP_BODY_LENGTH : HTTP_BODY_NONE));
		assert(count_lines_with(s, "host:") == (h->host.p != NULL) && (h->minor == 0 || h->host.p));
		assert(codings == 0 || h->minor == 1);
	} else {
		assert(h->status >= 100 && h->status <= 599);
		assert(h->framing != HTTP_BODY_CHUNKED || codings);
		assert(h->framing != HTTP_BODY_LENGTH || lengths);
		assert(h->framing != HTTP_BODY_CLOSE || (!h->persistent && lengths + codings == 0));
	}
	for (size_t i = 0; i < h->field_count; i++) {
		const struct span name = h->fields[i].name;

		if (span_eq_nocase(name, SPAN_LITERAL("content-length")))
			assert(!http_field_is_hop_by_hop(h, i) || (kind != KIND_REQUEST && h->framing == HTTP_BODY_NONE));
		if (span_eq_nocase(name, SPAN_LITERAL("connection")) || span_eq_nocase(name, SPAN_LITERAL("transfer-encoding")) ||
		    span_eq_nocase(name, SPAN_LITERAL("upgrade")) || span_eq_nocase(name, SPAN_LITERAL("te")) ||
		    (name.n > 6 && span_eq_nocase(span_first(name, 6), SPAN_LITERAL("proxy-"))))
			assert(http_field_is_hop_by_hop(h, i));
	}
}

/* Bytes that end where the allocation ends. */
static struct span prefix(struct span s, size_t n)
{
	char *copy = malloc(n ? n : 1);

	assert(copy);
	memcpy(copy, s.p, n);
	return (struct span) { copy, n };
}

static void check_prefix(enum kind kind, struct span in, size_t n, bool whole_is_done)
{
	const struct span s = prefix(in, n);
	enum http_bad bad;
	const enum wire_result r = parse(kind, s, &again, &bad);

	assert(r != WIRE_DONE);
	assert(!whole_is_done || r == WIRE_MORE);
	free((void *)s.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = { (const char *)data, size };

	for (int kind = 0; kind < KIND_COUNT; kind++) {
		enum http_bad bad = HTTP_BAD_NONE;
		const enum wire_result r = parse((enum kind)kind, in, &head, &bad);

		assert((r == WIRE_BAD) == (bad != HTTP_BAD_NONE));
		if (r == WIRE_DONE) {
			const struct span s = span_first(in, head.size);

			assert(head.size <= size && head.size <= HTTP_HEAD_MAX);
			check_bytes(s);
			check_framing((enum kind)kind, s, &head);
			assert(parse((enum kind)kind, s, &again, &bad) == WIRE_DONE && again.size == head.size);
			check_prefix((enum kind)kind, in, head.size - 1, true);
			check_prefix((enum kind)kind, in, head.size / 2, true);
			check_prefix((enum kind)kind, in, head.size / 3, true);
		} else if (size > 0) {
			check_prefix((enum kind)kind, in, size - 1, false);
			check_prefix((enum kind)kind, in, size / 2, false);
		}
	}
	return 0;
}
