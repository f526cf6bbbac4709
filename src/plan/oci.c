#include "plan/oci.h"

#include <stdio.h>

#include "plan/json_out.h"

enum { REASON_MAX = 600 };

static const char *const kind_names[] = { [OCI_CRUN] = "crun", [OCI_RUNC] = "runc", [OCI_RUNSC] = "runsc", [OCI_OTHER] = "other" };
_Static_assert(sizeof kind_names / sizeof kind_names[0] == OCI_KIND_COUNT, "a name for every kind");

/* --- config.json --- */

static void put_list(struct json_out *j, const char *key, const char *const *items, size_t count)
{
	json_out_open(j, key, "[");
	for (size_t i = 0; i < count; i++)
		json_out_string(j, NULL, items[i]);
	json_out_close(j, "]");
}

static size_t count_of(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static void put_number(struct json_out *j, const char *key, uint64_t n)
{
	json_out_bare(j, key, arena_printf(j->text.arena, "%llu", (unsigned long long)n));
}

static void put_limit(struct json_out *j, const char *type, uint64_t soft, uint64_t hard)
{
	json_out_open(j, NULL, "{");
	json_out_string(j, "type", type);
	put_number(j, "soft", soft);
	put_number(j, "hard", hard);
	json_out_close(j, "}");
}

/* All five sets are named, and empty: a runtime must not think of any that is left out. */
static void put_capabilities(struct json_out *j)
{
	static const char *const sets[] = { "bounding", "effective", "inheritable", "permitted", "ambient" };

	json_out_open(j, "capabilities", "{");
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
		put_list(j, sets[i], NULL, 0);
	json_out_close(j, "}");
}

static void put_process(struct json_out *j, const char *key, const struct oci_process *p)
{
	json_out_open(j, key, "{");
	json_out_bare(j, "terminal", p->terminal ? "true" : "false");
	json_out_open(j, "user", "{");
	put_number(j, "uid", p->uid);
	put_number(j, "gid", p->gid);
	put_number(j, "umask", 022);
	json_out_close(j, "}");
	put_list(j, "args", p->argv, count_of(p->argv));
	put_list(j, "env", p->envp, count_of(p->envp));
	json_out_string(j, "cwd", p->cwd ? p->cwd : "/");
	put_capabilities(j);
	json_out_open(j, "rlimits", "[");
	put_limit(j, "RLIMIT_NOFILE", p->files_soft, p->files_hard);
	json_out_close(j, "]");
	json_out_bare(j, "noNewPrivileges", "true");
	json_out_close(j, "}");
}

struct mount {
	const char *at, *type;
	const char *options[7];
};

/* What is the kernel's; all else is in the root already. */
static void put_mounts(struct json_out *j)
{
	static const struct mount list[] = {
		{ "/proc", "proc", { "nosuid", "noexec", "nodev" } },
		{ "/dev", "tmpfs", { "nosuid", "noexec", "strictatime", "mode=755", "size=65536" } },
		{ "/dev/pts", "devpts", { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", "max=256" } },
		{ "/dev/shm", "tmpfs", { "nosuid", "noexec", "nodev", "mode=1777", "size=67108864" } },
	};

	json_out_open(j, "mounts", "[");
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		size_t count = 0;

		while (count < sizeof list[i].options / sizeof list[i].options[0] && list[i].options[count])
			count++;
		json_out_open(j, NULL, "{");
		json_out_string(j, "destination", list[i].at);
		json_out_string(j, "type", list[i].type);
		json_out_string(j, "source", list[i].type);
		put_list(j, "options", list[i].options, count);
		json_out_close(j, "}");
	}
	json_out_close(j, "]");
}

/* Of network and user there is no word: the container has the runtime's, which are the pod's. */
static void put_namespaces(struct json_out *j)
{
	static const char *const types[] = { "pid", "mount", "ipc", "uts", "cgroup" };

	json_out_open(j, "namespaces", "[");
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		json_out_open(j, NULL, "{");
		json_out_string(j, "type", types[i]);
		json_out_close(j, "}");
	}
	json_out_close(j, "]");
}

static void put_linux(struct json_out *j, const struct oci_container *c)
{
	static const char *const masked[] = { "/proc/acpi",       "/proc/asound",        "/proc/kcore",       "/proc/keys",
					      "/proc/key-users",  "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
					      "/proc/timer_list", "/proc/timer_stats" };
	static const char *const frozen[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };

	json_out_open(j, "linux", "{");
	put_namespaces(j);
	put_list(j, "maskedPaths", masked, sizeof masked / sizeof masked[0]);
	put_list(j, "readonlyPaths", frozen, sizeof frozen / sizeof frozen[0]);
	json_out_bare(j, "seccomp", c->seccomp);
	json_out_close(j, "}");
}

const char *plan_oci_config(const struct oci_container *c, struct arena *a)
{
	struct json_out j = { .text.arena = a };

	json_out_text(&j, "{");
	json_out_string(&j, "ociVersion", "1.0.2");
	put_process(&j, "process", &c->process);
	json_out_open(&j, "root", "{");
	json_out_string(&j, "path", OCI_ROOTFS);
	json_out_close(&j, "}");
	json_out_string(&j, "hostname", c->hostname);
	put_mounts(&j);
	put_linux(&j, c);
	json_out_text(&j, "}\n");
	return j.text.p;
}

const char *plan_oci_process(const struct oci_process *p, struct arena *a)
{
	struct json_out j = { .text.arena = a };

	put_process(&j, NULL, p);
	json_out_text(&j, "\n");
	return j.text.p;
}

/* --- command lines --- */

/* The container's cgroup is joined before the runtime begins, which then has no right to any. runsc has the pod's network only as the
 * "host" network: the namespace that it was started in. */
static void add_global(struct strings *s, const struct oci_runtime *r, struct arena *a)
{
	static const char *const words[OCI_KIND_COUNT][4] = {
		[OCI_CRUN] = { "--cgroup-manager=disabled" },
		[OCI_RUNC] = { "--rootless=true" },
		[OCI_RUNSC] = { "--network=host", "--ignore-cgroups", "--oci-seccomp", "--file-access=shared" },
	};

	for (size_t i = 0; i < sizeof words[0] / sizeof words[0][0] && words[r->kind][i]; i++)
		ARENA_PUSH(a, s->items, s->count) = words[r->kind][i];
	if (r->overlays)
		ARENA_PUSH(a, s->items, s->count) = "--overlay2=none";
	ARENA_PUSH(a, s->items, s->count) = "--root=" OCI_STATE;
	ARENA_PUSH(a, s->items, s->count) = "--log=" OCI_LOG;
}

const char *plan_oci_id(const char *cgroup, struct arena *a)
{
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (const char *p = cgroup; *p; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ULL;
	return arena_printf(a, "stockade-%016llx", (unsigned long long)h);
}

const char *const *plan_oci_argv(const struct oci_runtime *r, enum oci_verb verb, const char *id, bool terminal,
				 const char *process, struct arena *a)
{
	static const char *const verbs[] = { [OCI_CREATE] = "create", [OCI_START] = "start", [OCI_EXEC] = "exec" };
	struct strings s = { 0 };

	_Static_assert(sizeof verbs / sizeof verbs[0] == OCI_VERB_COUNT, "a word for every verb");
	ARENA_PUSH(a, s.items, s.count) = r->path;
	add_global(&s, r, a);
	ARENA_PUSH(a, s.items, s.count) = verbs[verb];
	if (verb == OCI_CREATE) {
		ARENA_PUSH(a, s.items, s.count) = "--bundle=" OCI_BUNDLE;
		ARENA_PUSH(a, s.items, s.count) = "--pid-file=" OCI_PID;
		if (terminal)
			ARENA_PUSH(a, s.items, s.count) = "--console-socket=" OCI_CONSOLE;
	}
	if (verb == OCI_EXEC)
		ARENA_PUSH(a, s.items, s.count) = arena_printf(a, "--process=%s", process);
	ARENA_PUSH(a, s.items, s.count) = id;
	ARENA_PUSH(a, s.items, s.count) = NULL;
	return s.items;
}

/* --- what they say --- */

enum oci_kind plan_oci_kind(const char *version)
{
	for (int k = 0; k < OCI_OTHER; k++) {
		const size_t n = strlen(kind_names[k]);

		if (strncmp(version, kind_names[k], n) == 0 && version[n] == ' ')
			return (enum oci_kind)k;
	}
	return OCI_OTHER;
}

const char *plan_oci_kind_name(enum oci_kind k)
{
	return kind_names[k];
}

static struct span last_line(struct span log)
{
	while (log.n && (log.p[log.n - 1] == '\n' || log.p[log.n - 1] == '\r' || log.p[log.n - 1] == ' '))
		log.n--;
	size_t from = log.n;

	while (from && log.p[from - 1] != '\n')
		from--;
	return (struct span) { log.p + from, log.n - from };
}

/* runc: time="..." level=error msg="..."; runsc: {"msg":"...","level":"error",...}; crun: 2026-11-25T10:00:00.000000Z: ... */
static struct span words_of(struct span line, bool *ret_quoted)
{
	static const char *const marks[] = { "msg=\"", "\"msg\":\"" };

	*ret_quoted = false;
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		const size_t n = strlen(marks[i]);

		for (size_t at = 0; at + n <= line.n; at++) {
			if (memcmp(line.p + at, marks[i], n) != 0)
				continue;
			*ret_quoted = true;
			return (struct span) { line.p + at + n, line.n - at - n };
		}
	}
	for (size_t at = 0; at + 3 <= line.n && at < 40; at++)
		if (memcmp(line.p + at, "Z: ", 3) == 0)
			return (struct span) { line.p + at + 3, line.n - at - 3 };
	return line;
}

const char *plan_oci_reason(struct span log, struct arena *a)
{
	bool quoted;
	const struct span words = words_of(last_line(log), &quoted);
	char *text = arena_alloc(a, REASON_MAX);
	size_t n = 0;

	for (size_t i = 0; i < words.n && n + 1 < REASON_MAX; i++) {
		if (quoted && words.p[i] == '"')
			break;
		if (quoted && words.p[i] == '\\' && i + 1 < words.n) {
			i++;
			text[n++] = words.p[i] == 'n' || words.p[i] == 't' ? ' ' : words.p[i];
		} else {
			text[n++] = (unsigned char)words.p[i] < ' ' || words.p[i] == 0x7f ? ' ' : words.p[i];
		}
	}
	text[n] = '\0';
	return text;
}
