#include "plan/unit.h"

/* --- text that systemd reads as it is meant --- */

/* Lines end at control characters, and a file that is no UTF-8 is not read at all. */
static const char *refuses(const char *what, const char *text, struct arena *a)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return arena_printf(a, "%s has a control character, which no unit can hold; rename it", what);
	return NULL;
}

/* A word: in quotes, with what is special within them escaped. Specifiers are everywhere; variables on command lines only. */
static const char *word(const char *text, bool command_line, struct arena *a)
{
	const size_t most = 2 * strlen(text) + 3;
	char *quoted = arena_alloc(a, most);
	size_t n = 0;

	quoted[n++] = '"';
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			quoted[n++] = '\\';
		else if (*p == '%' || (*p == '$' && command_line))
			quoted[n++] = *p;
		quoted[n++] = *p;
	}
	quoted[n++] = '"';
	quoted[n] = '\0';
	return quoted;
}

/* A whole value, which is taken as it stands. */
static bool is_plain(const char *path)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._+-:@,";

	return path[0] == '/' && strspn(path, good) == strlen(path);
}

static const char *check(const struct unit *u, struct arena *a)
{
	const char *why = refuses("the manifest's path", u->manifest, a);

	/* systemd has other rules for a program's path than for its arguments: no quotes are undone in it, and no dollar signs. */
	if (!is_plain(u->program))
		why = arena_printf(
			a, "the program's path %s has characters that a unit's ExecStart= cannot hold; install it elsewhere",
			u->program);
	for (size_t i = 0; !why && i < u->up.count; i++)
		why = refuses("an option", u->up.items[i], a);
	for (size_t i = 0; !why && i < u->environment.count; i++)
		why = refuses("a variable of the environment", u->environment.items[i], a);
	if (!why && !is_plain(u->run_dir))
		why = arena_printf(
			a,
			"the run directory %s has characters that a unit's PIDFile= cannot hold; set STOCKADE_RUN_DIR to "
			"another",
			u->run_dir);
	if (!why && u->podman && !is_plain(u->podman_dir))
		why = arena_printf(a, "the directory %s has characters that a unit cannot hold; set STOCKADE_STATE_DIR to another",
				   u->podman_dir);
	return why;
}

/* --- the service --- */

static const char *command(const struct unit *u, const char *verb, struct arena *a)
{
	return arena_printf(a, "%s %s --project %s", u->program, verb, u->project);
}

static const char *environment(const struct unit *u, struct arena *a)
{
	const char *text = "";

	for (size_t i = 0; i < u->environment.count; i++)
		text = arena_printf(a, "%sEnvironment=%s\n", text, word(u->environment.items[i], false, a));
	return text;
}

static const char *directory_of(const char *path, struct arena *a)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] != '/')
		n--;
	return arena_span(a, (struct span) { path, n > 1 ? n - 1 : 1 });
}

static const char *unit_section(const struct unit *u, struct arena *a)
{
	/* podman-restart.service starts whatever Podman still has of an unclean end, without the hook: such pods have no network, and no
	 * walls. Ours goes first, and whether it comes up or not, nothing of that is left afterwards. */
	static const char *const podman =
		"# After an unclean end Podman may still have pods of it. podman-restart.service would start "
		"them without their\n# walls; this unit comes first, and replaces or removes them.\n"
		"Before=podman-restart.service\n";

	return arena_printf(a,
			    "[Unit]\n"
			    "Description=Stockade: project %s\n"
			    "Wants=network-online.target\n"
			    "After=network-online.target nss-lookup.target nftables.service\n"
			    "RequiresMountsFor=%s\n"
			    "StartLimitIntervalSec=300\n"
			    "StartLimitBurst=5\n"
			    "%s\n",
			    u->project, word(directory_of(u->manifest, a), false, a), u->podman ? podman : "");
}

