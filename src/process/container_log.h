/* What a container prints: a pipe whose bytes go to a file, as they are. The file is renamed to FILE.1 when it has
 * LOG_ROTATE_BYTES. */
#ifndef STOCKADE_PROCESS_CONTAINER_LOG_H
#define STOCKADE_PROCESS_CONTAINER_LOG_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "net/loop.h"

enum { LOG_ROTATE_BYTES = 8 * 1024 * 1024 };

struct container_log {        /* starts zeroed */
	struct source source; /* the read end, non-blocking */
	struct loop *loop;
	int dir, file;
	uint64_t size;
	char name[80];
	bool open;
};

/* dir: an fd of the directory, kept open by the owner. Returns the write end, owned by uid so that the program may open
 * /dev/stdout. */
int container_log_open(struct container_log *l, struct loop *loop, int dir, const char *container, uid_t uid, struct err *err);
/* Takes what is still in the pipe, and closes. Idle ones too. */
void container_log_close(struct container_log *l);

#endif
