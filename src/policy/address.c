/* Addresses are read strictly: whatever two parsers could read differently (leading zeros, short forms, octal, zones) is no
 * address here. The special-purpose table is IANA's two registries plus multicast, the withdrawn site-local block, the
 * metadata address of a cloud that lies among public ones, and the forms that embed IPv4; parts that the registries call globally reachable are special too, since no origin lives there. */
#include "policy/address.h"

#include <stdio.h>

struct special {
	uint8_t bytes[16];
	uint8_t prefix;
	const char *word;
};

#define V4(a, b, c, d, prefix, word)                     \
	{                                                \
		{ (a), (b), (c), (d) }, (prefix), (word) \
	}
/* The first match counts: parts come before the block they are in. */
static const struct special special_v4[] = {
	V4(0, 0, 0, 0, 32, "unspecified"),
	V4(0, 0, 0, 0, 8, "this-network"),
	V4(10, 0, 0, 0, 8, "private-use"),
	V4(100, 64, 0, 0, 10, "shared-address-space"),
	V4(127, 0, 0, 0, 8, "loopback"),
	V4(169, 254, 0, 0, 16, "link-local"),
	V4(172, 16, 0, 0, 12, "private-use"),
	V4(192, 0, 0, 0, 29, "ipv4-service-continuity"),
	V4(192, 0, 0, 8, 32, "ipv4-dummy"),
	V4(192, 0, 0, 9, 32, "port-control-anycast"),
	V4(192, 0, 0, 10, 32, "turn-anycast"),
	V4(192, 0, 0, 170, 31, "nat64-discovery"),
	V4(192, 0, 0, 0, 24, "ietf-protocol"),
	V4(192, 0, 2, 0, 24, "documentation"),
	V4(192, 31, 196, 0, 24, "as112"),
	V4(192, 52, 193, 0, 24, "amt"),
	V4(192, 88, 99, 0, 24, "6to4-relay"),
	V4(192, 168, 0, 0, 16, "private-use"),
	V4(192, 175, 48, 0, 24, "as112"),
	V4(198, 18, 0, 0, 15, "benchmarking"),
	V4(198, 51, 100, 0, 24, "documentation"),
	V4(203, 0, 113, 0, 24, "documentation"),
	V4(224, 0, 0, 0, 4, "multicast"),
	V4(255, 255, 255, 255, 32, "broadcast"),
	V4(240, 0, 0, 0, 4, "reserved"),
	/* Azure's host, to every virtual machine: its certificates and settings, a resolver. Other clouds have theirs in blocks above. */
	V4(168, 63, 129, 16, 32, "cloud-metadata"),
};
#undef V4

static const struct special special_v6[] = {
	{ { [15] = 0 }, 128, "unspecified" },
	{ { [15] = 1 }, 128, "loopback" },
	{ { [10] = 0xff, 0xff }, 96, "ipv4-mapped" },
	{ { [8] = 0xff, 0xff }, 96, "ipv4-translated" },
	{ { [15] = 0 }, 96, "ipv4-compatible" },
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, "nat64" },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, "nat64-local" },
	{ { 0x01, 0x00 }, 64, "discard-only" },
	{ { 0x01, 0x00, [7] = 0x01 }, 64, "dummy-prefix" },
	{ { 0x20, 0x01, 0x00, 0x00 }, 32, "teredo" },
	{ { 0x20, 0x01, 0x00, 0x01, [15] = 1 }, 128, "port-control-anycast" },
	{ { 0x20, 0x01, 0x00, 0x01, [15] = 2 }, 128, "turn-anycast" },
	{ { 0x20, 0x01, 0x00, 0x01, [15] = 3 }, 128, "dns-sd-anycast" },
	{ { 0x20, 0x01, 0x00, 0x02 }, 48, "benchmarking" },
	{ { 0x20, 0x01, 0x00, 0x03 }, 32, "amt" },
	{ { 0x20, 0x01, 0x00, 0x04, 0x01, 0x12 }, 48, "as112" },
	{ { 0x20, 0x01, 0x00, 0x10 }, 28, "orchid" },
	{ { 0x20, 0x01, 0x00, 0x20 }, 28, "orchidv2" },
	{ { 0x20, 0x01, 0x00, 0x30 }, 28, "drone-remote-id" },
	{ { 0x20, 0x01 }, 23, "ietf-protocol" },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, "documentation" },
	{ { 0x20, 0x02 }, 16, "6to4" },
	{ { 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00 }, 48, "as112" },
	{ { 0x3f, 0xff }, 20, "documentation" },
	{ { 0x5f, 0x00 }, 16, "segment-routing" },
	{ { 0xfc }, 7, "unique-local" },
	{ { 0xfe, 0x80 }, 10, "link-local" },
	{ { 0xfe, 0xc0 }, 10, "site-local" },
	{ { 0xff }, 8, "multicast" },
};

