#!/usr/bin/env bats
# The one-shot sandbox.
load helpers

setup_file() { lab_start; }
teardown_file() { lab_stop; }

# Cgroups of sandboxes that were not there before the test (others may run some of their own), and what is in the run directory.
sandboxes() { find /sys/fs/cgroup -maxdepth 6 -name 'stockade-run-*' 2>/dev/null | sort; }
setup() { before=$(sandboxes); }
left() { comm -13 <(echo "$before") <(sandboxes); find "$LAB_DIR/run" -name 'run-*' 2>/dev/null; }

@test "exit code, output, nothing left" {
	run sk run -- sh -c 'echo out; exit 5'
	[ "$status" = 5 ]
	[ "$output" = out ]
	[ -z "$(left)" ]
}

@test "the current directory is there, read-only" {
	echo content >"$PROJECT_DIR/here.txt"
	run sk run -- cat here.txt
	[ "$output" = content ]
	run sk run -- sh -c 'echo x >here.txt'
	[ "$status" != 0 ]
	[ "$(cat "$PROJECT_DIR/here.txt")" = content ]
}

@test "-v DIR is writable, -v DIR:ro is not" {
	mkdir -p "$LAB_DIR/vol"
	sk run -v "$LAB_DIR/vol" -- sh -c "echo x >$LAB_DIR/vol/f"
	[ "$(cat "$LAB_DIR/vol/f")" = x ]
	run sk run -v "$LAB_DIR/vol:ro" -- sh -c "echo y >$LAB_DIR/vol/f"
	[ "$status" != 0 ]
	[ "$(cat "$LAB_DIR/vol/f")" = x ]
}

@test "nothing is reachable unless allowed" {
	run sk run -- curl -sS -m 5 https://storage.googleapis.com/
	[ "$status" != 0 ]
	run sk run --allow storage.googleapis.com -- curl -sS https://storage.googleapis.com/
	[[ "$output" == *"hello from storage.googleapis.com"* ]]
	run sk run --allow storage.googleapis.com -- curl -sS http://example.com/
	[[ "$output" == *not-listed* ]]
	[[ "$output" == *"give 'stockade run' this option:"*"--allow example.com"* && "$output" != *reload* ]]
}

@test "--timeout ends it with 124, --memory and --pids hold" {
	run sk run --timeout 1s -- sleep 30
	[ "$status" = 124 ]
	run sk run --memory 64M -- python3 -c 'x = bytearray(300 * 1024 * 1024); print("too much")'
	[ "$status" != 0 ]
	[[ "$output" != *"too much"* ]]
	[[ "$output" == *"it was killed; where nobody did that, it needs more than --memory 64M"* ]]
	run sk run --pids 20 -- sh -c 'for i in $(seq 40); do sleep 2 & done; wait'
	[[ "$output" == *ork* || "$output" == *esource* ]]
	[ -z "$(left)" ]
}

@test "SIGKILL of the parent takes everything down" {
	sk run -- sleep 4242 3>&- &
	parent=$!
	wait_for 5 pgrep -f '^sleep 4242$'
	stockade_pid=$(pgrep -f 'stockade run -- sleep 4242' | tail -n 1)
	kill -9 "$stockade_pid"
	wait "$parent" || true
	wait_for 3 sh -c '! pgrep -f "^sleep 4242$"'
}

@test "a program that is not there is an error that says so" {
	run sk run -- no-such-program-xyz
	[ "$status" != 0 ]
	[[ "$output" == *no-such-program-xyz* ]]
}

@test "up --foreground: Ctrl-C while it still starts takes the project down" {
	printf 'apiVersion: v1\nkind: Pod\nmetadata: { name: slow, labels: { app: cli } }\nspec:\n  initContainers:\n  - { name: wait, image: x, command: ["sleep", "60"] }\n  containers:\n  - { name: main, image: x, command: ["sleep", "infinity"] }\n' >"$PROJECT_DIR/slow.yaml"
	cat >"$LAB_DIR/interrupt.py" <<-'END'
		import os, signal, subprocess, sys, time
		up = subprocess.Popen(sys.argv[2:], start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
		for _ in range(200):
		    if "wait (init)  running" in subprocess.run(sys.argv[2:-5] + ["ps"], capture_output=True, text=True).stdout: break
		    time.sleep(0.05)
		os.killpg(up.pid, signal.SIGINT)
		sys.exit(up.wait(20))
	END
	cd "$PROJECT_DIR"
	run python3 "$LAB_DIR/interrupt.py" - "$top/tests/lab/lab" exec "$LAB" -- "$stockade" up -f slow.yaml --host-root --foreground
	echo "$output"
	[ "$status" = 0 ]
	[ ! -e "$LAB_DIR/run/demo" ]
}
