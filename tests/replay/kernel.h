/* A kernel in memory for one thread: sockets with the behaviour of TCP, pipes, eventfds, one epoll, a clock that stands still until
 * it is told. The linker puts it between the gate and the real one (--wrap, meson.build), for descriptors that were made here; every
 * other call goes through. What a call does is decided by what the test has set up, so a case is the same in every run. */
#ifndef STOCKADE_REPLAY_KERNEL_H
#define STOCKADE_REPLAY_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "policy/address.h"

/* X(word): the calls that can be made to fail or to do less than asked. */
#define KERNEL_CALLS(X) \
	X(accept4)      \
	X(recv)         \
	X(sendmsg)      \
	X(splice)       \
	X(pipe2)        \
	X(socket)       \
	X(connect)      \
	X(epoll_ctl)    \
	X(getsockname)  \
	X(malloc)

enum kernel_call {
#define X(word) CALL_##word,
	KERNEL_CALLS(X)
#undef X
		CALL_COUNT
};

const char *kernel_call_name(enum kernel_call c);

/* The far end of a socket of the gate: a client, or an origin. */
struct end {
	struct end *next; /* origins in the order in which they were dialled */
	int near;         /* the gate's descriptor; -1 when the gate has closed it */
	char *bytes;      /* what arrived and was not taken */
	size_t count, size;
	size_t room;            /* how many bytes may wait here before the gate is told that it is full */
	bool saw_end;           /* the gate will send no more */
	bool saw_reset;         /* the gate broke off, or closed without having read everything */
	bool closed;            /* this end is gone */
	bool established;       /* origins */
	struct ip_addr address; /* where it was dialled, or where the client connected to */
	uint16_t port;
};

enum kernel_connect { CONNECT_OK, CONNECT_REFUSED, CONNECT_UNREACHABLE, CONNECT_HELD };

struct kernel_hooks {
	enum kernel_connect (*connecting)(const struct ip_addr *to, uint16_t port);
	void (*idle)(void); /* epoll_wait has nothing to tell */
};

void kernel_start(const struct kernel_hooks *hooks);
/* Frees everything. Returns how many descriptors the gate had left open. */
unsigned kernel_stop(void);
/* Descriptors that the gate has open now. */
unsigned kernel_descriptors(void);
void kernel_advance_ms(uint64_t ms);
/* Events of a round come in the order of their descriptors, or the other way round. */
void kernel_turn_order(bool backwards);

/* What runs now is the gate, so that memory may run out, and not the test. */
void kernel_inside(bool gate);
/* The next `times` calls after `skip` others fail with `number`. */
void kernel_fail(enum kernel_call c, int number, unsigned skip, unsigned times);
/* Each recv, sendmsg or splice moves at most n bytes. 0: as many as there are. */
void kernel_limit(enum kernel_call c, size_t n);

int kernel_listener(void);
int kernel_datagrams(void);
void kernel_datagram(int fd, struct span bytes);
struct end *kernel_client(int listener, const struct ip_addr *to, uint16_t port);
struct end *kernel_origins(void); /* the first; all that were ever dialled */

void end_send(struct end *e, struct span bytes);
void end_take(struct end *e, size_t n);
void end_shut(struct end *e);  /* sends no more, still reads */
void end_close(struct end *e); /* neither */
void end_reset(struct end *e);
void end_establish(struct end *e, enum kernel_connect how); /* of a held one */
/* Bytes sent here that the gate has not read. */
size_t end_unread(const struct end *e);

#endif
