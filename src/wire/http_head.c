/* A head is read in two steps. Step one, on every call: memchr from line end to line end, until the empty line; no byte is
 * looked at but those around a line end, so calling again with a little more is cheap. Step two, once the head is whole: each
 * line is checked byte by byte and noted, then Connection is applied, then the framing is settled from all notes together.
 * There is no path on which an odd field is skipped: it is noted or the head is refused. */
#include "wire/http_head.h"

#include "wire/byte_class.h"

enum { PREFIX_LOOK = 128 }; /* bytes of an unfinished head that are judged early */

enum side { REQUEST, REPLY };

enum connection_option { OPTION_CLOSE = 1, OPTION_KEEP_ALIVE = 2, OPTION_UPGRADE = 4 };

struct notes {
	unsigned options; /* of Connection */
	unsigned option_count;
	uint16_t connections, lengths, codings, hosts, expects, upgrades; /* how often each field is there */
	uint16_t length_at, expect_at;                                    /* where it is */
	struct span upgrade;
};

static enum wire_result refuse(enum http_bad *ret_bad, enum http_bad why)
{
	*ret_bad = why;
	return WIRE_BAD;
}

/* A bare CR has its own name, wherever it is found. */
static enum wire_result refuse_byte(enum http_bad *ret_bad, char c, enum http_bad why)
{
	return refuse(ret_bad, c == '\r' || c == '\n' ? HTTP_BAD_LINE_END : why);
}

static bool is(struct span s, const char *lower)
{
	return span_eq_nocase(s, span_of(lower));
}

static size_t count_class(struct span s, enum byte_class class)
{
	size_t i = 0;

	while (i < s.n && byte_is(s.p[i], class))
		i++;
	return i;
}

