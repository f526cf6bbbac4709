/* The TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3) as far as its server name, across records. Pure. */
#ifndef STOCKADE_WIRE_TLS_HELLO_H
#define STOCKADE_WIRE_TLS_HELLO_H

#include "base/span.h"
#include "wire/wire.h"

enum { TLS_HELLO_MAX = 16 * 1024 }; /* bytes of records that we wait for; larger is WIRE_BAD */

struct tls_hello {
	char name[256];     /* raw server name as sent, NUL-terminated; a name with a NUL inside is WIRE_BAD */
	size_t name_length; /* 0: no server name */
	size_t size;        /* bytes of the records that the greeting is in; nothing else is in them */
	bool has_ech;       /* encrypted_client_hello is there: `name` is the outer name, and that is what is judged */
};

/* in: the first bytes of a connection. WIRE_BAD at the first byte that cannot be TLS (so a client that speaks something
 * else is told at once), also for two server_name extensions or entries, or lengths that do not agree. */
enum wire_result tls_hello_parse(struct span in, struct tls_hello *ret);

#endif
