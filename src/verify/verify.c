/* A run: the host's probes first (nobody else of ours is in a pod then), the pods' own side by side, the log at the end. What each
 * process found is put together here, and judged here only. */
#include "verify/verify.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "pod/netns.h"
#include "verify/probe_bridge.h"
#include "verify/probe_packets.h"
#include "verify/probe_proxy.h"
#include "verify/prober.h"
#include "verify/scene.h"
#include "verify/talk.h"
#include "verify/unsupported.h"

enum { PODS_AT_ONCE = 8, PROBES_MAX = 256 };

struct half {
	uint8_t sight;
	char text[200];
};

/* Everything found so far: of each pod, and of the project in the last row. */
struct board {
	struct scene *scene;
	struct half (*probe)[PROBES_MAX], (*control)[PROBES_MAX];
	struct half open[PROBES_MAX]; /* controls that hold for every pod */
};

/* --- judging --- */

enum probe_outcome probe_judge(enum sight probe, enum sight control)
{
	switch (probe) {
	case SIGHT_THROUGH:
		return PROBE_FAILED; /* seen is seen */
	case SIGHT_ABSENT:
		return PROBE_SKIPPED;
	case SIGHT_HELD:
		return control == SIGHT_THROUGH ? PROBE_PASSED : control == SIGHT_ABSENT ? PROBE_SKIPPED : PROBE_BROKEN;
	case SIGHT_UNCLEAR:
		return control == SIGHT_THROUGH ? PROBE_FAILED : PROBE_BROKEN;
	case SIGHT_NONE:
	case SIGHT_COUNT:
		break;
	}
	return PROBE_BROKEN;
}

const char *probe_outcome_word(enum probe_outcome o)
{
	static const char *const words[] = { "passed", "failed", "broken", "skipped", "unsupported" };

	_Static_assert(sizeof words / sizeof *words == PROBE_OUTCOME_COUNT, "a word an outcome");
	return (unsigned)o < PROBE_OUTCOME_COUNT ? words[o] : "";
}

json_t *probe_result_json(const struct probe_result *r)
{
	return json_pack("{ss si ss ss ss ss ss}", "id", r->id, "promise", r->promise, "pod", r->pod, "title", r->title, "result",
			 probe_outcome_word(r->outcome), "detail", r->detail, "control", r->control);
}

/* What came from anywhere becomes plain text. */
static void put_text(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; text[n] && n + 1 < size; n++)
		out[n] = text[n] >= ' ' && text[n] < 0x7f ? text[n] : '?';
	out[n] = '\0';
}

/* --- collecting --- */

static void take_finding(void *arg, const struct finding *f)
{
	struct board *b = arg;
	const size_t rows = b->scene->subject_count + 1;

	if (f->probe >= probe_count || f->pod >= rows || f->sight >= SIGHT_COUNT)
		return;
	struct half *h = !f->control                                      ? &b->probe[f->pod][f->probe]
			 : probes[f->probe].control_place == CONTROL_HERE ? &b->control[f->pod][f->probe]
									  : &b->open[f->probe];

	h->sight = f->sight;
	memcpy(h->text, f->text, sizeof h->text);
}

/* Makes an attempt and hands it to tell, with or without its control. */
struct round {
	struct board *board;
	struct view view;
	uint16_t pod;
	void (*tell)(struct round *r, const struct finding *f);
	int out;
};

static void make(struct round *r, size_t i, bool control)
{
	struct finding f = { .probe = (uint16_t)i, .pod = r->pod, .control = control };
	const struct probe *p = &probes[i];

	const bool own = control && p->control_place == CONTROL_HERE;

	if (!bridge_made(&r->view, p, own, &f))
		(own ? p->control : p->look)(&r->view, p, &f);
	r->tell(r, &f);
}

static void make_all(struct round *r, enum probe_place place)
{
	for (size_t i = 0; i < probe_count; i++) {
		if (probes[i].place != place)
			continue;
		make(r, i, false);
		if (probes[i].control_place == CONTROL_HERE)
			make(r, i, true);
	}
}

static void tell_pipe(struct round *r, const struct finding *f)
{
	prober_tell(r->out, f);
}

static void tell_board(struct round *r, const struct finding *f)
{
	take_finding(r->board, f);
}

/* --- the processes --- */

static struct round round_of(struct board *b, size_t pod, int out)
{
	struct scene *s = b->scene;

	return (struct round) { .board = b,
				.view = { .scene = s, .subject = pod < s->subject_count ? &s->subjects[pod] : NULL },
				.pod = (uint16_t)pod,
				.tell = out < 0 ? tell_board : tell_pipe,
				.out = out };
}

static bool wanted(const struct board *b, size_t pod, const char *only)
{
	return !only || strcmp(b->scene->subjects[pod].name, only) == 0;
}

struct job {
	struct board *board;
	size_t pod;
	const char *only;
};

