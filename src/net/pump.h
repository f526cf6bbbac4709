/* Moves bytes from one socket to another inside the kernel: splice(2) through a pipe that is borrowed only while bytes are in
 * flight. splice has no MSG_NOSIGNAL: a process that pumps ignores SIGPIPE, from before its first pump_move. */
#ifndef STOCKADE_NET_PUMP_H
#define STOCKADE_NET_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pipe_pool; /* one a loop: at most `max` pipes at a time, of which `spare_max` are kept when idle */
struct pipe_pool *pipe_pool_new(unsigned spare_max, unsigned max);
void pipe_pool_free(struct pipe_pool *p);

struct pump {             /* one direction; starts zeroed */
	int pipe[2];      /* valid while in_pipe > 0 */
	uint32_t in_pipe; /* bytes read from `from` and not yet written to `to` */
	bool from_ended;  /* end of file was read */
	bool to_shut;     /* and passed on with shutdown(SHUT_WR) */
	uint64_t total;   /* bytes delivered */
};

enum pump_result {
	PUMP_WAIT_FROM, /* nothing to read now */
	PUMP_WAIT_TO,   /* `to` is full; bytes wait in the pipe */
	PUMP_ENDED,     /* all delivered and the end passed on */
	PUMP_LIMIT,     /* `limit` bytes delivered (bodies with a length) */
	PUMP_FAILED,    /* errno; the tunnel is broken (ECONNRESET, EPIPE, EMFILE when no pipe is to be had) */
};

/* Moves as much as goes without blocking, at most `limit` bytes more (UINT64_MAX: no end), in rounds bounded so that one flow
 * cannot starve the loop (then it answers PUMP_WAIT_FROM with bytes left: epoll is level-triggered). An idle pump holds no pipe.
 * With a limit, the end of file before it is reached is PUMP_ENDED with to_shut false. pass_end: shutdown `to` at the end. */
enum pump_result pump_move(struct pump *p, struct pipe_pool *pool, int from, int to, uint64_t limit, bool pass_end);
void pump_close(struct pump *p, struct pipe_pool *pool); /* bytes in flight are lost */

#endif
