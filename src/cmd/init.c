/* init: a project to start from. It overwrites nothing, and leaves all of it or nothing. */
#include "cmd/cmd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/init_seed.h"
#include "cmd/options.h"
#include "cmd/project.h"
#include "cmd/say.h"

static const char manifest[] =
	"# The pods of this project, as Kubernetes writes them. 'stockade up --dry-run' shows what would be done with it.\n"
	"# A pod reaches what its list names and nothing else. Its list is found by its label app:\n"
	"# app: sandbox has lists/sandbox_domains.lst.\n"
	"apiVersion: v1\n"
	"kind: Pod\n"
	"metadata: { name: sandbox-pod, labels: { app: sandbox } }\n"
	"spec:\n"
	"  containers:\n"
	"  - name: sandbox-app\n"
	"    image: python:3.11-slim # with 'up --host-root' every image is the host's own /usr, read-only\n"
	"    command: [\"sleep\", \"infinity\"] # something to 'stockade exec' into; put your program here\n"
	"    workingDir: /work\n"
	"    volumeMounts: [{ name: work, mountPath: /work }]\n"
	"    resources: { limits: { memory: 1Gi } }\n"
	"  volumes:\n"
	"  - name: work # the only directory of the host that this pod may write; PROJECT_ROOT is where this file is\n"
	"    hostPath: { path: PROJECT_ROOT/work, type: Directory }\n"
	"---\n"
	"apiVersion: v1\n"
	"kind: Pod\n"
	"metadata: { name: cli-pod, labels: { app: cli } }\n"
	"spec:\n"
	"  containers:\n"
	"  - name: cli-app\n"
	"    image: curlimages/curl:latest\n"
	"    command: [\"sleep\", \"infinity\"]\n";

static const char sandbox_list[] = "# What sandbox-pod may reach. One entry a line; an edited list is in force at once.\n"
				   "#\n"
				   "#   pypi.org                the name and every name below it, ports 80 and 443\n"
				   "#   *.python.org            only names below it\n"
				   "#   =api.github.com         exactly that name\n"
				   "#   github.com:22           this port instead; also 8000-8100, or * for all\n"
				   "#   !telemetry.example.com  never; a deny beats every allow\n"
				   "#   10.0.0.5:5432           an address; names may then lead there\n"
				   "pypi.org\n"
				   "files.pythonhosted.org\n";

static const char cli_list[] = "# What cli-pod may reach; lists/sandbox_domains.lst shows all forms of an entry.\n"
			       "=api.github.com\n";

#define TEXT(at, of)                                               \
	{                                                          \
		.path = (at), .text = (of), .size = sizeof(of) - 1 \
	}
static const struct init_entry own_entries[] = {
	{ .path = "lists" },
	{ .path = "work" },
	TEXT("lists/sandbox_domains.lst", sandbox_list),
	TEXT("lists/cli_domains.lst", cli_list),
	TEXT(MANIFEST_DEFAULT, manifest), /* last: a directory with a manifest is a whole project */
};
#undef TEXT

struct project_files {
	const struct init_entry *entries;
	size_t count;
	bool made[32]; /* by this run, so this run may take it away */
	bool made_dir;
};

/* Nothing is written when anything is in the way. */
static int check_free(const struct project_files *p, int dir, const char *name, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < p->count; i++) {
		const struct init_entry *e = &p->entries[i];
		const bool there = fstatat(dir, e->path, &st, AT_SYMLINK_NOFOLLOW) == 0;

		if (there && e->text)
			return err_set(err, ERR_INPUT, "%s/%s is there already; init overwrites nothing, name another directory",
				       name, e->path);
		if (there && !S_ISDIR(st.st_mode))
			return err_set(err, ERR_INPUT, "%s/%s is no directory; name another directory for the project", name,
				       e->path);
	}
	return 0;
}

