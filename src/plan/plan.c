#include "plan/plan.h"

#include <assert.h>
#include <stdio.h>

static struct ip_addr v4_of(unsigned n)
{
	return (struct ip_addr) { .family = 4, .bytes = { 198, 18, (uint8_t)(n >> 8), (uint8_t)n } };
}

static struct ip_addr v6_of(unsigned n)
{
	return (struct ip_addr) { .family = 6,
				  .bytes = { 0xfd, 0x5a, 0x53, 0x54, 0x4b, 0x44, [14] = (uint8_t)(n >> 8), [15] = (uint8_t)n } };
}

/* --- files of a pod --- */

static const char *hosts_line(const char *before, const struct ip_addr *v4, const struct ip_addr *v6, const char *name,
			      struct arena *a)
{
	char t4[IP_TEXT_MAX], t6[IP_TEXT_MAX];

	return arena_printf(a, "%s%s\t%s\n%s\t%s\n", before, ip_format(v4, t4), name, ip_format(v6, t6), name);
}

/* One text for all pods: a container's hostname is its pod's name. */
static const char *hosts_text(const struct plan *p, struct arena *a)
{
	const char *text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

	text = hosts_line(text, &p->gate_v4, &p->gate_v6, p->gate_name, a);
	for (size_t i = 0; i < p->pod_count; i++)
		text = hosts_line(text, &p->pods[i].v4, &p->pods[i].v6, p->pods[i].pod->name, a);
	return text;
}

static const char *resolv_text(const struct plan *p, struct arena *a)
{
	char t4[IP_TEXT_MAX], t6[IP_TEXT_MAX];

	return arena_printf(a, "nameserver %s\nnameserver %s\n", ip_format(&p->gate_v4, t4), ip_format(&p->gate_v6, t6));
}

/* --- what a pod is, in one number --- */

/* FNV-1a: it tells a changed pod from an unchanged one, it guards nothing. */
struct digest {
	uint64_t state;
};

static void digest_bytes(struct digest *d, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		d->state = (d->state ^ p[i]) * 0x100000001b3ULL;
}

static void digest_number(struct digest *d, uint64_t n)
{
	digest_bytes(d, &n, sizeof n);
}

static void digest_text(struct digest *d, const char *s)
{
	digest_number(d, s ? strlen(s) + 1 : 0);
	if (s)
		digest_bytes(d, s, strlen(s));
}

static void digest_pairs(struct digest *d, const struct pair *pairs, size_t count)
{
	digest_number(d, count);
	for (size_t i = 0; i < count; i++) {
		digest_text(d, pairs[i].name);
		digest_text(d, pairs[i].value);
	}
}

static void digest_strings(struct digest *d, const struct strings *s)
{
	digest_number(d, s->count);
	for (size_t i = 0; i < s->count; i++)
		digest_text(d, s->items[i]);
}

static void digest_container(struct digest *d, const struct container *c)
{
	digest_text(d, c->name);
	digest_text(d, c->image);
	digest_strings(d, &c->command);
	digest_strings(d, &c->args);
	digest_pairs(d, c->env, c->env_count);
	digest_text(d, c->working_dir);
	digest_number(d, c->mount_count);
	for (size_t i = 0; i < c->mount_count; i++) {
		digest_text(d, c->mounts[i].volume);
		digest_text(d, c->mounts[i].path);
		digest_text(d, c->mounts[i].sub_path);
		digest_number(d, c->mounts[i].read_only);
	}
	digest_number(d, c->port_count);
	for (size_t i = 0; i < c->port_count; i++) {
		digest_number(d, c->ports[i].container_port);
		digest_number(d, c->ports[i].host_port);
		digest_text(d, c->ports[i].host_ip);
	}
	digest_number(d, (uint64_t)c->run_as_user);
	digest_number(d, (uint64_t)c->run_as_group);
	digest_number(d, c->read_only_root);
	digest_number(d, c->memory_limit);
	digest_number(d, c->cpu_limit_milli);
	digest_number(d, c->jailer);
}

const char *plan_config_hash(const struct plan *plan, const struct plan_pod *pod, struct arena *a)
{
	const struct pod *p = pod->pod;
	struct digest d = { 0xcbf29ce484222325ULL };

	digest_text(&d, plan->gate_name);
	digest_bytes(&d, pod->v4.bytes, sizeof pod->v4.bytes);
	digest_text(&d, p->name);
	digest_number(&d, p->restart_policy);
	digest_number(&d, p->init_container_count);
	for (size_t i = 0; i < p->init_container_count; i++)
		digest_container(&d, &p->init_containers[i]);
	digest_number(&d, p->container_count);
	for (size_t i = 0; i < p->container_count; i++)
		digest_container(&d, &p->containers[i]);
	digest_number(&d, p->volume_count);
	for (size_t i = 0; i < p->volume_count; i++) {
		digest_text(&d, p->volumes[i].name);
		digest_number(&d, p->volumes[i].kind);
		digest_text(&d, p->volumes[i].path);
		digest_text(&d, p->volumes[i].path_type);
		digest_number(&d, p->volumes[i].size_limit);
		digest_pairs(&d, p->volumes[i].files, p->volumes[i].file_count);
	}
	return arena_printf(a, "%016llx", (unsigned long long)d.state);
}

