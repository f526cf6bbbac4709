/* The line format of case files (tests/cases/gate/README). */
#ifndef STOCKADE_REPLAY_TEXT_H
#define STOCKADE_REPLAY_TEXT_H

#include "base/arena.h"
#include "base/span.h"

struct line {
	unsigned number;
	char *word; /* the first word: "client>" */
	char *rest; /* what follows it, joined with its continuation lines; never NULL */
};

/* The lines of a file without comments and empty ones. -1, with a message on stderr: it cannot be read. */
int text_read(const char *path, struct arena *a, struct line **ret, size_t *ret_count);

/* "..." with escapes, hex(..), hello(..), socks(..), socks-reply(..), each perhaps with *N; one after the other they are one string. NULL in .p: malformed, with
 * *ret_why set. */
struct span text_bytes(struct arena *a, const char *expression, const char **ret_why);

/* Bytes as such an expression, for messages. */
const char *text_show(struct arena *a, struct span bytes);

/* A TLS 1.2 and 1.3 greeting as common clients send it. name: of the server, may be empty for none. ech: with an
 * encrypted_client_hello extension. */
struct span text_hello(struct arena *a, const char *name, bool ech);
/* A server's: a ServerHello, or a HelloRetryRequest. */
struct span text_server_hello(struct arena *a, bool retry);

#endif
