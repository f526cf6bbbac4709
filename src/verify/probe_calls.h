/* Attempts by system call: what a program in a container must not be able to do. Each is made in a child of its own; outside, as
 * root, the same attempt must succeed. None of them harms whoever makes it, also when it succeeds. */
#ifndef STOCKADE_VERIFY_PROBE_CALLS_H
#define STOCKADE_VERIFY_PROBE_CALLS_H

#include "verify/probe.h"

/* probe.data */
struct call_case {
	int (*attempt)(const struct call_case *c, struct view *v); /* 0: it succeeded; else an errno */
	int a, b, c;                                               /* numbers it is made with */
	const char *path;
	const char *podman;  /* why success is no flaw in a container of Podman; NULL: it is one */
	const char *runtime; /* the same under an OCI runtime */
};
void calls_look(struct view *v, const struct probe *p, struct finding *f);

int call_socket(const struct call_case *c, struct view *v); /* family, type, protocol */
int call_ping_socket(const struct call_case *c, struct view *v);
int call_link_add(const struct call_case *c, struct view *v);
int call_address_add(const struct call_case *c, struct view *v);
int call_route_delete(const struct call_case *c, struct view *v);
int call_nft_flush(const struct call_case *c, struct view *v);
int call_transparent(const struct call_case *c, struct view *v); /* a socket that speaks for any address */
int call_unshare(const struct call_case *c, struct view *v);     /* flags */
int call_clone(const struct call_case *c, struct view *v);       /* flags */
int call_setns(const struct call_case *c, struct view *v);
int call_mount(const struct call_case *c, struct view *v);
int call_fsopen(const struct call_case *c, struct view *v);
int call_open_tree(const struct call_case *c, struct view *v);
int call_chroot(const struct call_case *c, struct view *v);
int call_io_uring(const struct call_case *c, struct view *v);
int call_bpf(const struct call_case *c, struct view *v);
int call_keyctl(const struct call_case *c, struct view *v);
int call_ptrace(const struct call_case *c, struct view *v);
int call_read_memory(const struct call_case *c, struct view *v);
int call_pid1_memory(const struct call_case *c, struct view *v);
int call_perf(const struct call_case *c, struct view *v);
int call_userfaultfd(const struct call_case *c, struct view *v);
int call_open_handle(const struct call_case *c, struct view *v);
int call_set_id_bit(const struct call_case *c, struct view *v);
int call_mknod(const struct call_case *c, struct view *v);
int call_hostname(const struct call_case *c, struct view *v);
int call_capabilities(const struct call_case *c, struct view *v);
int call_new_privileges(const struct call_case *c, struct view *v);

/* files and sockets (probe_files.c) */
int call_open_read(const struct call_case *c, struct view *v);  /* path */
int call_open_write(const struct call_case *c, struct view *v); /* path; nothing is written */
int call_open_any(const struct call_case *c, struct view *v);   /* path: several, with spaces between; a: flags of open */
int call_make_file(const struct call_case *c, struct view *v);  /* path: a directory; the file has no name and goes at once */
int call_control_socket(const struct call_case *c, struct view *v);
int call_abstract_socket(const struct call_case *c, struct view *v);
int call_write_lists(const struct call_case *c, struct view *v);
int call_host_sockets(const struct call_case *c, struct view *v);

#endif
