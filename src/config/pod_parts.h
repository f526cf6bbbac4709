/* The parts of a pod that have files of their own: containers (container.c), volumes (volume.c), and how tables name the fields that
 * are not read. */
#ifndef STOCKADE_CONFIG_POD_PARTS_H
#define STOCKADE_CONFIG_POD_PARTS_H

#include "config/documents.h"

/* What is read of a container before the pod as a whole can be judged. */
struct raw_container {
	struct container c;
	const struct yaml_node *node, *added; /* added: capabilities.add */
	bool non_root;
};

struct raw_volume {
	struct volume v;
	const struct yaml_node *host_path, *empty_dir, *config_map;
};

#define IGNORED(field)        \
	{                     \
		.name = field \
	}
#define QUIET(field)                              \
	{                                         \
		.name = field, .read = read_quiet \
	}
#define REFUSED(field, reason)               \
	{                                    \
		.name = field, .why = reason \
	}
#define END                  \
	{                    \
		.name = NULL \
	}

#define META_FIELDS                                                                                                              \
	IGNORED("namespace"), IGNORED("creationTimestamp"), IGNORED("deletionGracePeriodSeconds"), IGNORED("deletionTimestamp"), \
		IGNORED("finalizers"), IGNORED("generation"), IGNORED("managedFields"), IGNORED("ownerReferences"),              \
		IGNORED("resourceVersion"), IGNORED("selfLink"), IGNORED("uid"),                                                 \
		REFUSED("generateName", "give the name itself, others must be able to say it")

#define SECURITY_WITHOUT_EFFECT \
	IGNORED("seLinuxOptions"), IGNORED("seccompProfile"), IGNORED("appArmorProfile"), IGNORED("windowsOptions")

extern const struct schema container_schema, volume_schema;

/* As read_list, but "absent" is -1 for ids. */
bool read_containers(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);
/* The files of a volume that is a ConfigMap. */
bool config_map_files(struct reader *r, struct raw_volume *v, const struct config_map *maps, size_t map_count);
/* A number of bytes, at least 1 MiB: "512Mi". */
bool read_bytes(struct reader *r, const struct yaml_node *n, uint64_t *ret);

#endif
