#include "verify/probe_bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/jail.h"
#include "plan/bridge.h"
#include "pod/netns.h"
#include "verify/probe_dns.h"
#include "verify/probe_proxy.h"
#include "verify/probe_state.h"
#include "verify/proc.h"
#include "verify/proxy_talk.h"
#include "verify/talk.h"

/* --- what the supervisor says of the wires --- */

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static const json_t *wire_of(const struct scene *s, const char *pod)
{
	const json_t *p;
	size_t i;

	json_array_foreach(json_object_get(s->ps, "pods"), i,
			   p) if (strcmp(text_of(p, "name"), pod) == 0) return json_object_get(p, "wire");
	return NULL;
}

static bool read_end(const json_t *wire, struct bridge_end *ret)
{
	uint8_t *m = ret->mac;

	(void)snprintf(ret->device, sizeof ret->device, "%s", text_of(wire, "device"));
	return ret->device[0] && ip_parse(span_of(text_of(wire, "address")), &ret->address) &&
	       sscanf(text_of(wire, "mac"), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) ==
		       BRIDGE_MAC;
}

/* --- the jails --- */

static int check(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_check(arg, err);
}

static int check_twice(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	if (jail_apply(arg, err) < 0 || jail_check(arg, err) < 0)
		return -1;
	if (jail_apply("delete table inet stockade\n", err) < 0)
		return -1;
	return jail_check(arg, err) < 0 ? 0 : err_set(err, ERR_FINDING, "a jail that was taken down is not missed");
}

/* As the supervisor has put it up: its pods are shown in the other order. */
static const char *gate_ruleset(struct scene *s)
{
	const json_t *pods = json_object_get(s->ps, "pods");
	const char *outer = "";
	struct bridge_join *joins = arena_array(&s->arena, json_array_size(pods) + 1, sizeof *joins);
	size_t count = 0;

	for (size_t i = json_array_size(pods); i-- > 0;) {
		const json_t *wire = json_object_get(json_array_get(pods, i), "wire");
		struct bridge_end *end = arena_alloc(&s->arena, sizeof *end);
		const char *device = text_of(wire, "gate_device");

		if (!read_end(wire, end)) {
			outer = text_of(wire, "device")[0] ? text_of(wire, "device") : outer;
			continue;
		}
		if (!device[0])
			continue;
		(void)snprintf(joins[count].device, sizeof joins[count].device, "%s", device);
		joins[count++].pod = end;
	}
	return plan_bridge_gate_jail(outer, joins, count, &s->arena);
}

static int check_gate(struct scene *s, struct err *err)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/ns/net", s->gate);
	FD_CLOSE int netns = open(path, O_RDONLY | O_CLOEXEC);

	if (netns < 0)
		return err_errno(err, "the gate's pod");
	return netns_run(netns, check, (void *)gate_ruleset(s), NULL, 0, err) < 0 ? err_wrap(err, "the gate's pod") : 0;
}

static void jails(struct view *v, bool control, struct finding *f)
{
	struct bridge_end end = { 0 };
	struct err err = { 0 };
	const struct plan_pod *pod = v->subject->plan;

	if (!pod || v->subject->netns < 0 || !read_end(wire_of(v->scene, v->subject->name), &end)) {
		finding_set(f, pod ? SIGHT_UNCLEAR : SIGHT_THROUGH, "%s",
			    pod ? "it has no wire to the gate" : "the manifest on disk does not have this pod any more");
		return;
	}
	void *text = (void *)plan_bridge_jail(pod, &end, &v->scene->arena);
	FD_CLOSE int apart = control ? netns_create(&pod->v4, &pod->v6, &err) : -1;
	int rc;

	if (control)
		rc = apart < 0 ? -1 : netns_run(apart, check_twice, text, NULL, 0, &err);
	else
		rc = netns_run(v->subject->netns, check, text, NULL, 0, &err) < 0 ? -1 : check_gate(v->scene, &err);
	if (control)
		finding_set(f, rc < 0 ? SIGHT_UNCLEAR : SIGHT_THROUGH, "%.180s",
			    rc < 0 ? err.text : "the same rules put up apart are found equal, and missed when they are taken down");
	else
		finding_set(f, rc < 0 ? SIGHT_THROUGH : SIGHT_HELD, "%.180s",
			    rc < 0 ? err.text : "read back, and as put up, here and in the gate's pod");
}

