/* The gate's process: started by the supervisor, not by people. */
#include "cmd/cmd.h"

#include "cmd/options.h"
#include "cmd/say.h"
#include "cmd/values.h"
#include "gate/gate.h"

int cmd_gate_role(int argc, char **argv)
{
	unsigned channel = 0, workers = 0;
	struct strings dns = { 0 }, limits = { 0 };
	struct gate_limits set;
	const struct option_spec options[] = {
		OPTION_NUMBER(0, "channel", "N", &channel, "the fd of the socket to the supervisor"),
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

	if (status < 0 && channel < 3)
		status = say_error("gate-role", "--channel is missing; 'stockade up' starts a gate");
	if (status < 0)
		status = limits_read("gate-role", &limits, &set);
	if (status < 0) {
		ARENA_PUSH(&arena, dns.items, dns.count) = NULL;
		const struct gate_options o = { .channel = (int)channel, .workers = workers, .dns = dns.items, .limits = &set };

		status = gate_run(&o, &err) < 0 ? say_err("gate-role", &err) : 0;
	}
	arena_free(&arena);
	return status;
}
