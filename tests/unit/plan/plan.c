/* The plan of the seed's manifest, word for word, and of small ones: addresses, files, steps, variables, the jail's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "manifest_text.h"
#include "plan/plan.h"

static struct arena arena;
static struct err err;
static const char *root;

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

static const struct manifest *load(const char *text)
{
	return manifest_text(text, &arena);
}

static const struct manifest *seed(void)
{
	struct manifest *m = NULL;

	if (config_load(arena_printf(&arena, "%s/examples/seed/pods.yaml", root), &arena, &m, &err) < 0)
		fail_msg("%s", err.text);
	return m;
}

static void test_seed_steps(void **state)
{
	static const char expected[] =
		"gate: start it, without privileges\n"
		"policy: compile the lists and put them in force\n"
		"pod sandbox-pod: make its namespaces; no device but lo, addresses 198.18.0.3 and fd5a:5354:4b44::3\n"
		"pod sandbox-pod: put up the jail, table inet stockade, in one transaction\n"
		"pod sandbox-pod: read the jail back and compare\n"
		"pod sandbox-pod: make its listeners and hand them to the gate\n"
		"container sandbox-pod/sandbox-app: start python:3.9-slim: sleep infinity\n"
		"pod cli-pod: make its namespaces; no device but lo, addresses 198.18.0.4 and fd5a:5354:4b44::4\n"
		"pod cli-pod: put up the jail, table inet stockade, in one transaction\n"
		"pod cli-pod: read the jail back and compare\n"
		"pod cli-pod: make its listeners and hand them to the gate\n"
		"container cli-pod/cli-app: start curlimages/curl:latest: sleep infinity\n";
	static const char undo[] = "container cli-pod/cli-app: stop it\n"
				   "pod cli-pod: take its listeners from the gate and close them\n"
				   "pod cli-pod: the jail goes with the network namespace\n"
				   "pod cli-pod: the jail goes with the network namespace\n"
				   "pod cli-pod: let go of its namespaces\n"
				   "container sandbox-pod/sandbox-app: stop it\n"
				   "pod sandbox-pod: take its listeners from the gate and close them\n"
				   "pod sandbox-pod: the jail goes with the network namespace\n"
				   "pod sandbox-pod: the jail goes with the network namespace\n"
				   "pod sandbox-pod: let go of its namespaces\n"
				   "policy: withdraw it\n"
				   "gate: stop it\n";
	const struct plan *p = plan_make(seed(), &arena);
	const char *forth = "", *back = "";

	for (size_t i = 0; i < p->step_count; i++) {
		forth = arena_printf(&arena, "%s%s\n", forth, step_text(&p->steps[i], &arena));
		back = arena_printf(&arena, "%s\n%s", step_undo_text(&p->steps[i], &arena), back);
	}
	assert_string_equal(forth, expected);
	assert_string_equal(back, undo);
	assert_string_equal(p->gate_name, "proxy-pod");
	assert_int_equal(p->pod_count, 2);
}

static void test_seed_files(void **state)
{
	const struct plan *p = plan_make(seed(), &arena);

	assert_string_equal(p->pods[0].hosts, "127.0.0.1\tlocalhost\n"
					      "::1\tlocalhost ip6-localhost ip6-loopback\n"
					      "198.18.0.1\tproxy-pod\n"
					      "fd5a:5354:4b44::1\tproxy-pod\n"
					      "198.18.0.3\tsandbox-pod\n"
					      "fd5a:5354:4b44::3\tsandbox-pod\n"
					      "198.18.0.4\tcli-pod\n"
					      "fd5a:5354:4b44::4\tcli-pod\n");
	assert_string_equal(p->pods[1].resolv_conf, "nameserver 198.18.0.1\nnameserver fd5a:5354:4b44::1\n");
}

static void test_seed_policy(void **state)
{
	const struct plan *p = plan_make(seed(), &arena);
	const struct plan *again = plan_make(seed(), &arena);
	struct ip_addr v4, v6;
	struct snapshot s;

	assert_true(snapshot_open(p->policy, &s));
	assert_int_equal(snapshot_client_count(&s), 2);
	const uint32_t cli = snapshot_client(&s, SPAN_LITERAL("cli-pod"));

	assert_int_not_equal(cli, CLIENT_NONE);
	assert_int_equal(snapshot_rule_count(&s, cli), 1);
	assert_true(snapshot_name(&s, SPAN_LITERAL("cli-pod"), &v4, &v6));
	assert_true(ip_equal(&v4, &p->pods[1].v4));
	assert_true(ip_equal(&v6, &p->pods[1].v6));
	assert_true(snapshot_name(&s, SPAN_LITERAL("proxy-pod"), &v4, &v6));
	assert_true(snapshot_is_gate(&s, &v4));
	assert_true(snapshot_is_gate(&s, &v6));
	assert_true(span_eq(p->policy, again->policy));
}

#define POD(name, more)                                                                                                    \
	"---\n{ apiVersion: v1, kind: Pod, metadata: { name: " name " }, spec: { containers: [{ name: app, image: i " more \
	"}] } }\n"

/* A pod is started anew when it changed, and only then. */
static void test_config_hash(void **state)
{
	const struct plan *a = plan_make(load(POD("a", "") POD("b", "")), &arena);
	const struct plan *same = plan_make(load(POD("a", "") POD("b", "") POD("c", "")), &arena);
	const struct plan *changed = plan_make(load(POD("a", "") POD("b", ", env: [{ name: X, value: why }]")), &arena);
	const struct plan *moved = plan_make(load(POD("c", "") POD("a", "") POD("b", "")), &arena);

	for (size_t i = 0; i < 2; i++)
		assert_string_equal(a->pods[i].config_hash, same->pods[i].config_hash);
	assert_string_equal(a->pods[0].config_hash, changed->pods[0].config_hash);
	assert_string_not_equal(a->pods[1].config_hash, changed->pods[1].config_hash);
	assert_string_not_equal(a->pods[0].config_hash, moved->pods[1].config_hash);
	assert_string_not_equal(a->pods[0].config_hash, a->pods[1].config_hash);
}

