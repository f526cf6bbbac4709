#include "process/owner.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int check_one(const char *what, const char *path, mode_t kind, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return err_set(err, ERR_INPUT, "%s %s: %s", what, path, strerror(errno));
	if ((st.st_mode & S_IFMT) != kind)
		return err_set(err, ERR_INPUT, "%s %s is not a %s", what, path, kind == S_IFDIR ? "directory" : "file");
	if (st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	if (kind == S_IFDIR)
		return err_set(err, ERR_INPUT, "%s lies below %s, which others than root can change; name one that does not", what,
			       path);
	return err_set(err, ERR_INPUT,
		       "%s %s can be changed by others than root; 'chown root' and 'chmod go-w' it, or name another", what, path);
}

int owner_check(const char *what, const char *real, struct err *err)
{
	char part[PATH_MAX];

	if (strlen(real) >= sizeof part)
		return err_set(err, ERR_INPUT, "%s: its path is too long", what);
	(void)snprintf(part, sizeof part, "%s", real);
	if (check_one(what, part, S_IFREG, err) < 0)
		return -1;
	for (char *slash; (slash = strrchr(part, '/'));) {
		slash[slash == part] = '\0';
		if (check_one(what, part, S_IFDIR, err) < 0)
			return -1;
		if (slash == part)
			return 0;
	}
	return 0;
}
