/* Inside this room: what a probe is, and what it may know. Every probe is an attempt, and the attempt tells how far it got. A
 * control is the same attempt where it must get through; unless it did, the probe proves nothing and is broken. */
#ifndef STOCKADE_VERIFY_PROBE_H
#define STOCKADE_VERIFY_PROBE_H

#include <jansson.h>

#include "plan/plan.h"
#include "pod/container.h"
#include "verify/candidate.h"
#include "verify/verify.h"

/* How far an attempt got. */
enum sight {
	SIGHT_NONE,    /* it was never made, or whoever made it ended early */
	SIGHT_HELD,    /* the wall stopped it, in the way it should */
	SIGHT_THROUGH, /* it got through */
	SIGHT_UNCLEAR, /* neither: no answer in time, or something that was not expected */
	SIGHT_ABSENT,  /* it cannot be made here, and that is no flaw: the text says why */
	SIGHT_COUNT
};

/* Crosses a pipe from the process that made the attempt. */
struct finding {
	uint16_t probe, pod; /* indexes */
	uint8_t control, sight;
	char text[200];
};

enum probe_place {
	PLACE_POD, /* in the pod's network namespace, with the host's power: what the pod's root could never do is tried too */
	PLACE_CONTAINER, /* inside a container of the pod, as its program would be */
	PLACE_HOST,      /* on the host, for each pod */
	PLACE_PROJECT,   /* on the host, once */
	PLACE_LOG,       /* on the host, for each pod, after all of the above */
};

enum control_place {
	CONTROL_HERE, /* by probe.control, where the probe is */
	CONTROL_OPEN, /* by probe.look, as root in a namespace made like a pod's, with no jail around it */
	CONTROL_FREE, /* by probe.look, on the host */
};

struct view;
struct probe {
	const char *id;
	int promise;
	const char *title;
	enum probe_place place;
	enum control_place control_place;
	void (*look)(struct view *v, const struct probe *p, struct finding *f);
	void (*control)(struct view *v, const struct probe *p, struct finding *f); /* CONTROL_HERE only */
	const void *data;
};

/* A pod as it was found. */
struct subject {
	const char *name;
	const struct plan_pod *plan; /* NULL: the manifest on disk no longer has it */
	uint32_t client;             /* in the policy in force; CLIENT_NONE */
	bool attached;
	bool bare;        /* a container of it runs outside of the network namespace that has the walls */
	int netns, pidfd; /* -1: not to be had */
	const char *why;  /* then why */
	bool sealed;      /* nobody can bring a probe into it: what is asked of containers is not asked of it */
	pid_t pids[32];   /* of its running containers' first processes */
	size_t pid_count;
	struct container_spec spec; /* what pidfd may be entered with */
	char nonce[48];             /* a name of this run and pod: "verify-1a2b3c4d-0" */
	struct candidate allowed[CANDIDATES_MAX];
	size_t allowed_count;
};

/* What is known of the project; the same in every process of a run. */
struct scene {
	const char *project;
	char run_dir[512];
	json_t *ps;
	bool podman;           /* its containers are Podman's */
	bool bridge;           /* a pod has a wire to the gate's pod */
	bool runtime, sandbox; /* they run under an OCI runtime of ours; and it is runsc, with a kernel of its own */
	bool on_haproxy;       /* HAProxy serves the pods' TCP */
	pid_t gate, supervisor, haproxy;
	uint64_t generation;    /* said by ps */
	struct snapshot policy; /* generation and hash as published */
	int policy_fd;
	void *policy_map;
	char nonce[16];
	struct manifest *manifest; /* of the lists on disk; NULL: why_lists */
	struct plan *plan;         /* of the manifest on disk, whose lists may be broken; NULL: why_manifest */
	struct span compiled;      /* the lists on disk as a policy block */
	char why_lists[160], why_manifest[160];
	struct ip_addr witness; /* an address of the host, where a witness of this run listens, TCP and UDP; family 0: none */
	uint16_t witness_port;
	off_t log_from; /* the decision log's size when the run began */
	struct subject *subjects;
	size_t subject_count;
	struct arena arena;
};

/* One process of a run: the scene, the pod it is about, and what it has found out for several probes. */
struct reach {
	enum sight sight; /* THROUGH: decided allow */
	bool whole;       /* and the destination answered */
	bool slow;        /* what it took is more than a probe waits */
	struct candidate at;
	char text[160];
};
struct view {
	struct scene *scene;
	struct subject *subject; /* NULL: none in particular */
	bool gate_silent;        /* it let a request wait for too long: no other is made */
	bool socks_silent;       /* likewise, to a SOCKS greeting */
	bool resolver_silent[2]; /* the same of the resolver, by UDP and TCP */
	bool log_awaited;        /* the log had its time to be written */
	struct reach http, tls;
};

void finding_set(struct finding *f, enum sight sight, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What a probe is worth, by what it and its control saw: never passed unless the control got through. */
enum probe_outcome probe_judge(enum sight probe, enum sight control);

/* The table. The first three are the seed's own checks. */
extern const struct probe probes[];
extern const size_t probe_count;

#endif
