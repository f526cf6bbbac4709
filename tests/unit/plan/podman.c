/* What `podman kube play` is given, read back as JSON: what must be in it, and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "manifest_text.h"
#include "plan/podman.h"

static struct arena arena;
static const struct plan *plan;

static const char manifest[] =
	"apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { \"a.conf\": \"x\" }\n---\n"
	"apiVersion: v1\nkind: Pod\n"
	"metadata: { name: work, labels: { app: cli, stockade.project: other }, annotations: { io.podman.annotations.privileged: "
	"\"TRUE\" } }\n"
	"spec:\n"
	"  initContainers: [{ name: first, image: one, command: [\"true\"] }]\n"
	"  containers:\n"
	"  - name: app\n"
	"    image: docker.io/library/two:1\n"
	"    command: [sh, -c]\n"
	"    args: [\"echo \\\"quoted\\\\path\\\"\\n\\t\\u00e9\"]\n"
	"    workingDir: /tmp\n"
	"    env: [{ name: HTTP_PROXY, value: \"http://elsewhere\" }, { name: A, value: \"\" }]\n"
	"    securityContext: { runAsUser: 0, runAsGroup: 7, readOnlyRootFilesystem: true }\n"
	"    resources: { limits: { memory: 64Mi, cpu: 250m } }\n"
	"    ports: [{ containerPort: 80, hostPort: 8080 }]\n"
	"    volumeMounts:\n"
	"    - { name: empty, mountPath: /empty }\n"
	"    - { name: config, mountPath: /etc/a.conf, subPath: a.conf }\n"
	"    - { name: config, mountPath: /etc/hosts, subPath: a.conf }\n"
	"  volumes: [{ name: empty, emptyDir: { sizeLimit: 1Mi } }, { name: config, configMap: { name: settings } }]\n";

static int begin(void **state)
{
	plan = plan_make(manifest_text(manifest, &arena), &arena);
	return 0;
}

static int end(void **state)
{
	arena_free(&arena);
	return 0;
}

static json_t *render(bool init_restarts)
{
	const struct podman_pod how = { "demo", "/state/pods/work", "filter.json", init_restarts };
	json_error_t why;
	json_t *all = json_loads(plan_podman(plan, &plan->pods[0], &how, &arena), JSON_REJECT_DUPLICATES, &why);

	if (!all)
		fail_msg("%s", why.text);
	return all;
}

/* By a path of keys and numbers, "spec/containers/0/name". */
static json_t *at(json_t *o, const char *path)
{
	char *copy = arena_strdup(&arena, path), *save = NULL;

	for (char *key = strtok_r(copy, "/", &save); key && o; key = strtok_r(NULL, "/", &save))
		o = json_is_array(o) ? json_array_get(o, (size_t)strtoul(key, NULL, 10)) : json_object_get(o, key);
	return o;
}

static void expect(json_t *o, const char *path, const char *text)
{
	const char *its = json_string_value(at(o, path));

	if (!its)
		fail_msg("%s is not there", path);
	assert_string_equal(its, text);
}

static void test_marks(void **state)
{
	json_t *all = render(false);

	expect(all, "kind", "Pod");
	expect(all, "metadata/name", "work");
	expect(all, "metadata/labels/app", "cli");
	/* The manifest cannot pass its pod off as another project's. */
	expect(all, "metadata/labels/stockade.project", "demo");
	expect(all, "metadata/annotations/stockade.project", "demo");
	expect(all, "metadata/annotations/stockade.pod", "work");
	json_decref(all);
}

static void test_annotations_are_ours(void **state)
{
	json_t *all = render(false), *annotations = at(all, "metadata/annotations");

	assert_int_equal(json_object_size(annotations), 4);
	assert_null(json_object_get(annotations, "io.podman.annotations.privileged"));
	assert_string_equal(json_string_value(json_object_get(annotations, "seccomp.security.alpha.kubernetes.io/pod")),
			    "localhost/filter.json");
	json_decref(all);
}

static void test_container(void **state)
{
	json_t *all = render(false), *c = at(all, "spec/containers/0");

	expect(c, "name", "app");
	expect(c, "image", "docker.io/library/two:1");
	expect(c, "imagePullPolicy", "Never");
	expect(c, "command/1", "-c");
	expect(c, "args/0", "echo \"quoted\\path\"\n\t\xc3\xa9");
	expect(c, "workingDir", "/tmp");
	expect(c, "securityContext/capabilities/drop/0", "ALL");
	assert_true(json_is_false(at(c, "securityContext/allowPrivilegeEscalation")));
	assert_true(json_is_true(at(c, "securityContext/readOnlyRootFilesystem")));
	assert_int_equal(json_integer_value(at(c, "securityContext/runAsGroup")), 7);
	assert_true(json_is_integer(at(c, "securityContext/runAsUser")));
	expect(c, "resources/limits/memory", "67108864");
	expect(c, "resources/limits/cpu", "250m");
	/* Ports are the supervisor's to publish. */
	assert_null(json_object_get(c, "ports"));
	json_decref(all);
}

static const char *variable(json_t *container, const char *name)
{
	json_t *env = json_object_get(container, "env"), *one;
	const char *value = NULL;
	size_t i;

	json_array_foreach(env, i, one) if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) value =
		json_string_value(json_object_get(one, "value"));
	return value;
}

