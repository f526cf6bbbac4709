/* Where things are with --network bridge, and what Podman and the kernel are told of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "manifest_text.h"
#include "plan/bridge.h"
#include "plan/podman.h"

static struct arena arena;
static const struct plan *plan;

#define STATE "/var/lib/stockade/demo/podman"

static const char manifest[] = "apiVersion: v1\nkind: Pod\nmetadata: { name: proxy-pod, labels: { app: proxy } }\n"
			       "spec: { containers: [{ name: proxy, image: one }] }\n---\n"
			       "apiVersion: v1\nkind: Pod\nmetadata: { name: cli-pod, labels: { app: cli } }\n"
			       "spec: { containers: [{ name: app, image: one }] }\n";

static int begin(void **state)
{
	plan = plan_make(manifest_text(manifest, &arena), &arena);
	return 0;
}

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

static struct bridge_wire wire(const char *pod, unsigned place, unsigned name)
{
	struct bridge_wire w;

	plan_bridge_wire(STATE, "demo", pod, place, name, &w);
	return w;
}

static void same_in_same_out(void **state)
{
	const struct bridge_wire a = wire("cli-pod", 0, 0), b = wire("cli-pod", 0, 0), other = wire("sandbox-pod", 0, 0),
				 outer = wire(NULL, 0, 0), next = wire("cli-pod", 1, 0), named = wire("cli-pod", 0, 1);

	assert_memory_equal(&a, &b, sizeof a);
	assert_string_not_equal(a.network, other.network);
	assert_string_not_equal(a.device, other.device);
	assert_false(plan_bridge_overlaps(&a, &other.net));
	assert_false(plan_bridge_overlaps(&a, &outer.net));
	assert_false(plan_bridge_overlaps(&a, &next.net));
	assert_true(plan_bridge_overlaps(&a, &b.net));
	assert_true(outer.outer && !a.outer);
	/* Another name, another bridge; the addresses are the same. */
	assert_string_not_equal(a.network, named.network);
	assert_string_not_equal(a.device, named.device);
	assert_true(ip_equal(&a.pod, &named.pod));
	assert_memory_not_equal(a.gate_mac, a.pod_mac, BRIDGE_MAC);
}

/* Every place is in 198.19.0.0/16, apart from all others, and its bridge has a name that a device may have. */
static void places(void **state)
{
	static const struct ip_net all = { { 4, { 198, 19 } }, 16 };
	static uint8_t seen[BRIDGE_PLACES];

	for (unsigned i = 0; i < BRIDGE_PLACES; i++) {
		const struct bridge_wire w = wire("cli-pod", i, 0);
		const unsigned at = ((unsigned)w.net.addr.bytes[2] << 8 | w.net.addr.bytes[3]) / 8;

		assert_true(ip_in_net(&w.net.addr, &all) && ip_in_net(&w.gate, &w.net) && ip_in_net(&w.pod, &w.net));
		assert_int_equal(w.net.addr.bytes[3] % 8, 0);
		assert_false(seen[at]);
		seen[at] = 1;
		assert_true(strlen(w.device) < BRIDGE_DEVICE);
	}
}

static void two_projects(void **state)
{
	struct bridge_wire here, there;
	char prefix[BRIDGE_DEVICE];

	plan_bridge_wire("/a", "demo", "cli-pod", 0, 0, &here);
	plan_bridge_wire("/b", "demo", "cli-pod", 0, 0, &there);
	assert_string_not_equal(here.network, there.network);
	assert_string_not_equal(here.device, there.device);
	plan_bridge_prefix("/a", prefix);
	assert_memory_equal(here.device, prefix, strlen(prefix));
}

static void overlaps(void **state)
{
	const struct bridge_wire w = wire("cli-pod", 0, 0);
	const struct ip_net wide = { { 4, { 198, 16 } }, 12 }, elsewhere = { { 4, { 10 } }, 8 }, one = { w.pod, 32 },
			    six = { { 6, { 0xfd } }, 8 };

	assert_true(plan_bridge_overlaps(&w, &wide));
	assert_true(plan_bridge_overlaps(&w, &one));
	assert_false(plan_bridge_overlaps(&w, &elsewhere));
	assert_false(plan_bridge_overlaps(&w, &six));
}

static void network_of(const struct bridge_wire *w, bool internal)
{
	json_error_t why;
	json_t *n = json_loads(plan_bridge_network(w, "demo", "00ff", &arena), JSON_REJECT_DUPLICATES, &why);

	assert_non_null(n);
	assert_string_equal(json_string_value(json_object_get(n, "name")), w->network);
	assert_string_equal(json_string_value(json_object_get(n, "network_interface")), w->device);
	assert_true(json_is_false(json_object_get(n, "dns_enabled")));
	assert_true(json_is_false(json_object_get(n, "ipv6_enabled")));
	assert_int_equal(json_is_true(json_object_get(n, "internal")), internal);
	/* Only to the world does the host have an address. */
	assert_int_equal(json_object_get(json_array_get(json_object_get(n, "subnets"), 0), "gateway") == NULL, internal);
	json_decref(n);
}

