/* File descriptors that close themselves, and the few whole-file operations that set-up code needs. All EINTR-safe. */
#ifndef STOCKADE_BASE_FD_H
#define STOCKADE_BASE_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

/* Use: FD_CLOSE int fd = -1; closed when the scope ends, unless stolen. errno is kept. */
#define FD_CLOSE __attribute__((cleanup(fd_cleanup)))
void fd_cleanup(int *fd);
void fd_close(int *fd);                                /* closes if >= 0, sets -1 */
int fd_steal(int *fd);                                 /* returns *fd and sets it to -1 */
int fd_write_all(int fd, const void *bytes, size_t n); /* 0, or -errno */
/* Writes a short text to an existing kernel file (/proc, cgroup); one write(2). 0, or -errno. */
int fd_write_file(const char *path, const char *text);
/* The whole file, NUL-terminated after *ret_size bytes, in the arena. A file over `limit` bytes is refused (ERR_INPUT).
 * ENOENT and the like: ERR_INPUT with the path. */
int fd_read_file(const char *path, size_t limit, struct arena *a, struct span *ret, struct err *err);
/* The same, but never half of what somebody is about to write: waits up to FD_SETTLE_MS until no process has the file open for writing,
 * and keeps writers out while it is read (leases, fcntl(2); where the file system has none it reads at once). ERR_INPUT after that. */
enum { FD_SETTLE_MS = 1000 };
int fd_read_settled(const char *path, size_t limit, struct arena *a, struct span *ret, struct err *err);
int fd_set_nonblock(int fd); /* 0, or -errno */

#endif
