#include "cmd/url.h"

static const struct {
	const char *scheme;
	uint16_t port;
} schemes[] = {
	{ "https", 443 }, { "http", 80 }, { "wss", 443 },  { "ws", 80 },     { "ssh", 22 },
	{ "git", 9418 },  { "ftp", 21 },  { "ldap", 389 }, { "ldaps", 636 },
};

static uint16_t scheme_port(struct span scheme)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (span_eq_nocase(scheme, span_of(schemes[i].scheme)))
			return schemes[i].port;
	return 0;
}

enum host_result url_parse(const char *url, struct host *ret, uint16_t *ret_port)
{
	const char *colon = strstr(url, "://");
	const char *authority = colon ? colon + 3 : url;
	const uint16_t standard = colon ? scheme_port((struct span) { url, (size_t)(colon - url) }) : 443;

	struct span where = { authority, strcspn(authority, "/?#") };
	const char *at = colon ? memrchr(where.p, '@', where.n) : NULL;

	*ret_port = standard;
	if (at)
		where = span_skip(where, (size_t)(at + 1 - where.p));
	return host_port_parse(where, standard, ret, ret_port);
}
