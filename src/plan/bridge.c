#include "plan/bridge.h"

#include <stdio.h>

#include "plan/ruleset.h"

/* --- where things are --- */

static uint32_t digest(const char *a, const char *b)
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (; *a; a++)
		h = (h ^ (uint8_t)*a) * 16777619U;
	h = (h ^ '\n') * 16777619U;
	for (; *b; b++)
		h = (h ^ (uint8_t)*b) * 16777619U;
	return h ^ h >> 15;
}

static struct ip_addr address(unsigned place, unsigned host)
{
	const unsigned n = place * 8 + host;

	return (struct ip_addr) { .family = 4, .bytes = { 198, 19, (uint8_t)(n >> 8), (uint8_t)n } };
}

/* Locally administered, and told by its end. */
static void mac(uint32_t of, uint8_t end, uint8_t ret[static BRIDGE_MAC])
{
	const uint8_t bytes[BRIDGE_MAC] = { 0x52, end, (uint8_t)(of >> 24), (uint8_t)(of >> 16), (uint8_t)(of >> 8), (uint8_t)of };

	memcpy(ret, bytes, BRIDGE_MAC);
}

void plan_bridge_prefix(const char *state, char ret[static BRIDGE_DEVICE])
{
	(void)snprintf(ret, BRIDGE_DEVICE, "sk%06x", digest(state, "") & 0xffffffU);
}

void plan_bridge_wire(const char *state, const char *project, const char *pod, unsigned place, unsigned name,
		      struct bridge_wire *ret)
{
	char prefix[BRIDGE_DEVICE];
	const uint32_t h = digest(state, pod ? pod : "\nouter"), at = (h + place) % BRIDGE_PLACES;

	plan_bridge_prefix(state, prefix);
	*ret = (struct bridge_wire) {
		.outer = !pod, .net = { address(at, 0), 29 }, .host = address(at, 1), .gate = address(at, 2), .pod = address(at, 3)
	};
	/* A pod's name has no capital letters and no dots. */
	(void)snprintf(ret->network, sizeof ret->network, "stockade.%.60s.%.63s.%s", project, pod ? pod : "OUTER", prefix + 2);
	if (name)
		(void)snprintf(ret->network + strlen(ret->network), sizeof ret->network - strlen(ret->network), ".%u", name);
	/* Who is still on the bridge of the other name stays there. */
	(void)snprintf(ret->device, sizeof ret->device, "%.8s%06x", prefix, (h + name * 0x9e3779b1U) & 0xffffffU);
	mac(h, 1, ret->gate_mac);
	mac(h, 2, ret->pod_mac);
}

bool plan_bridge_overlaps(const struct bridge_wire *w, const struct ip_net *other)
{
	return other->addr.family == 4 && (ip_in_net(&w->net.addr, other) || ip_in_net(&other->addr, &w->net));
}