/* *ret_made: the entry is this run's, also when it could not be finished. */
static int make_entry(const struct init_entry *e, int dir, bool *ret_made)
{
	if (!e->text) {
		*ret_made = mkdirat(dir, e->path, 0755) == 0;
		if (!*ret_made)
			return errno == EEXIST ? 0 : -errno;
		return e->mode == 0 || fchmodat(dir, e->path, e->mode, 0) == 0 ? 0 : -errno;
	}
	FD_CLOSE int fd = openat(dir, e->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	*ret_made = fd >= 0;
	if (fd < 0)
		return -errno;
	const int error = fd_write_all(fd, e->text, e->size);

	if (error < 0)
		return error;
	return e->mode == 0 || fchmod(fd, e->mode) == 0 ? 0 : -errno;
}

static void unmake(const struct project_files *p, int dir, const char *name)
{
	for (size_t i = p->count; i-- > 0;)
		if (p->made[i])
			(void)unlinkat(dir, p->entries[i].path, p->entries[i].text ? 0 : AT_REMOVEDIR);
	if (p->made_dir)
		(void)rmdir(name);
}

static int make_entries(struct project_files *p, int dir, const char *name, struct err *err)
{
	if (check_free(p, dir, name, err) < 0)
		return -1;
	for (size_t i = 0; i < p->count; i++) {
		const int error = make_entry(&p->entries[i], dir, &p->made[i]);

		if (error < 0) {
			errno = -error;
			return err_errno(err, "%s/%s", name, p->entries[i].path);
		}
	}
	return 0;
}

static int write_project(bool seed, const char *name, struct err *err)
{
	struct project_files p = { .entries = own_entries, .count = sizeof own_entries / sizeof own_entries[0] };

	if (seed) {
		p.entries = init_seed_entries;
		p.count = init_seed_count;
	}
	assert(p.count <= sizeof p.made / sizeof p.made[0]);
	p.made_dir = mkdir(name, 0755) == 0;
	if (!p.made_dir && errno != EEXIST)
		return err_set(err, ERR_INPUT, "%s: %s", name, strerror(errno));
	FD_CLOSE int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_set(err, ERR_INPUT, "%s: %s", name, strerror(errno));
	if (make_entries(&p, dir, name, err) == 0)
		return 0;
	unmake(&p, dir, name);
	return -1;
}

static void next_steps(const char *name, struct arena *a)
{
	const bool here = strcmp(name, ".") == 0;
	struct err err = { 0 };
	char *real = realpath(name, NULL);
	const char *option = real && project_name(NULL, real, a, &err) ? "" : " --project NAME";

	free(real);
	printf("wrote %s/" MANIFEST_DEFAULT ", %s/lists/, %s/work/\n\nnext:\n", name, name, name);
	if (!here)
		printf("  cd %s\n", name);
	printf("  stockade up --dry-run%s     # what would be done\n", option);
	printf("  stockade up --host-root%s   # start the pods, as root\n", option);
	printf("  stockade exec -it%s sandbox-pod -- bash\n", option);
	printf("  stockade verify%s           # prove the walls\n", option);
	if (option[0])
		printf("(the directory's name cannot name a project, so each command is told a NAME of a-z, 0-9, '_', '.', '-')\n");
}

static void next_steps_seed(const char *name)
{
	printf("wrote %s/" MANIFEST_DEFAULT ", %s/scripts/, %s/haproxy/, %s/README.md\n\nnext, as root:\n", name, name, name, name);
	if (strcmp(name, ".") != 0)
		printf("  cd %s\n", name);
	printf("  podman network create secure_net\n"
	       "  sed \"s|PROJECT_ROOT|$(pwd)|g\" pods.yaml | podman play kube --network secure_net -\n"
	       "  podman exec -it cli-pod-cli-app curl -v https://storage.googleapis.com\n"
	       "  podman exec proxy-pod-proxy kill -USR2 1     # after an edit of haproxy/cli_domains.lst or sandbox_domains.lst\n"
	       "README.md says what this form cannot do; 'stockade up' in the same directory can.\n");
}

int cmd_init(int argc, char **argv)
{
	bool seed = false;
	const struct option_spec options[] = {
		OPTION_FLAG(0, "seed", &seed, "the layout for Podman and HAProxy by hand, which needs no stockade to run"),
		OPTION_END,
	};
	const struct command command = {
		.verb = "init",
		.operands = "[DIR]",
		.about = "Writes a project to start from: a manifest with two pods, their lists, and a directory for work. It "
			 "overwrites nothing.",
		.examples = "  stockade init my-project\n"
			    "  stockade init --seed by-hand    # pods.yaml, jail scripts and HAProxy's rules for podman play kube",
		.options = options,
		.most = 1,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	struct err err = { 0 };
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0) {
		const char *name = arguments.count ? arguments.operands[0] : ".";

		status = write_project(seed, name, &err) < 0 ? say_err("init", &err) : 0;
		if (status == 0 && seed)
			next_steps_seed(name);
		else if (status == 0)
			next_steps(name, &arena);
	}
	arena_free(&arena);
	return status;
}
