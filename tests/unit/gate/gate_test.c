#include "gate_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct span gate_test_block(struct arena *a)
{
	const struct ip_addr v4 = { 4, { 198, 18, 0, 5 } }, v6 = { 6, { 0xfd, 0x5a, [15] = 5 } };
	struct policy_builder *b = policy_builder_new(a);
	const uint32_t c = policy_builder_client(b, "cli-pod");
	const struct rule r = { .match = RULE_EXACT, .name = "api.example.com", .file = "lists/cli.lst", .line = 7 };

	policy_builder_rule(b, c, &r);
	policy_builder_name(b, "cli-pod", &v4, &v6);
	policy_builder_name(b, "v4-pod", &v4, NULL);
	return policy_builder_finish(b);
}

int gate_test_setup(void **state)
{
	struct gate_test *t = calloc(1, sizeof *t);
	struct err err = { 0 };

	assert_non_null(t);
	assert_true(snapshot_open(gate_test_block(&t->arena), &t->generation.snapshot));
	t->generation.snapshot.generation = 3;
	strcpy(t->generation.snapshot.hash, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	strcpy(t->generation.project, "demo");
	t->worker.loop = loop_new();
	limits_default(&t->worker.limits);
	t->worker.audit = audit_new(1, &err);
	t->worker.generation = &t->generation;
	assert_non_null(t->worker.loop);
	assert_non_null(t->worker.audit);
	strcpy(t->client.name, "cli-pod");
	t->client.number = snapshot_client(&t->generation.snapshot, SPAN_LITERAL("cli-pod"));
	assert_int_not_equal(t->client.number, CLIENT_NONE);
	t->log = memfd_create("log", MFD_CLOEXEC);
	assert_true(t->log >= 0);
	*state = t;
	return 0;
}

int gate_test_teardown(void **state)
{
	struct gate_test *t = *state;

	audit_free(t->worker.audit);
	loop_free(t->worker.loop);
	(void)close(t->log);
	arena_free(&t->arena);
	free(t);
	return 0;
}

const char *gate_test_log(struct gate_test *t)
{
	struct err err = { 0 };
	const int fd = dup(t->log);

	assert_true(fd >= 0);
	audit_set_file(t->worker.audit, fd);
	assert_int_equal(audit_start(t->worker.audit, &err), 0);
	audit_free(t->worker.audit);
	t->worker.audit = NULL;
	const ssize_t n = pread(t->log, t->text, sizeof t->text - 1, 0);

	assert_true(n >= 0);
	t->text[n] = '\0';
	return t->text;
}

unsigned gate_test_lines(const char *text)
{
	unsigned lines = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		lines++;
	return lines;
}
