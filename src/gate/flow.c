/* Why bodies are sometimes pumped and sometimes read: splice(2) needs two calls and a pipe, so it pays from some tens of KiB on;
 * chunked bodies must be looked at. `readable` is what epoll last said and no read has disproved, so that an idle source costs no
 * call. */
#include "gate/flow.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PUMP_FROM_BYTES = 32 * 1024, ROUNDS = 16 };

/* --- buffers --- */

struct block {
	union {
		struct buffer_account *payer; /* lent, and large */
		struct block *next;           /* spare */
	};
	uint32_t size; /* of data */
	char data[];
};

static struct block *block_of(const struct buffer *b)
{
	return (struct block *)(void *)(b->data - offsetof(struct block, data));
}

static uint32_t size_of(const struct buffer *b)
{
	return block_of(b)->size;
}

static struct block *block_new(struct buffer_pool *p, uint32_t size)
{
	struct block *s = size == BUFFER_SMALL ? p->small : NULL;

	if (size > BUFFER_SMALL && p->payer->used + size > p->payer->most) {
		__atomic_store_n(p->payer->met, *p->payer->met + 1, __ATOMIC_RELAXED);
		return NULL;
	}

	if (s) {
		p->small = s->next;
		p->spares--;
	} else {
		s = malloc(sizeof *s + size);
	}
	if (!s)
		return NULL;
	s->size = size;
	s->payer = p->payer;
	if (size > BUFFER_SMALL)
		s->payer->used += size;
	return s;
}

static void block_free(struct buffer_pool *p, struct block *s)
{
	const uint32_t size = s->size;

	if (size > BUFFER_SMALL)
		s->payer->used -= size;
	if (size > BUFFER_SMALL || p->spares >= BUFFER_SPARES) {
		p->freed += p->freed < UINT32_MAX - size ? size : 0;
		free(s);
		return;
	}
	s->next = p->small;
	p->small = s;
	p->spares++;
}

void buffer_pool_free(struct buffer_pool *p)
{
	while (p->small) {
		struct block *s = p->small;

		p->small = s->next;
		free(s);
	}
	p->spares = 0;
}

void buffer_release(struct buffer_pool *p, struct buffer *b)
{
	if (b->data)
		block_free(p, block_of(b));
	*b = (struct buffer) { 0 };
}

bool buffer_reserve(struct buffer_pool *p, struct buffer *b, uint32_t size)
{
	const uint32_t used = buffer_used(b);

	if (b->data && size_of(b) - b->end >= size)
		return true;
	if (size > BUFFER_LARGE || used + size > BUFFER_LARGE)
		return false;
	if (b->data && size_of(b) - used >= size) {
		memmove(b->data, b->data + b->start, used);
		b->start = 0;
		b->end = used;
		return true;
	}
	const uint32_t bytes = used + size <= BUFFER_SMALL ? BUFFER_SMALL : BUFFER_LARGE;
	struct block *block = block_new(p, bytes);

	if (!block)
		return false;
	if (b->data)
		memcpy(block->data, b->data + b->start, used);
	buffer_release(p, b);
	*b = (struct buffer) { block->data, 0, used };
	return true;
}

void buffer_consume(struct buffer_pool *p, struct buffer *b, uint32_t n)
{
	b->start += n;
	if (b->start == b->end)
		buffer_release(p, b);
}

/* --- flows --- */

void flow_begin(struct flow *f, enum http_framing framing, uint64_t length)
{
	f->framing = (uint8_t)framing;
	f->chunked = (struct http_chunked) { 0 };
	if (framing == HTTP_BODY_LENGTH)
		f->left = length;
	f->body_cleared = framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && length == 0);
}

int flow_read(struct flow *f, struct buffer_pool *p, int from)
{
	const uint32_t wanted = f->in.data && buffer_used(&f->in) >= BUFFER_SMALL / 2 ? BUFFER_SMALL : BUFFER_SMALL / 2;

	if (f->ended || !f->readable)
		return 0;
	if (!f->in.data ? !buffer_reserve(p, &f->in, BUFFER_SMALL)
			: size_of(&f->in) == f->in.end && !buffer_reserve(p, &f->in, wanted)) {
		errno = ENOMEM;
		return -1;
	}
	const size_t room = size_of(&f->in) - f->in.end;
	ssize_t n;

	do
		n = recv(from, f->in.data + f->in.end, room, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		f->in.end += (uint32_t)n;
		/* A short read has emptied the socket; what comes later is told by epoll. */
		f->readable = (size_t)n == room;
		return 1;
	}
	const int number = errno;

	buffer_consume(p, &f->in, 0);
	if (n == 0)
		f->ended = true;
	f->readable = false;
	errno = number;
	return n == 0 || number == EAGAIN ? 0 : -1;
}

/* Clears what has come in as far as the message reaches. false: bad chunks. */
static bool clear(struct flow *f)
{
	const struct span rest = span_skip(buffer_span(&f->in), f->cleared);
	size_t used = rest.n;

	if (f->body_cleared || rest.n == 0)
		return true;
	if (f->framing == HTTP_BODY_LENGTH) {
		used = rest.n < f->left ? rest.n : (size_t)f->left;
		f->left -= used;
		f->body_cleared = f->left == 0;
	} else if (f->framing == HTTP_BODY_CHUNKED) {
		const enum wire_result r = http_chunked_feed(&f->chunked, rest, &used);

		f->body_cleared = r == WIRE_DONE;
		if (r == WIRE_BAD)
			return false;
	}
	f->cleared += (uint32_t)used;
	return true;
}

