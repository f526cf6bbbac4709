#include "process/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/fdpass.h"
#include "process/child.h"

enum { CHUNK = 16 * 1024, LAST_CHUNKS = 64, END_OF_FILE_KEY = 4 };

/* --- from the program --- */

/* The caller's terminal may be non-blocking, set so by somebody who shares it. */
static void show(int fd, const char *bytes, size_t n)
{
	while (n) {
		const ssize_t done = write(fd, bytes, n);
		struct pollfd room = { .fd = fd, .events = POLLOUT };

		if (done < 0 && errno == EAGAIN)
			(void)poll(&room, 1, -1);
		else if (done < 0 && errno != EINTR)
			return;
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
		}
	}
}

/* One piece of what the program has written. false: nothing there now, or never again. */
static bool show_some(struct terminal *t)
{
	char bytes[CHUNK];
	const ssize_t n = read(t->screen.fd, bytes, sizeof bytes);

	if (n > 0)
		show(t->shown, bytes, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		loop_forget(t->loop, &t->screen); /* all of its ends are closed */
	return n > 0;
}

/* --- to the program --- */

static void watch_both(struct terminal *t)
{
	if (t->screen.registered)
		(void)loop_watch(t->loop, &t->screen, t->pending_count ? EPOLLIN | EPOLLOUT : EPOLLIN);
	if (t->keys.registered)
		(void)loop_watch(t->loop, &t->keys, t->pending_count < sizeof t->pending ? EPOLLIN : 0);
}

static void pass_keys(struct terminal *t)
{
	const ssize_t n = t->pending_count ? write(t->screen.fd, t->pending, t->pending_count) : 0;

	if (n > 0) {
		t->pending_count -= (size_t)n;
		memmove(t->pending, t->pending + n, t->pending_count);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		t->pending_count = 0;
	}
	watch_both(t);
}

static void keys_ready(struct source *s, uint32_t events)
{
	struct terminal *t = (struct terminal *)s; /* its first member */
	const size_t room = sizeof t->pending - t->pending_count;
	const ssize_t n = room ? read(s->fd, t->pending + t->pending_count, room) : -1;

	if (n > 0)
		t->pending_count += (size_t)n;
	else if (n == 0 && !(events & (EPOLLHUP | EPOLLERR)))
		t->pending[t->pending_count++] = END_OF_FILE_KEY; /* the caller's terminal is not raw, and said: end of file */
	else if (room && (n == 0 || (errno != EAGAIN && errno != EINTR)))
		loop_forget(t->loop, s);
	pass_keys(t);
}

static void screen_ready(struct source *s, uint32_t events)
{
	struct terminal *t = (struct terminal *)((char *)s - offsetof(struct terminal, screen));

	if (events & EPOLLOUT)
		pass_keys(t);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		(void)show_some(t);
}

/* --- its life --- */

void terminal_resize(struct terminal *t)
{
	struct winsize size;

	if (t->open && ioctl(t->shown, TIOCGWINSZ, &size) == 0)
		(void)ioctl(t->screen.fd, TIOCSWINSZ, &size);
}

/* With the keys coming raw, the program's terminal does what the caller's did. Else the caller's still edits lines and shows them. */
int terminal_open(struct terminal *t, const int stdio[static 3], struct container_spec *spec, struct err *err)
{
	bool is[3];

	*t = (struct terminal) { .keys = { .fd = -1, .ready = keys_ready },
				 .screen = { .fd = -1, .ready = screen_ready },
				 .channel = { -1, -1 } };
	for (int i = 0; i < 3; i++) {
		is[i] = isatty(stdio[i]) == 1;
		spec->stdio[i] = is[i] ? CONTAINER_TERMINAL : stdio[i];
	}
	spec->terminal = NULL;
	if (!is[0] && !is[1] && !is[2])
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, t->channel) < 0)
		return err_errno(err, "a new terminal");
	t->open = true;
	t->shown = is[1] ? stdio[1] : is[2] ? stdio[2] : stdio[0];
	t->keys.fd = is[0] ? stdio[0] : -1;
	t->raw = is[0] && is[1] && tcgetattr(stdio[0], &t->before) == 0;
	t->wanted = (struct container_terminal) { .channel = t->channel[1], .mode = t->raw ? &t->before : NULL };
	(void)ioctl(t->shown, TIOCGWINSZ, &t->wanted.size);
	spec->terminal = &t->wanted;
	return 0;
}

