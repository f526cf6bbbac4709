/* Volumes of a pod, and the ConfigMap documents that some of them show as files. */
#include "config/pod_parts.h"

struct map_item {
	const char *key, *path;
};

static bool read_file_name(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	if (!s[0] || strchr(s, '/') || strcmp(s, ".") == 0 || strcmp(s, "..") == 0 || strlen(s) > 253)
		return reader_error(r, n, "'%.100s' is no name of a file: one name without a slash", s);
	*(const char **)((char *)out + f->offset) = s;
	return true;
}

static const struct field map_item_fields[] = {
	{ .name = "key", .read = read_string, .offset = offsetof(struct map_item, key), .required = true },
	{ .name = "path", .read = read_file_name, .offset = offsetof(struct map_item, path), .required = true },
	IGNORED("mode"),
	END
};
static const struct schema map_item_schema = { "an item", map_item_fields, sizeof(struct map_item), NULL };

struct map_source {
	const char *name;
	struct map_item *items;
	size_t item_count;
};
static const struct field map_source_fields[] = {
	{ .name = "name", .read = read_string, .offset = offsetof(struct map_source, name), .required = true },
	{ .name = "items",
	  .read = read_list,
	  .offset = offsetof(struct map_source, items),
	  .count = offsetof(struct map_source, item_count),
	  .sub = &map_item_schema },
	IGNORED("defaultMode"),
	IGNORED("optional"),
	END
};
static const struct schema map_source_schema = { .what = "a configMap volume", .fields = map_source_fields };

static bool read_size_limit(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	return read_bytes(r, n, &((struct volume *)out)->size_limit);
}

static const struct field empty_dir_fields[] = { { .name = "sizeLimit", .read = read_size_limit },
						 QUIET("medium"), /* it is always in memory */
						 END };
static const struct schema empty_dir_schema = { .what = "an emptyDir volume", .fields = empty_dir_fields };

static bool read_host_dir(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	return (((struct volume *)out)->path = project_path(r, n, s)) != NULL;
}

static bool read_host_type(struct reader *r, const struct yaml_node *n, const struct field *f, void *out)
{
	static const char *const known[] = { "", "Directory", "DirectoryOrCreate", "File", "FileOrCreate" };
	const char *s = reader_string(r, n, f->name);

	if (!s)
		return false;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(s, known[i]) == 0) {
			((struct volume *)out)->path_type = known[i];
			return true;
		}
	if (strcmp(s, "Socket") == 0 || strcmp(s, "CharDevice") == 0 || strcmp(s, "BlockDevice") == 0)
		return reader_error(r, n, "type %s is refused: a pod gets files and directories, nothing that reaches the host", s);
	return reader_error(r, n, "'%.60s' is no type of a hostPath: Directory, DirectoryOrCreate, File or FileOrCreate", s);
}

static const struct field host_path_fields[] = { { .name = "path", .read = read_host_dir, .required = true },
						 { .name = "type", .read = read_host_type },
						 END };
static const struct schema host_path_schema = { .what = "a hostPath volume", .fields = host_path_fields };

#define NO_VOLUME(kind) REFUSED(kind, "volumes are hostPath, emptyDir or configMap")

static const struct field volume_fields[] = {
	{ .name = "name", .read = read_label_name, .offset = offsetof(struct raw_volume, v.name), .required = true },
	{ .name = "hostPath", .read = read_node, .offset = offsetof(struct raw_volume, host_path) },
	{ .name = "emptyDir", .read = read_node, .offset = offsetof(struct raw_volume, empty_dir) },
	{ .name = "configMap", .read = read_node, .offset = offsetof(struct raw_volume, config_map) },
	NO_VOLUME("awsElasticBlockStore"),
	NO_VOLUME("azureDisk"),
	NO_VOLUME("azureFile"),
	NO_VOLUME("cephfs"),
	NO_VOLUME("cinder"),
	NO_VOLUME("csi"),
	NO_VOLUME("downwardAPI"),
	NO_VOLUME("ephemeral"),
	NO_VOLUME("fc"),
	NO_VOLUME("flexVolume"),
	NO_VOLUME("flocker"),
	NO_VOLUME("gcePersistentDisk"),
	NO_VOLUME("gitRepo"),
	NO_VOLUME("glusterfs"),
	NO_VOLUME("image"),
	NO_VOLUME("iscsi"),
	NO_VOLUME("nfs"),
	NO_VOLUME("persistentVolumeClaim"),
	NO_VOLUME("photonPersistentDisk"),
	NO_VOLUME("portworxVolume"),
	NO_VOLUME("projected"),
	NO_VOLUME("quobyte"),
	NO_VOLUME("rbd"),
	NO_VOLUME("scaleIO"),
	NO_VOLUME("secret"),
	NO_VOLUME("storageos"),
	NO_VOLUME("vsphereVolume"),
	END
};