/* --- the host's wall --- */

static int check_wall(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_check_among(arg, err);
}

static int check_wall_twice(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	if (jail_apply("table inet other { }\n", err) < 0 || jail_apply(arg, err) < 0 || jail_check_among(arg, err) < 0)
		return -1;
	if (jail_apply("flush ruleset\n", err) < 0)
		return -1;
	return jail_check_among(arg, err) < 0 ? 0 : err_set(err, ERR_FINDING, "a wall that was taken down is not missed");
}

/* Where the supervisor is, Podman makes its bridges. */
static int look_at_wall(const struct view *v, const char *bridge, char *text, struct err *err)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/ns/net", v->scene->supervisor);
	FD_CLOSE int netns = open(path, O_RDONLY | O_CLOEXEC);

	if (netns < 0)
		return err_errno(err, "%s", path);
	return netns_run(netns, check_wall, text, NULL, 0, err) < 0 ? err_wrap(err, "the host, bridge %s", bridge) : 0;
}

static void host_wall(struct view *v, bool control, struct finding *f)
{
	const char *bridge = text_of(wire_of(v->scene, v->subject->name), "bridge");
	const struct plan_pod *pod = v->subject->plan;
	struct err err = { 0 };
	int rc = -1;

	if (!bridge[0] || !pod) {
		finding_set(f, SIGHT_UNCLEAR, "it has no wire to the gate");
		return;
	}
	char *text = (char *)plan_bridge_host_wall(bridge, &v->scene->arena);

	if (control) {
		FD_CLOSE int apart = netns_create(&pod->v4, &pod->v6, &err);

		rc = apart < 0 ? -1 : netns_run(apart, check_wall_twice, text, NULL, 0, &err);
		finding_set(f, rc < 0 ? SIGHT_UNCLEAR : SIGHT_THROUGH, "%.180s",
			    rc < 0 ? err.text : "the same rules put up apart are found equal, and missed when they are taken down");
		return;
	}
	rc = look_at_wall(v, bridge, text, &err);
	finding_set(f, rc < 0 ? SIGHT_THROUGH : SIGHT_HELD, "%.180s", rc < 0 ? err.text : "read back, and as put up, on the host");
}

/* --- devices and routes --- */

static void devices(struct view *v, struct finding *f)
{
	struct bridge_end end = { 0 };
	struct if_nameindex *list = if_nameindex();
	size_t others = 0, wires = 0;

	if (!list || !read_end(wire_of(v->scene, v->subject->name), &end)) {
		finding_set(f, SIGHT_UNCLEAR, "the devices, or the wire, cannot be told");
		return;
	}
	for (const struct if_nameindex *d = list; d->if_index; d++) {
		wires += strcmp(d->if_name, end.device) == 0;
		others += strcmp(d->if_name, end.device) != 0 && strcmp(d->if_name, "lo") != 0;
	}
	if_freenameindex(list);
	finding_set(f, others || wires != 1 ? SIGHT_THROUGH : SIGHT_ABSENT, "%s",
		    others || wires != 1 ? "there is another device than lo and the wire to the gate"
					 : "there is lo and one wire, to the gate's pod, in this form");
}

