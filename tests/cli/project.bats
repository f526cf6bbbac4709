#!/usr/bin/env bats
# Commands that talk to a supervisor, with one that answers from a table.
load helpers

# Started with its standard input held open by fd 9 of this shell, so that it ends with the test.
fake() {
	mkfifo "$BATS_TEST_TMPDIR/hold"
	python3 "$BATS_TEST_DIRNAME/supervisor.py" "$STOCKADE_RUN_DIR/demo" <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/ready" 3>&- &
	exec 9>"$BATS_TEST_TMPDIR/hold"
	for _ in $(seq 100); do
		[ -s "$BATS_TEST_TMPDIR/ready" ] && return
		sleep 0.05
	done
	return 1
}
teardown() {
	exec 9>&-
	wait
}
asked() { tail -n 1 "$STOCKADE_RUN_DIR/demo/asked"; }

decision() { # VERDICT CLIENT HOST REASON
	printf '{"time":"2026-11-25T10:00:00.000Z","project":"demo","client":"%s","adapter":"connect","host":"%s","port":443,"verdict":"%s","reason":"%s","rule":"haproxy/cli_domains.lst:2","generation":7,"hash":"ab","bytes_up":10,"bytes_down":20}\n' "$2" "$3" "$1" "$4"
}

@test "ps: a table with states, the gate, the policy; no colour" {
	fake
	sk 0 ps
	grep -Eq '^POD +CONTAINER +STATE +RESTARTS +STARTED +ADDRESSES$' <<<"$output"
	grep -Eq '^cli-pod +cli-app +running +2 +[0-9]+d ago +198\.18\.0\.4 fd5a:5354:4b44::4$' <<<"$output"
	grep -Eq '^sandbox-pod +sandbox-app +exited \(3\) ' <<<"$output"
	grep -Eq '^again-pod +app +backoff \(137\) ' <<<"$output"
	grep -Eq '^third-pod +- +not started ' <<<"$output"
	grep -q '^pod third-pod is not started: the init container x ended with 1$' <<<"$output"
	grep -q '^gate serving, pid 99, 1 restart, 5 connections open; policy generation 7, sha256 abababababab$' <<<"$output"
	[[ "$output" != *$'\e'* ]]
}

@test "ps tells when the gate does not answer" {
	export SILENT_GATE=1
	fake
	sk 0 ps
	[[ "$output" == *"gate serving, but it does not answer, pid 99"* ]]
}

@test "ps --json: what the supervisor said" {
	fake
	sk 0 ps --json
	json 'd["generation"] == 7 and len(d["hash"]) == 64 and d["pods"][0]["containers"][0]["pid"] == 4242 and "done" not in d' <<<"$output"
}

@test "reload: lines, then one sentence; --json only data" {
	fake
	sk 0 reload
	[[ "$output" == *"what somebody ^[[31mwrote"* && "$output" != *$'\e'* ]] # shown, not obeyed
	[[ "$output" == *"generation 8 in force (sha256 cdcdcdcdcdcd), 2 tunnels closed" ]]
	sk 0 reload --json
	json 'd == {"generation": 8, "hash": "cd" * 32, "revoked": 2}' <<<"$output"
}

@test "reload: a broken list is told as it is, exit 2" {
	export BROKEN_LIST=1
	fake
	sk 2 reload
	[ "$stderr" = "lists/x.lst:2:1: error: 'a b' has a blank in it" ]
	[ -z "$output" ]
}

@test "exec: the three ways to name a container; those that cannot be" {
	fake
	for name in cli-pod cli-pod/cli-app cli-pod-cli-app; do
		sk 2 exec "$name" -- true
		[[ "$(asked)" == *'"enter"'*'"cli-pod"'*'"cli-app"'* ]]
	done
	for name in cli cli-po cli-pod/ cli-pod/cli cli-pod-cli cli-pod/cli-app/ /cli-app ''; do
		sk 2 exec "$name" -- true
		[[ "$stderr" == *"there are: cli-pod/cli-app, sandbox-pod/sandbox-app"* ]]
	done
	sk 1 exec sandbox-pod -- true
	[[ "$stderr" == *"is not running"*"stockade logs sandbox-pod"* ]]
}

@test "a project that is not up: those that are up are named" {
	fake
	mkdir "$STOCKADE_RUN_DIR/dead" "$BATS_TEST_TMPDIR/elsewhere"
	cd "$BATS_TEST_TMPDIR/elsewhere"
	sk 1 ps
	[ "$stderr" = "stockade ps: error: project 'elsewhere' is not up; 'stockade up' starts it; up are, with --project NAME: demo" ]
	sk 0 ps --project demo
}

@test "a fault of the supervisor is exit 3" {
	fake
	sk 3 explain --project demo cli-pod example.com
	[[ "$stderr" == *"the policy is not there"* ]]
}

@test "down passes the time limit on, and prints what is done" {
	fake
	sk 0 down --timeout 1
	[ "$output" = $'stopped\nproject demo is down' ]
	[[ "$(asked)" == *'"timeout_s": 1'* || "$(asked)" == *'"timeout_s":1'* ]]
}