static void drop_field(struct http_head *h, size_t i)
{
	h->hop_by_hop[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Step one. Lines are left whole in fields[].name. */
static enum wire_result split_lines(struct span in, struct http_head *h, struct span *ret_first, enum http_bad *ret_bad)
{
	const size_t limit = in.n < HTTP_HEAD_MAX ? in.n : HTTP_HEAD_MAX;
	const char *lf;
	size_t at = 0;

	for (unsigned lines = 0; at < limit && (lf = memchr(in.p + at, '\n', limit - at)); lines++) {
		struct span line = { in.p + at, (size_t)(lf - (in.p + at)) };

		if (line.n == 0 || line.p[line.n - 1] != '\r')
			return refuse(ret_bad, HTTP_BAD_LINE_END);
		at += line.n + 1;
		line.n--;
		if (lines == 0)
			*ret_first = line;
		if (line.n == 0) {
			h->size = at;
			h->field_count = (uint16_t)(lines > 0 ? lines - 1 : 0);
			return WIRE_DONE;
		}
		if (lines > HTTP_FIELDS_MAX)
			return refuse(ret_bad, HTTP_BAD_TOO_MANY_FIELDS);
		if (lines > 0)
			h->fields[lines - 1].name = line;
	}
	return in.n >= HTTP_HEAD_MAX ? refuse(ret_bad, HTTP_BAD_TOO_LARGE) : WIRE_MORE;
}

/* "HTTP/1.0" or "HTTP/1.1"; of an unfinished line, what is there of it. */
static enum wire_result read_version(struct span s, bool whole, uint8_t *ret_minor, enum http_bad *ret_bad)
{
	static const char prefix[] = "HTTP/1.";
	const size_t n = sizeof prefix - 1;

	if (s.n > n + 1)
		return refuse(ret_bad, memchr(s.p, ' ', s.n) ? HTTP_BAD_REQUEST_LINE : HTTP_BAD_VERSION);
	if (memcmp(s.p, prefix, s.n < n ? s.n : n) != 0)
		return refuse(ret_bad, HTTP_BAD_VERSION);
	if (s.n <= n)
		return whole ? refuse(ret_bad, HTTP_BAD_VERSION) : WIRE_MORE;
	if (s.p[n] != '0' && s.p[n] != '1')
		return refuse(ret_bad, HTTP_BAD_VERSION);
	*ret_minor = (uint8_t)(s.p[n] - '0');
	return whole ? WIRE_DONE : WIRE_MORE;
}

/* HEAD and CONNECT decide the framing; a server that ignores case would frame "head" differently. */
static bool is_ambiguous_method(struct span m)
{
	return (is(m, "head") && memcmp(m.p, "HEAD", 4) != 0) || (is(m, "connect") && memcmp(m.p, "CONNECT", 7) != 0);
}

/* RFC 9112 3. Not whole: the line's first bytes, judged as far as they go. */
static enum wire_result read_request_line(struct span line, bool whole, struct http_head *h, enum http_bad *ret_bad)
{
	const size_t n = count_class(line, BYTE_TOKEN);
	struct span rest;
	size_t target = 0;

	if (line.n == 0)
		return whole ? refuse(ret_bad, HTTP_BAD_REQUEST_LINE) : WIRE_MORE;
	if (n > HTTP_METHOD_MAX || n == 0)
		return refuse_byte(ret_bad, line.p[0], HTTP_BAD_METHOD);
	if (n == line.n)
		return whole ? refuse(ret_bad, HTTP_BAD_REQUEST_LINE) : WIRE_MORE;
	h->method = span_first(line, n);
	if (line.p[n] != ' ' || is_ambiguous_method(h->method))
		return refuse_byte(ret_bad, line.p[n], HTTP_BAD_METHOD);
	rest = span_skip(line, n + 1);
	while (target < rest.n && rest.p[target] > ' ' && rest.p[target] < 0x7f)
		target++;
	if (target == rest.n)
		return whole ? refuse(ret_bad, HTTP_BAD_REQUEST_LINE) : WIRE_MORE;
	if (rest.p[target] != ' ')
		return refuse_byte(ret_bad, rest.p[target], HTTP_BAD_TARGET);
	if (target == 0)
		return refuse(ret_bad, HTTP_BAD_REQUEST_LINE);
	h->target = span_first(rest, target);
	return read_version(span_skip(rest, target + 1), whole, &h->minor, ret_bad);
}

/* RFC 9112 4. The space before an empty reason may be missing: many servers leave it out, and all read it alike. */
static enum wire_result read_status_line(struct span line, bool whole, struct http_head *h, enum http_bad *ret_bad)
{
	static const char shape[] = "HTTP/1.v ddd ";
	unsigned status = 0;
	size_t i;

	for (i = 0; i < line.n && i < sizeof shape - 1; i++) {
		const char c = line.p[i];
		const bool good = shape[i] == 'v' ? c == '0' || c == '1' : shape[i] == 'd' ? byte_is(c, BYTE_DIGIT) : c == shape[i];

		if (!good)
			return refuse(ret_bad, i >= 5 && i < 8 ? HTTP_BAD_VERSION : HTTP_BAD_STATUS_LINE);
		if (shape[i] == 'v')
			h->minor = (uint8_t)(c - '0');
		if (shape[i] == 'd')
			status = status * 10 + (unsigned)(c - '0');
	}
	if (i >= 12 && (status < 100 || status > 599))
		return refuse(ret_bad, HTTP_BAD_STATUS_LINE);
	if (i < 12)
		return whole ? refuse(ret_bad, HTTP_BAD_STATUS_LINE) : WIRE_MORE;
	h->status = (uint16_t)status;
	h->reason = span_skip(line, i);
	i = count_class(h->reason, BYTE_VALUE);
	if (i < h->reason.n)
		return refuse_byte(ret_bad, h->reason.p[i], HTTP_BAD_STATUS_LINE);
	return whole ? WIRE_DONE : WIRE_MORE;
}

static enum wire_result read_first_line(enum side side, struct span line, bool whole, struct http_head *h, enum http_bad *ret_bad)
{
	return side == REQUEST ? read_request_line(line, whole, h, ret_bad) : read_status_line(line, whole, h, ret_bad);
}

/* What does not speak HTTP is told so by its first bytes, not at 64 KiB. */
static bool is_bad_start(enum side side, struct span in, struct http_head *h, enum http_bad *ret_bad)
{
	struct span line = span_first(in, in.n < PREFIX_LOOK ? in.n : PREFIX_LOOK);
	const char *lf = line.n > 0 ? memchr(line.p, '\n', line.n) : NULL;
	bool whole = lf != NULL;

	if (lf)
		line.n = (size_t)(lf - line.p);
	if (line.n > 0 && line.p[line.n - 1] == '\r') {
		line.n--;
		whole = true;
	}
	return read_first_line(side, line, whole, h, ret_bad) == WIRE_BAD;
}

/* "name: value" in place of the whole line (RFC 9112 5). */
static enum wire_result split_field(struct http_field *f, enum http_bad *ret_bad)
{
	struct span line = f->name, value;
	const size_t n = count_class(line, BYTE_TOKEN);
	size_t i;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return refuse(ret_bad, HTTP_BAD_OBS_FOLD);
	if (n == line.n)
		return refuse(ret_bad, HTTP_BAD_FIELD_NAME);
	if (n == 0 || line.p[n] != ':')
		return refuse_byte(ret_bad, line.p[n], HTTP_BAD_FIELD_NAME);
	value = span_skip(line, n + 1);
	i = count_class(value, BYTE_VALUE);
	if (i < value.n)
		return refuse_byte(ret_bad, value.p[i], HTTP_BAD_FIELD_VALUE);
	while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t'))
		value = span_skip(value, 1);
	while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	f->name.n = n;
	f->value = value;
	return WIRE_DONE;
}

/* Decimal digits only, no zero in front, below 2^63. */
static bool read_length(struct span s, uint64_t *ret)
{
	uint64_t n = 0;

	if (s.n == 0 || s.n > 19 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!byte_is(s.p[i], BYTE_DIGIT))
			return false;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (n > INT64_MAX)
		return false;
	*ret = n;
	return true;
}

static enum wire_result note_length(struct http_head *h, size_t i, struct notes *notes, enum http_bad *ret_bad)
{
	if (notes->lengths++ > 0)
		return refuse(ret_bad, HTTP_BAD_LENGTH_TWICE);
	notes->length_at = (uint16_t)i;
	return read_length(h->fields[i].value, &h->length) ? WIRE_DONE : refuse(ret_bad, HTTP_BAD_LENGTH);
}

static enum wire_result note_coding(struct http_head *h, size_t i, struct notes *notes, enum http_bad *ret_bad)
{
	drop_field(h, i);
	if (notes->codings++ > 0 || !is(h->fields[i].value, "chunked"))
		return refuse(ret_bad, HTTP_BAD_CODING);
	return h->minor == 0 ? refuse(ret_bad, HTTP_BAD_CODING_IN_1_0) : WIRE_DONE;
}

static enum wire_result note_request_field(struct http_head *h, size_t i, struct notes *notes, enum http_bad *ret_bad)
{
	const struct http_field *f = &h->fields[i];

	if (is(f->name, "host")) {
		drop_field(h, i);
		if (notes->hosts++ > 0)
			return refuse(ret_bad, HTTP_BAD_HOST_TWICE);
		h->host = f->value;
	} else if (is(f->name, "expect")) {
		if (notes->expects++ > 0 || !is(f->value, "100-continue"))
			return refuse(ret_bad, HTTP_BAD_EXPECT);
		notes->expect_at = (uint16_t)i;
	}
	return WIRE_DONE;
}

/* A gateway that turns names into variables (RFC 3875 4.1.18) cannot tell the first two from the real ones; the http-parser of many
 * servers takes the third for one. */
static bool is_framing_lookalike(struct span name)
{
	return is(name, "content_length") || is(name, "transfer_encoding") ||
	       (name.n > 17 && is(span_first(name, 17), "transfer-encoding"));
}

static enum wire_result note_field(enum side side, struct http_head *h, size_t i, struct notes *notes, enum http_bad *ret_bad)
{
	const struct span name = h->fields[i].name;

	switch (name.n) { /* most fields are none of these: one jump tells */
	case 2:
		if (is(name, "te"))
			drop_field(h, i);
		return WIRE_DONE;
	case 4:
	case 6:
		return side == REQUEST ? note_request_field(h, i, notes, ret_bad) : WIRE_DONE;
	case 7:
		if (is(name, "upgrade")) {
			drop_field(h, i);
			notes->upgrades++;
			notes->upgrade = h->fields[i].value;
		}
		break;
	case 10:
		if (is(name, "connection")) {
			drop_field(h, i);
			notes->connections++;
		} else if (is(name, "keep-alive")) {
			drop_field(h, i);
		}
		break;
	case 14:
		if (is(name, "content-length"))
			return note_length(h, i, notes, ret_bad);
		break;
	case 17:
		if (is(name, "transfer-encoding"))
			return note_coding(h, i, notes, ret_bad);
		break;
	default:
		break;
	}
	if (is_framing_lookalike(name))
		return refuse(ret_bad, HTTP_BAD_FIELD_NAME);
	if (name.n > 6 && is(span_first(name, 6), "proxy-"))
		drop_field(h, i);
	return WIRE_DONE;
}

/* What says where a message ends, where it goes or how its body is read is never dropped because a sender asks for it. Some
 * servers name Transfer-Encoding in replies; that is right (it is for one hop), and it is read before. */
static bool may_be_named(enum side side, struct span option)
{
	static const char *const kept[] = { "host",          "content-length", "content-type", "content-encoding",
					    "content-range", "expect",         "trailer",      "connection" };

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (is(option, kept[i]))
			return false;
	return side == REPLY || !is(option, "transfer-encoding");
}

static void apply_option(struct http_head *h, struct span option, struct notes *notes)
{
	if (is(option, "close"))
		notes->options |= OPTION_CLOSE;
	else if (is(option, "keep-alive"))
		notes->options |= OPTION_KEEP_ALIVE;
	else if (is(option, "upgrade"))
		notes->options |= OPTION_UPGRADE;
	else
		for (size_t i = 0; i < h->field_count; i++)
			if (span_eq_nocase(h->fields[i].name, option))
				drop_field(h, i);
}

/* RFC 9110 7.6.1. Empty elements are allowed (5.6.1.2), and count. */
static bool apply_connection(enum side side, struct http_head *h, struct span list, struct notes *notes)
{
	while (list.n > 0) {
		const size_t n = count_class(list, BYTE_TOKEN);
		size_t after = n;

		if (++notes->option_count > HTTP_CONNECTION_OPTIONS_MAX || !may_be_named(side, span_first(list, n)))
			return false;
		if (n > 0)
			apply_option(h, span_first(list, n), notes);
		while (after < list.n && (list.p[after] == ' ' || list.p[after] == '\t'))
			after++;
		if (after < list.n && list.p[after++] != ',')
			return false;
		while (after < list.n && (list.p[after] == ' ' || list.p[after] == '\t'))
			after++;
		list = span_skip(list, after);
	}
	return true;
}

static enum wire_result apply_connections(enum side side, struct http_head *h, struct notes *notes, enum http_bad *ret_bad)
{
	for (size_t i = 0; notes->connections > 0 && i < h->field_count; i++)
		if (is(h->fields[i].name, "connection") && !apply_connection(side, h, h->fields[i].value, notes))
			return refuse(ret_bad, HTTP_BAD_CONNECTION);
	if (notes->options & OPTION_CLOSE)
		h->persistent = false;
	else
		h->persistent = h->minor == 1 || (notes->options & OPTION_KEEP_ALIVE);
	if (notes->upgrades == 1 && (notes->options & OPTION_UPGRADE) && h->minor == 1)
		h->upgrade = notes->upgrade;
	return WIRE_DONE;
}

/* Step two, after the first line. Leaves framing as the fields say it, whatever the message is. */
static enum wire_result read_fields(enum side side, struct http_head *h, struct notes *notes, enum http_bad *ret_bad)
{
	for (size_t i = 0; i < h->field_count; i++)
		if (split_field(&h->fields[i], ret_bad) == WIRE_BAD || note_field(side, h, i, notes, ret_bad) == WIRE_BAD)
			return WIRE_BAD;
	if (notes->lengths > 0 && notes->codings > 0)
		return refuse(ret_bad, HTTP_BAD_LENGTH_AND_CODING);
	h->framing = notes->codings > 0 ? HTTP_BODY_CHUNKED : notes->lengths > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
	return apply_connections(side, h, notes, ret_bad);
}

/* All but the fields, which are 8 KiB and written before they are counted. */
static void reset(struct http_head *h)
{
	const struct span none = { NULL, 0 };

	h->method = h->target = h->reason = h->host = h->upgrade = none;
	h->status = 0;
	h->minor = 0;
	h->field_count = 0;
	h->size = 0;
	h->framing = HTTP_BODY_NONE;
	h->length = 0;
	h->persistent = h->expect_continue = false;
	memset(h->hop_by_hop, 0, sizeof h->hop_by_hop);
}

static enum wire_result read_head(enum side side, struct span in, struct http_head *h, struct notes *notes, enum http_bad *ret_bad)
{
	struct span first = { NULL, 0 };
	enum wire_result r;

	reset(h);
	*ret_bad = HTTP_BAD_NONE;
	if (in.n == 0)
		return WIRE_MORE;
	r = split_lines(in, h, &first, ret_bad);
	if (r != WIRE_DONE)
		return is_bad_start(side, in, h, ret_bad) ? WIRE_BAD : r;
	if (read_first_line(side, first, true, h, ret_bad) == WIRE_BAD)
		return WIRE_BAD;
	return read_fields(side, h, notes, ret_bad);
}

enum wire_result http_request_parse(struct span in, struct http_head *ret, enum http_bad *ret_bad)
{
	struct notes notes = { 0 };
	const enum wire_result r = read_head(REQUEST, in, ret, &notes, ret_bad);

	if (r != WIRE_DONE)
		return r;
	if (notes.hosts == 0 && ret->minor == 1)
		return refuse(ret_bad, HTTP_BAD_HOST_MISSING);
	/* "Content-Length: 0" says the same as none, and is sent with CONNECT by some. */
	if ((ret->framing == HTTP_BODY_CHUNKED || ret->length > 0) &&
	    (span_eq(ret->method, SPAN_LITERAL("CONNECT")) || is(ret->method, "trace")))
		return refuse(ret_bad, HTTP_BAD_CONNECT_BODY);
	if (notes.expects > 0 && ret->minor == 0)
		drop_field(ret, notes.expect_at); /* RFC 9110 10.1.1: as if it were not there */
	ret->expect_continue = notes.expects > 0 && ret->minor == 1 && (ret->framing == HTTP_BODY_CHUNKED || ret->length > 0);
	return WIRE_DONE;
}

/* 1xx and 204 end with their head, and may not say otherwise (RFC 9112 6.1, RFC 9110 8.6). */
static enum wire_result settle_bodiless(struct http_head *h, const struct notes *notes, enum http_bad *ret_bad)
{
	const bool announced = h->framing == HTTP_BODY_CHUNKED || h->length > 0;

	if (announced && h->status < 200)
		return refuse(ret_bad, notes->codings > 0 ? HTTP_BAD_CODING : HTTP_BAD_LENGTH);
	if (announced)
		h->persistent = false;
	if (notes->lengths > 0)
		drop_field(h, notes->length_at);
	h->framing = HTTP_BODY_NONE;
	h->length = 0;
	return WIRE_DONE;
}

enum wire_result http_reply_parse(struct span in, bool for_head, bool for_connect, struct http_head *ret, enum http_bad *ret_bad)
{
	struct notes notes = { 0 };
	const enum wire_result r = read_head(REPLY, in, ret, &notes, ret_bad);

	if (r != WIRE_DONE)
		return r;
	if (ret->status < 200 || ret->status == 204)
		return settle_bodiless(ret, &notes, ret_bad);
	if (for_head || ret->status == 304 || (for_connect && ret->status < 300)) {
		ret->framing = HTTP_BODY_NONE;
		ret->length = 0;
	} else if (ret->framing == HTTP_BODY_NONE) {
		ret->framing = HTTP_BODY_CLOSE;
		ret->persistent = false;
	}
	return WIRE_DONE;
}

bool http_field_is_hop_by_hop(const struct http_head *h, size_t i)
{
	return h->hop_by_hop[i / 64] >> (i % 64) & 1;
}

const struct http_field *http_field_find(const struct http_head *h, struct span name)
{
	for (size_t i = 0; i < h->field_count; i++)
		if (span_eq_nocase(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

int http_max_forwards(const struct http_head *h)
{
	int found = -1;

	if (!span_eq(h->method, SPAN_LITERAL("TRACE")) && !span_eq(h->method, SPAN_LITERAL("OPTIONS")))
		return -1;
	for (size_t i = 0; i < h->field_count; i++) {
		const struct span value = h->fields[i].value;

		if (!span_eq_nocase(h->fields[i].name, SPAN_LITERAL("max-forwards")))
			continue;
		if (found >= 0 || value.n == 0)
			return -2;
		found = 0;
		for (size_t k = 0; k < value.n; k++) {
			if (value.p[k] < '0' || value.p[k] > '9')
				return -2;
			found = found * 10 + (value.p[k] - '0');
			found = found > HTTP_MAX_FORWARDS_MOST ? HTTP_MAX_FORWARDS_MOST : found;
		}
	}
	return found;
}
