#include "pod/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "guard/fdpass.h"

/* What is set at the master end is set for the pair. */
static int set_mode(int master, const struct container_terminal *t)
{
	struct termios plain;

	if (t->mode)
		return tcsetattr(master, TCSANOW, t->mode);
	if (tcgetattr(master, &plain) < 0)
		return -1;
	plain.c_oflag &= (tcflag_t)~OPOST;
	plain.c_lflag &= (tcflag_t) ~(ECHO | ECHONL);
	return tcsetattr(master, TCSANOW, &plain);
}

static int check_master(int master, struct err *err)
{
	struct statfs fs;

	if (master < 0 || fstatfs(master, &fs) < 0)
		return err_errno(err, "cannot make a terminal in the container");
	return fs.f_type == DEVPTS_SUPER_MAGIC ? 0
					       : err_set(err, ERR_FAULT, "/dev/pts of the container is not what it was made to be");
}

int terminal_give(const struct container_terminal *t, int master, struct err *err)
{
	if (fd_set_nonblock(master) < 0 || ioctl(master, TIOCSWINSZ, &t->size) < 0 || set_mode(master, t) < 0)
		return err_errno(err, "cannot set up the container's terminal");
	errno = -fdpass_send(t->channel, "terminal", 8, &master, 1);
	return errno ? err_errno(err, "cannot hand the container's terminal over") : 0;
}

int terminal_make(const struct container_terminal *t, struct err *err)
{
	const int unlocked = 0;
	FD_CLOSE int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (check_master(master, err) < 0)
		return -1;
	FD_CLOSE int slave =
		ioctl(master, TIOCSPTLCK, &unlocked) < 0 ? -1 : ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave < 0)
		return err_errno(err, "cannot set up the container's terminal");
	return terminal_give(t, master, err) < 0 ? -1 : fd_steal(&slave);
}
