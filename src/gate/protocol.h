/* Between the supervisor and the gate: a SOCK_SEQPACKET socketpair, one message a packet, fds by SCM_RIGHTS. A message
 * that is not exactly as below ends the gate (it is told wrong things) or has the supervisor kill and restart it. */
#ifndef STOCKADE_GATE_PROTOCOL_H
#define STOCKADE_GATE_PROTOCOL_H

#include <stdint.h>

#include "gate/limits.h"

enum gate_message_kind {
	/* supervisor -> gate */
	GATE_POLICY = 1, /* 1 fd: sealed memfd with the block; generation, hash */
	GATE_ATTACH,     /* GATE_LISTENER_COUNT fds: one pod's listeners; name, and id chosen by the supervisor */
	GATE_DETACH,     /* id: close its listeners and connections */
	GATE_LOG,        /* 1 fd: where the decision log goes from now on (O_APPEND) */
	GATE_STATUS,     /* asks for GATE_STATUS_REPLY */
	GATE_DRAIN,      /* no new connections; exit when idle or after 5 s */
	GATE_HOST, /* 1 fd: a socket that tells the host's own addresses (net/own.h); for a gate in a pod of its own, once for each
			    worker, before it is GATE_READY */
	GATE_ATTACH_NAMES, /* as GATE_ATTACH, with the fds from GATE_DNS_TCP on: another process serves the pod's TCP */
	/* gate -> supervisor */
	GATE_READY = 64, /* locked down and serving */
	GATE_ADOPTED,    /* every worker serves `generation`, and what it no longer allows is closed */
	GATE_ATTACHED,   /* id: its listeners are served */
	GATE_STATUS_REPLY,
};

/* A pod's listeners, in this order in GATE_ATTACH. All made inside the pod's namespace, non-blocking. */
enum gate_listener {
	GATE_TCP4,    /* transparent, 0.0.0.0:15001, listening */
	GATE_TCP6,    /* transparent, [::]:15001 (IPV6_V6ONLY), listening */
	GATE_DNS_TCP, /* [::]:53, dual stack, listening */
	GATE_DNS_UDP, /* [::]:53, dual stack, IPV6_RECVPKTINFO, IP_PKTINFO and IPV6_FREEBIND set */
	GATE_DROPS,   /* netlink socket bound to the pod's NFLOG group: refused packets, 96 bytes of each */
	GATE_LISTENER_COUNT
};

struct gate_counters {
	uint64_t connections, requests, allowed, denied, tunnels, dns_queries, packets_refused, log_dropped;
	uint64_t bytes_up, bytes_down;
	uint64_t shared_out;    /* connections turned away for want of a share in those of the gate */
	uint64_t accept_pauses; /* for want of fds or memory */
	uint64_t limited[LIMIT_COUNT];
	uint32_t connections_open, tunnels_open;
};

/* The project of 'stockade run', whose allow-list is its command line. No other can have this name: there is a blank in it. */
#define GATE_RUN_PROJECT "stockade run"

struct gate_message {
	uint32_t kind;
	uint32_t id;         /* ATTACH, ATTACHED, DETACH */
	uint64_t generation; /* POLICY, ADOPTED, STATUS_REPLY */
	uint32_t refused;    /* ADOPTED: 1 when the block was refused and the old generation stays */
	uint32_t revoked;    /* ADOPTED: tunnels closed by it */
	char name[64];       /* ATTACH: the pod's name, the client; NUL-terminated */
	char hash[65];       /* POLICY */
	char project[64];    /* POLICY: for log lines; NUL-terminated */
	char pad[7];
	struct gate_counters counters; /* STATUS_REPLY */
};

#endif
