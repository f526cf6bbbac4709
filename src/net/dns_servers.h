/* The name servers, from text. Of the resolver only. */
#ifndef STOCKADE_NET_DNS_SERVERS_H
#define STOCKADE_NET_DNS_SERVERS_H

#include <stdint.h>

#include "base/err.h"
#include "policy/address.h"

enum { DNS_SERVERS_MAX = 8 };

struct dns_servers {
	unsigned count;
	struct {
		struct ip_addr address;
		uint16_t port;
	} list[DNS_SERVERS_MAX];
};

/* "1.2.3.4", "1.2.3.4:5353", "[::1]:53", "::1", comma-separated. Anything else, none, or more than fit: ERR_INPUT. */
int dns_servers_parse(const char *text, struct dns_servers *ret, struct err *err);

#endif
