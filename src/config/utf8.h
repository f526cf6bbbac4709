/* UTF-8 (RFC 3629), strictly. */
#ifndef STOCKADE_CONFIG_UTF8_H
#define STOCKADE_CONFIG_UTF8_H

#include "base/span.h"

/* The length of the sequence at p, or 0: overlong forms, surrogates and values over U+10FFFF are none. */
size_t utf8_length(const unsigned char *p, size_t left);
bool utf8_valid(struct span text);
/* How many characters the first n bytes of p are; a column is one more than those before it. */
unsigned utf8_count(const char *p, size_t n);

#endif