/* In the main table; the others have what the kernel puts there for its addresses. */
static void routes(struct finding *f)
{
	FILE *file = fopen("/proc/self/net/route", "re");
	char line[256], device[IF_NAMESIZE];
	unsigned long to, mask;
	size_t wide = 0, all = 0;

	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, "%15s %lx %*x %*x %*d %*d %*d %lx", device, &to, &mask) != 3)
			continue;
		all++;
		/* In network order: 29 bits and more. */
		wide += strcmp(device, "lo") != 0 && ntohl((uint32_t)mask) < 0xfffffff8U;
	}
	if (file)
		(void)fclose(file);
	finding_set(f,
		    all == 0 ? SIGHT_UNCLEAR
		    : wide   ? SIGHT_THROUGH
			     : SIGHT_ABSENT,
		    "%s",
		    all == 0 ? "the routes cannot be read"
		    : wide   ? "a route leads further than the wire to the gate"
			     : "those that do not lead to lo end at the gate's pod, in this form");
}

/* --- listeners --- */

struct sockets {
	const struct scene *scene;
	ino_t list[256];
	size_t count, held;
	pid_t stranger;
};

static void read_table(const char *table, unsigned port, struct sockets *s)
{
	char path[64], line[512];

	(void)snprintf(path, sizeof path, "/proc/thread-self/net/%s", table);
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof line, file)) {
		unsigned at, state;
		unsigned long long inode;

		if (sscanf(line, " %*d: %*32[0-9A-Fa-f]:%x %*32[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %llu", &at, &state,
			   &inode) == 3 &&
		    at == port && (table[0] == 'u' || state == 10) && s->count < sizeof s->list / sizeof *s->list)
			s->list[s->count++] = (ino_t)inode;
	}
	if (file)
		(void)fclose(file);
}

static bool check_holder(void *arg, pid_t pid)
{
	struct sockets *s = arg;

	for (size_t i = 0; i < s->count; i++) {
		if (!proc_holds_socket(pid, s->list[i]))
			continue;
		if (pid == s->scene->gate)
			s->held++;
		else if (pid != s->scene->supervisor)
			s->stranger = pid;
	}
	return s->stranger == 0;
}

/* In the namespace of the gate's pod there are those of all pods. */
static bool list_listeners(struct sockets *s)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/ns/net", s->scene->gate);
	FD_CLOSE int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	FD_CLOSE int there = open(path, O_RDONLY | O_CLOEXEC);

	if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		return false;
	read_table("tcp", PLAN_PROXY_PORT, s);
	read_table("tcp6", PLAN_DNS_PORT, s);
	read_table("udp6", PLAN_DNS_PORT, s);
	/* What follows is to be tried in the pod, and nowhere else. */
	if (setns(here, CLONE_NEWNET) < 0)
		abort();
	return true;
}

static void listeners(struct view *v, struct finding *f)
{
	struct sockets s = { .scene = v->scene };
	const size_t wanted = 3 * v->scene->subject_count;

	if (!list_listeners(&s)) {
		finding_set(f, SIGHT_UNCLEAR, "the namespace of the gate's pod cannot be entered: %s", strerror(errno));
		return;
	}
	for (unsigned tries = 0; tries < 3; tries++) {
		s.stranger = 0;
		s.held = 0;
		proc_each(check_holder, &s);
		if (!s.stranger)
			break;
		(void)usleep(60000);
	}
	finding_set(f, s.stranger || s.held != s.count || s.count != wanted ? SIGHT_THROUGH : SIGHT_HELD,
		    "in the gate's pod: %zu sockets of %zu pods, %zu of them held by the gate%s", s.count, v->scene->subject_count,
		    s.held, s.stranger ? ", some by a stranger" : "");
}

/* --- identity --- */

