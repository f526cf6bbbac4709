/* Read at start; nothing of this is needed later. */
#include "net/dns_servers.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/span.h"
#include "net/resolve.h"

enum { RESOLV_CONF_MAX = 64 * 1024, RESOLV_CONF_SERVERS = 3 /* as the C library */, DNS_PORT = 53 };

/* --- a list of servers --- */

static bool parse_port(struct span text, uint16_t *ret)
{
	uint32_t port = 0;

	if (text.n == 0 || text.n > 5 || text.p[0] == '0')
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(text.p[i] - '0');
	}
	*ret = (uint16_t)port;
	return port <= UINT16_MAX;
}

static bool parse_server(struct span text, struct ip_addr *ret, uint16_t *ret_port)
{
	const char *end = memchr(text.p, ']', text.n);
	struct span rest;

	*ret_port = DNS_PORT;
	if (text.n && text.p[0] == '[') {
		if (!end || !ip_parse((struct span) { text.p + 1, (size_t)(end - text.p) - 1 }, ret) || ret->family != 6)
			return false;
		rest = span_skip(text, (size_t)(end - text.p) + 1);
	} else {
		const char *colon = memchr(text.p, ':', text.n);

		if (ip_parse(text, ret))
			return true;
		if (!colon || !ip_parse(span_first(text, (size_t)(colon - text.p)), ret))
			return false;
		rest = span_skip(text, (size_t)(colon - text.p));
	}
	return rest.n == 0 || (rest.p[0] == ':' && parse_port(span_skip(rest, 1), ret_port));
}

int dns_servers_parse(const char *text, struct dns_servers *ret, struct err *err)
{
	struct dns_servers found = { 0 };

	for (const char *at = text; at;) {
		const size_t n = strcspn(at, ",");

		if (found.count == DNS_SERVERS_MAX)
			return err_set(err, ERR_INPUT, "more than %d name servers: %s", DNS_SERVERS_MAX, text);
		if (!parse_server((struct span) { at, n }, &found.list[found.count].address, &found.list[found.count].port))
			return err_set(
				err, ERR_INPUT,
				"not the address of a name server: '%.*s' (write 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53)",
				(int)n, at);
		found.count++;
		at = at[n] ? at + n + 1 : NULL;
	}
	*ret = found;
	return 0;
}

/* --- resolv.conf --- */

/* The word after `nameserver`; empty when the line is another. */
static struct span nameserver_of(struct span line)
{
	static const struct span keyword = { "nameserver", 10 };

	if (line.n <= keyword.n || !span_eq(span_first(line, keyword.n), keyword) || !strchr(" \t", line.p[keyword.n]))
		return (struct span) { 0 };
	struct span word = span_skip(line, keyword.n);

	while (word.n && strchr(" \t", word.p[0]))
		word = span_skip(word, 1);
	size_t n = 0;

	while (n < word.n && !strchr(" \t\r", word.p[n]))
		n++;
	return span_first(word, n);
}

void resolver_read_resolv_conf(const char *path, char *ret, size_t size)
{
	struct arena arena = { 0 };
	struct err err = { 0 };
	struct span text = { 0 };
	size_t used = 0, count = 0;

	(void)snprintf(ret, size, "127.0.0.1");
	if (fd_read_file(path, RESOLV_CONF_MAX, &arena, &text, &err) < 0)
		text = (struct span) { 0 };
	while (text.n && count < RESOLV_CONF_SERVERS) {
		const char *newline = memchr(text.p, '\n', text.n);
		const size_t n = newline ? (size_t)(newline - text.p) : text.n;
		char address[IP_TEXT_MAX];
		struct ip_addr a;

		/* A link-local address with a zone is no address to this house: it is left out. */
		if (ip_parse(nameserver_of(span_first(text, n)), &a)) {
			const size_t room = size - used;
			const int length = snprintf(ret + used, room, a.family == 6 ? "%s[%s]" : "%s%s", used ? "," : "",
						    ip_format(&a, address));

			if (length < 0 || (size_t)length >= room) {
				ret[used] = '\0';
				break;
			}
			used += (size_t)length;
			count++;
		}
		text = span_skip(text, newline ? n + 1 : n);
	}
	arena_free(&arena);
}
