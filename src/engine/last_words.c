#include "engine/last_words.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/live.h"

enum { LAST_BYTES = 1500 };

/* The last lines of it, whole ones. "" where there is no file. */
static char *read_last(int fd, char text[static LAST_BYTES + 1])
{
	struct stat st;

	text[0] = '\0';
	if (fd < 0 || fstat(fd, &st) < 0)
		return text;
	const off_t from = st.st_size > LAST_BYTES ? st.st_size - LAST_BYTES : 0;
	const ssize_t n = pread(fd, text, LAST_BYTES, from);

	text[n > 0 ? n : 0] = '\0';
	return from ? text + strcspn(text, "\n") : text;
}

static int open_diagnostics(const struct house *h)
{
	return openat(h->dir, "supervisor.log", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* --- the gate's --- */

/* Before each line Podman has put the time, the stream, and whether it is whole; log.h the time, the level and the role. */
static const char *said_in(char *line)
{
	for (int i = 0; i < 3 && *line; i++) {
		line += strcspn(line, " ");
		line += *line == ' ';
	}
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return line;
}

/* One that is a child of this process writes where this process writes. */
static int open_gates(const struct house *h)
{
	const struct live_pod *gate = h->podman.bridge.gate;

	if (!h->podman.bridge.on)
		return h->gate.state == GATE_SERVING ? -1 : open_diagnostics(h);
	if (!gate || h->gate.state != GATE_DOWN || gate->container_count == 0 || !gate->containers[0].log_path[0])
		return -1;
	return open(gate->containers[0].log_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

void last_words_of_gate(const struct house *h, char ret[static LAST_WORDS])
{
	FD_CLOSE int fd = open_gates(h);
	char text[LAST_BYTES + 1], *rest = read_last(fd, text);

	ret[0] = '\0';
	for (char *line = strtok_r(rest, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (h->podman.bridge.on || strstr(line, " error gate "))
			(void)snprintf(ret, LAST_WORDS, "%s", said_in(line));
}

void last_words_late(const struct house *h, const char *what, struct err *ret)
{
	char words[LAST_WORDS];

	last_words_of_gate(h, words);
	if (words[0])
		(void)err_set(ret, ERR_FAULT, "%s; it does not run, and the last that it said is: %s", what, words);
	else
		(void)err_set(ret, ERR_FAULT, "%s; see supervisor.log", what);
}

/* --- all --- */

void last_words_show(struct house *h, uint64_t client)
{
	FD_CLOSE int fd = open_diagnostics(h);
	char text[LAST_BYTES + 1], *rest = read_last(fd, text);

	for (const char *line = strtok_r(rest, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		client_line(&h->clients, client, "supervisor.log: %s", line);
}