/* --- addresses and policy --- */

static void place_pods(struct plan *p, struct arena *a)
{
	const struct manifest *m = p->manifest;

	p->gate_v4 = v4_of(1);
	p->gate_v6 = v6_of(1);
	p->gate_name = PLAN_GATE_NAME;
	p->pods = arena_array(a, m->pod_count ? m->pod_count : 1, sizeof *p->pods);
	for (size_t i = 0; i < m->pod_count; i++) {
		if (m->pods[i].gate) {
			p->gate_name = m->pods[i].name;
			continue;
		}
		p->pods[p->pod_count++] =
			(struct plan_pod) { .pod = &m->pods[i], .v4 = v4_of((unsigned)i + 2), .v6 = v6_of((unsigned)i + 2) };
	}
	const char *hosts = hosts_text(p, a), *resolv = resolv_text(p, a);

	for (size_t i = 0; i < p->pod_count; i++) {
		p->pods[i].hosts = hosts;
		p->pods[i].resolv_conf = resolv;
		p->pods[i].config_hash = plan_config_hash(p, &p->pods[i], a);
	}
}

static struct span compile_policy(const struct plan *p, struct arena *a)
{
	struct policy_builder *b = policy_builder_new(a);

	for (size_t i = 0; i < p->manifest->client_count; i++) {
		const struct client_rules *c = &p->manifest->clients[i];
		const uint32_t client = policy_builder_client(b, c->pod);

		for (size_t k = 0; k < c->rule_count; k++)
			policy_builder_rule(b, client, &c->rules[k]);
	}
	for (size_t i = 0; i < p->pod_count; i++)
		policy_builder_name(b, p->pods[i].pod->name, &p->pods[i].v4, &p->pods[i].v6);
	policy_builder_name(b, p->gate_name, &p->gate_v4, &p->gate_v6);
	policy_builder_gate(b, &p->gate_v4, &p->gate_v6);
	return policy_builder_finish(b);
}

/* --- steps --- */

static void add_containers(struct plan *p, struct arena *a, const struct plan_pod *pod, enum step_kind kind,
			   const struct container *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!list[i].jailer)
			ARENA_PUSH(a, p->steps, p->step_count) = (struct step) { .kind = kind, .pod = pod, .container = &list[i] };
}

static void add_ports(struct plan *p, struct arena *a, const struct plan_pod *pod)
{
	for (size_t i = 0; i < pod->pod->container_count; i++) {
		const struct container *c = &pod->pod->containers[i];

		for (size_t k = 0; !c->jailer && k < c->port_count; k++)
			if (c->ports[k].host_port)
				ARENA_PUSH(a, p->steps, p->step_count) = (struct step) {
					.kind = STEP_PORT_PUBLISH, .pod = pod, .container = c, .port = &c->ports[k]
				};
	}
}

/* The walls of a pod, in the order that "jailed before born" asks for; nothing of the pod runs before STEP_CONTAINER_*. */
static void add_pod(struct plan *p, struct arena *a, const struct plan_pod *pod)
{
	static const enum step_kind walls[] = { STEP_POD_NETNS, STEP_POD_JAIL, STEP_POD_READ_BACK, STEP_POD_ATTACH };

	for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++)
		ARENA_PUSH(a, p->steps, p->step_count) = (struct step) { .kind = walls[i], .pod = pod };
	add_containers(p, a, pod, STEP_CONTAINER_INIT, pod->pod->init_containers, pod->pod->init_container_count);
	add_containers(p, a, pod, STEP_CONTAINER_START, pod->pod->containers, pod->pod->container_count);
	add_ports(p, a, pod);
}

struct plan *plan_make(const struct manifest *m, struct arena *a)
{
	struct plan *p = arena_alloc(a, sizeof *p);

	p->manifest = m;
	place_pods(p, a);
	p->policy = compile_policy(p, a);
	ARENA_PUSH(a, p->steps, p->step_count) = (struct step) { .kind = STEP_GATE_START };
	ARENA_PUSH(a, p->steps, p->step_count) = (struct step) { .kind = STEP_POLICY_PUBLISH };
	for (size_t i = 0; i < p->pod_count; i++)
		add_pod(p, a, &p->pods[i]);
	return p;
}

static bool word_is_plain(const char *word)
{
	return word[0] && !strpbrk(word, " \t\n\"'$&|;<>()*?`");
}

