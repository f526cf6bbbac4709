/* Words for people: errors to stderr, always in one shape; colour only on a terminal; nothing that a pod could have chosen is ever
 * obeyed by the terminal. */
#ifndef STOCKADE_CMD_SAY_H
#define STOCKADE_CMD_SAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"

/* "stockade VERB: error: ..."; returns 2, the exit status of wrong usage. */
int say_error(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same for an err; one that reads like a compiler's (FILE:LINE:COLUMN: error: ...) stays as it is. Returns its exit status. */
int say_err(const char *verb, const struct err *err);
/* A line to stdout, at once. For control_call. */
void say_line(const char *line);

enum color { COLOR_PLAIN, COLOR_BOLD, COLOR_RED, COLOR_GREEN, COLOR_YELLOW, COLOR_DIM };
/* The escape sequence, or "" when `to` is no terminal or NO_COLOR is set. */
const char *say_color(FILE *to, enum color c);
/* Text that somebody else wrote, control characters shown as ^X. */
void say_shown(FILE *to, struct span text);
/* Likewise within a line: line ends and tabs too. */
void say_shown_word(FILE *to, struct span text);
/* Pretty JSON and a newline to stdout. 0, or 3 when it could not be written. */
int say_json(const json_t *value);

#endif
