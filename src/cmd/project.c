#include "cmd/project.h"

#include <limits.h>
#include <unistd.h>

#include "engine/control.h"

static const char *lower(const char *name, struct arena *a)
{
	char *copy = arena_strdup(a, name);

	for (char *p = copy; *p; p++)
		*p = ascii_lower(*p);
	return copy;
}

const char *project_name(const char *named, const char *dir, struct arena *a, struct err *err)
{
	char here[PATH_MAX], run[PATH_MAX];
	struct err why = { 0 };

	if (named)
		return control_run_dir(named, run, sizeof run, err) < 0 ? NULL : named;
	if (!dir && !getcwd(here, sizeof here)) {
		(void)err_errno(err, "the current directory has no name any more; go to another, or give --project NAME");
		return NULL;
	}
	const char *path = dir ? dir : here;
	const char *slash = strrchr(path, '/');
	const char *name = lower(slash ? slash + 1 : path, a);

	if (control_run_dir(name, run, sizeof run, &why) == 0)
		return name;
	(void)err_set(err, ERR_INPUT, "the directory's name '%.60s' cannot name a project; give one with --project NAME", name);
	return NULL;
}