static void test_proxy_env(void **state)
{
	const struct plan *p =
		plan_make(load(POD("a", ", env: [{ name: Http_Proxy, value: x }, { name: no_proxy, value: \"\" }]")), &arena);
	struct pair *env;

	assert_int_equal(plan_proxy_env(p, &p->pods[0].pod->containers[0], &arena, &env), 2);
	assert_string_equal(env[0].name, "https_proxy");
	assert_string_equal(env[0].value, "http://proxy-pod:8080");
	assert_string_equal(env[1].name, "HTTPS_PROXY");
	assert_int_equal(plan_proxy_env(p, NULL, &arena, &env), 6);
	assert_string_equal(env[4].name, "no_proxy");
	assert_string_equal(env[4].value, "localhost,127.0.0.1,::1");
}

static void test_steps_order(void **state)
{
	const struct plan *p = plan_make(
		load("apiVersion: v1\n"
		     "kind: Pod\n"
		     "metadata: { name: a }\n"
		     "spec:\n"
		     "  initContainers: [{ name: first, image: i, command: [\"a\\e[1mb\"] }]\n"
		     "  containers:\n"
		     "  - { name: app, image: i, ports: [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }] }\n"),
		&arena);
	static const enum step_kind kinds[] = { STEP_GATE_START,     STEP_POLICY_PUBLISH,  STEP_POD_NETNS,
						STEP_POD_JAIL,       STEP_POD_READ_BACK,   STEP_POD_ATTACH,
						STEP_CONTAINER_INIT, STEP_CONTAINER_START, STEP_PORT_PUBLISH };

	assert_int_equal(p->step_count, sizeof kinds / sizeof kinds[0]);
	for (size_t i = 0; i < p->step_count; i++)
		assert_int_equal(p->steps[i].kind, kinds[i]);
	assert_string_equal(step_text(&p->steps[6], &arena), "container a/first: run to its end i: a?[1mb");
	assert_string_equal(step_text(&p->steps[8], &arena), "container a/app: publish its port 80 at 127.0.0.1:8080");
	assert_string_equal(step_undo_text(&p->steps[8], &arena), "container a/app: close 127.0.0.1:8080");
}

static void test_ruleset_text(void **state)
{
	const struct plan *p = plan_make(load(POD("a", "")), &arena);
	const char *text = plan_ruleset(p, &p->pods[0], &arena);
	static const char *const parts[] = {
		"add table inet stockade\ndelete table inet stockade\ntable inet stockade {\n",
		"type filter hook prerouting priority mangle; policy drop;",
		"type filter hook output priority filter; policy drop;",
		"type filter hook forward priority filter; policy drop;",
		"ip daddr 198.18.0.2 accept",
		"ip6 daddr fd5a:5354:4b44::2 accept",
		"tproxy ip to :15001 accept",
		"tproxy ip6 to :15001 accept",
		"log group 5 snaplen 96",
		"reject with icmpx admin-prohibited",
	};

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (!strstr(text, parts[i]))
			fail_msg("%s", parts[i]);
	assert_null(strchr(text, '%'));
}

/* nft takes the text, twice, in a network namespace of its own; skipped where none can be made. */
static void test_ruleset_is_taken(void **state)
{
	const struct plan *p = plan_make(load(POD("a", "")), &arena);
	const char *text = plan_ruleset(p, &p->pods[0], &arena);

	if (system("unshare -n nft list ruleset >/dev/null 2>&1") != 0)
		skip();
	FILE *f = popen("unshare -n sh -c 't=$(cat); for i in 1 2; do echo \"$t\" | nft -f - || exit 1; done;"
			" test $(nft list table inet stockade | grep -c chain) -eq 6'",
			"we");

	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(pclose(f), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_seed_steps, end),   cmocka_unit_test_teardown(test_seed_files, end),
		cmocka_unit_test_teardown(test_seed_policy, end),  cmocka_unit_test_teardown(test_config_hash, end),
		cmocka_unit_test_teardown(test_proxy_env, end),    cmocka_unit_test_teardown(test_steps_order, end),
		cmocka_unit_test_teardown(test_ruleset_text, end), cmocka_unit_test_teardown(test_ruleset_is_taken, end),
	};

	root = argc > 1 ? argv[1] : ".";
	return cmocka_run_group_tests(tests, NULL, NULL);
}
