#include "engine/launch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/control.h"
#include "engine/volumes.h"

static const char search_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct env {
	const char **items;
	size_t count;
};

static void env_set(struct env *e, struct arena *a, const char *name, const char *value)
{
	const size_t n = strlen(name);
	const char *entry = arena_printf(a, "%s=%s", name, value ? value : "");

	for (size_t i = 0; i < e->count; i++) {
		if (strncmp(e->items[i], name, n) == 0 && e->items[i][n] == '=') {
			e->items[i] = entry;
			return;
		}
	}
	ARENA_PUSH(a, e->items, e->count) = entry;
}

const char *const *launch_env(const struct launch_pod *p, const struct container *c, struct arena *a)
{
	struct env e = { 0 };
	struct pair *proxies;
	const size_t proxy_count = plan_proxy_env(p->plan, c, a, &proxies);

	env_set(&e, a, "PATH", search_path);
	env_set(&e, a, "HOME", c->run_as_user > 0 ? "/" : "/root");
	env_set(&e, a, "HOSTNAME", p->pod->pod->name);
	for (size_t i = 0; i < proxy_count; i++)
		env_set(&e, a, proxies[i].name, proxies[i].value);
	for (size_t i = 0; i < c->env_count; i++)
		env_set(&e, a, c->env[i].name, c->env[i].value);
	ARENA_PUSH(a, e.items, e.count) = NULL;
	return e.items;
}

void launch_cgroup_prefix(const char *project, char ret[static LAUNCH_CGROUP_PREFIX])
{
	uint32_t h = 2166136261U; /* FNV-1a */
	char path[512] = "";
	struct err ignored;

	(void)control_run_dir(project, path, sizeof path, &ignored);
	for (const char *p = path; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619U;
	(void)snprintf(ret, LAUNCH_CGROUP_PREFIX, "stockade-%.40s-%08x-", project, h);
}

const char *launch_cgroup(const struct launch_pod *p, const struct container *c, struct arena *a)
{
	char prefix[LAUNCH_CGROUP_PREFIX];

	launch_cgroup_prefix(p->project, prefix);
	return arena_printf(a, "%s%s.%s", prefix, p->pod->pod->name, c->name);
}

bool launch_has_command(const struct container *c)
{
	return c->command.count > 0;
}

static const char *const *argv_of(const struct container *c, struct arena *a)
{
	const struct strings *parts[] = { &c->command, &c->args };
	const char **argv = NULL;
	size_t n = 0;

	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < parts[k]->count; i++)
			ARENA_PUSH(a, argv, n) = parts[k]->items[i];
	ARENA_PUSH(a, argv, n) = NULL;
	return argv;
}

static int open_mounts(struct launch *l, const struct launch_pod *p, const struct container *c, struct err *err)
{
	l->mounts = arena_array(&l->arena, c->mount_count + 1, sizeof *l->mounts);
	for (size_t i = 0; i < c->mount_count; i++) {
		const struct volume_mount *m = &c->mounts[i];
		const int fd = volume_open(p->volume_dir, p->pod->pod, m, err);

		if (fd < 0)
			return err_wrap(err, "the mount at %s", m->path);
		l->mounts[l->mount_count++] = (struct container_mount) {
			.kind = MOUNT_BIND, .source_fd = fd, .source = m->volume, .target = m->path, .read_only = m->read_only
		};
	}
	return 0;
}

int launch_prepare(struct launch *l, const struct launch_pod *p, const struct container *c, struct err *err)
{
	*l = (struct launch) { 0 };
	if (!launch_has_command(c))
		return err_set(err, ERR_INPUT,
			       "container '%s' names no command, and what the image '%s' would run is not known without the image; "
			       "write 'command:' into the manifest",
			       c->name, c->image ? c->image : "");
	if (c->run_as_user > 65535 || c->run_as_group > 65535)
		return err_set(err, ERR_INPUT, "container '%s': user and group ids go from 0 to 65535", c->name);
	if (open_mounts(l, p, c, err) < 0) {
		launch_end(l);
		return -1;
	}
	l->spec = (struct container_spec) {
		.hostname = p->pod->pod->name,
		.hosts = p->pod->hosts,
		.resolv_conf = p->pod->resolv_conf,
		.argv = argv_of(c, &l->arena),
		.envp = launch_env(p, c, &l->arena),
		.cwd = c->working_dir,
		.uid = c->run_as_user > 0 ? (uint32_t)c->run_as_user : 0,
		.gid = c->run_as_group > 0 ? (uint32_t)c->run_as_group : 0,
		.read_only_root = c->read_only_root,
		.mounts = l->mounts,
		.mount_count = l->mount_count,
		.memory_limit = c->memory_limit,
		.cpu_limit_milli = c->cpu_limit_milli,
		.cgroup = launch_cgroup(p, c, &l->arena),
		.uid_base = p->walls->uid_base,
		.stdio = { -1, -1, -1 },
		.netns = p->walls->netns,
		.userns = p->walls->userns,
		.runtime = p->runtime,
		.die_with_parent = true,
	};
	return 0;
}

void launch_end(struct launch *l)
{
	for (size_t i = 0; i < l->mount_count; i++)
		fd_close(&l->mounts[i].source_fd);
	l->mount_count = 0;
	arena_free(&l->arena);
}