/* It was sent before the program ran, so it is there. */
static int take_screen(struct terminal *t, struct err *err)
{
	char word[16];
	size_t count = 0;
	const ssize_t n = fdpass_receive(t->channel[0], word, sizeof word, &t->screen.fd, 1, &count);

	fd_close(&t->channel[0]);
	fd_close(&t->channel[1]);
	if (n > 0 && count == 1 && isatty(t->screen.fd) == 1 && fd_set_nonblock(t->screen.fd) == 0)
		return 0;
	return err_set(err, ERR_FAULT, "the program's terminal did not come");
}

int terminal_join(struct terminal *t, struct loop *l, struct err *err)
{
	struct termios raw = t->before;

	if (!t->open)
		return 0;
	if (take_screen(t, err) < 0)
		return -1;
	t->loop = l;
	cfmakeraw(&raw);
	if (loop_watch(l, &t->screen, EPOLLIN) < 0 || (t->keys.fd >= 0 && loop_watch(l, &t->keys, EPOLLIN) < 0) ||
	    (t->raw && tcsetattr(t->keys.fd, TCSADRAIN, &raw) < 0))
		return err_errno(err, "joining the terminals");
	return 0;
}

void terminal_leave(struct terminal *t)
{
	if (!t->open)
		return;
	t->open = false;
	if (t->loop) {
		loop_forget(t->loop, &t->keys);
		for (int i = 0; i < LAST_CHUNKS && show_some(t); i++)
			;
		loop_forget(t->loop, &t->screen);
		if (t->raw)
			(void)tcsetattr(t->keys.fd, TCSADRAIN, &t->before);
	}
	fd_close(&t->channel[0]);
	fd_close(&t->channel[1]);
	fd_close(&t->screen.fd);
}

/* --- for a caller without a loop --- */

struct run {
	struct child child;
	struct source signals;
	struct terminal *terminal;
	struct loop *loop;
	int code;
};

static void run_ended(struct child *c, int wait_status)
{
	struct run *r = (struct run *)c; /* its first member */

	r->code = child_exit_code(wait_status);
	loop_stop(r->loop);
}

static void run_signals(struct source *s, uint32_t events)
{
	struct run *r = (struct run *)((char *)s - offsetof(struct run, signals));
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGWINCH)
			terminal_resize(r->terminal);
		else
			child_signal(&r->child, (int)info.ssi_signo);
	}
}

static int run_loop(struct run *r, pid_t child, const sigset_t *set, struct err *err)
{
	if (child_watch(&r->child, r->loop, child, run_ended, err) < 0)
		return -1;
	r->signals = (struct source) { .fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK), .ready = run_signals };
	if (r->signals.fd < 0 || loop_watch(r->loop, &r->signals, EPOLLIN) < 0)
		(void)err_errno(err, "signals");
	else if (terminal_join(r->terminal, r->loop, err) == 0)
		loop_run(r->loop, NULL, NULL);
	terminal_leave(r->terminal);
	child_kill(&r->child);
	loop_forget(r->loop, &r->signals);
	fd_close(&r->signals.fd);
	return r->code;
}

int terminal_run(struct terminal *t, pid_t child, struct err *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };
	struct run r = { .terminal = t, .loop = loop_new(), .code = -1 };
	sigset_t set, before;

	if (!r.loop) {
		(void)kill(child, SIGKILL);
		return err_errno(err, "the loop");
	}
	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		(void)sigaddset(&set, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	const int code = run_loop(&r, child, &set, err);

	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	loop_free(r.loop);
	return code;
}
