/* The documents of a manifest, each read by its schema: v1 Pod, v1 ConfigMap, stockade/v1 EgressPolicy. */
#ifndef STOCKADE_CONFIG_DOCUMENTS_H
#define STOCKADE_CONFIG_DOCUMENTS_H

#include "config/schema.h"

struct config_map {
	const char *name;
	struct pair *files;
	size_t file_count;
};

/* Rules of one `file:` or `hosts:` item. */
struct rule_piece {
	struct rule *rules;
	size_t count;
	const char *file; /* the list file, absolute; NULL for hosts written in the manifest */
};

struct egress_policy {
	const char *name;
	struct pair *match; /* labels that a pod must have, at least one */
	size_t match_count;
	struct rule_piece *pieces;
	size_t piece_count;
	const struct yaml_node *node;
};

enum { CONFIG_PODS = 250 }; /* pods of one manifest */

/* maps: the ConfigMaps of the manifest, read before the pods. */
bool config_map_read(struct reader *r, const struct yaml_node *doc, struct config_map *ret);
bool pod_read(struct reader *r, const struct yaml_node *doc, const struct config_map *maps, size_t map_count, struct pod *ret);
bool egress_policy_read(struct reader *r, const struct yaml_node *doc, struct egress_policy *ret);

/* What Kubernetes allows as a label's value: also safe as a part of a file name. */
bool label_value_valid(const char *s);
/* "PROJECT_ROOT/x", "x" and "/x" to an absolute path without "." or "..", ending in no slash. NULL after an error at n. */
const char *project_path(struct reader *r, const struct yaml_node *n, const char *written);

/* "512Mi", "1G", "1500", "0.5" in thousandths. false: not a quantity. */
bool quantity_parse(const char *text, uint64_t *ret_milli);

/* Reads a list file for rules whose place is told as the path within the project. at: where it is named. */
bool list_file_read(struct reader *r, const struct place *at, const char *path, struct rule_piece *ret);

#endif
