/* JSON text, written from its beginning to its end. Pure. */
#ifndef STOCKADE_PLAN_JSON_OUT_H
#define STOCKADE_PLAN_JSON_OUT_H

#include "base/arena_text.h"
#include "plan/manifest.h"

struct json_out {
	struct arena_text text;
	bool comma; /* something stands before on this level */
};

void json_out_text(struct json_out *j, const char *s); /* as it is */
/* A key (NULL: in a list) and a bracket; what comes until the close is inside. */
void json_out_open(struct json_out *j, const char *key, const char *bracket);
void json_out_close(struct json_out *j, const char *bracket);
void json_out_string(struct json_out *j, const char *key, const char *value);           /* NULL: nothing at all */
void json_out_bare(struct json_out *j, const char *key, const char *value);             /* a number or a bool */
void json_out_strings(struct json_out *j, const char *key, const struct strings *list); /* an empty list: nothing at all */

#endif
