/* up: the manifest is read here first, so that its errors come at once and a dry run needs no privileges; then the supervisor is
 * told. */
#include "cmd/cmd.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/follow.h"
#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "cmd/up.h"
#include "cmd/values.h"
#include "config/project.h"
#include "engine/control.h"
#include "engine/podman_files.h"
#include "engine/runtime.h"
#include "engine/supervisor.h"
#include "plan/bridge.h"

enum { WORKERS_MOST = 64, FOREGROUND_DOWN_S = 5, FOREGROUND_TAIL = 100 };

static bool on_podman(const struct up_options *o)
{
	return strcmp(o->engine, "podman") == 0;
}

static bool on_bridge(const struct up_options *o)
{
	return o->network && strcmp(o->network, "bridge") == 0;
}

static void print_strings(FILE *to, const struct strings *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		fprintf(to, "%s\n", lines->items[i]);
}

static void print_plan(const struct up_options *o, const struct plan *p, struct arena *a)
{
	printf("project %s: %zu pod%s; to be done, in this order:\n", o->project, p->pod_count, p->pod_count == 1 ? "" : "s");
	for (size_t i = 0; i < p->step_count; i++)
		printf("%3zu. %s\n", i + 1, step_text(&p->steps[i], a));
	printf("and to be undone by 'stockade down':\n");
	for (size_t i = p->step_count; i-- > 0;)
		if (p->steps[i].kind != STEP_POD_READ_BACK) /* which has nothing of its own to undo */
			printf("     %s\n", step_undo_text(&p->steps[i], a));
	for (size_t i = 0; o->jail && !on_bridge(o) && i < p->pod_count; i++)
		printf("\nthe jail of pod %s:\n%s", p->pods[i].pod->name, plan_ruleset(p, &p->pods[i], a));
}

/* Places that are taken by then are not known here. */
static void print_wire(const struct up_options *o, const char *dir, const struct plan_pod *pod, struct arena *a)
{
	struct bridge_wire w;
	char net[IP_TEXT_MAX];
	struct bridge_end end = { .device = "eth0" };

	plan_bridge_wire(dir, o->project, pod->pod->name, 0, 0, &w);
	printf("\npod %s: its wire to the gate's pod is the network %s, %s/%u, the bridge %s\n", pod->pod->name, w.network,
	       ip_format(&w.net.addr, net), w.net.prefix, w.device);
	if (!o->jail)
		return;
	end.address = w.pod;
	printf("the jail of pod %s:\n%s", pod->pod->name, plan_bridge_jail(pod, &end, a));
}

/* What `podman kube play` will be given. */
static int print_podman(const struct up_options *o, const struct plan *p, struct arena *a)
{
	char dir[PODMAN_PATH], pod_dir[PODMAN_PATH];
	struct err err = { 0 };

	if (podman_dir(o->project, dir, &err) < 0)
		return say_err("up", &err);
	for (size_t i = 0; i < p->pod_count; i++) {
		const char *why = plan_podman_refuses(p, &p->pods[i], dir, a);

		if (why)
			return say_error("up", "pod %s: %s", p->pods[i].pod->name, why);
		podman_files_pod_dir(dir, p->pods[i].pod->name, pod_dir);
		const struct podman_pod how = { .project = o->project, .dir = pod_dir, .seccomp = PODMAN_SECCOMP };

		if (on_bridge(o))
			print_wire(o, dir, &p->pods[i], a);
		printf("\npod %s for Podman:\n%s", p->pods[i].pod->name, plan_podman(p, &p->pods[i], &how, a));
	}
	return 0;
}

static bool has_container(const struct manifest *m)
{
	for (size_t i = 0; i < m->pod_count; i++)
		if (!m->pods[i].gate && m->pods[i].container_count + m->pods[i].init_container_count > 0)
			return true;
	return false;
}

/* In the foreground Ctrl-C takes the project down from the first moment on. */
static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* Let in again only while there is waiting to be ended. */
static int hold_signals(sigset_t *ret_before, struct err *err)
{
	const struct sigaction action = { .sa_handler = interrupt };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, ret_before) < 0 || sigaction(SIGINT, &action, NULL) < 0 ||
	    sigaction(SIGTERM, &action, NULL) < 0)
		return err_errno(err, "signals");
	return 0;
}

