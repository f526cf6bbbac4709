#include "engine/house.h"

#include <stdlib.h>

#include "config/project.h"

/* --- the plan --- */

static int put_real_paths(struct manifest *m, const json_t *volumes, struct arena *arena, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < m->pod_count; i++) {
		for (size_t k = 0; k < m->pods[i].volume_count; k++) {
			struct volume *v = &m->pods[i].volumes[k];

			if (v->kind != VOLUME_HOST_PATH)
				continue;
			const char *path = json_string_value(json_array_get(volumes, n++));

			if (!path)
				return err_set(err, ERR_FAULT, "the loader judged fewer volumes than there are");
			v->path = arena_strdup(arena, path);
		}
	}
	return n == json_array_size(volumes) ? 0 : err_set(err, ERR_FAULT, "the loader judged more volumes than there are");
}

struct plan_ref *plan_ref_make(const struct loaded *l, const char *manifest, struct err *err)
{
	struct plan_ref *r = calloc(1, sizeof *r);
	struct manifest *m;

	if (!r) {
		(void)err_set(err, ERR_FAULT, "out of memory");
		return NULL;
	}
	r->refs = 1;
	const struct span text = { arena_span(&r->arena, l->text), l->text.n };

	if (config_load_text(text, manifest, &r->arena, &m, err) < 0 ||
	    put_real_paths(m, json_object_get(l->report, "volumes"), &r->arena, err) < 0) {
		plan_ref_drop(r);
		return NULL;
	}
	r->plan = plan_make(m, &r->arena);
	return r;
}

struct plan_ref *plan_ref_take(struct plan_ref *r)
{
	r->refs++;
	return r;
}

void plan_ref_drop(struct plan_ref *r)
{
	if (!r || --r->refs)
		return;
	arena_free(&r->arena);
	free(r);
}

/* --- its end --- */

static void leave_now(struct deferred *d)
{
	loop_stop(((struct house *)((char *)d - offsetof(struct house, left)))->loop);
}

void house_pod_gone(struct house *h)
{
	if (!h->leaving || h->pods || h->left.run)
		return;
	h->left.run = leave_now;
	loop_defer(h->loop, &h->left);
}

/* --- Podman --- */

struct program podman_program(const struct house *h, const char *const *argv, unsigned limit_ms)
{
	return (struct program) { .argv = argv, .env = h->podman.env, .mounts = h->host_mounts, .limit_ms = limit_ms };
}
