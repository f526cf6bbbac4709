/* The decision log: a line's text whatever it is made of, the rings' bounds, what happens when a file cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "gate/audit_line.h"
#include "gate_test.h"

static const struct timespec when = { 1709210096, 7089000 }; /* a 29th of February */

static char *format(const struct generation *g, const struct decision *d)
{
	static char line[AUDIT_LINE_MAX + 1];
	const size_t n = audit_line_format(g, d, &when, line);

	assert_in_range(n, 1, AUDIT_LINE_MAX);
	line[n] = '\0';
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	return line;
}

static void a_whole_line(void **state)
{
	struct gate_test *t = *state;
	const struct decision d = {
		.event = DECISION_END,
		.client = "cli-pod",
		.adapter = ADAPTER_HTTP,
		.method = "GET",
		.host = SPAN_LITERAL("api.example.com"),
		.port = 80,
		.address = { 6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } },
		.allow = true,
		.reason = REASON_ALLOWED,
		.rule = 0,
		.status = 200,
		.bytes_up = 12,
		.bytes_down = UINT64_MAX,
		.duration_us = 1234567,
	};

	assert_string_equal(
		format(&t->generation, &d),
		"{\"time\":\"2024-02-29T12:34:56.007089Z\",\"project\":\"demo\",\"client\":\"cli-pod\",\"event\":\"end\","
		"\"adapter\":\"http\",\"method\":\"GET\",\"host\":\"api.example.com\",\"address\":\"2001:db8::1\",\"port\":80,"
		"\"verdict\":\"allow\",\"reason\":\"allowed\",\"rule\":\"lists/cli.lst:7\",\"status\":200,\"generation\":3,"
		"\"hash\":\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\",\"bytes_up\":12,"
		"\"bytes_down\":18446744073709551615,\"duration_ms\":1234.567}\n");
}

static void what_is_unknown_is_null(void **state)
{
	const struct decision d = { .event = DECISION_OPEN,
				    .client = "x",
				    .adapter = ADAPTER_JAIL,
				    .reason = REASON_NOT_PROXIED,
				    .detail = "udp",
				    .rule = RULE_NONE };

	assert_string_equal(
		format(NULL, &d),
		"{\"time\":\"2024-02-29T12:34:56.007089Z\",\"project\":\"\",\"client\":\"x\",\"event\":\"open\","
		"\"adapter\":\"jail\",\"detail\":\"udp\",\"host\":null,\"address\":null,\"port\":null,\"verdict\":\"deny\","
		"\"reason\":\"not-proxied\",\"rule\":null,\"generation\":0,\"hash\":\"\",\"bytes_up\":0,\"bytes_down\":0,"
		"\"duration_ms\":0.000}\n");
}

static void hostile_bytes_are_escaped(void **state)
{
	const struct decision d = {
		.client = "x",
		.host = SPAN_LITERAL("a\"b\\c\n\0\x1b[2J\x7f\xe2\x80\xae\xff/"),
		.detail = "\",\"verdict\":\"allow",
		.rule = RULE_NONE,
	};
	const char *line = format(NULL, &d);

	assert_non_null(strstr(line, "\"host\":\"a\\\"b\\\\c\\u000a\\u0000\\u001b[2J\\u007f\\u00e2\\u0080\\u00ae\\u00ff/\","));
	assert_non_null(strstr(line, "\"detail\":\"\\\",\\\"verdict\\\":\\\"allow\","));
}

/* Every byte, at every length: the line stays bounded, printable, and its string ends where it should. */
static void lines_are_bounded(void **state)
{
	struct gate_test *t = *state;
	char host[600], name[600];
	struct decision d = {
		.client = name, .method = name, .detail = name, .host.p = host, .rule = 0, .status = 65535, .port = 65535
	};

	memset(name, '\x01', sizeof name);
	name[sizeof name - 1] = '\0';
	d.bytes_up = d.bytes_down = d.duration_us = t->generation.snapshot.generation = UINT64_MAX;
	for (int c = 0; c < 256; c++) {
		memset(host, c, sizeof host);
		for (d.host.n = 1; d.host.n < sizeof host; d.host.n += 37) {
			const char *line = format(&t->generation, &d);

			for (const char *p = line; *p != '\n'; p++)
				assert_in_range(*p, 0x20, 0x7e);
			assert_non_null(strstr(line, "\",\"address\":"));
		}
	}
	memset(host, 'h', sizeof host);
	d.host.n = sizeof host;
	const char *shown = strstr(format(&t->generation, &d), "\"host\":\"h");

	assert_non_null(shown);
	assert_int_equal(strspn(shown + 8, "h"), 256);
}

