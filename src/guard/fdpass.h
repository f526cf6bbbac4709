/* Messages with file descriptors over a SOCK_SEQPACKET unix socket. */
#ifndef STOCKADE_GUARD_FDPASS_H
#define STOCKADE_GUARD_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

enum { FDPASS_MAX = 16 };

/* One packet. 0, or -errno. count <= FDPASS_MAX. */
int fdpass_send(int sock, const void *bytes, size_t n, const int *fds, size_t count);
/* One packet; fds arrive close-on-exec, in fds[0..*ret_count). A truncated packet, more than `max` fds or truncated control
 * data closes what came and is -EPROTO; without room for its fds in this process it is -EMFILE, and the packet is still there. Returns the size, 0 at end, or -errno. */
ssize_t fdpass_receive(int sock, void *bytes, size_t size, int *fds, size_t max, size_t *ret_count);

#endif
