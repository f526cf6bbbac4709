#include "pod/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "guard/fdpass.h"

static int set_mode(int slave, const struct container_terminal *t)
{
	struct termios plain;

	if (t->mode)
		return tcsetattr(slave, TCSANOW, t->mode);
	if (tcgetattr(slave, &plain) < 0)
		return -1;
	plain.c_oflag &= (tcflag_t)~OPOST;
	plain.c_lflag &= (tcflag_t) ~(ECHO | ECHONL);
	return tcsetattr(slave, TCSANOW, &plain);
}

int terminal_make(const struct container_terminal *t, struct err *err)
{
	const int unlocked = 0;
	struct statfs fs;
	FD_CLOSE int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (master < 0 || fstatfs(master, &fs) < 0 || ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return err_errno(err, "cannot make a terminal in the container");
	if (fs.f_type != DEVPTS_SUPER_MAGIC)
		return err_set(err, ERR_FAULT, "/dev/pts of the container is not what it was made to be");
	FD_CLOSE int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave < 0 || ioctl(slave, TIOCSWINSZ, &t->size) < 0 || set_mode(slave, t) < 0)
		return err_errno(err, "cannot set up the container's terminal");
	errno = -fdpass_send(t->channel, "terminal", 8, &master, 1);
	return errno ? err_errno(err, "cannot hand the container's terminal over") : fd_steal(&slave);
}
