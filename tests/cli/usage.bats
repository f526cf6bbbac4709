#!/usr/bin/env bats
# Every verb: help, misspelt words, exit codes.
load helpers

@test "no command: usage on stderr, exit 2; --help and help: on stdout, exit 0" {
	sk 2
	[ -z "$output" ]
	[[ "$stderr" == *"usage: stockade COMMAND"* ]]
	for word in --help -h help; do
		sk 0 "$word"
		for verb in $verbs; do grep -q "^  $verb " <<<"$output"; done
		[[ "$output" != *supervise* && "$output" != *gate-role* ]]
	done
}

@test "--version" {
	sk 0 --version
	[[ "$output" == "stockade "20* ]]
}

@test "--help of each verb: usage, every option, an example that begins with the program's name" {
	for verb in $verbs; do
		sk 0 "$verb" --help
		[ -z "$stderr" ]
		[[ "${lines[0]}" == "usage: stockade $verb "* ]]
		grep -q -- '-h, --help' <<<"$output"
		sed -n '/^examples:/,$p' <<<"$output" | grep -q "stockade $verb"
		sk 0 "$verb" -h
		help=$output
		sk 0 help "$verb"
		[ "$output" = "$help" ]
	done
}

@test "help of what is no command" {
	sk 2 help exce
	[[ "$stderr" == *"unknown command 'exce'; did you mean 'exec'?"* ]]
}

@test "the roles that only the program starts have help, and start nothing without their channel" {
	sk 0 supervise --help
	sk 0 gate-role --help
	sk 2 supervise
	[[ "$stderr" == *"stockade up"* ]]
	sk 2 gate-role --channel 1
	[[ "$stderr" == *"stockade up"* ]]
}

@test "a misspelt verb is answered with the nearest one" {
	for pair in upp:up verif:verify exce:exec logz:logs explian:explain relod:reload donw:down int:init ver:verify; do
		sk 2 "${pair%:*}"
		[[ "$stderr" == *"unknown command '${pair%:*}'; did you mean '${pair#*:}'?"* ]]
	done
	sk 2 frobnicate
	[[ "$stderr" == *"unknown command 'frobnicate'"* && "$stderr" != *"did you mean"* ]]
	sk 2 supervisee
	[[ "$stderr" != *"did you mean"* ]]
}

@test "an unknown option is named, with the nearest one, by every verb" {
	for verb in $verbs; do
		sk 2 "$verb" --no-such-option-at-all
		[[ "$stderr" == "stockade $verb: error: unknown option --no-such-option-at-all"* ]]
		[[ "$stderr" == *"stockade $verb --help"* ]]
		sk 2 "$verb" --hlep
		[[ "$stderr" == *"did you mean --help?"* ]]
		sk 2 "$verb" -Z
		[[ "$stderr" == *"unknown option -Z"* ]]
	done
	sk 2 up --host-rot
	[[ "$stderr" == *"did you mean --host-root?"* ]]
	sk 2 run --alow pypi.org -- true
	[[ "$stderr" == *"did you mean --allow?"* ]]
}

@test "values: missing, unwanted, not a number" {
	sk 2 up --file
	[[ "$stderr" == *"--file needs a value: --file FILE"* ]]
	sk 2 up --host-root=yes
	[[ "$stderr" == *"--host-root takes no value"* ]]
	for bad in x -1 1.5 99999999999 ''; do
		sk 2 down --timeout "$bad"
		[[ "$stderr" == *"--timeout takes a whole number"* ]]
	done
	sk 2 down --timeout 4000
	[[ "$stderr" == *"at most 3600"* ]]
	sk 2 up --workers 65
	sk 2 up --dns example.com
	[[ "$stderr" == *"--dns takes an address"* ]]
	sk 2 up --dns 127.1
	sk 2 up --jail
}

