/* Who talks to the supervisor: its control socket, and one request of each connection. */
#include "engine/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/control.h"

enum { BACKLOG = 64 };

/* --- one of them --- */

static void release(struct deferred *d)
{
	free((char *)d - offsetof(struct client, end));
}

static void drop(struct client *c)
{
	struct clients *all = c->all;

	if (c->over)
		return;
	c->over = true;
	for (struct client **at = &all->list; *at; at = &(*at)->next) {
		if (*at == c) {
			*at = c->next;
			break;
		}
	}
	loop_forget(all->loop, &c->source);
	fd_close(&c->source.fd);
	fd_close(&c->fd);
	if (all->count-- == CLIENTS_MAX && all->listener.fd >= 0)
		(void)loop_watch(all->loop, &all->listener, EPOLLIN);
	c->end.run = release;
	loop_defer(all->loop, &c->end);
}

static struct client *find(struct clients *all, uint64_t id)
{
	for (struct client *c = all->list; c; c = c->next)
		if (c->id == id)
			return c;
	return NULL;
}

/* The send buffer holds all that one request can be answered with; who does not fit has stopped reading. */
static void send_to(struct client *c, json_t *message, const int *fds, size_t count)
{
	struct err err;

	if (control_send(c->source.fd, message, fds, count, &err) < 0)
		drop(c);
	json_decref(message);
}

/* What is no UTF-8, as bytes of a file or a text cut short may be, is shown as '?'. */
json_t *client_text(const char *text)
{
	json_t *as_it_is = json_string(text);
	char ascii[2048];
	size_t n = 0;

	if (as_it_is)
		return as_it_is;
	for (; n < sizeof ascii - 1 && text[n]; n++)
		ascii[n] = (text[n] & 0x80) ? '?' : text[n];
	ascii[n] = '\0';
	return json_string(ascii);
}

void client_line(struct clients *all, uint64_t id, const char *fmt, ...)
{
	struct client *c = find(all, id);
	char line[2048];
	va_list ap;

	if (!c)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	send_to(c, json_pack("{so}", "line", client_text(line)), NULL, 0);
}

static void set_error(json_t *reply, const struct err *why)
{
	(void)json_object_set_new(reply, "error", client_text(why->text));
	(void)json_object_set_new(reply, "class", json_integer(why->class));
}

void client_done(struct clients *all, uint64_t id, json_t *reply, const struct err *why, const int *fds, size_t count)
{
	struct client *c = find(all, id);

	if (!c) {
		json_decref(reply);
		return;
	}
	if (!reply)
		reply = json_object();
	if (why)
		set_error(reply, why);
	(void)json_object_set_new(reply, "done", json_true());
	send_to(c, reply, fds, count);
	drop(c);
}

void client_refuse(struct client *c, enum err_class class, const char *text)
{
	struct err why = { .class = class };

	(void)snprintf(why.text, sizeof why.text, "%s", text);
	client_done(c->all, c->id, NULL, &why, NULL, 0);
}

/* --- the socket --- */

static void client_ready(struct source *s, uint32_t events)
{
	struct client *c = (struct client *)s; /* its first member */
	struct err err;

	if (c->over)
		return;
	if (c->asked) {
		drop(c); /* it has gone, or says more than it may */
		return;
	}
	size_t count = 0;
	json_t *request = control_receive(s->fd, &c->fd, 1, &count, &err);

	c->asked = true;
	if (!request) {
		drop(c);
		return;
	}
	c->all->asked(c, request);
	json_decref(request);
}

static bool is_root(int fd)
{
	struct ucred who;
	socklen_t size = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void welcome(struct clients *all, int fd)
{
	const int bytes = CLIENT_SEND_BYTES;
	struct client *c = is_root(fd) ? calloc(1, sizeof *c) : NULL;

	if (!c) {
		(void)close(fd);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	*c = (struct client) {
		.source = { .fd = fd, .ready = client_ready }, .next = all->list, .all = all, .id = ++all->last_id, .fd = -1
	};
	all->list = c;
	all->count++;
	if (loop_watch(all->loop, &c->source, EPOLLIN) < 0)
		drop(c);
}

static void accept_ready(struct source *s, uint32_t events)
{
	struct clients *all = (struct clients *)((char *)s - offsetof(struct clients, listener));

	while (all->count < CLIENTS_MAX) {
		const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		welcome(all, fd);
	}
	(void)loop_watch(all->loop, s, 0);
}

int clients_start(struct clients *all, int dir, struct err *err)
{
	struct sockaddr_un address;
	struct source *s = &all->listener;

	*s = (struct source) { .fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .ready = accept_ready };
	control_address(dir, &address);
	(void)unlinkat(dir, CONTROL_SOCKET, 0);
	/* The umask lets nobody else in from the first moment. */
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    fchmodat(dir, CONTROL_SOCKET, 0600, 0) < 0 || listen(s->fd, BACKLOG) < 0)
		return err_errno(err, "the control socket");
	const int rc = loop_watch(all->loop, s, EPOLLIN);

	if (rc == 0)
		return 0;
	errno = -rc;
	return err_errno(err, "the control socket");
}

void clients_stop(struct clients *all)
{
	loop_forget(all->loop, &all->listener);
	fd_close(&all->listener.fd);
}
