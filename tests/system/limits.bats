#!/usr/bin/env bats
# Want of files in a running gate, made from outside: what is open goes on, what is new waits or is told so, and afterwards all is as before.
# Want of memory and of buffers is in the replay cases (fail-*.case).
load helpers

GATE_ID=$((0x6fff0000))

setup_file() {
	lab_start
	printf '%s\n' googleapis.com own.googleapis.com:7000 >"$PROJECT_DIR/haproxy/cli_domains.lst"
	up --workers 1 >&2
	"$top/tests/lab/lab" exec "$LAB" --in internet -- python3 -c '
import socket, threading
def echo(c):
    while data := c.recv(65536): c.sendall(data)
    c.close()
s = socket.create_server(("142.250.74.72", 7000), backlog=200)
while True: threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()' >/dev/null 2>&1 3>&- &
	echo $! >"$LAB_DIR/echo.run"
}
teardown_file() { kill "$(cat "$LAB_DIR/echo.run")" 2>/dev/null || true; lab_stop; }

gate() { ps_field "d['gate']['pid']"; }
# A process may limit another of its own user; the gate's hard limit stays.
limit() { # SOFT
	local pid hard
	pid=$(gate)
	hard=$(awk '/^Max open files/{print $5}' "/proc/$pid/limits")
	setpriv --reuid=$GATE_ID --regid=$GATE_ID --clear-groups prlimit --pid="$pid" --nofile="$1:$hard"
}
unlimit() { limit "$(awk '/^Max open files/{print $5}' "/proc/$(gate)/limits")"; }
files() { find "/proc/$(gate)/fd" -type l -printf '%l\n' | sed 's/:\[[0-9]*\]//' | grep -v '^pipe' | sort | uniq -c; }
highest() { find "/proc/$(gate)/fd" -type l -printf '%f\n' | sort -n | tail -n 1; }
connections() { ps_field "d['gate']['connections_open']"; }
# What ps says of it; until a new gate has answered, what the old one had met.
connections_limit() { [ "$(ps_field "d['gate']['limits']['connections']")" = "$1" ]; }
in_pod() { # POD PYTHON: in the pod's network, from outside of its walls
	pod_netns "$1" python3 -c "
import socket, sys, time
gate = ('198.18.0.1', 8080)
def ask(s, host='storage.googleapis.com'):
    s.sendall(b'GET http://%s/ HTTP/1.1\r\nHost: %s\r\n\r\n' % (host.encode(), host.encode()))
    return s.recv(4096)[9:12].decode()
def tunnel():
    s = socket.create_connection(gate, 5)
    s.sendall(b'CONNECT own.googleapis.com:7000 HTTP/1.1\r\nHost: own.googleapis.com:7000\r\n\r\n')
    assert s.recv(4096)[9:12] == b'200'
    return s
def echoes(s, n):
    data = b'x' * n
    s.sendall(data)
    got = 0
    while got < n:
        got += len(s.recv(65536)) or sys.exit('the tunnel ended')
$2"
}

@test "the gate opens no file by name and holds nothing but sockets, events, pipes and its log" {
	pid=$(gate)
	[ -z "$(ls -A "/proc/$pid/root/")" ]
	[ "$(readlink "/proc/$pid/cwd")" = / ]
	run sh -c "find /proc/$pid/fd -type l -printf '%l\n' |
		grep -vE '^(socket:|pipe:|anon_inode:\[(eventpoll|eventfd)\]|/memfd:.*|/dev/null|$LAB_DIR/run/demo/(supervisor|decisions)\.log)'"
	[ -z "$output" ]
	for task in "/proc/$pid/task/"*; do
		grep -q '^Seccomp:.*2$' "$task/status"
		grep -q '^CapEff:.*0000000000000000$' "$task/status"
		grep -q '^NoNewPrivs:.*1$' "$task/status"
	done
}

@test "no file left for accept: tunnels go on, new connections wait, and all is as before" {
	in_pod cli-pod "ask(socket.create_connection(gate, 5))" # warm
	before=$(files)
	in_pod cli-pod "
t = tunnel(); echoes(t, 1000)
print('tunnel', flush=True); sys.stdin.readline()
echoes(t, 2000000)
s = socket.create_connection(gate, 5); s.settimeout(1)
try: print('answered', ask(s), flush=True)
except TimeoutError: print('waits', flush=True)
sys.stdin.readline(); s.settimeout(5)
print('then', s.recv(4096)[9:12].decode(), flush=True)
echoes(t, 2000000)
print('tunnel again', flush=True)" < <(
		wait_for 5 grep -q tunnel "$LAB_DIR/limits.out"; limit 3; echo
		wait_for 20 grep -qE 'waits|answered' "$LAB_DIR/limits.out"; unlimit; echo) >"$LAB_DIR/limits.out"
	cat "$LAB_DIR/limits.out"
	[ "$(grep -v '^$' "$LAB_DIR/limits.out" | tr '\n' ,)" = "tunnel,waits,then 200,tunnel again," ]
	wait_for 5 eval '[ "$(connections)" = 0 ]'
	[ "$(files)" = "$before" ]
}

