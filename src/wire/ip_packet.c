/* Only what is there is read: a length in the packet is the word of whoever wrote it, and is followed as far as the bytes go. */
#include "wire/ip_packet.h"

enum { IPV4_HEADER = 20, IPV6_HEADER = 40 };
enum {
	HOP_BY_HOP = 0,
	TCP = 6,
	UDP = 17,
	DCCP = 33,
	ROUTING = 43,
	FRAGMENT = 44,
	AUTHENTICATION = 51,
	DESTINATION_OPTIONS = 60,
	SCTP = 132,
	MOBILITY = 135,
	UDPLITE = 136,
	HIP = 139,
	SHIM6 = 140,
};

static uint16_t read16(struct span s, size_t at)
{
	return (uint16_t)((uint8_t)s.p[at] << 8 | (uint8_t)s.p[at + 1]);
}

static uint16_t destination_port(uint8_t protocol, struct span s)
{
	if (s.n < 4)
		return 0;
	return protocol == TCP || protocol == UDP || protocol == DCCP || protocol == SCTP || protocol == UDPLITE ? read16(s, 2) : 0;
}

static void parse_ipv4(struct span in, struct ip_packet *ret)
{
	const size_t header = ((size_t)in.p[0] & 15) * 4;

	ret->family = 4;
	ret->protocol = (uint8_t)in.p[9];
	memcpy(ret->source, in.p + 12, 4);
	memcpy(ret->destination, in.p + 16, 4);
	if (header <= in.n && (read16(in, 6) & 0x1fff) == 0)
		ret->port = destination_port(ret->protocol, span_skip(in, header));
}

static bool is_extension(uint8_t next)
{
	return next == HOP_BY_HOP || next == ROUTING || next == FRAGMENT || next == AUTHENTICATION || next == DESTINATION_OPTIONS ||
	       next == MOBILITY || next == HIP || next == SHIM6;
}

static size_t extension_size(uint8_t next, struct span s)
{
	const size_t length = (uint8_t)s.p[1];

	return next == FRAGMENT ? 8 : next == AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8;
}

static void parse_ipv6(struct span in, struct ip_packet *ret)
{
	struct span rest = span_skip(in, IPV6_HEADER);

	ret->family = 6;
	ret->protocol = (uint8_t)in.p[6];
	memcpy(ret->source, in.p + 8, 16);
	memcpy(ret->destination, in.p + 24, 16);
	while (is_extension(ret->protocol)) { /* each takes 8 bytes at least, so it ends */
		const uint8_t here = ret->protocol;
		size_t size;

		if (rest.n < 8)
			return;
		ret->protocol = (uint8_t)rest.p[0];
		if (here == FRAGMENT && (read16(rest, 2) & 0xfff8) != 0)
			return;
		size = extension_size(here, rest);
		if (size > rest.n)
			return;
		rest = span_skip(rest, size);
	}
	ret->port = destination_port(ret->protocol, rest);
}

bool ip_packet_parse(struct span in, struct ip_packet *ret)
{
	const unsigned version = in.n > 0 ? (uint8_t)in.p[0] >> 4 : 0;

	*ret = (struct ip_packet) { 0 };
	if (version == 4 && in.n >= IPV4_HEADER && ((uint8_t)in.p[0] & 15) >= 5)
		parse_ipv4(in, ret);
	else if (version == 6 && in.n >= IPV6_HEADER)
		parse_ipv6(in, ret);
	return ret->family != 0;
}

const char *ip_protocol_name(uint8_t protocol)
{
	static const char *const names[256] = {
		[1] = "icmp",  [2] = "igmp",  [4] = "ipip",   [TCP] = "tcp",  [UDP] = "udp",           [DCCP] = "dccp",
		[41] = "ipv6", [46] = "rsvp", [47] = "gre",   [50] = "esp",   [AUTHENTICATION] = "ah", [58] = "icmpv6",
		[89] = "ospf", [103] = "pim", [112] = "vrrp", [115] = "l2tp", [SCTP] = "sctp",         [UDPLITE] = "udplite",
	};

	return names[protocol];
}