static int apply(const struct up_options *o, const struct manifest *m, const sigset_t *during, struct err *err)
{
	json_t *dns = json_array(), *limits = json_array();

	for (size_t i = 0; i < o->dns.count; i++)
		(void)json_array_append_new(dns, json_string(o->dns.items[i]));
	for (size_t i = 0; i < o->limits.count; i++)
		(void)json_array_append_new(limits, json_string(o->limits.items[i]));
	json_t *request =
		json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:b, s:b, s:o, s:o, s:i}", "verb", "apply", "manifest", m->path,
			  "engine", o->engine, "gate", o->gate, "network", o->network, "runtime", o->runtime, "host_root",
			  (int)o->host_root, "named", (int)o->named, "dns", dns, "limits", limits, "workers", (int)o->workers);

	if (!request)
		return err_set(err, ERR_INPUT, "%s: a path that is no UTF-8 cannot be handed to the supervisor; rename it",
			       m->path);
	json_t *reply = control_call_until(o->project, request, say_line, during, err);

	json_decref(reply);
	return reply ? 0 : -1;
}

static int go_down(const struct up_options *o, struct err *err)
{
	json_t *request = json_pack("{s:s, s:i}", "verb", "down", "timeout_s", FOREGROUND_DOWN_S);
	json_t *reply = control_call(o->project, request, say_line, NULL, 0, NULL, err);

	json_decref(reply);
	return reply ? 0 : -1;
}

/* Shows what containers print until a signal asks to end or the supervisor is gone. */
static int stay(const struct up_options *o, struct arena *a, struct err *err)
{
	struct follow f = { .raw = !isatty(STDOUT_FILENO), .prefix = true, .until_signal = true, .project = o->project };

	if (follow_containers(&f, o->project, NULL, a, err) < 0 || follow_history(&f, FOREGROUND_TAIL, err) < 0 ||
	    follow_run(&f, err) < 0) {
		follow_end(&f);
		return -1;
	}
	follow_end(&f);
	if (f.gone)
		return err_set(err, ERR_FAULT, "the supervisor of project '%s' has ended; 'stockade up' starts it again",
			       o->project);
	return go_down(o, err);
}

/* The machine's, not that of a user namespace (podman unshare), in which the gate's own user does not exist. */
static int need_root(const struct up_options *o, struct err *err)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	unsigned long long inside, outside, count;
	bool mapped = false;

	while (map && fscanf(map, "%llu %llu %llu", &inside, &outside, &count) == 3)
		mapped = mapped || (inside <= BRIDGE_GATE_ID && BRIDGE_GATE_ID < inside + count);
	if (map)
		(void)fclose(map);
	if (geteuid() == 0 && mapped)
		return 0;
	return on_podman(o) ? err_set(err, ERR_INPUT,
				      "--engine podman needs the machine's root, and root's Podman: run it with sudo; "
				      "docs/podman.md says why "
				      "rootless Podman will not do; --dry-run shows the plan without")
			    : err_set(err, ERR_INPUT, "it needs %sroot: run it with sudo; --dry-run shows the plan without",
				      geteuid() == 0 ? "the machine's " : "");
}

static int bring_up(const struct up_options *o, const struct manifest *m, struct arena *a, struct err *err)
{
	struct oci_runtime runtime;
	sigset_t before;

	if (has_container(m) && !o->host_root && !on_podman(o))
		return err_set(err, ERR_INPUT,
			       "the built-in engine does not run images yet; give --host-root, which maps every image to the "
			       "host's own /usr, "
			       "read-only, or --engine podman");
	if (need_root(o, err) < 0)
		return -1;
	if (o->runtime && runtime_find(o->runtime, &runtime, err) < 0)
		return -1;
	if ((o->foreground && hold_signals(&before, err) < 0) || supervisor_ensure(o->project, err) < 0)
		return -1;
	if (apply(o, m, o->foreground ? &before : NULL, err) < 0)
		return interrupted ? go_down(o, err) : -1;
	return o->foreground ? stay(o, a, err) : 0;
}

/* Told before anything is begun: the host's own root says of no container what it would run. */
static int check_commands(const struct up_options *o, const struct manifest *m, struct err *err)
{
	for (size_t i = 0; o->host_root && i < m->pod_count; i++) {
		const struct pod *p = &m->pods[i];

		for (size_t k = 0; !p->gate && k < p->init_container_count + p->container_count; k++) {
			const struct container *c =
				k < p->init_container_count ? &p->init_containers[k] : &p->containers[k - p->init_container_count];

			if (c->command.count == 0)
				return err_set(err, ERR_INPUT,
					       "%s:%u:%u: error: the container '%s' of the pod '%s' has no 'command', and with "
					       "--host-root there is no image that would have one",
					       c->at.file, c->at.line, c->at.column, c->name, p->name);
		}
	}
	return 0;
}

