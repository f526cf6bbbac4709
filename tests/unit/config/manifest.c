/* Manifests: the values that come out of one, and the walls that need real files of odd kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "config/project.h"

static struct arena arena;
static struct err err;
static char dir[64];

static int begin(void **state)
{
	(void)snprintf(dir, sizeof dir, "/tmp/stockade-config-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static const char *path(const char *name)
{
	return arena_printf(&arena, "%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int end(void **state)
{
	static const char *const names[] = { "pods.yaml", "socket", "pipe", "file", "link", "lists/a_domains.lst", "lists" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		(void)remove(path(names[i]));
	(void)rmdir(dir);
	arena_free(&arena);
	return 0;
}

#define POD                      \
	"apiVersion: v1\n"       \
	"kind: Pod\n"            \
	"metadata:\n"            \
	"  name: a-pod\n"        \
	"  labels: { app: a }\n" \
	"spec:\n"                \
	"  containers:\n"        \
	"  - name: app\n"        \
	"    image: alpine\n"

static struct manifest *load(const char *text)
{
	struct manifest *m = NULL;

	return config_load_text(span_of(text), "pods.yaml", &arena, &m, &err) == 0 ? m : NULL;
}

static void test_values(void **state)
{
	const struct manifest *m = load(POD "    command: [\"sh\", -c]\n"
					    "    args: [\"echo 1\"]\n"
					    "    env: [{ name: A, value: \"\" }]\n"
					    "    workingDir: /w\n"
					    "    ports: [{ containerPort: 80, hostPort: 8080 }]\n"
					    "    resources: { limits: { cpu: \"1.5\", memory: 64Mi } }\n"
					    "    securityContext: { runAsUser: 7, readOnlyRootFilesystem: true }\n"
					    "    volumeMounts: [{ name: v, mountPath: /d/, readOnly: true, subPath: a/b }]\n"
					    "  restartPolicy: Never\n"
					    "  volumes: [{ name: v, hostPath: { path: PROJECT_ROOT/x//y/. } }]\n");
	const struct container *c;

	assert_non_null(m);
	assert_int_equal(m->pod_count, 1);
	assert_int_equal(m->pods[0].restart_policy, RESTART_NEVER);
	assert_string_equal(m->pods[0].volumes[0].path, "/project/x/y");
	assert_string_equal(m->pods[0].volumes[0].path_type, "");
	assert_int_equal(m->pods[0].at.line, 1);
	c = &m->pods[0].containers[0];
	assert_int_equal(c->command.count, 2);
	assert_string_equal(c->command.items[1], "-c");
	assert_string_equal(c->args.items[0], "echo 1");
	assert_string_equal(c->env[0].value, "");
	assert_string_equal(c->working_dir, "/w");
	assert_int_equal(c->ports[0].host_port, 8080);
	assert_null(c->ports[0].host_ip);
	assert_int_equal(c->cpu_limit_milli, 1500);
	assert_int_equal(c->memory_limit, 64 << 20);
	assert_int_equal(c->run_as_user, 7);
	assert_int_equal(c->run_as_group, -1);
	assert_true(c->read_only_root);
	assert_string_equal(c->mounts[0].path, "/d");
	assert_string_equal(c->mounts[0].sub_path, "a/b");
	assert_true(c->mounts[0].read_only);
	assert_int_equal(c->at.line, 8);
}

static void test_quantities(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
	} cases[] = {
		{ "1Mi", 1 << 20 },     { "1M", 0 },
		{ "2M", 2000000 },      { "1.5Gi", 3ULL << 29 },
		{ "1048577", 1048577 }, { "\"1Gi\"", 1 << 30 },
		{ "1Ki", 0 },           { "-1Gi", 0 },
		{ "1 Gi", 0 },          { "1GiB", 0 },
		{ "99999999999Ti", 0 }, { "18446744073709551616", 0 },
		{ ".Gi", 0 },           { "0.1234567Gi", 0 },
		{ "1e9", 0 },           { "0", 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct manifest *m =
			load(arena_printf(&arena, POD "    resources: { limits: { memory: %s } }\n", cases[i].text));

		if (!m != !cases[i].bytes || (m && m->pods[0].containers[0].memory_limit != cases[i].bytes))
			fail_msg("%s", cases[i].text);
	}
}

/* The jailer's rule, each of its conditions missing once. */
static void test_jailer(void **state)
{
	static const struct {
		const char *name, *script, *mount;
		bool jailer;
	} cases[] = {
		{ "x-node", "/opt/scripts/jail_x.sh", "/opt/scripts", true },
		{ "x-app", "/opt/scripts/jail_x.sh", "/opt/scripts", false },
		{ "x-node", "/opt/scripts/run.sh", "/opt/scripts", false },
		{ "x-node", "/opt/scripts/jail.sh", "/opt/scripts", true },
		{ "x-node", "/opt/scripts/jail.py", "/opt/scripts", false },
		{ "x-node", "/opt/scripts2/jail_x.sh", "/opt/scripts", false },
		{ "x-node", "/usr/bin/jail_x.sh", "/opt/scripts", false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct manifest *m =
			load(arena_printf(&arena,
					  "{ apiVersion: v1, kind: Pod, metadata: { name: p }, spec: { containers: ["
					  "{ name: %s, image: i, command: [sh, %s], volumeMounts: [{ name: v, mountPath: %s }] } ],"
					  " volumes: [{ name: v, emptyDir: {} }] } }",
					  cases[i].name, cases[i].script, cases[i].mount));

		assert_non_null(m);
		assert_int_equal(m->pods[0].containers[0].jailer, cases[i].jailer);
	}
}

static int load_file(struct manifest **ret)
{
	return config_load(path("pods.yaml"), &arena, ret, &err);
}

static void put_with_volume(const char *host_path, const char *mount_more)
{
	put("pods.yaml", arena_printf(&arena,
				      POD "    volumeMounts: [{ name: v, mountPath: /data%s }]\n"
					  "  volumes: [{ name: v, hostPath: { path: %s } }]\n",
				      mount_more, host_path));
}

static void assert_refused(const char *words)
{
	struct manifest *m = NULL;

	assert_int_equal(load_file(&m), -1);
	assert_null(m);
	if (!strstr(err.text, words))
		fail_msg("'%s' is not in: %s", words, err.text);
}

static void test_odd_files(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	FD_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s/socket", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(mkfifo(path("pipe"), 0600), 0);
	put_with_volume("socket", "");
	assert_refused("is a socket");
	put_with_volume("pipe", "");
	assert_refused("is a pipe");
	assert_int_equal(symlink("/dev/null", path("link")), 0);
	put_with_volume("link", "");
	assert_refused("devices reach the host");
}

/* The path that is handed on is the one that was judged. */
static void test_links_are_followed(void **state)
{
	struct manifest *m;

	put("file", "x");
	assert_int_equal(symlink("file", path("link")), 0);
	put_with_volume("link", "");
	assert_int_equal(load_file(&m), 0);
	assert_string_equal(m->pods[0].volumes[0].path, path("file"));
}

static void test_writable_project(void **state)
{
	struct manifest *m;

	put_with_volume("..", "");
	assert_refused("without '..'");
	put_with_volume("/tmp", "");
	assert_refused("could change its own policy");
	put_with_volume("/tmp", ", readOnly: true");
	assert_int_equal(load_file(&m), 0);
	put_with_volume("/tmp", arena_printf(&arena, ", subPath: %s", strrchr(dir, '/') + 1));
	assert_refused("could change its own policy");
	put_with_volume("/tmp", ", subPath: no-such-directory");
	assert_int_equal(load_file(&m), 0);
}

static void test_lists(void **state)
{
	struct manifest *m;

	put("pods.yaml", POD);
	assert_int_equal(load_file(&m), 0);
	assert_true(m->clients[0].no_list);
	assert_int_equal(m->notes.count, 1);
	assert_int_equal(mkdir(path("lists"), 0700), 0);
	put("lists/a_domains.lst", "a.example\n");
	assert_int_equal(load_file(&m), 0);
	assert_false(m->clients[0].no_list);
	assert_int_equal(m->clients[0].rule_count, 1);
	assert_string_equal(m->clients[0].rules[0].file, "lists/a_domains.lst");
	assert_int_equal(m->clients[0].files.count, 1);
	assert_string_equal(m->clients[0].files.items[0], path("lists/a_domains.lst"));
	assert_string_equal(m->project_dir, dir);
	assert_string_equal(m->path, path("pods.yaml"));
	assert_int_equal(unlink(path("lists/a_domains.lst")), 0);
	assert_int_equal(symlink("nowhere", path("lists/a_domains.lst")), 0);
	assert_refused("the list");
}

static void test_missing(void **state)
{
	assert_refused("pods.yaml: No such file or directory");
}

/* Whatever a file says, a message does not carry it to the terminal as a command. */
static void test_messages_are_harmless(void **state)
{
	assert_null(load(POD "    \"\\e]0;x\\a\": 1\n"));
	for (const char *p = err.text; *p; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= 0x20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(values),
		TEST(quantities),
		TEST(jailer),
		TEST(odd_files),
		TEST(links_are_followed),
		TEST(writable_project),
		TEST(lists),
		TEST(missing),
		TEST(messages_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
