/* One verb a file: options in, one call into the house, words for people out, exit code (0 done, 1 finding, 2 usage, 3 fault). */
#ifndef STOCKADE_CMD_CMD_H
#define STOCKADE_CMD_CMD_H

/* X(verb, function, help line; NULL for roles that only the program itself starts) */
#define CMD_VERBS(X)                                                              \
	X("init", cmd_init, "write a project to start from")                      \
	X("up", cmd_up, "start the pods of a manifest, jailed and gated")         \
	X("down", cmd_down, "stop a project and leave nothing behind")            \
	X("ps", cmd_ps, "show pods, containers, gate and policy")                 \
	X("exec", cmd_exec, "run a command in a container")                       \
	X("logs", cmd_logs, "show what containers printed")                       \
	X("log", cmd_log, "show the gate's decisions")                            \
	X("run", cmd_run, "run one command in a sandbox of its own")              \
	X("reload", cmd_reload, "put changed lists in force")                     \
	X("explain", cmd_explain, "tell what the policy says to a pod and a URL") \
	X("verify", cmd_verify, "prove that the walls hold")                      \
	X("unit", cmd_unit, "write a unit of systemd for a project")              \
	X("supervise", cmd_supervise, NULL)                                       \
	X("gate-role", cmd_gate_role, NULL)                                       \
	X("hook", cmd_hook, NULL)

#define X(name, function, help) int function(int argc, char **argv);
CMD_VERBS(X)
#undef X

#endif
