#include "cmd/sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct walk {
	struct arena *arena;
	unsigned entries;
};

static unsigned char type_of(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	return fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (unsigned char)IFTODT(st.st_mode) : DT_UNKNOWN;
}

static const char *look(struct walk *w, const char *path, unsigned depth)
{
	DIR *dir = opendir(path);
	const char *found = NULL;
	const struct dirent *e;

	if (!dir)
		return NULL;
	while (!found && w->entries < SOCKETS_ENTRIES && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		w->entries++;
		const unsigned char type = type_of(dirfd(dir), e);

		if (type == DT_SOCK)
			found = arena_printf(w->arena, "%s/%s", path, e->d_name);
		else if (type == DT_DIR && depth < SOCKETS_DEPTH)
			found = look(w, arena_printf(w->arena, "%s/%s", path, e->d_name), depth + 1);
	}
	(void)closedir(dir);
	return found;
}

const char *socket_below(const char *path, struct arena *a)
{
	struct walk w = { .arena = a };

	return look(&w, path, 1);
}
