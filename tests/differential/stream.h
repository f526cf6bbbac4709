/* Streams come in with their length in front, four bytes, low end first; what is said of each goes out as a line of JSON. */
#ifndef STOCKADE_DIFFERENTIAL_STREAM_H
#define STOCKADE_DIFFERENTIAL_STREAM_H

#include "base/span.h"

/* Reads all of stdin. Returns main's exit status. */
int stream_each(void (*take)(struct span stream));
/* Bytes as a JSON string of the characters of the same numbers. */
void stream_put_text(struct span s);

#endif
