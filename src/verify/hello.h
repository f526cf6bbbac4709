/* A TLS ClientHello as today's programs send it, and DNS questions: what probes say. Pure. */
#ifndef STOCKADE_VERIFY_HELLO_H
#define STOCKADE_VERIFY_HELLO_H

#include <stdbool.h>

#include "base/span.h"
#include "policy/address.h"

/* TLS 1.3 with 1.2 offered too; name NULL: no server name. random: 64 bytes. Returns the size, 0 when it does not fit. */
size_t hello_write(const char *name, const uint8_t random[static 64], char *out, size_t size);

/* Name in labels of 1-63 bytes. Returns the size, 0 when it does not fit. */
size_t question_write(const char *name, uint16_t type, uint16_t id, char *out, size_t size);

struct dns_reply {
	unsigned rcode, answers;
	struct ip_addr address; /* of the first A or AAAA record; family 0: none */
};
/* false: not the answer to question id, or broken. */
bool dns_reply_read(struct span in, uint16_t id, struct dns_reply *ret);

#endif