@test "no file left for a socket: the client is told so, and the next request goes through" {
	before=$(files)
	run in_pod cli-pod "
import subprocess
s = socket.create_connection(gate, 5)
print(ask(s, 'evilgoogleapis.com'))
print('ready', flush=True)
s2 = socket.create_connection(gate, 5)
print(ask(s2), flush=True)
s2.close()
time.sleep(0.3)
open('$LAB_DIR/ready', 'w').close()
import os
while os.path.exists('$LAB_DIR/ready'): time.sleep(0.05)
print(ask(s), flush=True)
open('$LAB_DIR/ready', 'w').close()
while os.path.exists('$LAB_DIR/ready'): time.sleep(0.05)
time.sleep(2.1) # a name that could not be resolved is remembered for 2 s
print(ask(s), flush=True)" 3>&- < <(
		wait_for 10 test -e "$LAB_DIR/ready"; limit 3; rm "$LAB_DIR/ready"
		wait_for 10 test -e "$LAB_DIR/ready"; unlimit; rm "$LAB_DIR/ready")
	echo "$output"
	[ "$(echo "$output" | tr '\n' ,)" = "403,ready,200,503,200," ] || [ "$(echo "$output" | tr '\n' ,)" = "403,ready,200,502,200," ]
	decisions | grep -qE '"reason":"(limit|resolve-failed)"'
	wait_for 5 eval '[ "$(connections)" = 0 ]'
	[ "$(files)" = "$before" ]
}

@test "one pod in want of connections: another pod's go through meanwhile" {
	before=$(files)
	run in_pod cli-pod "
kept = [socket.create_connection(gate, 5) for _ in range(300)]
print(ask(kept[0]), flush=True)
open('$LAB_DIR/held', 'w').close()
import os
while os.path.exists('$LAB_DIR/held'): time.sleep(0.05)" 3>&- < <(
		wait_for 10 test -e "$LAB_DIR/held"
		in_pod sandbox-pod "print(ask(socket.create_connection(gate, 5), 'www.python.org'))" >"$LAB_DIR/other.out" 2>&1
		rm "$LAB_DIR/held")
	[ "$output" = 200 ]
	[ "$(cat "$LAB_DIR/other.out")" = 200 ]
	wait_for 5 eval '[ "$(connections)" = 0 ]'
	[ "$(files)" = "$before" ]
}

@test "limits that up sets are in force, with what they met; the gate is started anew for others only" {
	anew='gate: started anew with other options'
	run up --workers 1 --limit connections=3 --limit idle-time=1s
	[ "$status" = 0 ]
	grep -qx "$anew" <<<"$output"
	wait_for 5 connections_limit "{'value': 3, 'met': 0}"
	[ "$(ps_field "d['gate']['limits']['idle-time']['value']")" = 1000 ]
	run in_pod cli-pod "
kept = [socket.create_connection(gate, 5) for _ in range(3)]
print(ask(kept[0]))
try: print('more', socket.create_connection(gate, 5).recv(1))
except ConnectionResetError: print('reset')
kept[1].settimeout(5)
print('idle', kept[1].recv(1))
print(ask(socket.create_connection(gate, 5)))"
	echo "$output"
	[ "$(echo "$output" | tr '\n' ,)" = "200,reset,idle b'',200," ]
	[ "$(ps_field "d['gate']['limits']['connections']['met']")" = 1 ]
	[ "$(ps_field "d['gate']['limits']['idle-time']['met'] > 0")" = True ]
	wait_for 5 eval "decisions | grep -q '\"too many connections\".*\"reason\":\"limit\"'"
	run up --workers 1 --limit idle-time=1000ms --limit connections=3
	[ "$status" = 0 ]
	! grep -qx "$anew" <<<"$output"
	[ "$(ps_field "d['gate']['restarts']")" = 1 ]
	run up --workers 1
	grep -qx "$anew" <<<"$output"
	wait_for 5 connections_limit "{'value': 65536, 'met': 0}"
}

@test "run has limits as well" {
	run sk run --limit heads-per-second=1 --allow storage.googleapis.com -- sh -c \
		'for i in 1 2; do curl -s -o /dev/null -w "%{http_code}\n" http://storage.googleapis.com/; done'
	echo "$output"
	[ "$(echo "$output" | tr '\n' ,)" = "200,503," ]
}
