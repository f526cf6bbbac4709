#include "stream.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { STREAM_MAX = 4 * 1024 * 1024 };

void stream_put_text(struct span s)
{
	(void)putchar('"');
	for (size_t i = 0; i < s.n; i++) {
		const uint8_t c = (uint8_t)s.p[i];

		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			(void)printf("\\u%04x", c);
		else
			(void)putchar(c);
	}
	(void)putchar('"');
}

int stream_each(void (*take)(struct span stream))
{
	uint8_t size[4];

	while (fread(size, 1, sizeof size, stdin) == sizeof size) {
		const size_t n = size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
		char *bytes = n <= STREAM_MAX ? malloc(n + 1) : NULL;

		if (!bytes || fread(bytes, 1, n, stdin) != n) {
			free(bytes);
			return 1;
		}
		take((struct span) { bytes, n });
		free(bytes);
	}
	return ferror(stdin) || fflush(stdout) ? 1 : 0;
}
