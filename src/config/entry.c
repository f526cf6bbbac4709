/* One entry of a list: [!][= | *. | .]NAME[:PORTS], or an address or network with or without ports. The name's alphabet and lengths
 * are policy/host's, so that what is written here and what is asked for later are judged alike. */
#include <idn2.h>
#include <stdio.h>

#include "config/list.h"
#include "policy/host.h"

static bool fault_at(struct entry_reader *e, struct entry_fault *f, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static bool fault_at(struct entry_reader *e, struct entry_fault *f, size_t at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	*f = (struct entry_fault) { at, arena_vprintf(e->arena, fmt, ap) };
	va_end(ap);
	return false;
}

/* Precision for "%.*s" of text in a message. */
static int shown(struct span s)
{
	return s.n > 100 ? 100 : (int)s.n;
}

static bool contains(struct span s, const char *what)
{
	return s.n && memmem(s.p, s.n, what, strlen(what));
}

static bool starts(struct span s, const char *what)
{
	return s.n >= strlen(what) && memcmp(s.p, what, strlen(what)) == 0;
}

static bool has_high_byte(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return true;
	return false;
}

static bool read_range(struct span text, struct port_range *ret)
{
	const char *dash = memchr(text.p, '-', text.n);

	if (text.n == 1 && text.p[0] == '*') {
		*ret = (struct port_range) { 1, 65535 };
		return true;
	}
	if (!dash) {
		if (!port_parse(text, &ret->first))
			return false;
		ret->last = ret->first;
		return true;
	}
	const size_t first = (size_t)(dash - text.p);

	return port_parse(span_first(text, first), &ret->first) && port_parse(span_skip(text, first + 1), &ret->last) &&
	       ret->first <= ret->last;
}

static void keep_ports(struct entry_reader *e, const struct port_range *ports, size_t count, struct rule *ret)
{
	if (count != e->port_count || memcmp(ports, e->ports, count * sizeof *ports) != 0) {
		struct port_range *copy = arena_array(e->arena, count, sizeof *copy);

		memcpy(copy, ports, count * sizeof *copy);
		e->ports = copy;
		e->port_count = count;
	}
	ret->ports = e->ports;
	ret->port_count = e->port_count;
}

bool entry_ports_read(struct entry_reader *e, struct span text, struct rule *ret, struct entry_fault *fault)
{
	enum { MOST = 32 };
	struct port_range ports[MOST];
	size_t count = 0, from = 0;

	for (;;) {
		const struct span rest = span_skip(text, from);
		const char *comma = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
		const struct span one = comma ? span_first(rest, (size_t)(comma - rest.p)) : rest;

		if (count == MOST)
			return fault_at(e, fault, from, "more than %d port ranges", MOST);
		if (one.n == 0)
			return fault_at(e, fault, from, "a port is missing; write one, as in :443, or leave the colon out");
		if (!read_range(one, &ports[count]))
			return fault_at(e, fault, from,
					"'%.*s' is no port; write a number from 1 to 65535, a range like 8000-8100, or *",
					shown(one), one.p);
		count++;
		if (!comma)
			break;
		from += one.n + 1;
	}
	keep_ports(e, ports, count, ret);
	return true;
}

static bool network(struct entry_reader *e, struct span text, size_t at, bool deny, struct rule *ret, struct entry_fault *fault)
{
	char canonical[IP_TEXT_MAX];
	struct ip_net net;

	if (!ip_net_parse(text, &net)) {
		const char *slash = memchr(text.p, '/', text.n);
		struct ip_addr addr;

		if (slash && ip_parse(span_first(text, (size_t)(slash - text.p)), &addr))
			return fault_at(e, fault, at, "'%.*s' is no network: the prefix is too long, or bits after it are set",
					shown(text), text.p);
		return fault_at(e, fault, at, "'%.*s' is no address; write it like 10.0.0.5, 192.168.7.0/24 or [2001:db8::1]",
				shown(text), text.p);
	}
	if (net.prefix == 0 && !deny)
		return fault_at(e, fault, at, "'%.*s' would allow every address there is; write the networks that you mean",
				shown(text), text.p);
	if (net.addr.family == 6 && ip_special(&net.addr) && strcmp(ip_special(&net.addr), "ipv4-mapped") == 0)
		return fault_at(e, fault, at, "%s is another spelling of an IPv4 address; write that",
				ip_format(&net.addr, canonical));
	ret->match = RULE_NETWORK;
	ret->net = net;
	return true;
}

/* "[ADDRESS]", "[NETWORK]" or "[ADDRESS]/PREFIX", then ":PORTS". */
static bool bracketed(struct entry_reader *e, struct span text, size_t at, bool deny, struct rule *ret, struct entry_fault *fault)
{
	const char *end = memchr(text.p, ']', text.n);
	char whole[64];

	if (!end)
		return fault_at(e, fault, at, "the bracket is not closed; write it like [2001:db8::1]:443");
	const struct span inner = { text.p + 1, (size_t)(end - text.p) - 1 };
	struct span rest = span_skip(text, inner.n + 2);
	struct span prefix = { rest.p, 0 };

	if (rest.n && rest.p[0] == '/') {
		const char *colon = memchr(rest.p, ':', rest.n);

		prefix = colon ? span_first(rest, (size_t)(colon - rest.p)) : rest;
		rest = span_skip(rest, prefix.n);
	}
	const int n = snprintf(whole, sizeof whole, "%.*s%.*s", shown(inner), inner.p, shown(prefix), prefix.p);

	if (n < 0 || (size_t)n >= sizeof whole || !memchr(inner.p, ':', inner.n))
		return fault_at(e, fault, at, "'%.*s' is no IPv6 address in brackets; write it like [2001:db8::1]:443", shown(text),
				text.p);
	if (!network(e, (struct span) { whole, (size_t)n }, at, deny, ret, fault))
		return false;
	if (rest.n == 0)
		return true;
	const size_t ports_at = at + text.n - rest.n + 1;

	if (rest.p[0] != ':')
		return fault_at(e, fault, ports_at - 1, "'%.*s' after the address; a port is written :443", shown(rest), rest.p);
	if (entry_ports_read(e, span_skip(rest, 1), ret, fault))
		return true;
	fault->at += ports_at;
	return false;
}

/* Private-section suffixes whose names all belong to one owner's services, not to strangers: an entry for them is no open door. */
static bool is_one_owners(const char *name)
{
	return strcmp(name, "googleapis.com") == 0;
}

static bool check_suffix(struct entry_reader *e, const char *name, size_t at, struct entry_fault *fault)
{
	unsigned dots = 0;

	for (const char *p = name; *p; p++)
		dots += *p == '.';
	if (dots > 5) /* no suffix has more than five labels */
		return true;
	if (!e->psl)
		e->psl = psl_builtin();
	if (!e->psl)
		return fault_at(e, fault, at, "the table of public suffixes is missing (libpsl)");
	if (psl_is_public_suffix2(e->psl, name, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) && !is_one_owners(name))
		return fault_at(e, fault, at,
				"'%s' is a public suffix: anybody can have a name below it; write the names that you mean, "
				"or =%s for that one name alone",
				name, name);
	if (dots == 0)
		return fault_at(e, fault, at,
				"'%s' is a single label: no name of the internet ends so, and no pod reaches another; "
				"write the whole name, or =%s for that one name alone",
				name, name);
	return true;
}

/* A name in Unicode to its A-labels, IDNA 2008 without mapping: what is not in the canonical form is refused. */
static bool to_ascii(struct entry_reader *e, struct span text, size_t at, struct host *ret, struct entry_fault *fault)
{
	char *in = arena_span(e->arena, text);
	uint8_t *out = NULL;

	for (char *p = in; *p; p++)
		*p = ascii_lower(*p);
	const int rc = idn2_lookup_u8((const uint8_t *)in, &out, IDN2_NFC_INPUT | IDN2_NO_TR46);
	const bool ok = rc == IDN2_OK && host_parse(span_of((const char *)out), ret) == HOST_OK && ret->kind == HOST_NAME;

	idn2_free(out);
	if (ok)
		return true;
	return fault_at(e, fault, at, "'%.*s' is no name by IDNA 2008%s%s%s; write it in lower case, or as its xn-- form",
			shown(text), text.p, rc == IDN2_OK ? "" : " (", rc == IDN2_OK ? "" : idn2_strerror(rc),
			rc == IDN2_OK ? "" : ")");
}

static bool malformed(struct entry_reader *e, struct span name, size_t at, struct entry_fault *fault)
{
	if (name.n == 0)
		return fault_at(e, fault, at, "the name is missing");
	if (name.p[0] == '!' || name.p[0] == '=')
		return fault_at(e, fault, at, "'%.*s': an entry starts with ! or not, then with = or *. or neither", shown(name),
				name.p);
	if (memchr(name.p, ' ', name.n) || memchr(name.p, '\t', name.n))
		return fault_at(e, fault, at, "'%.*s' has a blank in it; write one entry a line", shown(name), name.p);
	if (memchr(name.p, '*', name.n))
		return fault_at(e, fault, at, "'%.*s': a * stands only for all names below one, as in *.example.com", shown(name),
				name.p);
	if (memchr(name.p, '@', name.n))
		return fault_at(e, fault, at, "'%.*s' has a user in it; write only the host", shown(name), name.p);
	for (size_t i = 0, label = 0; i <= name.n; i++) {
		if (i < name.n && name.p[i] != '.')
			continue;
		if (i == label && i != name.n)
			return fault_at(e, fault, at + i, "'%.*s' has an empty label; names have one dot between labels",
					shown(name), name.p);
		if (i - label > 63)
			return fault_at(e, fault, at + label, "a label of %zu bytes; a name's labels have at most 63", i - label);
		label = i + 1;
	}
	if (name.n > 254)
		return fault_at(e, fault, at, "a name of %zu bytes; names have at most 253", name.n);
	return fault_at(e, fault, at, "'%.*s' is no name; names have letters, digits, hyphens, underscores and dots", shown(name),
			name.p);
}

static const char *keep_name(struct entry_reader *e, const struct host *h)
{
	const size_t size = (size_t)h->length + 1;

	if (e->names_left < size)
		return arena_span(e->arena, (struct span) { h->text, h->length });
	char *p = e->names;

	memcpy(p, h->text, size);
	e->names += size;
	e->names_left -= size;
	return p;
}

static bool plain_host(struct entry_reader *e, struct span name, size_t at, struct host *ret, struct entry_fault *fault)
{
	if (has_high_byte(name))
		return to_ascii(e, name, at, ret, fault);
	switch (host_parse(name, ret)) {
	case HOST_OK:
		return true;
	case HOST_MALFORMED:
		return malformed(e, name, at, fault);
	case HOST_ODD_ADDRESS:
		return fault_at(e, fault, at, "'%.*s' is an address in an odd spelling; write it like 10.0.0.5", shown(name),
				name.p);
	}
	return malformed(e, name, at, fault);
}

/* The part before the ports, not in brackets. */
static bool host_part(struct entry_reader *e, struct span text, size_t at, bool deny, struct rule *ret, struct entry_fault *fault)
{
	const size_t mark = starts(text, "*.") ? 2 : starts(text, "=") || starts(text, ".") ? 1 : 0;
	const struct span name = span_skip(text, mark);
	struct host host = { 0 };

	if (mark == 0 && name.n && memchr(name.p, '/', name.n)) {
		struct ip_addr addr;
		const size_t slash = (size_t)((const char *)memchr(name.p, '/', name.n) - name.p);

		if (!ip_parse(span_first(name, slash), &addr))
			return fault_at(e, fault, at + slash, "'%.*s' has a path; lists name hosts, write %.*s", shown(name),
					name.p, shown(span_first(name, slash)), name.p);
		return network(e, name, at, deny, ret, fault);
	}
	if (text.n == 1 && text.p[0] == '*')
		return fault_at(e, fault, at,
				deny ? "'*' would deny every name there is; take the names out that are allowed"
				     : "'*' would allow every name there is; write the names that you mean");
	if (!plain_host(e, name, at + mark, &host, fault))
		return false;
	if (host.kind == HOST_ADDRESS) {
		if (mark)
			return fault_at(e, fault, at, "'%.*s': an address stands for itself; write %s", shown(text), text.p,
					host.text);
		ret->match = RULE_NETWORK;
		ret->net = (struct ip_net) { .addr = host.addr, .prefix = host.addr.family == 4 ? 32 : 128 };
		return true;
	}
	ret->match = mark == 2 ? RULE_BELOW : starts(text, "=") ? RULE_EXACT : RULE_TREE;
	if (ret->match != RULE_EXACT && !deny && !check_suffix(e, host.text, at + mark, fault))
		return false;
	ret->name = keep_name(e, &host);
	return true;
}

static bool host_and_ports(struct entry_reader *e, struct span text, size_t at, bool deny, struct rule *ret,
			   struct entry_fault *fault)
{
	const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;

	if (!colon)
		return host_part(e, text, at, deny, ret, fault);
	const size_t before = (size_t)(colon - text.p);
	const struct span ports = span_skip(text, before + 1);

	if (contains(text, "://"))
		return fault_at(e, fault, at, "'%.*s' is a URL; write only its host, with :PORT if it is not 80 or 443",
				shown(text), text.p);
	if (memchr(ports.p, ':', ports.n)) {
		struct ip_net net;

		if (ip_net_parse(text, &net))
			return fault_at(e, fault, at,
					"an IPv6 address is written in brackets: [%.*s]; a port follows them: [ADDRESS]:443",
					shown(text), text.p);
		return fault_at(e, fault, at, "'%.*s' has more than one colon; write HOST:PORT, or [ADDRESS]:PORT for IPv6",
				shown(text), text.p);
	}
	if (!host_part(e, span_first(text, before), at, deny, ret, fault))
		return false;
	if (entry_ports_read(e, ports, ret, fault))
		return true;
	fault->at += at + before + 1;
	return false;
}

bool entry_read(struct entry_reader *e, struct span entry, struct rule *ret, struct entry_fault *fault)
{
	const size_t at = starts(entry, "!") ? 1 : 0;
	const struct span rest = span_skip(entry, at);
	struct rule rule = { .deny = at == 1 };
	const bool ok = starts(rest, "[") ? bracketed(e, rest, at, rule.deny, &rule, fault)
					  : host_and_ports(e, rest, at, rule.deny, &rule, fault);

	if (ok)
		*ret = rule;
	return ok;
}