@test "logs: of one container, of a pod, of all; --tail; the older file too" {
	logs=$STOCKADE_RUN_DIR/demo/logs
	mkdir -p "$logs/cli-pod" "$logs/sandbox-pod"
	printf 'one\ntwo\n' >"$logs/cli-pod/cli-app.log.1"
	printf 'three\nfour' >"$logs/cli-pod/cli-app.log"
	printf 'other\n' >"$logs/sandbox-pod/sandbox-app.log"
	sk 0 logs cli-pod
	[ "$output" = $'one\ntwo\nthree\nfour' ]
	sk 0 logs cli-pod-cli-app --tail 2
	[ "$output" = $'two\nthree\nfour' ] # two whole lines, and what is still being written
	sk 0 logs -n 0 sandbox-pod/sandbox-app
	[ -z "$output" ]
	sk 0 logs
	[ "$output" = $'cli-pod/cli-app         | one\ncli-pod/cli-app         | two\ncli-pod/cli-app         | three\ncli-pod/cli-app         | four\nsandbox-pod/sandbox-app | other' ]
	sk 2 logs no-pod
	[[ "$stderr" == *"there are: cli-pod/cli-app"* ]]
	ln -s /etc/hostname "$logs/cli-pod/evil.log"
	sk 3 logs cli-pod/evil
}

@test "logs -f: what comes, across a rotation, until the supervisor is gone" {
	fake
	logs=$STOCKADE_RUN_DIR/demo/logs
	mkdir -p "$logs/cli-pod"
	echo one >"$logs/cli-pod/cli-app.log"
	"$stockade" logs -f cli-pod >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- 9>&- &
	follower=$!
	wait_line() { for _ in $(seq 60); do grep -q "$1" "$BATS_TEST_TMPDIR/out" && return; sleep 0.05; done; return 1; }
	wait_line one
	echo two >>"$logs/cli-pod/cli-app.log"
	wait_line two
	echo three >>"$logs/cli-pod/cli-app.log"
	mv "$logs/cli-pod/cli-app.log" "$logs/cli-pod/cli-app.log.1"
	echo four >"$logs/cli-pod/cli-app.log"
	wait_line four
	"$stockade" down >/dev/null
	wait "$follower"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" = $'one\ntwo\nthree\nfour' ]
}

@test "log: one line a decision, filters, --json as it was written" {
	mkdir -p "$STOCKADE_RUN_DIR/demo"
	{
		decision allow cli-pod storage.googleapis.com allowed
		decision deny cli-pod example.com not-listed
		echo 'no JSON'
		decision deny sandbox-pod example.org not-listed
	} >"$STOCKADE_RUN_DIR/demo/decisions.log"
	sk 0 log
	[ "${#lines[@]}" = 3 ]
	[[ "${lines[0]}" == *"allow"*"cli-pod"*"connect"*"storage.googleapis.com:443"*"allowed"*"haproxy/cli_domains.lst:2"*"10 bytes up, 20 down" ]]
	sk 0 log --denied
	[ "${#lines[@]}" = 2 ]
	sk 0 log --pod sandbox-pod
	[[ "$output" == *example.org* && "${#lines[@]}" = 1 ]]
	sk 0 log -d -n 1
	[[ "$output" == *example.org* && "${#lines[@]}" = 1 ]]
	sk 0 log -n 0
	[ -z "$output" ]
	sk 0 log --json --pod cli-pod
	[ "$output" = "$(head -n 2 "$STOCKADE_RUN_DIR/demo/decisions.log")" ]
}

@test "log: a pod that is not there and never was is an error; one that has not asked for anything yet is none" {
	fake
	decision deny cli-pod example.com not-listed >"$STOCKADE_RUN_DIR/demo/decisions.log"
	sk 2 log --pod cli-pdo
	[ -z "$output" ]
	[ "$stderr" = "stockade log: error: no pod has the name 'cli-pdo', nor is one in the log; there are: cli-pod, sandbox-pod, again-pod" ]
	sk 2 log --pod cli-pdo --follow --denied
	sk 0 log --pod sandbox-pod
	[ -z "$output$stderr" ]
	sk 0 log --pod third-pod # not started
	decision deny gone-pod example.com not-listed >>"$STOCKADE_RUN_DIR/demo/decisions.log"
	sk 0 log --pod gone-pod
	[[ "$output" == *gone-pod* ]]
}

@test "what a pod wrote is shown to a terminal, not obeyed" {
	logs=$STOCKADE_RUN_DIR/demo/logs
	mkdir -p "$logs/cli-pod"
	printf 'a\e[31mb\xc2\x9b1mc\a\n' >"$logs/cli-pod/cli-app.log"
	decision deny cli-pod 'a\u001b[31m' malformed-host >"$STOCKADE_RUN_DIR/demo/decisions.log"
	on_terminal() { python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))' "$@" </dev/null; }
	run on_terminal "$stockade" logs cli-pod
	[[ "$output" == *'a^[[31mb^?1mc^G'* ]]
	run on_terminal "$stockade" logs --raw cli-pod
	[[ "$output" == *$'a\e[31mb'* ]]
	run on_terminal env TERM=xterm "$stockade" log
	[[ "$output" == *'a^[[31m:443'* && "$output" == *$'\e[31mdeny'* ]]
	run on_terminal env TERM=xterm NO_COLOR=1 "$stockade" log
	[[ "$output" != *$'\e'* ]]
	sk 0 logs cli-pod # elsewhere it is what it was
	[ "$output" = $'a\e[31mb\xc2\x9b1mc\a' ]
}
