/* What a manifest says, as data: filled in by config, read by plan. Every string lives in the manifest's arena; absent
 * strings are NULL; every list is pointer and count. `at` is where a thing is written, for errors found later. */
#ifndef STOCKADE_PLAN_MANIFEST_H
#define STOCKADE_PLAN_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "policy/snapshot.h"

struct place {
	const char *file;
	unsigned line, column; /* from 1 */
};

struct pair {
	const char *name, *value;
};

struct strings {
	const char **items;
	size_t count;
};

enum volume_kind { VOLUME_HOST_PATH, VOLUME_EMPTY_DIR, VOLUME_CONFIG_MAP };

struct volume {
	const char *name;
	enum volume_kind kind;
	const char *path;      /* hostPath: absolute, PROJECT_ROOT and relative paths already worked out */
	const char *path_type; /* hostPath type: "", Directory, DirectoryOrCreate, File, FileOrCreate */
	uint64_t size_limit;   /* emptyDir, bytes; 0: the default */
	struct pair *files;    /* configMap: file name and content */
	size_t file_count;
	struct place at;
};

struct volume_mount {
	const char *volume;   /* name, checked to exist */
	const char *path;     /* absolute, no "..", checked */
	const char *sub_path; /* relative, no "..", or NULL */
	bool read_only;
	struct place at;
};

struct container_port {
	uint16_t container_port, host_port; /* host_port 0: none */
	const char *host_ip;                /* NULL: 127.0.0.1 */
};

struct container {
	const char *name, *image;
	struct strings command, args; /* count 0: absent */
	struct pair *env;
	size_t env_count;
	const char *working_dir;
	struct volume_mount *mounts;
	size_t mount_count;
	struct container_port *ports;
	size_t port_count;
	int64_t run_as_user, run_as_group; /* -1: absent */
	bool read_only_root;
	uint64_t memory_limit;    /* bytes, 0: none */
	uint32_t cpu_limit_milli; /* 0: none */
	bool jailer; /* the seed's *-node: recognised by its script mount and command; its job is the engine's, it is not run */
	struct place at;
};

enum restart_policy { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };

struct pod {
	const char *name; /* RFC 1123 label */
	struct pair *labels, *annotations;
	size_t label_count, annotation_count;
	struct container *containers, *init_containers;
	size_t container_count, init_container_count;
	struct volume *volumes;
	size_t volume_count;
	enum restart_policy restart_policy;
	bool gate; /* label app: proxy, or annotation stockade/role: gate */
	struct place at;
};

static inline const struct volume *pod_volume(const struct pod *p, const char *name)
{
	for (size_t i = 0; i < p->volume_count; i++)
		if (strcmp(p->volumes[i].name, name) == 0)
			return &p->volumes[i];
	return NULL;
}

/* One client's rules, worked out: EgressPolicy documents whose selector fits, else NAME_domains.lst by the app label. */
struct client_rules {
	const char *pod;
	struct rule *rules;
	size_t rule_count;
	struct strings files; /* the list files that were read, absolute: what inotify watches */
	bool no_list;         /* neither a policy nor a list file was found: everything is denied, and `up` says so */
};

struct manifest {
	struct arena *arena;
	const char *path;        /* absolute */
	const char *project_dir; /* absolute */
	struct pod *pods;
	size_t pod_count;
	struct client_rules *clients; /* one for each pod that is not the gate's */
	size_t client_count;
	struct strings warnings; /* "file:line:column: warning: ..." */
	struct strings notes;    /* e.g. the jailer containers that the engine stands in for, lists not found */
	struct strings denied;   /* of the notes, those about pods without a list */
};

#endif
