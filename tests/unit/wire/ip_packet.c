/* Refused packets as the log sees them: both families, every protocol with ports, headers in between, cut and lying ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exact.h"
#include "wire/ip_packet.h"

#define V4_SRC_DST  "\x0a\0\0\1\x08\x08\x08\x08"
#define V4(proto)   "\x45\0\0\x1c\0\0\0\0\x40" proto "\0\0" V4_SRC_DST
#define V4_FRAGMENT "\x45\0\0\x1c\0\0\x00\x01\x40\x11\0\0" V4_SRC_DST
#define V4_FIRST    "\x45\0\0\x1c\0\0\x20\x00\x40\x11\0\0" V4_SRC_DST
#define V4_OPTIONS  "\x46\0\0\x20\0\0\0\0\x40\x11\0\0" V4_SRC_DST "\1\1\1\0"
#define V6_SRC_DST  "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x48\x60\x48\x60\0\0\0\0\0\0\0\0\x88\x88"
#define V6(next)    "\x60\0\0\0\0\x10" next "\x40" V6_SRC_DST
#define PORTS       "\x30\x39\0\x35" /* 12345 -> 53 */
#define BYTES(s)    s, sizeof(s) - 1

struct row {
	const char *what;
	const char *text;
	size_t n;
	unsigned family, protocol, port; /* family 0: no packet */
};

static const struct row rows[] = {
	{ "udp", BYTES(V4("\x11") PORTS "\0\x08\0\0"), 4, 17, 53 },
	{ "tcp", BYTES(V4("\x06") PORTS), 4, 6, 53 },
	{ "sctp", BYTES(V4("\x84") PORTS), 4, 132, 53 },
	{ "dccp", BYTES(V4("\x21") PORTS), 4, 33, 53 },
	{ "udplite", BYTES(V4("\x88") PORTS), 4, 136, 53 },
	{ "icmp", BYTES(V4("\x01") "\x08\0\0\0\0\0\0\0"), 4, 1, 0 },
	{ "gre", BYTES(V4("\x2f") PORTS), 4, 47, 0 },
	{ "udp cut", BYTES(V4("\x11") "\x30\x39\0"), 4, 17, 0 },
	{ "header only", BYTES(V4("\x11")), 4, 17, 0 },
	{ "later fragment", BYTES(V4_FRAGMENT PORTS), 4, 17, 0 },
	{ "first fragment", BYTES(V4_FIRST PORTS), 4, 17, 53 },
	{ "options", BYTES(V4_OPTIONS PORTS), 4, 17, 53 },
	{ "options past the end", BYTES("\x4f\0\0\x1c\0\0\0\0\x40\x11\0\0" V4_SRC_DST PORTS), 4, 17, 0 },
	{ "v6 udp", BYTES(V6("\x11") PORTS), 6, 17, 53 },
	{ "v6 icmp", BYTES(V6("\x3a") "\x80\0\0\0"), 6, 58, 0 },
	{ "v6 hop-by-hop", BYTES(V6("\0") "\x11\0\1\4\0\0\0\0" PORTS), 6, 17, 53 },
	{ "v6 two options and routing",
	  BYTES(V6("\0") "\x3c\0\1\4\0\0\0\0\x2b\0\1\4\0\0\0\0\x06\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0" PORTS), 6, 6, 53 },
	{ "v6 first fragment", BYTES(V6("\x2c") "\x11\0\0\1\0\0\0\7" PORTS), 6, 17, 53 },
	{ "v6 later fragment", BYTES(V6("\x2c") "\x11\0\0\x08\0\0\0\7" PORTS), 6, 17, 0 },
	{ "v6 authentication", BYTES(V6("\x33") "\x11\1\0\0\0\0\0\1\0\0\0\1" PORTS), 6, 17, 53 },
	{ "v6 header past the end", BYTES(V6("\0") "\x11\xff\1\4\0\0\0\0" PORTS), 6, 17, 0 },
	{ "v6 header cut", BYTES(V6("\0") "\x11\0\1\4"), 6, 0, 0 },
	{ "v6 no next header", BYTES(V6("\x3b") PORTS), 6, 59, 0 },
	{ "nothing", BYTES(""), 0, 0, 0 },
	{ "one byte", BYTES("\x45"), 0, 0, 0 },
	{ "v4 cut", BYTES("\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x08\x08\x08"), 0, 0, 0 },
	{ "v4 with a header of 16", BYTES("\x44\0\0\x1c\0\0\0\0\x40\x11\0\0" V4_SRC_DST PORTS), 0, 0, 0 },
	{ "v6 cut", BYTES("\x60\0\0\0\0\x10\x11\x40\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x20\1"), 0, 0, 0 },
	{ "version 5", BYTES("\x55\0\0\x1c\0\0\0\0\x40\x11\0\0" V4_SRC_DST PORTS), 0, 0, 0 },
	{ "arp", BYTES("\0\1\x08\0\6\4\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 0, 0, 0 },
};

static void packets_are_told_apart(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		const struct span s = exact(row->text, row->n);
		struct ip_packet p;

		if (ip_packet_parse(s, &p) != (row->family != 0) || p.family != row->family || p.protocol != row->protocol ||
		    p.port != row->port)
			fail_msg("%s: family %u, protocol %u, port %u", row->what, p.family, p.protocol, p.port);
		if (row->family == 4)
			assert_true(memcmp(p.source, "\x0a\0\0\1", 4) == 0 && memcmp(p.destination, "\x08\x08\x08\x08", 4) == 0);
		if (row->family == 6)
			assert_true(memcmp(p.source, V6_SRC_DST, 16) == 0 && memcmp(p.destination, &V6_SRC_DST[16], 16) == 0);
		exact_free(s);
	}
}

static void a_chain_of_headers_ends(void **state)
{
	char text[4096] = V6("\0");
	struct ip_packet p;

	assert_true(ip_packet_parse((struct span) { text, sizeof text }, &p)); /* hop-by-hop for ever */
	assert_int_equal(p.protocol, 0);
	assert_int_equal(p.port, 0);
}

static void protocols_have_names(void **state)
{
	assert_string_equal(ip_protocol_name(1), "icmp");
	assert_string_equal(ip_protocol_name(6), "tcp");
	assert_string_equal(ip_protocol_name(17), "udp");
	assert_string_equal(ip_protocol_name(58), "icmpv6");
	assert_string_equal(ip_protocol_name(132), "sctp");
	assert_null(ip_protocol_name(255));
	assert_null(ip_protocol_name(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_told_apart),
		cmocka_unit_test(a_chain_of_headers_ends),
		cmocka_unit_test(protocols_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
