/* What may stand in a document, as tables: each field has its reader and its place in a struct. Unknown fields, values of
 * the wrong kind and nulls are errors at their own place; known Kubernetes fields without effect here are warned of once. */
#ifndef STOCKADE_CONFIG_SCHEMA_H
#define STOCKADE_CONFIG_SCHEMA_H

#include <stddef.h>

#include "config/yaml.h"

struct field;
struct reader {
	struct arena *arena;
	struct report *report;
	const struct source *source;
	const char *project_dir;     /* absolute */
	bool look;                   /* may look at files: false when only a text is judged */
	const struct field **warned; /* fields that had their one warning */
	size_t warned_count;
};

/* Reads value into the struct at out, as the field says. */
typedef bool (*field_reader)(struct reader *r, const struct yaml_node *value, const struct field *f, void *out);

struct field {
	const char *name;
	field_reader read; /* NULL: known, without effect (why NULL) or refused (why says the reason) */
	size_t offset;     /* of the value, or of the pointer to many */
	size_t count;      /* read_list, read_strings, read_pairs: offset of their number */
	const struct schema *sub;
	const char *why;
	bool required;
};

struct schema {
	const char *what; /* "a container" */
	const struct field *fields;
	size_t size; /* of the struct, for read_list */
	/* When all fields are read without error: checks what concerns several of them. May be NULL. */
	bool (*finish)(struct reader *r, const struct yaml_node *node, void *out);
};

/* fields end with a name of NULL. */
bool schema_read(struct reader *r, const struct schema *s, const struct yaml_node *map, void *out);

/* Errors and warnings at a node; reader_error is always false. */
bool reader_error(struct reader *r, const struct yaml_node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void reader_warn(struct reader *r, const struct yaml_node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct place reader_place(const struct reader *r, const struct yaml_node *n);
/* The string of a scalar that is one; name is the field's, for the error. NULL after an error. */
const char *reader_string(struct reader *r, const struct yaml_node *n, const char *name);
bool reader_bool(struct reader *r, const struct yaml_node *n, const char *name, bool *ret);
bool reader_integer(struct reader *r, const struct yaml_node *n, const char *name, int64_t min, int64_t max, int64_t *ret);
bool reader_is_list(struct reader *r, const struct yaml_node *n, const char *name);

/* Readers for tables; what each writes at f->offset: */
bool read_string(struct reader *r, const struct yaml_node *n, const struct field *f, void *out); /* const char * */
bool read_label_name(struct reader *r, const struct yaml_node *n, const struct field *f,
		     void *out);                                                                  /* const char *: RFC 1123 label */
bool read_bool(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);    /* bool */
bool read_id(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);      /* int64_t, 0-65535 */
bool read_port(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);    /* uint16_t, 1-65535 */
bool read_strings(struct reader *r, const struct yaml_node *n, const struct field *f, void *out); /* struct strings */
bool read_pairs(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);   /* struct pair *, count */
bool read_object(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);  /* sub, at f->offset */
bool read_list(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);    /* array of sub->size, count */
bool read_node(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);    /* the node itself */
bool read_true_refused(struct reader *r, const struct yaml_node *n, const struct field *f, void *out); /* false is fine; f->why */
bool read_true_vain(struct reader *r, const struct yaml_node *n, const struct field *f, void *out); /* true is warned of; f->why */
bool read_quiet(struct reader *r, const struct yaml_node *n, const struct field *f, void *out);     /* nothing */

#endif
