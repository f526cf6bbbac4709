/* The decision log since this run began: the gate must have written down who asked, by which policy it decided, and that it is the
 * one in force. Read when the pod's probes are over; the writer is a thread of its own, so what is missing is waited for. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "verify/probe_state.h"

enum { LOG_WAIT_MS = 1500, LOG_BYTES = 4 * 1024 * 1024, LINES_CHECKED = 2000 };

/* What was added since the run began. */
static bool read_log(const struct scene *s, struct arena *a, struct span *ret)
{
	char path[600];
	struct stat st;

	(void)snprintf(path, sizeof path, "%s/decisions.log", s->run_dir);
	FD_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	/* A smaller one was begun anew meanwhile. */
	const off_t from = st.st_size >= s->log_from ? s->log_from : 0;
	const size_t size = st.st_size - from < LOG_BYTES ? (size_t)(st.st_size - from) : LOG_BYTES;
	char *bytes = arena_alloc(a, size + 1);
	const ssize_t n = pread(fd, bytes, size, from);

	*ret = (struct span) { bytes, n > 0 ? (size_t)n : 0 };
	return n >= 0;
}

static bool next_line(struct span *rest, struct span *ret)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;

	if (!end)
		return false;
	*ret = (struct span) { rest->p, (size_t)(end - rest->p) };
	*rest = span_skip(*rest, ret->n + 1);
	return true;
}

/* The line of the request that this pod made first. A new reference; NULL. */
static json_t *find_line(const struct view *v)
{
	struct arena a = { 0 };
	struct span rest, line;
	char name[80];
	json_t *found = NULL;
	const int n = snprintf(name, sizeof name, "\"first.%s.invalid\"", v->subject->nonce);

	if (read_log(v->scene, &a, &rest))
		while (!found && next_line(&rest, &line))
			if (memmem(line.p, line.n, name, (size_t)n))
				found = json_loadb(line.p, line.n, 0, NULL);
	arena_free(&a);
	return found;
}

static json_t *wait_line(struct view *v)
{
	const uint64_t until = clock_now_ns() + (uint64_t)(v->gate_silent || v->log_awaited ? 0 : LOG_WAIT_MS) * 1000000;

	for (;;) {
		json_t *line = find_line(v);

		v->log_awaited = line || clock_now_ns() >= until;
		if (v->log_awaited)
			return line;
		(void)usleep(20000);
	}
}

void log_client(struct view *v, const struct probe *p, struct finding *f)
{
	json_t *line = wait_line(v);
	const char *client = json_string_value(json_object_get(line, "client"));

	if (!client)
		finding_set(f, SIGHT_UNCLEAR, "the pod's request is not in the log");
	else
		finding_set(f, strcmp(client, v->subject->name) == 0 ? SIGHT_HELD : SIGHT_THROUGH, "the gate took it for %.80s",
			    client);
	json_decref(line);
}

static void compare_generation(struct view *v, bool hash_too, struct finding *f)
{
	json_t *line = wait_line(v);
	const json_int_t generation = json_integer_value(json_object_get(line, "generation"));
	const char *hash = json_string_value(json_object_get(line, "hash"));
	const struct snapshot *s = &v->scene->policy;

	if (!line)
		finding_set(f, SIGHT_THROUGH,
			    "no decision on the pod's request is in the log: which policy is in force cannot be shown");
	else if ((uint64_t)generation != s->generation || (hash_too && (!hash || strcmp(hash, s->hash) != 0)))
		finding_set(f, SIGHT_THROUGH, "decided by generation %lld, published is %llu", (long long)generation,
			    (unsigned long long)s->generation);
	else
		finding_set(f, SIGHT_HELD, "decided by generation %lld%s%.12s", (long long)generation, hash_too ? ", " : "",
			    hash_too ? hash : "");
	json_decref(line);
}

void log_generation(struct view *v, const struct probe *p, struct finding *f)
{
	compare_generation(v, true, f);
}

void log_fresh(struct view *v, const struct probe *p, struct finding *f)
{
	compare_generation(v, false, f);
}

static bool line_is_whole(struct span line)
{
	static const char *const keys[] = { "time", "project", "client", "adapter", "verdict", "reason", "generation", "hash" };
	json_t *o = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	bool whole = json_is_object(o);

	for (size_t i = 0; i < sizeof keys / sizeof *keys && whole; i++)
		whole = json_object_get(o, keys[i]) != NULL;
	json_decref(o);
	return whole;
}

void log_lines(struct view *v, const struct probe *p, struct finding *f)
{
	struct arena a = { 0 };
	struct span rest, line;
	size_t count = 0, bad = 0;

	if (read_log(v->scene, &a, &rest))
		while (count < LINES_CHECKED && next_line(&rest, &line)) {
			count++;
			bad += !line_is_whole(line);
		}
	arena_free(&a);
	if (count == 0)
		finding_set(f, SIGHT_UNCLEAR, "the log has no line of this run");
	else
		finding_set(f, bad ? SIGHT_THROUGH : SIGHT_HELD, "%zu lines, %zu of them without client, generation or hash", count,
			    bad);
}

void log_found_control(struct view *v, const struct probe *p, struct finding *f)
{
	json_t *line = wait_line(v);

	finding_set(f, line ? SIGHT_THROUGH : SIGHT_UNCLEAR, "the pod's own request is %s", line ? "in the log" : "not in the log");
	json_decref(line);
}

void log_readable_control(struct view *v, const struct probe *p, struct finding *f)
{
	struct arena a = { 0 };
	struct span rest;
	const bool readable = read_log(v->scene, &a, &rest);
	const bool blind = line_is_whole(SPAN_LITERAL("{\"time\":\"\",\"project\":\"\",\"client\":\"\"}"));

	arena_free(&a);
	finding_set(f, readable && !blind ? SIGHT_THROUGH : SIGHT_UNCLEAR, "the log is %s, and a line without a generation is %s",
		    readable ? "read" : "not readable", blind ? "not noticed" : "noticed");
}