/* Only 2000::/3 is given out for global unicast (RFC 4291 2.4 and IANA's address space registry): this is the rest. */
enum { NOT_GLOBAL_V6 = 3 };
static const struct special not_global_v6[NOT_GLOBAL_V6] = {
	{ { 0 }, 3, "not-global-unicast" },
	{ { 0x40 }, 2, "not-global-unicast" },
	{ { 0x80 }, 1, "not-global-unicast" },
};

/* The forms that carry an IPv4 address: where it lies, and whether it is written inverted. */
struct embedding {
	uint8_t bytes[16];
	uint8_t prefix, at;
	bool inverted;
};

static const struct embedding embeddings[] = {
	{ { [10] = 0xff, 0xff }, 96, 12, false },                  /* mapped, RFC 4291 2.5.5.2 */
	{ { [8] = 0xff, 0xff }, 96, 12, false },                   /* translated, RFC 2765 2.1 */
	{ { [15] = 0 }, 96, 12, false },                           /* compatible, RFC 4291 2.5.5.1; ::1 and :: harmlessly too */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, 12, false },             /* NAT64, RFC 6052 */
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, 12, false }, /* NAT64 of a site, RFC 8215, as a /96 */
	{ { 0x20, 0x02 }, 16, 2, false },                          /* 6to4, RFC 3056 */
	{ { 0x20, 0x01, 0x00, 0x00 }, 32, 12, true },              /* Teredo client, RFC 4380 4 */
};

