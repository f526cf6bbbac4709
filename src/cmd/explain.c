/* explain: the same decision that the gate makes, by the same function, on the policy in force; when the project is not up, on the
 * lists as they are now. */
#include "cmd/cmd.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"
#include "cmd/url.h"
#include "config/project.h"
#include "engine/control.h"
#include "plan/plan.h"
#include "policy/decide.h"

struct question {
	const char *project, *file, *pod, *destination;
	bool json, offline;
	/* worked out */
	struct snapshot policy;
	bool in_force;
	const struct manifest *manifest; /* NULL: not readable, so nothing can be suggested */
	enum host_result parsed;
	struct host host;
	uint16_t port;
	struct verdict verdict;
};

/* --- where the policy comes from --- */

/* The memfd in force, mapped until the process ends. */
static int map_policy(int fd, const json_t *reply, struct snapshot *ret, struct err *err)
{
	const char *hash = json_string_value(json_object_get(reply, "hash"));
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "the policy in force");
	void *bytes = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (bytes == MAP_FAILED)
		return err_errno(err, "the policy in force");
	if (!snapshot_open((struct span) { bytes, (size_t)st.st_size }, ret))
		return err_set(err, ERR_FAULT,
			       "the policy in force cannot be read; is the supervisor of another version of stockade?");
	ret->generation = (uint64_t)json_integer_value(json_object_get(reply, "generation"));
	(void)snprintf(ret->hash, sizeof ret->hash, "%s", hash ? hash : "");
	return 0;
}

/* 1: got it; 0: the project is not up, or this user may not ask; -1: err. */
static int policy_in_force(struct question *q, struct arena *a, struct err *err)
{
	const char *project = project_name(q->project, NULL, a, err);
	FD_CLOSE int fd = -1;
	size_t count = 0;

	if (!project)
		return q->project ? -1 : 0;
	json_t *reply = control_call(project, json_pack("{s:s}", "verb", "policy"), NULL, &fd, 1, &count, err);

	if (!reply)
		return err->class == ERR_FINDING && !q->project ? 0 : -1;
	const int result =
		count == 1 ? map_policy(fd, reply, &q->policy, err) : err_set(err, ERR_FAULT, "the supervisor gave no policy");

	json_decref(reply);
	if (result < 0)
		return -1;
	json_t *ps = control_call(project, json_pack("{s:s}", "verb", "ps"), NULL, NULL, 0, NULL, err);
	const char *path = json_string_value(json_object_get(ps, "manifest"));

	if (path)
		q->file = arena_strdup(a, path);
	json_decref(ps);
	q->in_force = true;
	return 1;
}

static int policy_of_files(struct question *q, struct arena *a, struct err *err)
{
	const struct plan *p = plan_make(q->manifest, a);

	if (!snapshot_open(p->policy, &q->policy))
		return err_set(err, ERR_FAULT, "the compiled policy cannot be read");
	return 0;
}

static int load(struct question *q, struct arena *a, struct err *err)
{
	const int got = q->offline ? 0 : policy_in_force(q, a, err);
	struct manifest *m = NULL;
	struct err why = { 0 };

	if (got < 0)
		return -1;
	if (access(q->file, F_OK) == 0 && config_load(q->file, a, &m, &why) == 0)
		q->manifest = m;
	if (got == 1)
		return 0;
	if (q->manifest)
		return policy_of_files(q, a, err);
	if (why.class != ERR_NONE) {
		*err = why;
		return -1;
	}
	if (q->offline)
		return err_set(err, ERR_INPUT, "%s: %s", q->file, strerror(ENOENT));
	return err_set(err, ERR_INPUT,
		       "no project is up here, and there is no %s; go to the project's directory, or give --project or -f",
		       q->file);
}

static int decide(struct question *q, struct arena *a, struct err *err)
{
	const uint32_t client = snapshot_client(&q->policy, span_of(q->pod));
	const char *names = "";

	q->parsed = url_parse(q->destination, &q->host, &q->port);
	if (q->port == 0)
		return err_set(err, ERR_INPUT, "'%.100s' names no port, and its scheme has none that is known; write HOST:PORT",
			       q->destination);
	for (uint32_t i = 0; client == CLIENT_NONE && i < snapshot_client_count(&q->policy) && strlen(names) < 600; i++)
		names = arena_printf(a, "%s%s%s", names, i ? ", " : "", snapshot_client_name(&q->policy, i));
	if (client == CLIENT_NONE)
		return err_set(err, ERR_INPUT, "no pod with a list has the name '%.80s'; there are: %s", q->pod, names);
	q->verdict = policy_decide(&q->policy, client, q->parsed, &q->host, q->port);
	return 0;
}

