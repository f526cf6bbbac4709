/* A manifest that is given as text. After cmocka.h. */
#ifndef STOCKADE_TESTS_PLAN_MANIFEST_TEXT_H
#define STOCKADE_TESTS_PLAN_MANIFEST_TEXT_H

#include "config/project.h"

static inline const struct manifest *manifest_text(const char *text, struct arena *a)
{
	struct manifest *m = NULL;
	struct err err;

	if (config_load_text(span_of(text), "pods.yaml", a, &m, &err) < 0)
		fail_msg("%s", err.text);
	return m;
}

#endif
