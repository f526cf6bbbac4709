#!/usr/bin/env bats
# Processes that die: nothing gets through meanwhile, and the house stands again, or can be cleaned.
load helpers

setup_file() { lab_start; up >&2; }
teardown_file() { lab_stop; }

@test "kill -9 of the gate under load: nothing gets through, back within a second, ps tells" {
	sk exec cli-pod -- python3 -c '
import socket, time, sys
end = time.time() + 6
while time.time() < end:
    try:
        s = socket.create_connection(("198.18.0.1", 8080), 1)
        s.sendall(b"GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\nConnection: close\r\n\r\n")
        s.settimeout(3); print(time.time(), s.recv(12)[9:12].decode() or "none", flush=True); s.close()
    except OSError as e:
        print(time.time(), "none", flush=True)' >"$LAB_DIR/load.out" 2>&1 3>&- &
	load=$!
	sleep 1
	gate=$(ps_field "d['gate']['pid']")
	: >"$LAB_DIR/web.log"
	kill -STOP "$gate"
	sleep 0.3
	: >"$LAB_DIR/web.log"
	sleep 0.3
	[ ! -s "$LAB_DIR/web.log" ] # a gate that does not run lets nothing through
	killed=$(date +%s.%N)
	kill -9 "$gate"
	wait "$load"
	[ "$(ps_field "d['gate']['restarts']")" -ge 1 ]
	[ "$(ps_field "d['gate']['pid']")" != "$gate" ]
	python3 - "$killed" "$LAB_DIR/load.out" <<-'END'
	import sys
	killed = float(sys.argv[1])
	times = [float(l.split()[0]) for l in open(sys.argv[2]) if l.split()[1] == "200"]
	assert [t for t in times if t < killed - 0.7], "the load never worked"
	after = [t for t in times if t > killed]
	assert after and after[0] - killed < 1.0, after[:1]
	END
}

@test "kill -9 of the supervisor: pods and gate end, nothing flows; up and down clean up" {
	prefix=$(cgroup_prefix)
	supervisor=$(ps_field "d['supervisor']['pid']")
	app=$(pod_pid cli-pod) gate=$(ps_field "d['gate']['pid']")
	kill -9 "$supervisor"
	wait_for 3 test ! -e "/proc/$app"
	wait_for 3 test ! -e "/proc/$gate"
	run sk ps
	[ "$status" != 0 ]
	up
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	supervisor=$(ps_field "d['supervisor']['pid']")
	kill -9 "$supervisor"
	run sk down
	[ "$status" = 0 ]
	no_cgroups "$prefix"
}

@test "a container that ends is restarted, and keeps its walls" {
	up
	app=$(pod_pid cli-pod)
	kill -9 "$app"
	wait_for 5 sh -c "[ ! -e /proc/$app ]"
	wait_for 5 pod_exec cli-pod true
	run pod_exec cli-pod curl -sS http://example.com/
	[[ "$output" == *not-listed* ]]
}

limited() { (cd "$PROJECT_DIR" && "$top/tests/lab/lab" exec "$LAB" -- sh -c 'ulimit -n "$1"; shift; exec "$@"' sh "$1" "$stockade" "${@:2}"); }

@test "up with other options is done when the new gate serves, and not before" {
	up
	for n in 1 2 1; do
		up --workers "$n"
		[ "$(ps_field "(d['gate']['state'], d['gate']['answers'], [p['attached'] for p in d['pods']])")" = "('serving', True, [True, True])" ]
	done
	sk down --timeout 0
}

@test "options with which no gate can run: up fails, and says what the gate said; so does the first one" {
	limited 1024 up -f pods.yaml --host-root --workers 1
	run limited 1024 up -f pods.yaml --host-root --workers 32
	[ "$status" = 3 ]
	[[ "$output" == *"the limit of open files, 1024, is too low for a gate"* ]]
	limited 1024 up -f pods.yaml --host-root --workers 1 # and it is put right
	check_allowed
	sk down --timeout 0
	run limited 64 up -f pods.yaml --host-root
	[ "$status" = 3 ]
	[[ "$output" == *"the limit of open files, 64, is too low for a gate"* ]]
}