/* --- what to do about it --- */

static const struct client_rules *rules_of(const struct question *q)
{
	for (size_t i = 0; q->manifest && i < q->manifest->client_count; i++)
		if (strcmp(q->manifest->clients[i].pod, q->pod) == 0)
			return &q->manifest->clients[i];
	return NULL;
}

static const char *app_of(const struct question *q)
{
	for (size_t i = 0; q->manifest && i < q->manifest->pod_count; i++)
		for (size_t k = 0; strcmp(q->manifest->pods[i].name, q->pod) == 0 && k < q->manifest->pods[i].label_count; k++)
			if (strcmp(q->manifest->pods[i].labels[k].name, "app") == 0)
				return q->manifest->pods[i].labels[k].value;
	return NULL;
}

/* The file that an entry would go to, as a sentence's part. */
static const char *list_of(const struct question *q, struct arena *a)
{
	const struct client_rules *c = rules_of(q);
	const char *app = app_of(q);

	if (c && c->files.count) {
		const char *file = c->files.items[0];
		const size_t n = strlen(q->manifest->project_dir);
		const bool below = strncmp(file, q->manifest->project_dir, n) == 0 && file[n] == '/';

		return below ? file + n + 1 : file;
	}
	if (c && c->no_list && app)
		return arena_printf(a, "lists/%s_domains.lst (a new file)", app);
	return c ? "an EgressPolicy of the manifest, under allow" : "the pod's list";
}

/* The line that would allow it. Of a name below which anybody may have names, or nobody, a list takes that name alone. */
static const char *entry_of(const struct question *q, struct arena *a)
{
	const bool v6 = q->host.kind == HOST_ADDRESS && q->host.addr.family == 6;
	const bool usual = q->host.kind == HOST_NAME && (q->port == 80 || q->port == 443) && q->verdict.reason == REASON_NOT_LISTED;
	const char *entry =
		usual ? q->host.text : arena_printf(a, "%s%s%s:%u", v6 ? "[" : "", q->host.text, v6 ? "]" : "", q->port);
	struct rule rule;
	struct err err;

	return config_entry_parse(entry, "", 1, a, &rule, &err) == 0 ? entry : arena_printf(a, "=%s", entry);
}

static bool is_a_pod(const struct question *q)
{
	for (size_t i = 0; q->manifest && i < q->manifest->pod_count; i++)
		if (strcmp(q->manifest->pods[i].name, q->host.text) == 0)
			return true;
	return false;
}

static const char *suggestion(const struct question *q, struct arena *a)
{
	const char *file = snapshot_rule_file(&q->policy, q->verdict.rule);

	const enum reason reason = q->verdict.reason;

	if (reason == REASON_MALFORMED_HOST)
		return "names have letters, digits, hyphens, underscores and dots, ports are 1 to 65535; a non-ASCII name is asked "
		       "for in its xn-- form";
	if (reason == REASON_DENIED_BY_RULE)
		return arena_printf(a, "a deny beats every allow: to allow it, take out line %u of %s",
				    snapshot_rule_line(&q->policy, q->verdict.rule), file ? file : "its list");
	if (reason == REASON_ADDRESS_LITERAL && q->parsed != HOST_OK)
		return "write the address in its usual form, like 10.0.0.5 or [2001:db8::1]; no other spelling can be allowed";
	if (reason == REASON_NOT_LISTED && is_a_pod(q))
		return "no pod reaches another, whatever the lists say; publish a port on the host with hostPort and list that "
		       "address";
	if (reason == REASON_NOT_LISTED || reason == REASON_PORT_NOT_LISTED || reason == REASON_ADDRESS_LITERAL)
		return arena_printf(a, "to allow it, add a line to %s: %s", list_of(q, a), entry_of(q, a));
	return NULL;
}

/* --- telling it --- */