static bool volume_finish(struct reader *r, const struct yaml_node *n, void *out)
{
	struct raw_volume *v = out;

	if (!!v->host_path + !!v->empty_dir + !!v->config_map != 1)
		return reader_error(r, n, "the volume '%s' needs exactly one of hostPath, emptyDir, configMap", v->v.name);
	v->v.at = reader_place(r, n);
	v->v.path_type = "";
	v->v.kind = v->host_path ? VOLUME_HOST_PATH : v->empty_dir ? VOLUME_EMPTY_DIR : VOLUME_CONFIG_MAP;
	if (v->host_path)
		return schema_read(r, &host_path_schema, v->host_path, &v->v);
	return v->empty_dir ? schema_read(r, &empty_dir_schema, v->empty_dir, &v->v) : true;
}
const struct schema volume_schema = { "a volume", volume_fields, sizeof(struct raw_volume), volume_finish };

bool config_map_files(struct reader *r, struct raw_volume *v, const struct config_map *maps, size_t map_count)
{
	struct map_source source = { 0 };
	const struct config_map *map = NULL;

	if (!schema_read(r, &map_source_schema, v->config_map, &source))
		return false;
	for (size_t i = 0; i < map_count; i++)
		if (strcmp(maps[i].name, source.name) == 0)
			map = &maps[i];
	if (!map)
		return reader_error(r, v->config_map, "there is no ConfigMap '%.80s' in this manifest", source.name);
	v->v.files = map->files;
	v->v.file_count = map->file_count;
	if (!source.items)
		return true;
	v->v.files = arena_array(r->arena, source.item_count ? source.item_count : 1, sizeof *v->v.files);
	v->v.file_count = source.item_count;
	for (size_t i = 0; i < source.item_count; i++) {
		for (size_t k = 0; k < map->file_count; k++)
			if (strcmp(map->files[k].name, source.items[i].key) == 0)
				v->v.files[i] = (struct pair) { source.items[i].path, map->files[k].value };
		if (!v->v.files[i].name)
			return reader_error(r, v->config_map, "the ConfigMap '%s' has no key '%.80s'", map->name,
					    source.items[i].key);
	}
	return true;
}

/* --- ConfigMap --- */

static const struct field map_meta_fields[] = {
	{ .name = "name", .read = read_string, .offset = offsetof(struct config_map, name), .required = true },
	QUIET("labels"),
	QUIET("annotations"),
	META_FIELDS,
	END
};
static const struct schema map_meta = { .what = "the metadata of a ConfigMap", .fields = map_meta_fields };
static const struct field map_fields[] = { QUIET("apiVersion"),
					   QUIET("kind"),
					   { .name = "metadata", .read = read_object, .sub = &map_meta, .required = true },
					   { .name = "data",
					     .read = read_pairs,
					     .offset = offsetof(struct config_map, files),
					     .count = offsetof(struct config_map, file_count) },
					   REFUSED("binaryData", "only 'data' is read"),
					   IGNORED("immutable"),
					   END };
static const struct schema map_schema = { .what = "a ConfigMap", .fields = map_fields };

bool config_map_read(struct reader *r, const struct yaml_node *doc, struct config_map *ret)
{
	struct config_map map = { 0 };

	if (!schema_read(r, &map_schema, doc, &map))
		return false;
	for (size_t i = 0; i < map.file_count; i++) {
		const char *name = map.files[i].name;
		bool ok = name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strlen(name) <= 253;

		for (const char *p = name; *p; p++)
			ok = ok && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
				    strchr("-_.", *p));
		if (!ok)
			return reader_error(r, yaml_get(yaml_get(doc, "data"), name),
					    "'%.80s' is no key of a ConfigMap: letters, digits, - _ and .", name);
	}
	*ret = map;
	return true;
}