/* From another pod's address, with the host's power to take it: nothing may come back. */
static void from_other(struct view *v, struct finding *f)
{
	const struct ip_addr gate = proxy_gate();
	const struct plan *plan = v->scene->plan;
	struct ip_addr from = { .family = 4, .bytes = { 198, 18, 0, 99 } };
	const int on = 1;

	for (size_t i = 0; plan && i < plan->pod_count; i++)
		if (&plan->pods[i] != v->subject->plan)
			from = plan->pods[i].v4;
	const struct socket_address own = talk_address(&from, 0), to = talk_address(&gate, PLAN_PROXY_PORT);
	FD_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t size = sizeof error;

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) < 0 ||
	    bind(fd, (const struct sockaddr *)&own.address, own.size) < 0) {
		finding_set(f, SIGHT_UNCLEAR, "the address cannot be taken at all: %s", strerror(errno));
		return;
	}
	if (connect(fd, (const struct sockaddr *)&to.address, to.size) < 0 && errno != EINPROGRESS)
		error = errno;
	else if (poll(&wait, 1, TALK_MS) == 0)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	finding_set(f, error ? SIGHT_HELD : SIGHT_THROUGH, "a connection to the gate: %s", error ? strerror(error) : "made");
}

/* --- DNS --- */

/* A resolver besides the gate is not reached, and that at once; anything else is asked of the gate. */
static void dns(struct view *v, const struct probe *p, bool control, struct finding *f)
{
	const struct dns_case *c = p->data;
	const bool elsewhere = strncmp(p->id, "dns-udp", 7) == 0 || strncmp(p->id, "dns-tcp", 7) == 0;
	struct dns_case own = *c;
	struct probe probe = *p;
	const bool silent = v->resolver_silent[c->tcp];

	own.server = NULL;
	probe.data = &own;
	if (control) {
		dns_control(v, &probe, f);
		return;
	}
	if (!elsewhere) {
		dns_refused(v, &probe, f);
		return;
	}
	v->resolver_silent[c->tcp] = false;
	dns_refused(v, p, f);
	v->resolver_silent[c->tcp] = silent;
	/* Told that it is refused: neither an answer nor silence. */
	if (f->sight == SIGHT_UNCLEAR && strncmp(f->text, "no answer", 9) != 0)
		f->sight = SIGHT_HELD;
}

/* --- the gate --- */

static void root(struct view *v, struct finding *f)
{
	char path[64];
	struct statvfs fs;

	(void)snprintf(path, sizeof path, "/proc/%d/root/", v->scene->gate);
	if (v->scene->gate <= 0 || statvfs(path, &fs) < 0)
		finding_set(f, SIGHT_UNCLEAR, "the gate does not run");
	else if (!(fs.f_flag & ST_RDONLY))
		finding_set(f, SIGHT_THROUGH, "its root directory can be written to");
	else
		finding_set(f, SIGHT_ABSENT,
			    "it sees its image in this form: itself and its libraries, read-only; its filter opens no file");
}

/* --- which --- */

static bool is_captured(const struct probe *p)
{
	if (p->look == proxy_refused)
		return ((const struct http_case *)p->data)->captured;
	return p->look == proxy_tls && ((const struct tls_case *)p->data)->captured;
}

static bool look_instead(struct view *v, const struct probe *p, struct finding *f)
{
	if (p->look == wire_devices)
		devices(v, f);
	else if (p->look == wire_routes)
		routes(f);
	else if (p->look == wire_listeners)
		listeners(v, f);
	else if (p->look == processes_gate_root)
		root(v, f);
	else if (p->look == proxy_refused && ((const struct http_case *)p->data)->from_other)
		from_other(v, f);
	else
		return false;
	return true;
}

bool bridge_made(struct view *v, const struct probe *p, bool control, struct finding *f)
{
	if (!v->scene->bridge)
		return false;
	if (is_captured(p)) {
		finding_set(f, SIGHT_ABSENT, "nothing is captured in this form: what does not go to the gate is refused at once");
		return true;
	}
	if (p->look == jail_in_force) {
		jails(v, control, f);
		return true;
	}
	if (p->look == jail_host_wall) {
		host_wall(v, control, f);
		return true;
	}
	if (p->look == dns_refused && (control || ((const struct dns_case *)p->data)->server)) {
		dns(v, p, control, f);
		return true;
	}
	return !control && look_instead(v, p, f);
}
