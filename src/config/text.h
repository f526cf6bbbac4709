/* Clean text or none: what every file of a project must be before anybody looks for meaning in it. */
#ifndef STOCKADE_CONFIG_TEXT_H
#define STOCKADE_CONFIG_TEXT_H

#include "config/report.h"

enum text_lines { TEXT_LF, TEXT_LF_OR_CRLF };

/* UTF-8 without byte order mark, NUL, DEL or control bytes other than tab and line ends; at most `limit` bytes. */
bool text_check(const struct source *s, size_t limit, enum text_lines lines, struct report *r);

#endif