static int up_run(struct up_options *o, struct arena *a)
{
	struct manifest *m = NULL;
	struct err err = { 0 };

	if (access(o->file, F_OK) < 0)
		return say_error("up", "%s: %s; 'stockade init' writes a project, -f FILE names another manifest", o->file,
				 strerror(errno));
	if (config_load(o->file, a, &m, &err) < 0)
		return say_err("up", &err);
	print_strings(stderr, &m->warnings);
	o->named = o->project != NULL;
	o->project = project_name(o->project, m->project_dir, a, &err);
	if (!o->project || check_commands(o, m, &err) < 0)
		return say_err("up", &err);
	if (o->dry_run) {
		print_strings(stdout, &m->notes);
		const struct plan *p = plan_make(m, a);

		print_plan(o, p, a);
		return on_podman(o) ? print_podman(o, p, a) : 0;
	}
	return bring_up(o, m, a, &err) < 0 ? say_err("up", &err) : 0;
}

int up_check(const char *verb, const struct up_options *o)
{
	struct gate_limits limits;

	if (o->workers > WORKERS_MOST)
		return say_error(verb, "--workers takes at most %d", WORKERS_MOST);
	if (!on_podman(o) && strcmp(o->engine, "builtin") != 0)
		return say_error(verb, "--engine is builtin or podman, not '%.40s'", o->engine);
	if (strcmp(o->gate, "builtin") != 0 && strcmp(o->gate, "haproxy") != 0)
		return say_error(verb, "--gate is builtin or haproxy, not '%.40s'", o->gate);
	if (strcmp(o->gate, "haproxy") == 0 && on_bridge(o))
		return say_error(verb, "--gate haproxy serves sockets, not a bridge: it does not go with --network bridge");
	if (on_podman(o) && o->host_root)
		return say_error(verb, "--host-root is of the built-in engine; Podman runs images");
	if (on_podman(o) && o->runtime)
		return say_error(verb, "--runtime is of the built-in engine; Podman's own is set in its containers.conf");
	if (o->network && !on_podman(o))
		return say_error(verb, "--network goes with --engine podman");
	if (o->network && strcmp(o->network, "none") != 0 && !on_bridge(o))
		return say_error(verb, "--network is none or bridge, not '%.40s'", o->network);
	if (o->jail && !o->dry_run)
		return say_error(verb, "--jail goes with --dry-run");
	const int status = limits_read(verb, &o->limits, &limits);

	return status < 0 ? dns_check(verb, &o->dns) : status;
}

int cmd_up(int argc, char **argv)
{
	struct up_options o = { .file = MANIFEST_DEFAULT, .engine = "builtin", .gate = "builtin" };
	const struct option_spec options[] = {
		OPTION_TEXT('f', "file", "FILE", &o.file, "the manifest; default: " MANIFEST_DEFAULT),
		OPTION_TEXT('p', "project", "NAME", &o.project, "the project's name; default: that of the manifest's directory"),
		OPTION_TEXT(0, "engine", "NAME", &o.engine, "builtin (the default), or podman: images that Podman has, run by it"),
		OPTION_TEXT(0, "gate", "NAME", &o.gate,
			    "builtin (the default), or haproxy: the host's HAProxy carries the pods' traffic"),
		OPTION_TEXT(0, "runtime", "NAME", &o.runtime, "builtin: " RUNTIME_HELP),
		OPTION_TEXT(
			0, "network", "FORM", &o.network,
			"podman: none (the default: no network but the gate's sockets), or bridge: the gate in a pod of its own"),
		OPTION_FLAG(0, "host-root", &o.host_root, "builtin: every image is the host's own /usr, read-only"),
		OPTION_FLAG('n', "dry-run", &o.dry_run, "print the plan and change nothing; needs no root"),
		OPTION_FLAG(0, "jail", &o.jail, "with --dry-run: print each pod's nftables ruleset too"),
		OPTION_FLAG(0, "foreground", &o.foreground, "stay, show what containers print, and go down on Ctrl-C"),
		OPTION_MANY(0, "dns", "ADDR[:PORT]", &o.dns, "the gate asks this resolver instead of the host's; may be repeated"),
		OPTION_MANY(0, "limit", "NAME=VALUE", &o.limits,
			    "another limit of the gate than the default, see stockade(1); may be repeated"),
		OPTION_NUMBER(0, "workers", "N", &o.workers, "the gate's threads; 0, the default: one a core"),
		OPTION_END,
	};
	const struct command command = {
		.verb = "up",
		.operands = "",
		.about = "Starts the pods of a manifest, each behind its jail, with the gate as the only way out. Run again, it "
			 "applies what has\n"
			 "changed and leaves the rest alone. A pod whose walls cannot be put up does not start.",
		.examples = "  stockade up --host-root\n"
			    "  stockade up -f examples/seed/pods.yaml --host-root\n"
			    "  stockade up --host-root --runtime runsc\n"
			    "  stockade up --engine podman\n"
			    "  stockade up --host-root --gate haproxy\n"
			    "  stockade up --engine podman --network bridge\n"
			    "  stockade up --dry-run --jail",
		.options = options,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0)
		status = up_check("up", &o);
	if (status < 0)
		status = up_run(&o, &arena);
	arena_free(&arena);
	return status;
}