const char *bridge_mac_text(const uint8_t m[static BRIDGE_MAC], char ret[static BRIDGE_MAC_TEXT])
{
	(void)snprintf(ret, BRIDGE_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return ret;
}

const char *plan_bridge_network(const struct bridge_wire *w, const char *project, const char *id, struct arena *a)
{
	char net[IP_TEXT_MAX], host[IP_TEXT_MAX];
	const char *gateway = w->outer ? arena_printf(a, ",\"gateway\":\"%s\"", ip_format(&w->host, host)) : "";

	return arena_printf(a,
			    "{\"name\":\"%s\",\"id\":\"%s\",\"driver\":\"bridge\",\"network_interface\":\"%s\","
			    "\"created\":\"2026-01-01T00:00:00Z\",\"subnets\":[{\"subnet\":\"%s/%u\"%s}],\"ipv6_enabled\":false,"
			    "\"internal\":%s,\"dns_enabled\":false,\"labels\":{\"stockade.project\":\"%s\"},"
			    "\"ipam_options\":{\"driver\":\"host-local\"}}\n",
			    w->network, id, w->device, ip_format(&w->net.addr, net), w->net.prefix, gateway,
			    w->outer ? "false" : "true", project);
}

const char *plan_bridge_end(const struct bridge_wire *w, bool gate, struct arena *a)
{
	char ip[IP_TEXT_MAX], text[BRIDGE_MAC_TEXT];

	return arena_printf(a, "%s:ip=%s,mac=%s", w->network, ip_format(gate ? &w->gate : &w->pod, ip),
			    bridge_mac_text(gate ? w->gate_mac : w->pod_mac, text));
}

/* --- the pod's jail --- */

/* The routes lead what is neither the pod's own nor the gate's to lo, where it is refused at once, and heard of. */
static const char pod_output[] = "	chain output {\n"
				 "		type filter hook output priority filter; policy drop;\n"
				 "		oif \"lo\" goto own\n"
				 "		oifname != \"%s\" goto refuse\n"
				 "		ip saddr %s ip daddr 198.18.0.1 tcp dport { 53, 8080 } accept\n"
				 "		ip saddr %s ip daddr 198.18.0.1 udp dport 53 accept\n"
				 "		goto refuse\n"
				 "	}\n"
				 "	chain own {\n"
				 "		ip daddr 127.0.0.0/8 accept\n"
				 "		ip6 daddr ::1 accept\n"
				 "		ip daddr { %s, %s } accept\n"
				 "		ip6 daddr %s accept\n"
				 "		icmp type destination-unreachable accept\n"
				 "		icmpv6 type destination-unreachable accept\n"
				 "		goto refuse\n"
				 "	}\n";

/* Answers of the gate, and no connection from it. */
static const char pod_input[] = "	chain input {\n"
				"		type filter hook input priority filter; policy drop;\n"
				"		iif \"lo\" accept\n"
				"		iifname != \"%s\" goto foreign\n"
				"		ip saddr != 198.18.0.1 goto foreign\n"
				"		ip daddr != %s goto foreign\n"
				"		tcp flags syn / fin,syn,rst,ack goto foreign\n"
				"		tcp sport { 53, 8080 } accept\n"
				"		udp sport 53 accept\n"
				"		goto foreign\n"
				"	}\n"
				"	chain forward {\n"
				"		type filter hook forward priority filter; policy drop;\n"
				"		goto foreign\n"
				"	}\n";

#define HEAD                           \
	"add table inet stockade\n"    \
	"delete table inet stockade\n" \
	"add table arp stockade\n"     \
	"delete table arp stockade\n"

const char *plan_bridge_jail(const struct plan_pod *pod, const struct bridge_end *end, struct arena *a)
{
	char own[IP_TEXT_MAX], v4[IP_TEXT_MAX], v6[IP_TEXT_MAX];

	(void)ip_format(&end->address, own);
	(void)ip_format(&pod->v4, v4);
	(void)ip_format(&pod->v6, v6);
	const char *output = arena_printf(a, pod_output, end->device, own, own, v4, own, v6);
	const char *input = arena_printf(a, pod_input, end->device, own);

	/* Neighbours are set; nobody's word for one is heard, or sent. */
	return arena_printf(a,
			    HEAD "table inet stockade {\n%s%s%s}\n"
				 "table arp stockade {\n"
				 "	chain input {\n"
				 "		type filter hook input priority filter; policy drop;\n"
				 "	}\n"
				 "	chain output {\n"
				 "		type filter hook output priority filter; policy drop;\n"
				 "	}\n"
				 "}\n",
			    ruleset_verdicts(a), output, input);
}

/* --- the gate's --- */

static const char *join_input(const struct bridge_join *j, struct arena *a)
{
	char ip[IP_TEXT_MAX], m[BRIDGE_MAC_TEXT];

	(void)ip_format(&j->pod->address, ip);
	(void)bridge_mac_text(j->pod->mac, m);
	return arena_printf(
		a,
		"		iifname \"%s\" ether saddr %s ip saddr %s ip daddr 198.18.0.1 tcp dport { 53, 8080 } accept\n"
		"		iifname \"%s\" ether saddr %s ip saddr %s ip daddr 198.18.0.1 udp dport 53 accept\n",
		j->device, m, ip, j->device, m, ip);
}

static const char *join_output(const struct bridge_join *j, struct arena *a)
{
	char ip[IP_TEXT_MAX];

	(void)ip_format(&j->pod->address, ip);
	return arena_printf(a,
			    "		oifname \"%s\" ip saddr 198.18.0.1 ip daddr %s tcp sport { 53, 8080 } accept\n"
			    "		oifname \"%s\" ip saddr 198.18.0.1 ip daddr %s udp sport 53 accept\n",
			    j->device, ip, j->device, ip);
}

/* Towards the world: what the gate begins, and answers to it. It has no listener there. */
static const char gate_jail[] = HEAD "table inet stockade {\n"
				     "	chain input {\n"
				     "		type filter hook input priority filter; policy drop;\n"
				     "		iif \"lo\" accept\n"
				     "%s"
				     "		iifname != \"%s\" counter drop\n"
				     "		tcp flags syn / fin,syn,rst,ack counter drop\n"
				     "		meta nfproto ipv4 meta l4proto { tcp, udp } accept\n"
				     "		icmp type { destination-unreachable, time-exceeded, parameter-problem } accept\n"
				     "		counter drop\n"
				     "	}\n"
				     "	chain forward {\n"
				     "		type filter hook forward priority filter; policy drop;\n"
				     "	}\n"
				     "	chain output {\n"
				     "		type filter hook output priority filter; policy drop;\n"
				     "		oif \"lo\" accept\n"
				     "%s"
				     "		oifname \"%s\" meta nfproto ipv4 accept\n"
				     "		counter drop\n"
				     "	}\n"
				     "}\n"
				     "table arp stockade {\n"
				     "	chain input {\n"
				     "		type filter hook input priority filter; policy drop;\n"
				     "		iifname \"%s\" accept\n"
				     "	}\n"
				     "	chain output {\n"
				     "		type filter hook output priority filter; policy drop;\n"
				     "		oifname \"%s\" accept\n"
				     "	}\n"
				     "}\n";

const char *plan_bridge_gate_jail(const char *outer_device, const struct bridge_join *joins, size_t count, struct arena *a)
{
	const char *in = "", *out = "";

	for (size_t i = 0; i < count; i++) {
		in = arena_printf(a, "%s%s", in, join_input(&joins[i], a));
		out = arena_printf(a, "%s%s", out, join_output(&joins[i], a));
	}
	return arena_printf(a, gate_jail, in, outer_device, out, outer_device, outer_device, outer_device);
}

/* --- the host's --- */

/* By the bridge's name, so that it stands before there is such a bridge, and after: Podman takes it away with the last container on it, and makes it
 * anew with the first. Frames from port to port are not held: with br_netfilter they pass forward, and leave by the bridge they came by. */
static const char host_wall[] = "add table inet %s\n"
				"delete table inet %s\n"
				"add table arp %s\n"
				"delete table arp %s\n"
				"table inet %s {\n"
				"	chain input {\n"
				"		type filter hook input priority -500; policy accept;\n"
				"		iifname \"%s\" counter drop\n"
				"	}\n"
				"	chain forward {\n"
				"		type filter hook forward priority -500; policy accept;\n"
				"		iifname \"%s\" oifname != \"%s\" counter drop\n"
				"	}\n"
				"}\n"
				"table arp %s {\n"
				"	chain input {\n"
				"		type filter hook input priority -500; policy accept;\n"
				"		iifname \"%s\" counter drop\n"
				"	}\n"
				"}\n";

const char *plan_bridge_host_wall(const char *d, struct arena *a)
{
	return arena_printf(a, host_wall, d, d, d, d, d, d, d, d, d, d);
}

const char *plan_bridge_host_wall_gone(const char *d, struct arena *a)
{
	return arena_printf(a, "add table inet %s\ndelete table inet %s\nadd table arp %s\ndelete table arp %s\n", d, d, d, d);
}

/* --- pods --- */

const char *plan_bridge_resolv(const struct plan *p, struct arena *a)
{
	char v4[IP_TEXT_MAX];

	return arena_printf(a, "nameserver %s\n", ip_format(&p->gate_v4, v4));
}

/* Lines of IPv6 but the loopback's are left out. */
const char *plan_bridge_hosts(const struct plan_pod *pod, struct arena *a)
{
	const char *text = "";

	for (const char *at = pod->hosts; *at;) {
		const size_t n = strcspn(at, "\n"), first = strcspn(at, "\t\n");
		const bool six = memchr(at, ':', first) && strncmp(at, "::1\t", 4) != 0;

		if (!six)
			text = arena_printf(a, "%s%.*s\n", text, (int)n, at);
		at += n + (at[n] == '\n');
	}
	return text;
}

const struct plan_pod *plan_bridge_gate(const struct plan *p, const struct bridge_gate *how, struct arena *a)
{
	struct pod *pod = arena_alloc(a, sizeof *pod);
	struct container *c = arena_alloc(a, sizeof *c);
	struct volume *v = arena_alloc(a, sizeof *v);
	struct volume_mount *m = arena_alloc(a, sizeof *m);
	struct plan_pod *planned = arena_alloc(a, sizeof *planned);

	*v = (struct volume) { .name = "channel", .kind = VOLUME_HOST_PATH, .path = how->channel };
	*m = (struct volume_mount) { .volume = "channel", .path = BRIDGE_CHANNEL_DIR, .read_only = true };
	*c = (struct container) { .name = "gate",
				  .image = how->image,
				  .args = how->args,
				  .mounts = m,
				  .mount_count = 1,
				  .run_as_user = BRIDGE_GATE_ID,
				  .run_as_group = BRIDGE_GATE_ID,
				  .read_only_root = true };
	*pod = (struct pod) { .name = p->gate_name,
			      .containers = c,
			      .container_count = 1,
			      .volumes = v,
			      .volume_count = 1,
			      .restart_policy = RESTART_ALWAYS,
			      .gate = true };
	*planned = (struct plan_pod) {
		.pod = pod, .v4 = p->gate_v4, .v6 = p->gate_v6, .hosts = "127.0.0.1\tlocalhost\n", .resolv_conf = ""
	};
	planned->config_hash = plan_config_hash(p, planned, a);
	return planned;
}
