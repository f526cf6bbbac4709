#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"

static const char *root = ".";
static bool writing;

void golden_begin(int argc, char **args)
{
	if (argc > 1)
		root = args[1];
	writing = argc > 2 && strcmp(args[2], "--write") == 0;
}

static void write_anew(const char *path, struct span text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	assert_int_equal(fclose(f), 0);
}

void golden_compare(const char *name, struct span text)
{
	struct arena arena = { 0 };
	const char *path = arena_printf(&arena, "%s/tests/cases/%s", root, name);
	struct span want;
	struct err err;

	if (writing)
		write_anew(path, text);
	if (fd_read_file(path, 1024 * 1024, &arena, &want, &err) < 0)
		fail_msg("%s", err.text);
	if (!span_eq(text, want))
		fail_msg("%s is not what is rendered now; --write makes it so", path);
	arena_free(&arena);
}
