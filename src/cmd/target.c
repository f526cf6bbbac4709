#include "cmd/target.h"

#include <stdio.h>

static void add_pod(const json_t *pod, struct arena *a, struct targets *all)
{
	const json_t *containers = json_object_get(pod, "containers");
	const char *name = json_string_value(json_object_get(pod, "name"));

	for (size_t i = 0; name && i < json_array_size(containers); i++) {
		const json_t *c = json_array_get(containers, i);
		const char *container = json_string_value(json_object_get(c, "name"));
		const char *state = json_string_value(json_object_get(c, "state"));

		if (container)
			ARENA_PUSH(a, all->items, all->count) =
				(struct target) { name, container, state && strcmp(state, "running") == 0 };
	}
}

struct targets targets_of_ps(const json_t *ps, struct arena *a)
{
	const json_t *pods = json_object_get(ps, "pods");
	struct targets all = { 0 };

	for (size_t i = 0; i < json_array_size(pods); i++)
		add_pod(json_array_get(pods, i), a, &all);
	return all;
}

static bool means(const char *name, const struct target *t)
{
	const size_t n = strlen(t->pod);

	if (strncmp(name, t->pod, n) != 0)
		return false;
	if (name[n] == '\0')
		return true;
	return (name[n] == '/' || name[n] == '-') && strcmp(name + n + 1, t->container) == 0;
}

static bool is_pod(const char *name, const struct targets *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(name, all->items[i].pod) == 0)
			return true;
	return false;
}

static int not_found(const struct targets *all, const char *name, struct arena *a, struct err *err)
{
	const char *list = "";

	for (size_t i = 0; i < all->count && strlen(list) < 600; i++)
		list = arena_printf(a, "%s%s%s/%s", list, i ? ", " : "", all->items[i].pod, all->items[i].container);
	if (all->count == 0)
		return err_set(err, ERR_INPUT, "no container has the name '%.80s': the project has none", name);
	return err_set(err, ERR_INPUT, "no pod or container has the name '%.80s'; there are: %s", name, list);
}

int target_select(const struct targets *all, const char *name, struct arena *a, struct targets *ret, struct err *err)
{
	const bool pod = is_pod(name, all); /* a pod's own name goes before a container's in Podman's spelling */

	*ret = (struct targets) { 0 };
	for (size_t i = 0; i < all->count; i++) {
		const struct target *t = &all->items[i];

		if (pod ? strcmp(name, t->pod) == 0 : means(name, t))
			ARENA_PUSH(a, ret->items, ret->count) = *t;
	}
	return ret->count ? 0 : not_found(all, name, a, err);
}

const struct target *target_running(const struct targets *selected, const char *name, struct err *err)
{
	for (size_t i = 0; i < selected->count; i++)
		if (selected->items[i].running)
			return &selected->items[i];
	(void)err_set(err, ERR_FINDING,
		      "%.80s is not running; 'stockade ps' shows its state, 'stockade logs %.80s' what it printed", name, name);
	return NULL;
}
