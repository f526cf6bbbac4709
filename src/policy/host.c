/* The host is checked and lower-cased in one pass into a local buffer and copied out at the end: on any result but HOST_OK
 * the caller's struct is as it was. Nothing is decoded: a percent sign is as wrong as a space. */
#include "policy/host.h"

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_byte(char lower)
{
	return (lower >= 'a' && lower <= 'z') || is_digit(lower) || lower == '-' || lower == '_';
}

/* `raw` without its trailing dot, lower-cased into text; 0 unless alphabet and lengths are right. */
static size_t copy_name(struct span raw, char text[static NAME_MAX_BYTES + 1], size_t *ret_last_label)
{
	size_t label = 0;

	if (raw.n > 0 && raw.p[raw.n - 1] == '.')
		raw.n--;
	if (raw.n == 0 || raw.n > NAME_MAX_BYTES)
		return 0;
	*ret_last_label = 0;
	for (size_t i = 0; i < raw.n; i++) {
		const char c = ascii_lower(raw.p[i]);

		text[i] = c;
		if (c == '.') {
			if (label == 0)
				return 0;
			label = 0;
			*ret_last_label = i + 1;
		} else if (!is_name_byte(c) || ++label > LABEL_MAX_BYTES) {
			return 0;
		}
	}
	text[raw.n] = '\0';
	return label > 0 ? raw.n : 0;
}

/* WHATWG URL 3.5, "ends in a number", a little wider: all digits, or anything that starts with 0x. */
static bool is_numeric(struct span label)
{
	if (label.n >= 2 && label.p[0] == '0' && label.p[1] == 'x')
		return true;
	for (size_t i = 0; i < label.n; i++)
		if (!is_digit(label.p[i]))
			return false;
	return true;
}

static enum host_result parse_bracketed(struct span raw, struct host *ret)
{
	struct ip_addr a;

	if (raw.n < 3 || raw.p[raw.n - 1] != ']')
		return HOST_MALFORMED;
	if (!ip_parse((struct span) { raw.p + 1, raw.n - 2 }, &a) || a.family != 6)
		return HOST_MALFORMED;
	host_from_address(&a, ret);
	return HOST_OK;
}

enum host_result host_parse(struct span raw, struct host *ret)
{
	char text[NAME_MAX_BYTES + 1];
	size_t last, n;
	struct ip_addr a;

	if (raw.n > 0 && raw.p[0] == '[')
		return parse_bracketed(raw, ret);
	n = copy_name(raw, text, &last);
	if (n == 0)
		return HOST_MALFORMED;
	if (is_numeric((struct span) { text + last, n - last })) {
		/* raw, not text: an address with a trailing dot is one more spelling. */
		if (!ip_parse(raw, &a))
			return HOST_ODD_ADDRESS;
		host_from_address(&a, ret);
		return HOST_OK;
	}
	*ret = (struct host) { .kind = HOST_NAME, .length = (uint8_t)n };
	memcpy(ret->text, text, n);
	return HOST_OK;
}

void host_from_address(const struct ip_addr *a, struct host *ret)
{
	struct host h = { .kind = HOST_ADDRESS, .addr = *a };

	_Static_assert(sizeof h.text >= IP_TEXT_MAX, "an address fits");
	h.length = (uint8_t)strlen(ip_format(a, h.text));
	*ret = h;
}

bool host_equal(const struct host *a, const struct host *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == HOST_ADDRESS)
		return ip_equal(&a->addr, &b->addr);
	return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

bool port_parse(struct span raw, uint16_t *ret)
{
	unsigned value = 0;

	if (raw.n == 0 || raw.n > 5 || raw.p[0] == '0')
		return false;
	for (size_t i = 0; i < raw.n; i++) {
		if (!is_digit(raw.p[i]))
			return false;
		value = value * 10 + (unsigned)(raw.p[i] - '0');
	}
	if (value > 65535)
		return false;
	*ret = (uint16_t)value;
	return true;
}

enum host_result host_port_parse(struct span raw, uint16_t default_port, struct host *ret, uint16_t *ret_port)
{
	/* In brackets the colons are the address's; without, the first one ends the host. */
	const char *bracket = raw.n > 0 && raw.p[0] == '[' ? memchr(raw.p, ']', raw.n) : NULL;
	const size_t from = bracket ? (size_t)(bracket - raw.p) : 0;
	const char *colon = raw.n > 0 ? memchr(raw.p + from, ':', raw.n - from) : NULL;
	const struct span host_text = colon ? span_first(raw, (size_t)(colon - raw.p)) : raw;
	struct host host;
	uint16_t port = default_port;
	const enum host_result result = host_parse(host_text, &host);

	if (result != HOST_OK)
		return result;
	if (colon ? !port_parse(span_skip(raw, host_text.n + 1), &port) : default_port == 0)
		return HOST_MALFORMED;
	*ret = host;
	*ret_port = port;
	return HOST_OK;
}
