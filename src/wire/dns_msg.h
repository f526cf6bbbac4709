/* DNS messages (RFC 1035, EDNS of RFC 6891) as a resolver for stubs needs them: read one question, write one answer. Pure. */
#ifndef STOCKADE_WIRE_DNS_MSG_H
#define STOCKADE_WIRE_DNS_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/wire.h"

enum { DNS_UDP_MAX = 1232, DNS_NAME_TEXT_MAX = 1024, DNS_ANSWER_MAX = 310 /* no answer of ours is longer: never truncated */ };
enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_ANY = 255 };
enum dns_rcode { DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_NOTIMP = 4, DNS_REFUSED = 5 };

struct dns_question {
	uint16_t id, flags; /* as sent, host order */
	uint16_t type, class;
	bool edns;
	struct span wire_name;        /* the QNAME's bytes as sent (case kept for 0x20), in the message */
	char name[DNS_NAME_TEXT_MAX]; /* lower case text without final dot (the root: ""); odd bytes as \DDD (RFC 1035 5.1) */
	size_t name_length;
};

/* WIRE_DONE: exactly one well-formed question in a query. WIRE_BAD with *ret_rcode: DNS_FORMERR or DNS_NOTIMP to answer with
 * (header only, when at least 12 bytes came and it is a query), or -1: answer nothing. Never WIRE_MORE. */
enum wire_result dns_question_parse(struct span msg, struct dns_question *ret, int *ret_rcode);
/* Writes the answer; returns its size, 0 if it does not fit or addr is not of q's type. addr: 4 or 16 bytes for
 * DNS_A/DNS_AAAA, n 0 for an empty answer (NODATA or an rcode). Answers carry a SOA-less authority section: none. */
size_t dns_answer_write(const struct dns_question *q, enum dns_rcode rcode, struct span addr, uint32_t ttl, char *out, size_t size);
/* The header-only error answer for a query that could not be read. Returns 12, or 0 when msg or out has fewer bytes. */
size_t dns_error_write(struct span msg, int rcode, char *out, size_t size);

#endif