/* "docker.io/library/alpine: sh -c 'sleep infinity'", at most so long, nothing that a terminal would obey. For reading, not for a shell. */
static const char *command_text(const struct container *c, struct arena *a)
{
	const struct strings *parts[] = { &c->command, &c->args };
	char *text = arena_printf(a, "%s:", c->image);

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < parts[k]->count && strlen(text) < 100; i++)
			text = arena_printf(a, word_is_plain(parts[k]->items[i]) ? "%s %.60s" : "%s '%.60s'", text,
					    parts[k]->items[i]);
	if (c->command.count + c->args.count == 0)
		text = arena_printf(a, "%s the image's own command", text);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return text;
}

static const char *container_step(const struct step *s, struct arena *a, const char *what)
{
	assert(s->pod && s->container);
	return arena_printf(a, "container %s/%s: %s %s", s->pod->pod->name, s->container->name, what,
			    command_text(s->container, a));
}

static const char *port_text(const struct step *s, struct arena *a)
{
	const char *ip = s->port->host_ip ? s->port->host_ip : "127.0.0.1";
	const bool v6 = strlen(ip) > 0 && memchr(ip, ':', strlen(ip));

	return arena_printf(a, "%s%s%s:%u", v6 ? "[" : "", ip, v6 ? "]" : "", s->port->host_port);
}

const char *step_text(const struct step *s, struct arena *a)
{
	const char *pod = s->pod ? s->pod->pod->name : "";
	char v4[IP_TEXT_MAX], v6[IP_TEXT_MAX];

	switch (s->kind) {
	case STEP_GATE_START:
		return "gate: start it, without privileges";
	case STEP_POLICY_PUBLISH:
		return "policy: compile the lists and put them in force";
	case STEP_POD_NETNS:
		return arena_printf(a, "pod %s: make its namespaces; no device but lo, addresses %s and %s", pod,
				    ip_format(&s->pod->v4, v4), ip_format(&s->pod->v6, v6));
	case STEP_POD_JAIL:
		return arena_printf(a, "pod %s: put up the jail, table inet stockade, in one transaction", pod);
	case STEP_POD_READ_BACK:
		return arena_printf(a, "pod %s: read the jail back and compare", pod);
	case STEP_POD_ATTACH:
		return arena_printf(a, "pod %s: make its listeners and hand them to the gate", pod);
	case STEP_CONTAINER_INIT:
		return container_step(s, a, "run to its end");
	case STEP_CONTAINER_START:
		return container_step(s, a, "start");
	case STEP_PORT_PUBLISH:
		return arena_printf(a, "container %s/%s: publish its port %u at %s", pod, s->container->name,
				    s->port->container_port, port_text(s, a));
	case STEP_KIND_COUNT:
		break;
	}
	return "";
}

const char *step_undo_text(const struct step *s, struct arena *a)
{
	const char *pod = s->pod ? s->pod->pod->name : "";

	switch (s->kind) {
	case STEP_GATE_START:
		return "gate: stop it";
	case STEP_POLICY_PUBLISH:
		return "policy: withdraw it";
	case STEP_POD_NETNS:
		return arena_printf(a, "pod %s: let go of its namespaces", pod);
	case STEP_POD_JAIL:
	case STEP_POD_READ_BACK:
		return arena_printf(a, "pod %s: the jail goes with the network namespace", pod);
	case STEP_POD_ATTACH:
		return arena_printf(a, "pod %s: take its listeners from the gate and close them", pod);
	case STEP_CONTAINER_INIT:
	case STEP_CONTAINER_START:
		return arena_printf(a, "container %s/%s: stop it", pod, s->container->name);
	case STEP_PORT_PUBLISH:
		return arena_printf(a, "container %s/%s: close %s", pod, s->container->name, port_text(s, a));
	case STEP_KIND_COUNT:
		break;
	}
	return "";
}

/* --- proxy variables --- */

static bool sets(const struct container *c, const char *name)
{
	for (size_t i = 0; c && i < c->env_count; i++)
		if (span_eq_nocase(span_of(c->env[i].name), span_of(name)))
			return true;
	return false;
}

size_t plan_proxy_env(const struct plan *p, const struct container *c, struct arena *a, struct pair **ret)
{
	static const char *const proxies[] = { "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY" };
	static const char *const others[] = { "no_proxy", "NO_PROXY" };
	const char *url = arena_printf(a, "http://%s:%d", p->gate_name, PLAN_PROXY_PORT);
	size_t count = 0;

	*ret = NULL;
	for (size_t i = 0; i < sizeof proxies / sizeof proxies[0]; i++)
		if (!sets(c, proxies[i]))
			ARENA_PUSH(a, *ret, count) = (struct pair) { proxies[i], url };
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (!sets(c, others[i]))
			ARENA_PUSH(a, *ret, count) = (struct pair) { others[i], "localhost,127.0.0.1,::1" };
	return count;
}