static void dates_are_right(void **state)
{
	const struct decision d = { .client = "x", .rule = RULE_NONE };
	char line[AUDIT_LINE_MAX], date[32];

	for (time_t s = 0; s < 5000000000; s += 86400 * 3 + 3599) {
		const struct timespec at = { s, 0 };
		struct tm tm;

		(void)audit_line_format(NULL, &d, &at, line);
		assert_non_null(gmtime_r(&s, &tm));
		assert_int_equal(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm), 19);
		assert_memory_equal(line + 9, date, 19);
	}
}

static void a_full_ring_counts_what_it_loses(void **state)
{
	struct gate_test *t = *state;
	const struct decision d = { .client = "cli-pod", .host = SPAN_LITERAL("example.com"), .rule = RULE_NONE };

	for (int i = 0; i < 2000; i++)
		audit_write(t->worker.audit, 0, &t->generation, &d);
	const uint64_t lost = audit_dropped(t->worker.audit);

	assert_in_range(lost, 1, 1999);
	const char *text = gate_test_log(t);

	assert_int_equal(gate_test_lines(text), 2000 - lost);
	for (const char *p = text; *p; p = strchr(p, '\n') + 1)
		assert_memory_equal(p, "{\"time\":\"", 9);
}

static void wait_for_lines(struct gate_test *t, unsigned lines)
{
	const struct timespec nap = { 0, 1000000 };
	ssize_t n = 0;

	for (int i = 0; i < 3000; i++) {
		n = pread(t->log, t->text, sizeof t->text - 1, 0);
		t->text[n > 0 ? n : 0] = '\0';
		if (gate_test_lines(t->text) >= lines)
			break;
		(void)nanosleep(&nap, NULL);
	}
	assert_int_equal(gate_test_lines(t->text), lines);
}

/* A line is written although nothing follows it, whether the thread sleeps or not; and rings that wrap keep lines whole. */
static void every_line_is_written(void **state)
{
	struct gate_test *t = *state;
	struct decision d = { .client = "cli-pod", .host = SPAN_LITERAL("example.com"), .rule = RULE_NONE };
	struct err err = { 0 };
	unsigned lines = 0;

	audit_set_file(t->worker.audit, dup(t->log));
	assert_int_equal(audit_start(t->worker.audit, &err), 0);
	for (unsigned burst = 1; burst < 60; burst++) {
		const struct timespec pause = { 0, burst % 4 * 4000000 }; /* it rests for 5 ms, then it sleeps */

		(void)nanosleep(&pause, NULL);
		for (unsigned i = 0; i < burst; i++, lines++) {
			d.port = (uint16_t)(lines + 1);
			audit_write(t->worker.audit, 0, &t->generation, &d);
		}
		wait_for_lines(t, lines);
	}
	assert_int_equal(audit_dropped(t->worker.audit), 0);
	unsigned port = 0;

	for (const char *p = t->text; (p = strstr(p, "\"port\":")) != NULL; p++)
		assert_int_equal(atoi(p + 7), ++port);
	assert_int_equal(port, lines);
}

static void a_full_disk_loses_lines_and_no_more(void **state)
{
	struct gate_test *t = *state;
	const struct decision d = { .client = "cli-pod", .rule = RULE_NONE };
	struct err err = { 0 };
	const struct timespec nap = { 0, 1000000 };
	const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	assert_true(full >= 0);
	audit_set_file(t->worker.audit, full);
	assert_int_equal(audit_start(t->worker.audit, &err), 0);
	audit_write(t->worker.audit, 0, &t->generation, &d);
	audit_write(t->worker.audit, 0, &t->generation, &d);
	for (int i = 0; i < 3000 && audit_dropped(t->worker.audit) < 2; i++)
		(void)nanosleep(&nap, NULL);
	assert_int_equal(audit_dropped(t->worker.audit), 2);
	audit_set_file(t->worker.audit, dup(t->log));
	audit_write(t->worker.audit, 0, &t->generation, &d);
	wait_for_lines(t, 1);
	assert_int_equal(audit_dropped(t->worker.audit), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_whole_line, gate_test_setup, gate_test_teardown),
		cmocka_unit_test(what_is_unknown_is_null),
		cmocka_unit_test(hostile_bytes_are_escaped),
		cmocka_unit_test_setup_teardown(lines_are_bounded, gate_test_setup, gate_test_teardown),
		cmocka_unit_test(dates_are_right),
		cmocka_unit_test_setup_teardown(a_full_ring_counts_what_it_loses, gate_test_setup, gate_test_teardown),
		cmocka_unit_test_setup_teardown(every_line_is_written, gate_test_setup, gate_test_teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_loses_lines_and_no_more, gate_test_setup, gate_test_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