static void work_host(void *arg, int out)
{
	struct job *j = arg;
	struct board *b = j->board;
	struct round project = round_of(b, b->scene->subject_count, out);

	make_all(&project, PLACE_PROJECT);
	for (size_t i = 0; i < probe_count; i++)
		if (probes[i].control_place == CONTROL_FREE)
			make(&project, i, true);
	for (size_t pod = 0; pod < b->scene->subject_count; pod++) {
		struct round r = round_of(b, pod, out);

		if (wanted(b, pod, j->only))
			make_all(&r, PLACE_HOST);
	}
}

/* Controls that change things do so where nobody else sees it. */
static void work_open(void *arg, int out)
{
	struct job *j = arg;
	struct round r = round_of(j->board, j->board->scene->subject_count, out);

	if (unshare(CLONE_NEWNS | CLONE_NEWUTS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	/* An attempt on the network's own settings, from a container's list, would spoil it for packets. */
	for (enum probe_place place = PLACE_POD; place <= PLACE_CONTAINER; place++)
		for (size_t i = 0; i < probe_count; i++)
			if (probes[i].control_place == CONTROL_OPEN && probes[i].place == place)
				make(&r, i, true);
}

static void work_pod(void *arg, int out)
{
	struct job *j = arg;
	struct round r = round_of(j->board, j->pod, out);

	proxy_prepare(&r.view);
	make_all(&r, PLACE_POD);
}

static void work_container(void *arg, int out)
{
	struct job *j = arg;
	struct round r = round_of(j->board, j->pod, out);

	make_all(&r, PLACE_CONTAINER);
}

/* --- the witness --- */

static void find_address(struct ip_addr *ret)
{
	struct ifaddrs *list = NULL;

	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *i = list; i && !ret->family; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || i->ifa_flags & IFF_LOOPBACK || !(i->ifa_flags & IFF_UP))
			continue;
		ret->family = 4;
		memcpy(ret->bytes, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, 4);
	}
	freeifaddrs(list);
}

struct witness {
	int tcp, udp, abstract;
};

static void work_witness(void *arg, int out)
{
	const struct witness *w = arg;

	(void)alarm(0); /* it lasts as long as the run */
	packets_witness(w->tcp, w->udp);
}

static int open_abstract(const struct scene *s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "stockade-%s", s->nonce);
	FD_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0 ||
	    listen(fd, 64) < 0)
		return -1;
	return fd_steal(&fd);
}

static void open_witness(struct scene *s, struct witness *w)
{
	struct sockaddr_in at = { 0 };
	socklen_t size = sizeof at;

	w->abstract = open_abstract(s);
	find_address(&s->witness);
	if (!s->witness.family)
		return;
	w->tcp = talk_bound(&s->witness, 0, SOCK_STREAM);
	if (w->tcp >= 0 && getsockname(w->tcp, (struct sockaddr *)&at, &size) == 0)
		w->udp = talk_bound(&s->witness, ntohs(at.sin_port), SOCK_DGRAM);
	if (w->udp < 0)
		s->witness.family = 0;
	else
		s->witness_port = ntohs(at.sin_port);
}

/* --- the run --- */

static int start_pod(struct job *j, struct prober *net, struct prober *inside, struct err *err)
{
	struct subject *s = &j->board->scene->subjects[j->pod];
	struct err why = { 0 };

	if (s->netns >= 0 && prober_start(net, s->netns, work_pod, j, err) < 0)
		return -1;
	/* A container that cannot be entered is no reason to stop: what was not found out is broken. */
	if (s->pidfd >= 0 && prober_enter(inside, s, (uint16_t)j->pod, work_container, j, &why) < 0)
		s->why = arena_strdup(&j->board->scene->arena, why.text);
	return 0;
}

/* Pods in batches, the controls in the open with the first. */
static int run_pods(struct board *b, const char *only, struct err *err)
{
	const struct ip_addr v4 = { .family = 4, .bytes = { 198, 18, 0, 2 } };
	const struct ip_addr v6 = { .family = 6, .bytes = { 0xfd, 0x5a, 0x53, 0x54, 0x4b, 0x44, [15] = 2 } };
	FD_CLOSE int open = netns_create(&v4, &v6, err);
	struct job here = { .board = b };
	int rc = open < 0 ? -1 : 0;

	for (size_t first = 0; rc == 0 && first < b->scene->subject_count; first += PODS_AT_ONCE) {
		struct prober list[2 * PODS_AT_ONCE + 1] = { 0 };
		struct job jobs[PODS_AT_ONCE];

		if (first == 0)
			rc = prober_start(&list[2 * PODS_AT_ONCE], open, work_open, &here, err);
		for (size_t i = 0; rc == 0 && i < PODS_AT_ONCE && first + i < b->scene->subject_count; i++) {
			jobs[i] = (struct job) { b, first + i, only };
			if (wanted(b, first + i, only))
				rc = start_pod(&jobs[i], &list[2 * i], &list[2 * i + 1], err);
		}
		prober_collect(list, sizeof list / sizeof *list, take_finding, b);
	}
	return rc;
}

static bool was_silent(const struct board *b, size_t pod)
{
	for (size_t i = 0; i < probe_count; i++)
		if (probes[i].look == proxy_prompt)
			return b->probe[pod][i].sight == SIGHT_THROUGH;
	return false;
}

