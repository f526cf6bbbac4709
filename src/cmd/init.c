/* init: a project to start from. It overwrites nothing. */
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
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

static const struct {
	const char *path, *text; /* text NULL: a directory */
} entries[] = {
	{ "lists", NULL },
	{ "work", NULL },
	{ "lists/sandbox_domains.lst", sandbox_list },
	{ "lists/cli_domains.lst", cli_list },
	{ MANIFEST_DEFAULT, manifest }, /* last: a directory with a manifest is a whole project */
};

enum { ENTRIES = sizeof entries / sizeof entries[0] };

/* Nothing is written when anything is in the way. */
static int check_free(int dir, const char *name, struct err *err)
{
	struct stat st;

	for (size_t i = 0; i < ENTRIES; i++) {
		const bool there = fstatat(dir, entries[i].path, &st, AT_SYMLINK_NOFOLLOW) == 0;

		if (there && entries[i].text)
			return err_set(err, ERR_INPUT, "%s/%s is there already; init overwrites nothing, name another directory",
				       name, entries[i].path);
		if (there && !S_ISDIR(st.st_mode))
			return err_set(err, ERR_INPUT, "%s/%s is no directory; name another directory for the project", name,
				       entries[i].path);
	}
	return 0;
}

static int write_entry(int dir, size_t i, const char *name, struct err *err)
{
	if (!entries[i].text)
		return mkdirat(dir, entries[i].path, 0755) == 0 || errno == EEXIST ? 0
										   : err_errno(err, "%s/%s", name, entries[i].path);
	FD_CLOSE int fd = openat(dir, entries[i].path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	const int error = fd < 0 ? -errno : fd_write_all(fd, entries[i].text, strlen(entries[i].text));

	if (error == 0)
		return 0;
	errno = -error;
	return err_errno(err, "%s/%s", name, entries[i].path);
}

static int write_project(const char *name, struct err *err)
{
	if (mkdir(name, 0755) < 0 && errno != EEXIST)
		return err_set(err, ERR_INPUT, "%s: %s", name, strerror(errno));
	FD_CLOSE int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_set(err, ERR_INPUT, "%s: %s", name, strerror(errno));
	if (check_free(dir, name, err) < 0)
		return -1;
	for (size_t i = 0; i < ENTRIES; i++)
		if (write_entry(dir, i, name, err) < 0)
			return -1;
	return 0;
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

int cmd_init(int argc, char **argv)
{
	const struct option_spec options[] = { OPTION_END };
	const struct command command = {
		.verb = "init",
		.operands = "[DIR]",
		.about = "Writes a project to start from: a manifest with two pods, their lists, and a directory for work. It "
			 "overwrites nothing.",
		.examples = "  stockade init my-project",
		.options = options,
		.most = 1,
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	struct err err = { 0 };
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0) {
		const char *name = arguments.count ? arguments.operands[0] : ".";

		status = write_project(name, &err) < 0 ? say_err("init", &err) : 0;
		if (status == 0)
			next_steps(name, &arena);
	}
	arena_free(&arena);
	return status;
}