static void test_variables(void **state)
{
	json_t *all = render(false), *app = at(all, "spec/containers/0"), *first = at(all, "spec/initContainers/0");

	assert_string_equal(variable(first, "http_proxy"), "http://proxy-pod:8080");
	assert_string_equal(variable(app, "https_proxy"), "http://proxy-pod:8080");
	assert_string_equal(variable(app, "HTTP_PROXY"), "http://elsewhere");
	assert_null(variable(app, "http_proxy")); /* the manifest has set it */
	assert_string_equal(variable(app, "A"), "");
	json_decref(all);
}

/* Every mount of every container finds the volume that it means. */
static void test_mounts(void **state)
{
	static const struct {
		const char *container, *path, *source;
		bool read_only;
	} wanted[] = {
		{ "initContainers", "/etc/hosts", "/state/pods/work/hosts", true },
		{ "initContainers", "/etc/resolv.conf", "/state/pods/work/resolv.conf", true },
		{ "containers", "/empty", "/state/pods/work/volumes/empty", false },
		{ "containers", "/etc/a.conf", "/state/pods/work/volumes/config/a.conf", true },
		{ "containers", "/etc/hosts", "/state/pods/work/volumes/config/a.conf", true },
		{ "containers", "/etc/resolv.conf", "/state/pods/work/resolv.conf", true },
	};
	json_t *all = render(false), *volumes = at(all, "spec/volumes");
	size_t next[2] = { 0, 0 };

	assert_int_equal(json_array_size(volumes), sizeof wanted / sizeof *wanted);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		const bool init = wanted[i].container[0] == 'i';
		json_t *mounts = at(all, arena_printf(&arena, "spec/%s/0/volumeMounts", wanted[i].container));
		json_t *mount = json_array_get(mounts, next[init]++), *volume = json_array_get(volumes, i);

		expect(mount, "mountPath", wanted[i].path);
		expect(volume, "name", json_string_value(json_object_get(mount, "name")));
		expect(volume, "hostPath/path", wanted[i].source);
		assert_int_equal(json_is_true(json_object_get(mount, "readOnly")), wanted[i].read_only);
	}
	json_decref(all);
}

static void test_restarts(void **state)
{
	json_t *all = render(false);

	expect(all, "spec/restartPolicy", "Always");
	json_decref(all);
	all = render(true);
	expect(all, "spec/restartPolicy", "OnFailure");
	json_decref(all);
	assert_non_null(strstr(plan_podman_note(&plan->pods[0], true, &arena), "OnFailure"));
	assert_non_null(strstr(plan_podman_note(&plan->pods[0], false, &arena), "sizeLimit of the volume 'empty'"));
	assert_null(strstr(plan_podman_note(&plan->pods[0], false, &arena), "OnFailure"));
}

/* Pods p and q, each with a volume at a path. */
static const char *refused(const char *p_path, const char *p_how, const char *q_path)
{
	char *text = arena_printf(
		&arena,
		"apiVersion: v1\nkind: Pod\nmetadata: { name: p, labels: { app: p } }\nspec:\n  containers:\n"
		"  - { name: c, image: i, command: [\"true\"], volumeMounts: [{ name: v, mountPath: /v%s }] }\n"
		"  volumes: [{ name: v, %s }]\n---\n"
		"apiVersion: v1\nkind: Pod\nmetadata: { name: q, labels: { app: q } }\nspec:\n  containers:\n"
		"  - { name: c, image: i, command: [\"true\"], volumeMounts: [{ name: w, mountPath: /w, readOnly: true }] }\n"
		"  volumes: [{ name: w, hostPath: { path: %s } }]\n",
		p_how, p_path, q_path);
	const struct plan *other = plan_make(manifest_text(text, &arena), &arena);
	const char *why = plan_podman_refuses(other, &other->pods[0], "/srv/state", &arena);

	return why ? why : plan_podman_refuses(other, &other->pods[1], "/srv/state", &arena);
}

static void test_refuses(void **state)
{
	assert_null(plan_podman_refuses(plan, &plan->pods[0], "/srv/state", &arena));
	assert_string_equal(plan_podman_name(&plan->pods[0], &plan->pods[0].pod->containers[0], &arena), "work-app");
	/* A part of a volume. */
	assert_non_null(strstr(refused("emptyDir: {}", ", subPath: s", "/srv/x"), "subPath"));
	assert_null(refused("emptyDir: {}", "", "/srv/x"));
	/* A volume in one that a pod may write to. */
	assert_non_null(strstr(refused("hostPath: { path: /srv/x }", "", "/srv/x/y"),
			       "the volume 'w' lies in the volume 'v', which pod p"));
	assert_null(refused("hostPath: { path: /srv/x }", ", readOnly: true", "/srv/x/y"));
	assert_null(refused("hostPath: { path: /srv/x }", "", "/srv/xy"));
	assert_null(refused("hostPath: { path: /srv/x }", "", "/srv/x"));
	/* What the engine itself relies on. */
	assert_non_null(strstr(refused("hostPath: { path: /srv }", "", "/opt/x"), "own files"));
	assert_non_null(strstr(refused("hostPath: { path: /srv/state/pods }", "", "/opt/x"), "own files"));
	assert_null(refused("hostPath: { path: /srv }", ", readOnly: true", "/opt/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),     cmocka_unit_test(test_annotations_are_ours),
		cmocka_unit_test(test_container), cmocka_unit_test(test_variables),
		cmocka_unit_test(test_mounts),    cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
