/* What stands around the greetings of a TLS handshake, as far as it tells whether the client will greet again: the server's first
 * words, which are a ServerHello or a HelloRetryRequest (RFC 8446 4.1.3), and the records that may come before a greeting. Pure. */
#ifndef STOCKADE_WIRE_TLS_SERVER_HELLO_H
#define STOCKADE_WIRE_TLS_SERVER_HELLO_H

#include "base/span.h"
#include "wire/wire.h"

enum { TLS_RETRY_MAX = 16 * 1024 }; /* bytes of records of a HelloRetryRequest that we wait for; larger is WIRE_BAD */

struct tls_server_hello {
	bool retry;  /* a HelloRetryRequest: the client's next message is a ClientHello, in clear */
	size_t size; /* retry: bytes of the records that it is in; nothing else is in them */
};

/* Records that say nothing about who is meant: change_cipher_spec, alerts, and (early_data) application data. *ret_size: bytes of the
 * whole ones at the front of in. WIRE_DONE: the next begins a handshake message, WIRE_MORE: the next is not there, or not whole,
 * WIRE_BAD: the next is none of these. */
enum wire_result tls_between_parse(struct span in, bool early_data, size_t *ret_size);

/* in: where the server's first handshake message begins. WIRE_DONE for a ServerHello as soon as it is known to be one; for a
 * HelloRetryRequest when all of it is there. WIRE_BAD for anything else. */
enum wire_result tls_server_hello_parse(struct span in, struct tls_server_hello *ret);

#endif