static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	const unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (uint8_t)((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* One decimal number of at most `max`, no leading zero, up to three digits; the count of bytes read, or 0. */
static size_t read_decimal(struct span s, unsigned max, uint8_t *ret)
{
	unsigned value = 0;
	size_t n = 0;

	while (n < s.n && n < 3 && s.p[n] >= '0' && s.p[n] <= '9')
		value = value * 10 + (unsigned)(s.p[n++] - '0');
	if (n == 0 || value > max || (n > 1 && s.p[0] == '0'))
		return 0;
	*ret = (uint8_t)value;
	return n;
}

static bool parse_v4(struct span s, uint8_t ret[static 4])
{
	uint8_t parts[4];

	for (unsigned part = 0; part < 4; part++) {
		if (part > 0) {
			if (s.n == 0 || s.p[0] != '.')
				return false;
			s = span_skip(s, 1);
		}
		const size_t n = read_decimal(s, 255, &parts[part]);

		if (n == 0)
			return false;
		s = span_skip(s, n);
	}
	if (s.n != 0)
		return false;
	memcpy(ret, parts, 4);
	return true;
}

static int hex_value(char c)
{
	c = ascii_lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One group of 1-4 hex digits; the count of bytes read, or 0. */
static size_t read_group(struct span s, uint8_t ret[static 2])
{
	unsigned value = 0;
	size_t n = 0;

	while (n < s.n && n < 4 && hex_value(s.p[n]) >= 0)
		value = value * 16 + (unsigned)hex_value(s.p[n++]);
	ret[0] = (uint8_t)(value >> 8);
	ret[1] = (uint8_t)value;
	return n;
}

/* Groups separated by ':' until the end or "::"; a dotted quad may be the last 32 bits. The count of bytes of address, or -1
 * when malformed; *s is left at the end or at "::". */
static int read_groups(struct span *s, uint8_t ret[static 16])
{
	int have = 0;

	while (s->n > 0 && !(s->n >= 2 && s->p[0] == ':' && s->p[1] == ':')) {
		struct span rest = *s;

		if (have > 0) {
			if (rest.p[0] != ':')
				return -1;
			rest = span_skip(rest, 1);
		}
		if (have <= 12 && parse_v4(rest, ret + have)) {
			*s = span_skip(rest, rest.n);
			return have + 4;
		}
		if (have > 14)
			return -1;
		const size_t n = read_group(rest, ret + have);

		if (n == 0)
			return -1;
		have += 2;
		*s = span_skip(rest, n);
	}
	return have;
}

static bool parse_v6(struct span s, uint8_t ret[static 16])
{
	uint8_t head[16] = { 0 }, tail[16] = { 0 };
	const int before = read_groups(&s, head);

	if (before < 0)
		return false;
	memcpy(ret, head, 16);
	if (s.n == 0)
		return before == 16;
	s = span_skip(s, 2);
	const int after = read_groups(&s, tail);

	/* "::" stands for at least one group (RFC 4291 2.2: "one or more"). */
	if (after < 0 || s.n != 0 || before + after > 14)
		return false;
	memcpy(ret + 16 - after, tail, (size_t)after);
	return true;
}

bool ip_parse(struct span text, struct ip_addr *ret)
{
	struct ip_addr a = { 0 };

	if (text.n == 0 || text.n >= IP_TEXT_MAX)
		return false;
	if (memchr(text.p, ':', text.n)) {
		a.family = 6;
		if (!parse_v6(text, a.bytes))
			return false;
	} else {
		a.family = 4;
		if (!parse_v4(text, a.bytes))
			return false;
	}
	*ret = a;
	return true;
}

static bool has_host_bits(const struct ip_addr *a, unsigned prefix)
{
	const unsigned bytes = a->family == 4 ? 4 : 16;

	for (unsigned bit = prefix; bit < bytes * 8; bit++)
		if (a->bytes[bit / 8] & (0x80U >> (bit % 8)))
			return true;
	return false;
}

bool ip_net_parse(struct span text, struct ip_net *ret)
{
	const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	struct ip_net net = { 0 };

	if (!ip_parse(slash ? span_first(text, (size_t)(slash - text.p)) : text, &net.addr))
		return false;
	const unsigned most = net.addr.family == 4 ? 32 : 128;

	net.prefix = (uint8_t)most;
	if (slash) {
		const struct span digits = span_skip(text, (size_t)(slash - text.p) + 1);

		if (digits.n == 0 || read_decimal(digits, most, &net.prefix) != digits.n)
			return false;
	}
	if (has_host_bits(&net.addr, net.prefix))
		return false;
	*ret = net;
	return true;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952 4.2); its length is 0 when there is none. */
static unsigned longest_zeros(const uint8_t bytes[static 16], unsigned groups, unsigned *ret_start)
{
	unsigned best = 0, run = 0;

	*ret_start = 0;
	for (unsigned i = 0; i < groups; i++) {
		run = bytes[2 * i] == 0 && bytes[2 * i + 1] == 0 ? run + 1 : 0;
		if (run >= 2 && run > best) {
			best = run;
			*ret_start = i + 1 - run;
		}
	}
	return best;
}

char *ip_format(const struct ip_addr *a, char ret[static IP_TEXT_MAX])
{
	const uint8_t *b = a->bytes;
	/* RFC 5952 5: the mapped form ends in a dotted quad. */
	const bool mapped = a->family == 6 && prefix_equal(b, embeddings[0].bytes, 96);
	const unsigned groups = mapped ? 6 : 8;
	unsigned start, zeros, n = 0;

	if (a->family == 4) {
		(void)snprintf(ret, IP_TEXT_MAX, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
		return ret;
	}
	if (a->family != 6) {
		(void)snprintf(ret, IP_TEXT_MAX, "-");
		return ret;
	}
	zeros = longest_zeros(b, groups, &start);
	for (unsigned i = 0; i < groups; i++) {
		if (zeros && i == start) {
			n += (unsigned)snprintf(ret + n, IP_TEXT_MAX - n, "::");
			i += zeros - 1;
			continue;
		}
		const char *colon = i > 0 && ret[n - 1] != ':' ? ":" : "";

		n += (unsigned)snprintf(ret + n, IP_TEXT_MAX - n, "%s%x", colon, (unsigned)(b[2 * i] << 8 | b[2 * i + 1]));
	}
	if (mapped)
		(void)snprintf(ret + n, IP_TEXT_MAX - n, ":%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
	return ret;
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, a->family == 4 ? 4 : 16) == 0;
}

bool ip_in_net(const struct ip_addr *a, const struct ip_net *net)
{
	const unsigned most = net->addr.family == 4 ? 32 : 128;

	return a->family != 0 && a->family == net->addr.family && net->prefix <= most &&
	       prefix_equal(a->bytes, net->addr.bytes, net->prefix);
}

bool ip_embedded(const struct ip_addr *a, struct ip_addr *ret_v4, struct ip_net *ret_form)
{
	if (a->family != 6)
		return false;
	for (size_t i = 0; i < sizeof embeddings / sizeof *embeddings; i++) {
		const struct embedding *e = &embeddings[i];

		if (!prefix_equal(a->bytes, e->bytes, e->prefix))
			continue;
		*ret_v4 = (struct ip_addr) { .family = 4 };
		for (unsigned k = 0; k < 4; k++)
			ret_v4->bytes[k] = e->inverted ? (uint8_t)~a->bytes[e->at + k] : a->bytes[e->at + k];
		*ret_form = (struct ip_net) { .addr.family = 6, .prefix = e->prefix };
		memcpy(ret_form->addr.bytes, e->bytes, 16);
		return true;
	}
	return false;
}

static const char *find_special(const struct special *table, size_t count, const uint8_t *bytes)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_equal(bytes, table[i].bytes, table[i].prefix))
			return table[i].word;
	return NULL;
}

const char *ip_special(const struct ip_addr *a)
{
	const char *word;

	if (a->family == 4)
		return find_special(special_v4, sizeof special_v4 / sizeof *special_v4, a->bytes);
	if (a->family != 6)
		return "not-an-address";
	word = find_special(special_v6, sizeof special_v6 / sizeof *special_v6, a->bytes);
	return word ? word : find_special(not_global_v6, NOT_GLOBAL_V6, a->bytes);
}

static void put_net(uint8_t family, const uint8_t *bytes, uint8_t prefix, struct ip_net *ret)
{
	*ret = (struct ip_net) { .addr.family = family, .prefix = prefix };
	memcpy(ret->addr.bytes, bytes, family == 4 ? 4 : 16);
}

bool ip_special_net(size_t index, struct ip_net *ret)
{
	static const struct {
		const struct special *table;
		size_t count;
		uint8_t family;
	} parts[] = {
		{ special_v4, sizeof special_v4 / sizeof *special_v4, 4 },
		{ special_v6, sizeof special_v6 / sizeof *special_v6, 6 },
		{ not_global_v6, NOT_GLOBAL_V6, 6 },
	};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (index < parts[i].count) {
			put_net(parts[i].family, parts[i].table[index].bytes, parts[i].table[index].prefix, ret);
			return true;
		}
		index -= parts[i].count;
	}
	return false;
}

bool ip_embedded_net(size_t index, struct ip_net *ret)
{
	if (index >= sizeof embeddings / sizeof *embeddings)
		return false;
	put_net(6, embeddings[index].bytes, embeddings[index].prefix, ret);
	return true;
}