@test "limits: another name is told with all there are, a wrong value with its range; nothing is begun" {
	for verb in up run; do
		rest=()
		[ $verb = up ] || rest=(-- true)
		for bad in x=1 =1 '' connection=5 Connections=5; do
			sk 2 $verb --limit "$bad" "${rest[@]}"
			[[ "$stderr" == *"--limit $bad: no such limit"*"connections, heads-per-second"*"dns-idle-time"* ]]
		done
		for bad in connections connections= connections=0 connections=-1 connections=5s connections=9999999; do
			sk 2 $verb --limit "$bad" "${rest[@]}"
			[[ "$stderr" == *"--limit $bad: connections "*"takes 1 to 1048576, default 65536"* ]]
		done
		for bad in head-time=60 head-time=0s head-time=1.5s head-time=2d head-time=25h; do
			sk 2 $verb --limit head-time=1s --limit "$bad" "${rest[@]}"
			[[ "$stderr" == *"--limit $bad: head-time "*"takes 100ms to 24h, default 15s"* ]]
		done
	done
	[ ! -e "$STOCKADE_RUN_DIR" ]
	sk 2 gate-role --channel 3 --limit x=1
}

@test "words that are missing or too many" {
	sk 2 explain
	sk 2 explain cli-pod
	[[ "$stderr" == *"something is missing: POD URL"* ]]
	sk 2 exec
	sk 2 exec cli-pod
	[[ "$stderr" == *"the command is missing"* ]]
	sk 2 exec cli-pod --
	sk 2 run
	sk 2 run --
	sk 2 ps extra
	[[ "$stderr" == *"'extra' is one word too many"* ]]
	sk 2 logs a b
}

@test "a command line after the operands is not read as options" {
	sk 1 exec cli-pod ls --no-such-option -Z
	[[ "$stderr" == *"is not up"* ]]
	sk 1 exec -p demo cli-pod -- ls --help
	sk 1 exec cli-pod -i -- ls --help
	sk 1 exec -ip demo cli-pod --env=A=B -w/tmp -- ls
}

@test "exec: users, directories, variables, terminals that cannot be" {
	for bad in root -1 70000 1: 1:x 1:70000 ''; do sk 2 exec -u "$bad" cli-pod -- true; done
	sk 2 exec -w relative cli-pod -- true
	[[ "$stderr" == *"absolute path"* ]]
	sk 2 exec -e NOVALUE cli-pod -- true
	run --separate-stderr "$stockade" exec -it cli-pod -- true </dev/null
	[ "$status" = 2 ]
	[[ "$stderr" == *"leave -t out"* ]]
}

@test "a project that is not up: exit 1 and what to do; down: exit 0" {
	for verb in ps reload verify logs log; do
		sk 1 "$verb"
		[[ "$stderr" == "stockade $verb: error: "*"demo"* ]]
		[ -z "$output" ]
	done
	sk 1 ps --json --project other
	[[ "$stderr" == *"'other' is not up"* ]]
	[ "$(id -u)" != 0 ] || { sk 0 down; [[ "$output" == *"not up"* ]]; }
}

@test "names that cannot be a project's" {
	for bad in 'A B' ../x .x '' "$(printf 'a%.0s' $(seq 41))"; do
		sk 2 ps --project "$bad"
		[[ "$stderr" == *"not a project name"* ]]
	done
	mkdir 'no good' && cd 'no good'
	sk 2 ps
	[[ "$stderr" == *"--project NAME"* ]]
	sk 1 ps --project fine
}

@test "no colour and no control characters when output is no terminal" {
	sk 2 upp
	[[ "$stderr" != *$'\e'* ]]
	sk 1 ps
	[[ "$stderr" != *$'\e'* ]]
}

@test "output that cannot be written is exit 3" {
	run bash -c '"$1" --help >/dev/full' _ "$stockade"
	[ "$status" = 3 ]
	run bash -c '"$1" ps --help >/dev/full' _ "$stockade"
	[ "$status" = 3 ]
}
