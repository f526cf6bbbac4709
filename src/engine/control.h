/* Between the commands and a project's supervisor: JSON objects over a SOCK_SEQPACKET unix socket in the project's run directory
 * (mode 0600, owner root), one request a connection, replies streamed, fds by SCM_RIGHTS. Every request has "verb"; every last
 * reply has "done": true, and "error" with "class" when it failed; replies before it may have "line": text for people.
 *
 * verb     request                                    replies
 * apply    manifest, engine, gate, network, runtime, host_root, named, workers, dns[], limits[],  lines of progress; pods that could not start are errors
 * down     timeout_s                                  lines; the supervisor then ends
 * ps       -                                          project, engine, network, manifest, generation, hash, gate{pid,state,restarts,...},
 *                                                     pods[{name,addresses,attached,walls,containers[{name,state,pid,exit_code,
 *                                                     restarts,started_at}]}]; on Podman also a container's id and log;
 *                                                     with HAProxy as the gate haproxy{pid,state,restarts,old}; where there is
 *                                                     any runtime{...}, not_started{pod: why}, reload_error
 * reload   -                                          generation, hash, revoked (with HAProxy as the gate ending_s), or the error of the broken
 *                                                     list
 * enter    pod, container                             1 fd: pidfd of its pid 1; uid, gid, cwd, env[], cgroup, uid_base; on Podman
 *                                                     engine, id, setting (of the environment) instead of the last two
 * netns    pod                                        1 fd: the network namespace (verify)
 * policy   -                                          1 fd: the memfd in force; generation, hash
 * attach   pod, id; 1 fd: a network namespace             Podman's hook: done, when there are walls around it and the gate serves it */
#ifndef STOCKADE_ENGINE_CONTROL_H
#define STOCKADE_ENGINE_CONTROL_H

#include <jansson.h>
#include <signal.h>
#include <stddef.h>
#include <sys/un.h>

#include "base/err.h"

#define CONTROL_SOCKET "control.sock"

/* Directory of a project's sockets, state and logs: $STOCKADE_RUN_DIR or /run/stockade, then /PROJECT. Logs are in
 * logs/POD/CONTAINER.log, the decision log is decisions.log (older ones decisions.log.1 to .DECISIONS_KEPT, the last the oldest),
 * diagnostics supervisor.log (gate too). */
enum { DECISIONS_KEPT = 4 };
int control_run_dir(const char *project, char *ret, size_t size, struct err *err);
/* -1 with ERR_FINDING when no supervisor runs for the project. */
int control_connect(const char *project, struct err *err);
/* The socket's address by way of an fd of the run directory, so that a long path fits. */
void control_address(int dir, struct sockaddr_un *ret);
/* Sends one request. Takes no ownership. */
int control_send(int sock, const json_t *message, const int *fds, size_t count, struct err *err);
/* Receives one message. A new reference, or NULL with err. At most `max` fds; the caller closes them. */
json_t *control_receive(int sock, int *fds, size_t max, size_t *ret_count, struct err *err);
/* Request to last reply: on_line (may be NULL) sees each "line". NULL and err when the reply has "error". */
json_t *control_call(const char *project, json_t *request /* stolen */, void (*on_line)(const char *line), int *fds, size_t max,
		     size_t *ret_count, struct err *err);

/* The same, but a signal ends the waiting that this mask lets in and a handler takes: an error then. */
json_t *control_call_until(const char *project, json_t *request /* stolen */, void (*on_line)(const char *line),
			   const sigset_t *during, struct err *err);

#endif
