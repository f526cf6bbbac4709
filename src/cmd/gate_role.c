/* The gate's process: started by the supervisor, not by people. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/log.h"
#include "cmd/options.h"
#include "cmd/say.h"
#include "cmd/values.h"
#include "gate/gate.h"

static int connect_to(const char *path, struct err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	FD_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof to.sun_path)
		return err_set(err, ERR_INPUT, "the path is too long: %s", path);
	(void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	return fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) < 0 ? err_errno(err, "%s", path) : fd_steal(&fd);
}

int cmd_gate_role(int argc, char **argv)
{
	unsigned channel = 0, workers = 0;
	const char *path = NULL;
	struct strings dns = { 0 }, limits = { 0 };
	struct gate_limits set;
	const struct option_spec options[] = {
		OPTION_NUMBER(0, "channel", "N", &channel, "the fd of the socket to the supervisor"),
		OPTION_TEXT(0, "connect", "PATH", &path, "the socket of the supervisor, for a gate in a container"),
		OPTION_NUMBER(0, "workers", "N", &workers, "threads; 0: one a core"),
		OPTION_MANY(0, "dns", "ADDR", &dns, "ask this resolver instead of the host's"),
		OPTION_MANY(0, "limit", "NAME=VALUE", &limits, "another limit than the default"),
		OPTION_END,
	};
	const struct command command = {
		.verb = "gate-role", .operands = "", .options = options, .about = "The egress gate of a project."
	};
	struct arena arena = { 0 };
	struct arguments arguments;
	struct err err = { 0 };
	int status = options_parse(&command, argc, argv, &arena, &arguments);

	if (status < 0 && path) {
		const int fd = connect_to(path, &err);

		if (fd < 0)
			status = say_err("gate-role", &err);
		channel = (unsigned)fd;
	}
	if (status < 0 && channel < 3)
		status = say_error("gate-role", "--channel is missing; 'stockade up' starts a gate");
	if (status < 0)
		status = limits_read("gate-role", &limits, &set);
	if (status < 0) {
		ARENA_PUSH(&arena, dns.items, dns.count) = NULL;
		const struct gate_options o = {
			.channel = (int)channel, .workers = workers, .dns = dns.items, .limits = &set, .contained = path != NULL
		};

		status = 0;
		if (gate_run(&o, &err) < 0) {
			/* Locked down as it is, it cannot even ask whether it speaks to a terminal. */
			log_error("%s", err.text);
			status = err.class == ERR_NONE ? ERR_FAULT : (int)err.class;
		}
	}
	arena_free(&arena);
	return status;
}
