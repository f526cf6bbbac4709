#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *role = "stockade";

void log_set_role(const char *name)
{
	role = name;
}

/* One write(2) a line, so that lines of several processes do not mix. Control bytes are shown as '?'. */
__attribute__((format(printf, 2, 0))) static void emit(const char *level, const char *fmt, va_list ap)
{
	char line[1024];
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);

	n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s ", now.tv_nsec / 1000000, level, role);
	int more = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);

	if (more < 0)
		return;
	size_t end = n + (size_t)more < sizeof line - 1 ? n + (size_t)more : sizeof line - 2;

	for (size_t i = n; i < end; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[end++] = '\n';
	(void)!write(STDERR_FILENO, line, end);
}

#define DEFINE_LEVEL(name, word)              \
	void log_##name(const char *fmt, ...) \
	{                                     \
		va_list ap;                   \
		va_start(ap, fmt);            \
		emit(word, fmt, ap);          \
		va_end(ap);                   \
	}

DEFINE_LEVEL(info, "info")
DEFINE_LEVEL(warn, "warn")
DEFINE_LEVEL(error, "error")
