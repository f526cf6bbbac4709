/* A manifest's text: YAML and the whole schema. What is read must have a plan, and what is refused must say why. */
#include <assert.h>
#include <stdint.h>

#include "config/project.h"
#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void); /* NOLINT(bugprone-reserved-identifier): LeakSanitizer's name */

/* libfyaml loses two KiB on some malformed texts. Texts from users are read in processes that end soon; the supervisor reads only what one of
 * those has found well-formed. */
const char *__lsan_default_suppressions(void) /* NOLINT(bugprone-reserved-identifier) */
{
	return "leak:libfyaml";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct manifest *m = NULL;
	struct err err = { 0 };
	const struct span text = { (const char *)data, size };

	if (config_load_text(text, "pods.yaml", &a, &m, &err) < 0) {
		assert(!m && err.class == ERR_INPUT && err.text[0]);
	} else {
		const struct plan *p = plan_make(m, &a);
		struct snapshot s;

		assert(m->pod_count && snapshot_open(p->policy, &s));
		for (size_t i = 0; i < p->step_count; i++)
			assert(step_text(&p->steps[i], &a)[0] && step_undo_text(&p->steps[i], &a)[0]);
	}
	arena_free(&a);
	return 0;
}
