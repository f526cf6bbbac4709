/* Packets and connections that do not go to the gate: sent for real, in the pod's namespace, with a receiver on the very
 * destination. A pod has no device, so every destination is the namespace itself: without the jail the packet arrives, and with it
 * it does not. */
#ifndef STOCKADE_VERIFY_PROBE_PACKETS_H
#define STOCKADE_VERIFY_PROBE_PACKETS_H

#include "verify/probe.h"

enum packet_target { TARGET_LITERAL, TARGET_OTHER_POD, TARGET_WITNESS };
struct packet_case {
	enum packet_target target;
	const char *address; /* TARGET_LITERAL */
	uint16_t port;
	uint8_t protocol; /* raw probes */
};

void packets_tcp(struct view *v, const struct probe *p, struct finding *f);
void packets_udp(struct view *v, const struct probe *p, struct finding *f);
void packets_raw(struct view *v, const struct probe *p, struct finding *f);
/* The witness: a TCP and a UDP socket of the host that answer until the process ends. */
void packets_witness(int tcp, int udp);

#endif
