/* Each form is told by how it starts, and then every byte of it must be right: there is no fall-back to another form. */
#include "wire/http_target.h"

#include "wire/byte_class.h"

/* Every byte a URI byte, every % followed by two hex digits. */
static bool is_uri(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!byte_is(s.p[i], BYTE_URI))
			return false;
		if (s.p[i] != '%')
			continue;
		if (s.n - i < 3 || !byte_is(s.p[i + 1], BYTE_HEX) || !byte_is(s.p[i + 2], BYTE_HEX))
			return false;
		i += 2;
	}
	return true;
}

/* host[:port] without userinfo. What a host is, policy/host.h says; here only that nothing else hides in it. */
static bool is_authority(struct span s)
{
	if (s.n == 0 || s.p[0] == ':')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!byte_is(s.p[i], BYTE_URI) || s.p[i] == '@' || s.p[i] == '/' || s.p[i] == '?' || s.p[i] == '%')
			return false;
	return true;
}

static bool ends_in_port(struct span s)
{
	size_t digits = 0;

	while (digits < s.n && byte_is(s.p[s.n - 1 - digits], BYTE_DIGIT))
		digits++;
	return digits >= 1 && digits <= 5 && digits < s.n && s.p[s.n - 1 - digits] == ':';
}

static bool parse_absolute(struct span rest, struct http_target *ret)
{
	size_t n = 0;

	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
		n++;
	ret->form = HTTP_TARGET_ABSOLUTE;
	ret->authority = span_first(rest, n);
	ret->path = span_skip(rest, n);
	if (!is_authority(ret->authority) || !is_uri(ret->path) || (ret->path.n > 0 && ret->path.p[0] == '?'))
		return false;
	ret->path_absent = ret->path.n == 0;
	if (ret->path_absent)
		ret->path = SPAN_LITERAL("/");
	return true;
}

bool http_target_parse(struct span target, bool connect, struct http_target *ret)
{
	static const size_t scheme = sizeof "http://" - 1;

	*ret = (struct http_target) { .form = HTTP_TARGET_ORIGIN };
	if (target.n == 0)
		return false;
	if (connect) {
		ret->form = HTTP_TARGET_AUTHORITY;
		ret->authority = target;
		return is_authority(target) && ends_in_port(target);
	}
	if (target.p[0] == '/') {
		ret->path = target;
		return is_uri(target);
	}
	if (target.n == 1 && target.p[0] == '*') {
		ret->form = HTTP_TARGET_ASTERISK;
		ret->path = target;
		return true;
	}
	if (target.n > scheme && span_eq_nocase(span_first(target, scheme), SPAN_LITERAL("http://")))
		return parse_absolute(span_skip(target, scheme), ret);
	return false;
}
