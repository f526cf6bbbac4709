/* The pod's network namespace itself: its devices, its routes, and who listens for the gate. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "verify/netlink.h"
#include "verify/probe_state.h"
#include "verify/prober.h"
#include "verify/proc.h"

/* --- devices and routes --- */

/* Devices that are not lo; -1: cannot be told. The name of one of them in ret. */
static int count_devices(char ret[static IF_NAMESIZE])
{
	struct if_nameindex *list = if_nameindex();
	int count = 0;

	if (!list)
		return -1;
	for (const struct if_nameindex *d = list; d->if_index; d++) {
		if (strcmp(d->if_name, "lo") == 0)
			continue;
		(void)snprintf(ret, IF_NAMESIZE, "%s", d->if_name);
		count++;
	}
	if_freenameindex(list);
	return count;
}

void wire_devices(struct view *v, const struct probe *p, struct finding *f)
{
	char name[IF_NAMESIZE] = "";
	const int count = count_devices(name);

	if (count < 0)
		finding_set(f, SIGHT_UNCLEAR, "%s", strerror(errno));
	else if (count)
		finding_set(f, SIGHT_THROUGH, "there is a device: %s", name);
	else
		finding_set(f, SIGHT_HELD, "only lo");
}

static int look_apart(void *arg)
{
	size_t all, foreign;
	char name[IF_NAMESIZE];

	if (unshare(CLONE_NEWNET) < 0 || netlink_link_add() || netlink_link_up("lo"))
		return 1;
	if (arg)
		return count_devices(name) > 0 ? 0 : 2;
	/* A device that is up brings routes of its own. */
	return netlink_link_up("verify0") == 0 && netlink_address_add("verify0") == 0 && netlink_routes(&all, &foreign) == 0 &&
			       foreign > 0
		       ? 0
		       : 2;
}

static void control_apart(struct finding *f, bool devices)
{
	const int rc = prober_attempt(look_apart, devices ? f : NULL);

	finding_set(f, rc == 0 ? SIGHT_THROUGH : SIGHT_UNCLEAR, "%s",
		    rc == 0   ? "in a namespace with a device of its own, it is noticed"
		    : rc == 1 ? "a namespace with a device of its own could not be made"
			      : "in a namespace with a device of its own, it is not noticed");
}

void wire_devices_control(struct view *v, const struct probe *p, struct finding *f)
{
	control_apart(f, true);
}

void wire_routes(struct view *v, const struct probe *p, struct finding *f)
{
	size_t all, foreign;
	const int rc = netlink_routes(&all, &foreign);

	if (rc || all == 0)
		finding_set(f, SIGHT_UNCLEAR, "the routes cannot be read: %s", strerror(rc));
	else
		finding_set(f, foreign ? SIGHT_THROUGH : SIGHT_HELD, "%zu routes, %zu of them not to lo", all, foreign);
}

void wire_routes_control(struct view *v, const struct probe *p, struct finding *f)
{
	control_apart(f, false);
}

/* --- listeners --- */

enum { LISTENERS_MAX = 8, PORT_DNS = PLAN_DNS_PORT, TCP_LISTEN = 10 };

struct listeners {
	ino_t sockets[LISTENERS_MAX];
	size_t count;
	unsigned families; /* a bit for each table that has one */
};

/* Sockets bound to a port, of one table of this namespace. */
static void read_table(const char *table, unsigned port, bool listening, struct listeners *l, unsigned bit)
{
	char path[64], line[512];

	(void)snprintf(path, sizeof path, "/proc/self/net/%s", table);
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof line, file)) {
		unsigned at, state;
		unsigned long long inode;

		if (sscanf(line, " %*d: %*32[0-9A-Fa-f]:%x %*32[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %llu", &at, &state,
			   &inode) != 3 ||
		    at != port || (listening && state != TCP_LISTEN) || l->count == LISTENERS_MAX)
			continue;
		l->sockets[l->count++] = (ino_t)inode;
		l->families |= bit;
	}
	if (file)
		(void)fclose(file);
}

struct holders {
	const struct listeners *listeners;
	const struct scene *scene;
	pid_t stranger;
	size_t held; /* by the gate */
};

static bool check_holder(void *arg, pid_t pid)
{
	struct holders *h = arg;

	for (size_t i = 0; i < h->listeners->count; i++) {
		if (!proc_holds_socket(pid, h->listeners->sockets[i]))
			continue;
		if (pid == h->scene->gate || (h->scene->haproxy > 0 && pid == h->scene->haproxy))
			h->held++;
		else if (pid != h->scene->supervisor)
			h->stranger = pid;
	}
	return h->stranger == 0;
}

static void find_listeners(struct listeners *l)
{
	read_table("tcp", PLAN_TPROXY_PORT, true, l, 1);
	read_table("tcp6", PLAN_TPROXY_PORT, true, l, 2);
	read_table("tcp6", PORT_DNS, true, l, 4);
	read_table("udp6", PORT_DNS, false, l, 8);
}

/* Whoever is just being started may hold them for a moment: a stranger is one who is still there at the second look. */
static void find_holders(struct holders *h)
{
	for (unsigned tries = 0; tries < 3; tries++) {
		h->stranger = 0;
		h->held = 0;
		proc_each(check_holder, h);
		if (!h->stranger)
			return;
		(void)usleep(60000);
	}
}

void wire_listeners(struct view *v, const struct probe *p, struct finding *f)
{
	struct listeners l = { 0 };
	struct holders h = { .listeners = &l, .scene = v->scene };

	find_listeners(&l);
	if (l.families != 15) {
		finding_set(f, SIGHT_THROUGH, "a listener is missing: of TCP, TCP over IPv6, and DNS by TCP and UDP, there are %u",
			    l.families);
		return;
	}
	find_holders(&h);
	if (h.stranger)
		finding_set(f, SIGHT_THROUGH, "process %d holds a listener, and is neither the gate nor the supervisor",
			    h.stranger);
	else
		finding_set(f, h.held == l.count ? SIGHT_HELD : SIGHT_THROUGH, "%zu sockets, %zu of them held by the gate", l.count,
			    h.held);
}

void wire_listeners_control(struct view *v, const struct probe *p, struct finding *f)
{
	FD_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		finding_set(f, SIGHT_UNCLEAR, "%s", strerror(errno));
		return;
	}
	const struct listeners l = { .sockets = { st.st_ino }, .count = 1 };
	struct holders h = { .listeners = &l, .scene = v->scene };

	proc_each(check_holder, &h);
	finding_set(f, h.stranger == getpid() ? SIGHT_THROUGH : SIGHT_UNCLEAR, "a socket of this process is %s",
		    h.stranger == getpid() ? "found in its hands" : "not found");
}
