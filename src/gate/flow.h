/* One direction of a connection: bytes that we made (a head), then bytes of the other side as its message framing allows, through a
 * buffer while they are few or must be looked at, through the kernel (net/pump.h) when they are many. */
#ifndef STOCKADE_GATE_FLOW_H
#define STOCKADE_GATE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "net/pump.h"
#include "wire/http_chunked.h"
#include "wire/http_head.h"

/* Bytes [start, end) of a block that is borrowed only while there are some. */
struct buffer {
	char *data; /* NULL: no block; its size stands in front of it */
	uint32_t start, end;
};

enum { BUFFER_SMALL = 16 * 1024, BUFFER_LARGE = HTTP_HEAD_MAX + 16 * 1024, BUFFER_SPARES = 64 };

/* Bytes of blocks larger than BUFFER_SMALL that a client has in a worker. Outlives them. */
struct buffer_account {
	uint32_t used, most;
	uint64_t *met; /* counts what was not given for its sake */
};

struct block;
/* Spare blocks of one worker. Starts zeroed. */
struct buffer_pool {
	struct block *small;
	struct buffer_account *payer; /* of what is reserved next */
	unsigned spares;
	uint32_t freed; /* bytes given back to the heap since it was trimmed; no further than UINT32_MAX */
};

void buffer_pool_free(struct buffer_pool *p);
/* Room for at least `size` more bytes, moving what is there if it must. false: out of memory, over what the
 * payer may have, or over BUFFER_LARGE in all. */
bool buffer_reserve(struct buffer_pool *p, struct buffer *b, uint32_t size);
void buffer_release(struct buffer_pool *p, struct buffer *b);
/* Takes n bytes off the front; an empty buffer gives its block back. */
void buffer_consume(struct buffer_pool *p, struct buffer *b, uint32_t n);

static inline uint32_t buffer_used(const struct buffer *b)
{
	return b->end - b->start;
}

static inline struct span buffer_span(const struct buffer *b)
{
	return (struct span) { b->data ? b->data + b->start : "", buffer_used(b) };
}

struct flow {                                /* starts zeroed */
	struct buffer head;                  /* made here; goes first */
	struct buffer in;                    /* read from the source, not yet passed on */
	uint32_t cleared;                    /* bytes at the front of `in` that may go */
	uint8_t framing;                     /* enum http_framing */
	bool body_cleared : 1;               /* the message's end has been seen */
	bool ended : 1;                      /* the source has ended */
	bool readable : 1;                   /* the source has, or may have, bytes or its end for us */
	bool write_blocked : 1;              /* the destination is full: wait for EPOLLOUT */
	union {                              /* what the framing knows of the rest */
		uint64_t left;               /* HTTP_BODY_LENGTH: bytes not yet cleared or pumped */
		struct http_chunked chunked; /* HTTP_BODY_CHUNKED */
	};
	struct pump pump;
	uint64_t bytes; /* passed on in all */
};

enum flow_result {
	FLOW_WAIT,   /* nothing more goes now */
	FLOW_DONE,   /* the message, or for a tunnel the stream and its end, is passed on whole */
	FLOW_CUT,    /* the source ended before the message did */
	FLOW_BAD,    /* bytes that no chunked body has */
	FLOW_LOST,   /* the source broke, or there is no memory to read into (errno) */
	FLOW_BROKEN, /* the destination takes no more (errno) */
};

/* The next message of the flow: its framing. For a tunnel HTTP_BODY_CLOSE. */
void flow_begin(struct flow *f, enum http_framing framing, uint64_t length);
/* Reads once into `in`. 1: bytes came; 0: nothing now, or the end (f->ended); -1: broken or no room. */
int flow_read(struct flow *f, struct buffer_pool *p, int from);
/* Writes the made bytes alone. FLOW_DONE when none are left. */
enum flow_result flow_flush(struct flow *f, struct buffer_pool *p, int to);
/* Writes these and what is cleared. Likewise. */
enum flow_result flow_send(struct flow *f, struct buffer_pool *p, int to);
/* As far as it goes now. tunnel: pass the end of the stream on, and stay in the kernel unless there are no pipes. */
enum flow_result flow_move(struct flow *f, struct buffer_pool *p, struct pipe_pool *pipes, int from, int to, bool tunnel);
void flow_close(struct flow *f, struct buffer_pool *p, struct pipe_pool *pipes);

#endif