static void print_people(const struct question *q, struct arena *a)
{
	const struct verdict *v = &q->verdict;
	const char *file = snapshot_rule_file(&q->policy, v->rule), *next = suggestion(q, a);
	char text[400];

	printf("%s%s%s  %s  ", say_color(stdout, v->allow ? COLOR_GREEN : COLOR_RED), v->allow ? "allow" : "deny",
	       say_color(stdout, COLOR_PLAIN), q->pod);
	if (q->parsed == HOST_OK)
		printf("%s port %u", q->host.text, q->port);
	else
		say_shown(stdout, span_of(q->destination));
	printf("\nreason:  %s: %s\n", reason_word(v->reason), reason_text(v->reason));
	if (file)
		printf("rule:    %s:%u: %s\n", file, snapshot_rule_line(&q->policy, v->rule),
		       snapshot_rule_text(&q->policy, v->rule, text, sizeof text));
	if (v->allow && q->host.kind == HOST_NAME)
		puts("then:    the name is resolved, and addresses that are private, local or otherwise special are still refused");
	if (next)
		printf("next:    %s\n", next);
	if (q->in_force)
		printf("policy:  generation %llu in force, sha256 %.12s\n", (unsigned long long)q->policy.generation,
		       q->policy.hash);
	else
		printf("policy:  the lists as they are now%s\n", q->offline ? ", whatever is in force" : "; the project is not up");
}

static int print_json(const struct question *q, struct arena *a)
{
	const struct verdict *v = &q->verdict;
	const char *file = snapshot_rule_file(&q->policy, v->rule);
	char text[400];
	json_t *rule = file ? json_pack("{s:s, s:i, s:s}", "file", file, "line", (int)snapshot_rule_line(&q->policy, v->rule),
					"text", snapshot_rule_text(&q->policy, v->rule, text, sizeof text))
			    : json_null();
	json_t *whole = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:i, s:o, s:s?, s:b}", "pod", q->pod, "verdict",
				  v->allow ? "allow" : "deny", "reason", reason_word(v->reason), "text", reason_text(v->reason),
				  "host", q->parsed == HOST_OK ? q->host.text : NULL, "port", q->port, "rule", rule, "next",
				  suggestion(q, a), "in_force", (int)q->in_force);

	if (whole && q->in_force) {
		(void)json_object_set_new(whole, "generation", json_integer((json_int_t)q->policy.generation));
		(void)json_object_set_new(whole, "hash", json_string(q->policy.hash));
	}
	const int status = whole ? say_json(whole) : ERR_FAULT;

	json_decref(whole);
	return status;
}

static int explain_run(struct question *q, struct arena *a)
{
	struct err err = { 0 };
	int status = 0;

	if (load(q, a, &err) < 0 || decide(q, a, &err) < 0)
		return say_err("explain", &err);
	if (q->json)
		status = print_json(q, a);
	else
		print_people(q, a);
	return status ? status : q->verdict.allow ? 0 : ERR_FINDING;
}

int cmd_explain(int argc, char **argv)
{
	struct question q = { .file = NULL };
	const struct option_spec options[] = {
		OPTION_TEXT('f', "file", "FILE", &q.file,
			    "ask the lists of this manifest as they are now, not the policy in force"),
		OPTION_FLAG(0, "json", &q.json, "the answer as JSON"),
		OPTION_PROJECT(&q.project),
		OPTION_END,
	};
	const struct command command = {
		.verb = "explain",
		.operands = "POD URL|HOST[:PORT]",
		.about = "Tells what the gate says when the pod asks for this: the verdict, the reason, the line of the list, and "
			 "what to write\n"
			 "where to change it. Nothing is sent. Exit status 0: allowed, 1: denied. A host without a port means port "
			 "443.",
		.examples = "  stockade explain cli-pod https://storage.googleapis.com/\n"
			    "  stockade explain cli-pod github.com:22\n"
			    "  stockade explain -f pods.yaml cli-pod http://10.0.0.5/",
		.options = options,
		.least = 2,
		.most = 2,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0) {
		q.offline = q.file != NULL;
		q.file = q.file ? q.file : MANIFEST_DEFAULT;
		q.pod = arguments.operands[0];
		q.destination = arguments.operands[1];
		status = explain_run(&q, &arena);
	}
	arena_free(&arena);
	return status;
}
