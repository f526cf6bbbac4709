#include "cmd/say.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int print_error(const char *verb, const char *text)
{
	(void)fflush(stdout);
	fprintf(stderr, "stockade %s: %serror:%s ", verb, say_color(stderr, COLOR_RED), say_color(stderr, COLOR_PLAIN));
	say_shown(stderr, span_of(text));
	(void)fputc('\n', stderr);
	return ERR_INPUT;
}

int say_error(const char *verb, const char *fmt, ...)
{
	char text[sizeof((struct err *)NULL)->text];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return print_error(verb, text);
}

/* Begins with a place: "pods.yaml:3:1: error: ..." or "pods.yaml: error: ...". */
static bool has_place(const char *text)
{
	const size_t line = strcspn(text, "\n");

	return memmem(text, line, ": error: ", strlen(": error: ")) != NULL;
}

int say_err(const char *verb, const struct err *err)
{
	(void)fflush(stdout);
	if (has_place(err->text)) {
		say_shown(stderr, span_of(err->text));
		(void)fputc('\n', stderr);
	} else {
		(void)print_error(verb, err->text);
	}
	return err->class == ERR_NONE ? ERR_FAULT : (int)err->class;
}

const char *say_color(FILE *to, enum color c)
{
	static const char *const codes[] = {
		[COLOR_PLAIN] = "\033[0m",  [COLOR_BOLD] = "\033[1m",    [COLOR_RED] = "\033[31m",
		[COLOR_GREEN] = "\033[32m", [COLOR_YELLOW] = "\033[33m", [COLOR_DIM] = "\033[2m",
	};
	const char *term = getenv("TERM"), *none = getenv("NO_COLOR");

	if ((none && none[0]) || !term || strcmp(term, "dumb") == 0 || !isatty(fileno(to)))
		return "";
	return codes[c];
}

static void show(FILE *to, struct span text, bool word)
{
	for (size_t i = 0; i < text.n; i++) {
		const unsigned char c = (unsigned char)text.p[i];
		/* C1 controls, as UTF-8 writes them, are escape sequences to some terminals. */
		const bool c1 =
			c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] >= 0x80 && (unsigned char)text.p[i + 1] < 0xa0;

		if (c1) {
			fputs("^?", to);
			i++;
		} else if (c == 0x7f || (c < 0x20 && (word || (c != '\n' && c != '\t')))) {
			fprintf(to, "^%c", c ^ 0x40);
		} else {
			(void)fputc(c, to);
		}
	}
}

void say_shown(FILE *to, struct span text)
{
	show(to, text, false);
}

void say_shown_word(FILE *to, struct span text)
{
	show(to, text, true);
}

void say_line(const char *line)
{
	say_shown(stdout, span_of(line));
	(void)putchar('\n');
	(void)fflush(stdout);
}

int say_json(const json_t *value)
{
	if (json_dumpf(value, stdout, JSON_INDENT(2)) < 0)
		return ERR_FAULT;
	return puts("") < 0 || fflush(stdout) != 0 ? ERR_FAULT : 0;
}
