/* Chunked transfer coding (RFC 9112 7.1), read strictly and incrementally, bytes passed through unchanged. Pure. */
#ifndef STOCKADE_WIRE_HTTP_CHUNKED_H
#define STOCKADE_WIRE_HTTP_CHUNKED_H

#include <stdint.h>

#include "base/span.h"
#include "wire/wire.h"

enum { HTTP_CHUNK_LINE_MAX = 256, HTTP_TRAILERS_MAX = 16 * 1024 };

struct http_chunked { /* starts zeroed */
	uint8_t state;
	uint8_t digits;
	uint16_t line;    /* bytes of the present chunk-size line */
	uint32_t trailer; /* bytes of the trailer section */
	uint64_t left;    /* of the present chunk's data; of a trailer's name, its hash so far */
};

/* Advances over in. WIRE_DONE: the body ends after *ret_used bytes. WIRE_MORE: all of in was good, *ret_used == in.n.
 * WIRE_BAD: stop at the byte *ret_used, and for ever; what was already passed on cannot be recalled, so the caller resets both
 * sides. Chunk extensions (their grammar, without blanks) and trailer fields (alphabet and size) are checked, and passed on;
 * trailers that would change how the message is framed or read, did they stand in the head, are WIRE_BAD. */
enum wire_result http_chunked_feed(struct http_chunked *c, struct span in, size_t *ret_used);

#endif