static int run_all(struct board *b, const char *only, struct err *err)
{
	struct witness w = { -1, -1, -1 };
	struct prober witness = { 0 }, host = { 0 };
	struct job job = { .board = b, .only = only };
	int rc;

	open_witness(b->scene, &w);
	rc = w.udp >= 0 ? prober_start(&witness, -1, work_witness, &w, err) : 0;
	if (rc == 0)
		rc = prober_start(&host, -1, work_host, &job, err);
	if (rc == 0) {
		prober_collect(&host, 1, take_finding, b);
		rc = run_pods(b, only, err);
	}
	prober_end(&witness);
	prober_end(&host);
	fd_close(&w.tcp);
	fd_close(&w.udp);
	fd_close(&w.abstract);
	for (size_t pod = 0; rc == 0 && pod < b->scene->subject_count; pod++) {
		struct round r = round_of(b, pod, -1);

		r.view.gate_silent = was_silent(b, pod);
		if (wanted(b, pod, only))
			make_all(&r, PLACE_LOG);
	}
	return rc;
}

/* --- the report --- */

/* s: NULL for the row of what belongs to no pod. */
static const char *why_not_made(const struct subject *s, bool none)
{
	if (!s)
		return "the attempt was not made, or did not end in time";
	if (none)
		return s->sealed ? s->why : "no container of it runs";
	if ((s->pidfd < 0 || s->netns < 0) && s->why)
		return s->why;
	return "the attempt was not made, or did not end in time";
}

static void not_made(const struct board *b, size_t row, const struct probe *p, struct half *h)
{
	const struct subject *s = row < b->scene->subject_count ? &b->scene->subjects[row] : NULL;
	const bool none = s && p->place == PLACE_CONTAINER && (s->pid_count == 0 || s->sealed);

	if (h->sight != SIGHT_NONE)
		return;
	h->sight = none ? SIGHT_ABSENT : SIGHT_NONE;
	if (none || !h->text[0])
		(void)snprintf(h->text, sizeof h->text, "%.180s", why_not_made(s, none));
}

static void report_one(const struct board *b, size_t row, size_t i, void (*on_result)(void *arg, const struct probe_result *r),
		       void *arg, struct verify_totals *totals)
{
	const struct probe *p = &probes[i];
	struct half *probe = &b->probe[row][i];
	const struct half *control = p->control_place == CONTROL_HERE ? &b->control[row][i] : &b->open[i];
	struct probe_result r = { .id = p->id, .promise = p->promise, .title = p->title };

	not_made(b, row, p, probe);
	r.pod = row < b->scene->subject_count ? b->scene->subjects[row].name : "";
	r.outcome = probe_judge(probe->sight, control->sight);
	put_text(r.detail, sizeof r.detail,
		 r.outcome == PROBE_SKIPPED && probe->sight != SIGHT_ABSENT ? control->text : probe->text);
	put_text(r.control, sizeof r.control, control->text);
	if (b->scene->on_haproxy)
		unsupported_judge(&r);
	totals->count[r.outcome]++;
	on_result(arg, &r);
}

/* What no probe can try, and is known. */
static void report_stated(void (*on_result)(void *arg, const struct probe_result *r), void *arg, struct verify_totals *totals)
{
	struct probe_result r;

	for (size_t i = 0; unsupported_stated(i, &r); i++) {
		totals->count[r.outcome]++;
		on_result(arg, &r);
	}
}

static void report(const struct board *b, const char *only, void (*on_result)(void *arg, const struct probe_result *r), void *arg,
		   struct verify_totals *totals)
{
	const size_t rows = b->scene->subject_count + 1;

	for (size_t row = 0; row < rows; row++)
		for (size_t i = 0; i < probe_count; i++)
			if ((probes[i].place == PLACE_PROJECT) == (row == rows - 1) && (row == rows - 1 || wanted(b, row, only)))
				report_one(b, row, i, on_result, arg, totals);
	if (b->scene->on_haproxy)
		report_stated(on_result, arg, totals);
}

int verify_run(const struct verify_options *o, void (*on_result)(void *arg, const struct probe_result *r), void *arg,
	       struct verify_totals *ret, struct err *err)
{
	struct scene scene = { 0 };
	struct board board = { .scene = &scene };
	struct verify_totals totals = { 0 };
	int rc = -1;

	if (scene_gather(&scene, o, err) == 0 && probe_count <= PROBES_MAX) {
		board.probe = arena_array(&scene.arena, scene.subject_count + 1, sizeof *board.probe);
		board.control = arena_array(&scene.arena, scene.subject_count + 1, sizeof *board.control);
		rc = run_all(&board, o->pod, err);
	}
	if (rc == 0) {
		report(&board, o->pod, on_result, arg, &totals);
		totals.generation = scene.policy.generation;
		memcpy(totals.hash, scene.policy.hash, sizeof totals.hash);
		*ret = totals;
	}
	scene_free(&scene);
	return rc;
}
