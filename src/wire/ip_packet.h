/* The first bytes of an IP packet that the jail refused, as far as the log wants them. Pure; bytes written by the pod. */
#ifndef STOCKADE_WIRE_IP_PACKET_H
#define STOCKADE_WIRE_IP_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct ip_packet {
	uint8_t family;   /* 4 or 6 */
	uint8_t protocol; /* IP protocol number; for IPv6 the last next-header reached within the bytes */
	uint8_t source[16], destination[16];
	uint16_t port; /* destination port of TCP, UDP, SCTP, DCCP, UDP-Lite; else 0 */
};

/* false: not an IP header at all. Fragments other than the first have port 0. */
bool ip_packet_parse(struct span in, struct ip_packet *ret);
const char *ip_protocol_name(uint8_t protocol); /* "udp", "icmp", ...; NULL when it has none here */

#endif
