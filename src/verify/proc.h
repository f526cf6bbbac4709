/* Processes as /proc shows them. */
#ifndef STOCKADE_VERIFY_PROC_H
#define STOCKADE_VERIFY_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_status {
	uint64_t capabilities; /* of all sets but the bounding one */
	uint64_t bounding;
	uid_t uid;
	int no_new_privs, seccomp;
};

/* false: it is gone, or cannot be read. task 0: the process itself. */
bool proc_status(pid_t pid, pid_t task, struct proc_status *ret);
/* The inode of /proc/PID/ns/NAME; 0: not to be had. */
ino_t proc_namespace(pid_t pid, const char *name);
/* Calls for every process until it returns false. */
void proc_each(bool (*each)(void *arg, pid_t pid), void *arg);
/* Calls for every thread of a process until it returns false; -1 when it is gone. */
int proc_each_task(pid_t pid, bool (*each)(void *arg, pid_t task), void *arg);
/* Does it hold this socket? */
bool proc_holds_socket(pid_t pid, ino_t socket);

#endif