static void networks(void **state)
{
	const struct bridge_wire w = wire("cli-pod", 0, 0), outer = wire(NULL, 0, 0);
	char ip[IP_TEXT_MAX], mac[BRIDGE_MAC_TEXT];

	network_of(&w, true);
	network_of(&outer, false);
	assert_string_equal(
		plan_bridge_end(&w, false, &arena),
		arena_printf(&arena, "%s:ip=%s,mac=%s", w.network, ip_format(&w.pod, ip), bridge_mac_text(w.pod_mac, mac)));
	assert_string_equal(
		plan_bridge_end(&w, true, &arena),
		arena_printf(&arena, "%s:ip=%s,mac=%s", w.network, ip_format(&w.gate, ip), bridge_mac_text(w.gate_mac, mac)));
	assert_int_equal(w.pod_mac[0] & 3, 2); /* a locally administered unicast address */
}

static void files(void **state)
{
	const char *hosts = plan_bridge_hosts(&plan->pods[0], &arena);

	assert_non_null(strstr(hosts, "198.18.0.1\tproxy-pod\n"));
	assert_non_null(strstr(hosts, "::1\tlocalhost"));
	assert_null(strstr(hosts, "fd5a"));
	assert_non_null(strstr(hosts, "cli-pod\n"));
	assert_string_equal(plan_bridge_resolv(plan, &arena), "nameserver 198.18.0.1\n");
}

static const char *text_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void gates_pod(void **state)
{
	static const char *args[] = { "gate-role", "--workers", "1" };
	const struct bridge_gate how = { BRIDGE_IMAGE ":1", "/state/gate", { args, 3 } };
	const struct bridge_gate other = { BRIDGE_IMAGE ":2", "/state/gate", { args, 3 } };
	const struct plan_pod *gate = plan_bridge_gate(plan, &how, &arena);
	const struct podman_pod in = { "demo", "/state/pods/proxy-pod", "filter.json", false };
	json_t *all = json_loads(plan_podman(plan, gate, &in, &arena), 0, NULL);
	const json_t *spec = json_object_get(all, "spec"), *c = json_array_get(json_object_get(spec, "containers"), 0);
	const json_t *security = json_object_get(c, "securityContext");

	assert_string_equal(text_at(json_object_get(all, "metadata"), "name"), "proxy-pod");
	assert_string_equal(text_at(spec, "restartPolicy"), "Always");
	assert_int_equal(json_array_size(json_object_get(spec, "containers")), 1);
	assert_string_equal(text_at(c, "image"), BRIDGE_IMAGE ":1");
	assert_string_equal(text_at(c, "imagePullPolicy"), "Never");
	assert_int_equal(json_integer_value(json_object_get(security, "runAsUser")), BRIDGE_GATE_ID);
	assert_true(json_is_true(json_object_get(security, "readOnlyRootFilesystem")));
	assert_true(json_is_false(json_object_get(security, "allowPrivilegeEscalation")));
	assert_null(json_object_get(json_object_get(security, "capabilities"), "add"));
	assert_true(json_is_true(json_object_get(json_array_get(json_object_get(c, "volumeMounts"), 0), "readOnly")));
	json_decref(all);
	/* Another image, or other arguments, make another pod. */
	assert_string_not_equal(gate->config_hash, plan_bridge_gate(plan, &other, &arena)->config_hash);
}

static void count(const char *text, const char *word, unsigned times)
{
	unsigned n = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		n++;
	assert_int_equal(n, times);
}

static void jails(void **state)
{
	const struct bridge_end end = { "eth0", { 4, { 198, 19, 0, 3 } }, { 0x52, 2, 0, 0, 0, 1 } };
	const struct bridge_join joins[] = { { "eth1", 2, &end }, { "eth2", 3, &end } };
	const char *pod = plan_bridge_jail(&plan->pods[0], &end, &arena);
	const char *gate = plan_bridge_gate_jail("eth0", joins, 2, &arena);

	/* Out of a pod by its wire: from its own address, to the gate's, and to two ports. */
	assert_non_null(strstr(pod, "oifname != \"eth0\" goto refuse\n"));
	count(pod, "ip saddr 198.19.0.3 ip daddr 198.18.0.1 ", 2);
	count(pod, "policy drop;", 5);
	assert_null(strstr(pod, "policy accept"));
	/* In at the gate: by device, MAC and address together. */
	count(gate, "ether saddr 52:02:00:00:00:01 ip saddr 198.19.0.3 ip daddr 198.18.0.1 ", 4);
	count(gate, "policy drop;", 5);
	assert_null(strstr(gate, "policy accept"));
	assert_non_null(strstr(plan_bridge_gate_jail("eth0", NULL, 0, &arena), "iifname != \"eth0\" counter drop"));
}

/* On the host: to itself and through it nothing from this bridge, whatever it is; from port to port of it anything. */
static void host_wall(void **state)
{
	const char *wall = plan_bridge_host_wall("sk1a2b3c4d5e6f", &arena);

	count(wall, "\tiifname \"sk1a2b3c4d5e6f\" counter drop\n", 2);
	count(wall, "\tiifname \"sk1a2b3c4d5e6f\" oifname != \"sk1a2b3c4d5e6f\" counter drop\n", 1);
	count(wall, "drop\n", 3);
	assert_null(strstr(wall, " accept\n"));
	/* What is put up is what is taken down. */
	assert_ptr_equal(strstr(wall, plan_bridge_host_wall_gone("sk1a2b3c4d5e6f", &arena)), wall);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_in_same_out), cmocka_unit_test(places),   cmocka_unit_test(two_projects),
		cmocka_unit_test(overlaps),         cmocka_unit_test(networks), cmocka_unit_test(files),
		cmocka_unit_test(gates_pod),        cmocka_unit_test(jails),    cmocka_unit_test(host_wall),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