/* `up` returns when the pods are up; what it leaves running, the supervisor, is the service. */
static const char *life(const struct unit *u, struct arena *a)
{
	const char *up = command(u, "up", a);

	for (size_t i = 0; i < u->up.count; i++)
		up = arena_printf(a, "%s %s", up, word(u->up.items[i], true, a));
	return arena_printf(a,
			    "[Service]\n"
			    "Type=forking\n"
			    "PIDFile=%s/pid\n"
			    "%s"
			    "ExecStart=%s --file %s\n"
			    "ExecReload=%s\n"
			    "ExecStop=%s\n"
			    "# A start that failed half-way, or a supervisor that was killed, leaves nothing.\n"
			    "ExecStopPost=-%s\n"
			    "Restart=on-failure\n"
			    "RestartSec=5\n"
			    "TimeoutStartSec=300\n"
			    "TimeoutStopSec=60\n"
			    "# The supervisor ends its containers by itself.\n"
			    "KillMode=mixed\n",
			    u->run_dir, environment(u, a), up, word(u->manifest, true, a), command(u, "reload", a),
			    command(u, "down", a), command(u, "down", a));
}

/* Only what leaves the walls as they are: namespaces, mounts, devices, ids and settings of the kernel are what they are made of; and no
 * filter of system calls, which containers would inherit. */
static const char *hardening(const struct unit *u, struct arena *a)
{
	static const char *const builtin = "NoNewPrivileges=yes\n";
	/* Podman's mounts are to be seen by who types podman; and its runtime changes labels of SELinux. */
	static const char *const podman = "";

	return arena_printf(
		a,
		"UMask=0077\n"
		"Delegate=yes\n"
		"CapabilityBoundingSet=~CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_BLOCK_SUSPEND CAP_MAC_ADMIN CAP_MAC_OVERRIDE "
		"CAP_SYSLOG CAP_SYS_BOOT CAP_SYS_MODULE CAP_SYS_PACCT CAP_SYS_RAWIO CAP_SYS_TIME CAP_WAKE_ALARM\n"
		"%s\n",
		u->podman ? podman : builtin);
}

const char *plan_unit(const struct unit *u, struct arena *a, const char **ret_why)
{
	*ret_why = check(u, a);
	if (*ret_why)
		return NULL;
	return arena_printf(a,
			    "# Written by 'stockade unit'. To be put at /etc/systemd/system/%s, then:\n"
			    "#   systemctl daemon-reload; systemctl enable --now %s\n"
			    "%s%s%s"
			    "[Install]\n"
			    "WantedBy=multi-user.target\n",
			    plan_unit_name(u, a), plan_unit_name(u, a), unit_section(u, a), life(u, a), hardening(u, a));
}

/* --- Quadlet --- */

/* The hook asks the supervisor, so that one must be up; and what it is to be is what `up` has written. */
const char *plan_unit_quadlet(const struct unit *u, const char *pod, struct arena *a, const char **ret_why)
{
	*ret_why = check(u, a);
	if (*ret_why)
		return NULL;
	return arena_printf(
		a,
		"# Written by 'stockade unit --quadlet'. To be put at /etc/containers/systemd/%s.\n"
		"# It needs Podman 4.5 or later: the 4.3 of Debian 12 has no Quadlet. The project's own unit starts the pod;\n"
		"# this one is for who wants 'systemctl restart' for the one pod. The walls are the same: without the\n"
		"# supervisor's word, given through the hook, no container of it starts.\n"
		"[Unit]\n"
		"Description=Stockade: pod %s of project %s\n"
		"BindsTo=%s\n"
		"After=%s\n"
		"\n"
		"[Kube]\n"
		"Yaml=%s/pods/%s/pod.json\n"
		"Network=none\n"
		"PodmanArgs=--no-hosts --log-driver=k8s-file --seccomp-profile-root=%s/seccomp\n"
		"\n"
		"[Service]\n"
		"Environment=CONTAINERS_CONF=%s/containers.conf\n",
		plan_unit_quadlet_name(u, pod, a), pod, u->project, plan_unit_name(u, a), plan_unit_name(u, a), u->podman_dir, pod,
		u->podman_dir, u->podman_dir);
}

const char *plan_unit_name(const struct unit *u, struct arena *a)
{
	return arena_printf(a, "stockade-%s.service", u->project);
}

const char *plan_unit_quadlet_name(const struct unit *u, const char *pod, struct arena *a)
{
	return arena_printf(a, "stockade-%s-%s.kube", u->project, pod);
}
