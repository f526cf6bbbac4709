/* The tables behind kernel.h, as its two halves see them: kernel.c keeps them, kernel_calls.c has the calls of the gate. */
#ifndef STOCKADE_REPLAY_KERNEL_TABLE_H
#define STOCKADE_REPLAY_KERNEL_TABLE_H

#include <sys/epoll.h>
#include <sys/types.h>

#include "kernel.h"

enum { BASE = 1 << 20, OBJECTS = 2048, PIPE_DEFAULT = 64 * 1024, ROOM_DEFAULT = 4 << 20 };

enum kind { FREE, SOCKET, LISTENER, PIPE_READ, PIPE_WRITE, EVENT, EPOLL, DATAGRAMS };

struct queue {
	char *bytes;
	size_t start, end, size;
};

struct object {
	enum kind kind;
	/* sockets */
	struct end *far;
	struct queue in;
	int error;
	bool ended, shut, dead, linger, connecting;
	struct ip_addr local;
	uint16_t port;
	/* listeners: sockets to be accepted; events: the count; pipes: the other side, the size */
	int waiting[64];
	unsigned waiting_count;
	uint64_t count;
	int other;
	size_t capacity;
	/* epoll */
	bool watched;
	struct epoll_event asked;
};

struct kernel {
	bool running, backwards, inside;
	struct kernel_hooks hooks;
	uint64_t now_ns;
	struct object objects[OBJECTS];
	int highest; /* index above the last ever used */
	unsigned open;
	struct end *origins, **origins_end, *clients;
	struct {
		int number;
		unsigned skip, times;
		size_t limit;
	} calls[CALL_COUNT];
};

extern struct kernel k;

/* NULL: not one of ours. */
struct object *object_of(int fd);
int object_new(enum kind kind); /* -1: EMFILE */
/* True: this call is to fail; errno is set. */
bool call_fails(enum kernel_call c);
size_t call_limited(enum kernel_call c, size_t n);
struct end *end_new(int near);

static inline size_t queue_used(const struct queue *q)
{
	return q->end - q->start;
}

void queue_put(struct queue *q, struct span s);
uint32_t events_of(const struct object *o);
void break_off(struct object *o); /* as by a reset from the far end */
/* Bytes that can be read now, or -1 and errno, or 0 at the end. */
ssize_t readable(struct object *o);
ssize_t take(struct object *o, void *to, size_t n);
ssize_t give(struct object *o, const char *bytes, size_t n);

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);

#endif