/* One writev of the made bytes and the cleared ones. FLOW_DONE when none are left. */
static enum flow_result write_out(struct flow *f, struct buffer_pool *p, int to, uint32_t cleared)
{
	while (f->head.data || cleared) {
		const struct span head = buffer_span(&f->head), body = buffer_span(&f->in);
		struct iovec pieces[2] = { { (void *)head.p, head.n }, { (void *)body.p, cleared } };
		const struct msghdr m = { .msg_iov = head.n ? pieces : pieces + 1, .msg_iovlen = head.n && cleared ? 2 : 1 };
		const ssize_t n = sendmsg(to, &m, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			f->write_blocked = true;
			return FLOW_WAIT;
		}
		if (n < 0)
			return FLOW_BROKEN;
		const uint32_t of_head = (size_t)n < head.n ? (uint32_t)n : (uint32_t)head.n, of_body = (uint32_t)n - of_head;

		f->bytes += (uint64_t)n;
		if (f->head.data)
			buffer_consume(p, &f->head, of_head);
		if (of_body) {
			buffer_consume(p, &f->in, of_body);
			f->cleared -= of_body;
			cleared -= of_body;
		}
	}
	return FLOW_DONE;
}

enum flow_result flow_flush(struct flow *f, struct buffer_pool *p, int to)
{
	return f->write_blocked ? FLOW_WAIT : write_out(f, p, to, 0);
}

enum flow_result flow_send(struct flow *f, struct buffer_pool *p, int to)
{
	return f->write_blocked ? FLOW_WAIT : write_out(f, p, to, f->cleared);
}

static enum flow_result pump(struct flow *f, struct pipe_pool *pipes, int from, int to, bool tunnel)
{
	const uint64_t before = f->pump.total;
	const enum pump_result r =
		pump_move(&f->pump, pipes, from, to, f->framing == HTTP_BODY_LENGTH ? f->left : UINT64_MAX, tunnel);
	const uint64_t moved = f->pump.total - before;

	f->bytes += moved;
	if (f->framing == HTTP_BODY_LENGTH)
		f->left -= moved;
	switch (r) {
	case PUMP_WAIT_FROM:
		f->readable = false;
		return FLOW_WAIT;
	case PUMP_WAIT_TO:
		f->write_blocked = true;
		return FLOW_WAIT;
	case PUMP_ENDED:
		f->ended = true;
		f->readable = false;
		f->body_cleared = f->framing == HTTP_BODY_CLOSE;
		return f->body_cleared ? FLOW_DONE : FLOW_CUT;
	case PUMP_LIMIT:
		f->body_cleared = true;
		return FLOW_DONE;
	case PUMP_FAILED:
		break;
	}
	/* With bytes in the pipe it was their way out that failed. */
	return f->pump.in_pipe || f->pump.from_ended ? FLOW_BROKEN : FLOW_LOST;
}

static bool pumped(const struct flow *f, bool tunnel)
{
	if (f->pump.in_pipe)
		return true;
	return !f->in.data && !f->ended &&
	       (tunnel || f->framing == HTTP_BODY_CLOSE || (f->framing == HTTP_BODY_LENGTH && f->left >= PUMP_FROM_BYTES));
}

/* Then bytes go through a buffer, a little slower. */
static bool no_pipe_left(int number)
{
	return number == EMFILE || number == ENFILE || number == ENOMEM;
}

static enum flow_result source_ended(struct flow *f, int to, bool tunnel)
{
	if (f->framing != HTTP_BODY_CLOSE)
		return FLOW_CUT;
	f->body_cleared = true;
	if (tunnel && !f->pump.to_shut) {
		f->pump.to_shut = true;
		(void)shutdown(to, SHUT_WR);
	}
	return FLOW_DONE;
}

enum flow_result flow_move(struct flow *f, struct buffer_pool *p, struct pipe_pool *pipes, int from, int to, bool tunnel)
{
	for (int i = 0; i < ROUNDS && !f->write_blocked; i++) {
		if (!clear(f))
			return FLOW_BAD;
		if (f->head.data || f->cleared) {
			const enum flow_result r = write_out(f, p, to, f->cleared);

			if (r != FLOW_DONE)
				return r;
		}
		if (f->body_cleared && !f->pump.in_pipe)
			return FLOW_DONE;
		if (f->ended && !f->pump.in_pipe)
			return source_ended(f, to, tunnel);
		if (!f->readable && !f->pump.in_pipe)
			return FLOW_WAIT;
		if (pumped(f, tunnel)) {
			const enum flow_result r = pump(f, pipes, from, to, tunnel);

			if (r != FLOW_LOST || !no_pipe_left(errno))
				return r;
		}
		if (flow_read(f, p, from) < 0)
			return FLOW_LOST;
	}
	/* One that always has more must let others in: the destination takes bytes, so epoll calls again at once. */
	f->write_blocked = true;
	return FLOW_WAIT;
}

void flow_close(struct flow *f, struct buffer_pool *p, struct pipe_pool *pipes)
{
	buffer_release(p, &f->head);
	buffer_release(p, &f->in);
	f->cleared = 0;
	pump_close(&f->pump, pipes);
}
