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

@test "no file left for a new policy: the reload waits and is done when there are some, by the same gate" {
	pid=$(gate)
	generation=$(ps_field "d['generation']")
	limit 3
	echo new.example.org >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload >"$LAB_DIR/reload.out" 2>&1 3>&- &
	reload=$!
	wait_for 10 grep -q 'waits for free descriptors' "$LAB_DIR/run/demo/supervisor.log"
	in_pod cli-pod "s = socket.create_connection(gate, 5)"
	kill -0 "$reload"
	unlimit
	wait "$reload"
	[ "$(gate)" = "$pid" ]
	[ "$(ps_field "d['generation']")" = $((generation + 1)) ]
}

@test "a gate that stops says why, locked down as it is" {
	run "$top/tests/lab/lab" exec "$LAB" -- python3 -c '
import socket, subprocess, sys
ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
gate = subprocess.Popen([sys.argv[1], "gate-role", "--channel", str(its.fileno()), "--workers", "1"], pass_fds=[its.fileno()],
                        stderr=subprocess.PIPE, text=True)
its.close()
assert ours.recv(4096)  # it is ready, and locked down
ours.send(b"x")
print(gate.communicate(timeout=10)[1].strip(), gate.returncode)' "$stockade"
	echo "$output"
	[[ $output == *"the gate stops: a message of the wrong size 3" ]]
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

# KiB that sockets hold at the gate (iproute2's skmem: r and w are what is queued, f what is set aside); the pod's and the servers' own
# ends are not among them.
held() {
	{ pod_netns cli-pod ss -tmnH 'sport = :8080'; "$top/tests/lab/lab" exec "$LAB" -- ss -tmnH 'dport = :80'; } |
		grep -o 'skmem:([^)]*)' | tr '(),' ' ' | awk '{ for (i = 2; i <= NF; i++) if ($i ~ /^[rfw][0-9]/) n += substr($i, 2) } END { print int(n / 1024) }'
}

@test "300 downloads that nobody reads hold little in the kernel, and come through whole when they are read" {
	in_pod cli-pod "
import hashlib, os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 20000))
kept = []
for _ in range(300):
    s = socket.create_connection(gate, 5)
    s.sendall(b'GET http://storage.googleapis.com/bytes/16m.bin HTTP/1.1\r\nHost: storage.googleapis.com\r\nConnection: close\r\n\r\n')
    kept.append(s)
time.sleep(4)
open('$LAB_DIR/stalled', 'w').close()
while os.path.exists('$LAB_DIR/stalled'): time.sleep(0.1)
sums = set()
for s in kept[:3] + kept[-20:]:
    s.settimeout(60)
    whole = b''.join(iter(lambda: s.recv(1 << 20), b''))
    sums.add(hashlib.sha256(whole.partition(b'\r\n\r\n')[2]).hexdigest())
print(*sums)" >"$LAB_DIR/stalled.out" 2>&1 3>&- &
	reader=$!
	wait_for 60 test -e "$LAB_DIR/stalled"
	kib=$(held)
	rm "$LAB_DIR/stalled"
	wait "$reader" || { cat "$LAB_DIR/stalled.out"; false; }
	echo "$kib KiB"; cat "$LAB_DIR/stalled.out"
	[ "$kib" -gt 1000 ] # they were full
	[ "$kib" -lt 400000 ]
	[ "$(cat "$LAB_DIR/stalled.out")" = "$(sha256sum <"$LAB_DIR/www/16m.bin" | cut -d' ' -f1)" ]
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
	! grep -qx "$anew" <<<"$output" || return 1
	[ "$(ps_field "d['gate']['restarts']")" = 1 ]
	run up --workers 1
	grep -qx "$anew" <<<"$output"
	wait_for 5 connections_limit "{'value': 65536, 'met': 0}"
}

# 3,000 names at once of which none is ever answered: their share of the questions is used up, and the rest is refused.
@test "one pod that asks for names without end: another pod's resolve meanwhile" {
	"$top/tests/lab/lab" exec "$LAB" --in internet -- python3 "$top/tests/system/dns.py" 20.10.0.53 5354 >"$LAB_DIR/dns.out" 2>&1 3>&- &
	dns=$!
	up --workers 1 --dns 20.10.0.53:5354
	in_pod cli-pod "
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
kept = [socket.create_connection(gate, 5) for _ in range(3000)]
for n, s in enumerate(kept):
    s.sendall(b'GET http://silent%d.googleapis.com/ HTTP/1.1\r\nHost: silent%d.googleapis.com\r\n\r\n' % (n, n))
refused = 0
for s in kept:
    s.settimeout(0.0005)
    try: refused += s.recv(4096)[9:12] == b'502'
    except TimeoutError: pass
print('refused', refused, flush=True)
time.sleep(10)" >"$LAB_DIR/flood.out" 2>&1 3>&- &
	flood=$!
	wait_for 10 grep -q refused "$LAB_DIR/flood.out"
	cat "$LAB_DIR/flood.out"
	run in_pod sandbox-pod "
got = [ask(socket.create_connection(gate, 5), 'n%d.python.org' % n) for n in range(118)]
print(got.count('200'), set(got))"
	echo "$output"
	kill "$flood" "$dns"
	[ "$(sed -n "s/^refused //p" "$LAB_DIR/flood.out")" -ge 2180 ] # all but 820
	[ "$output" = "118 {'200'}" ]
	up --workers 1
}

@test "run has limits as well" {
	run sk run --limit heads-per-second=1 --allow storage.googleapis.com -- sh -c \
		'for i in 1 2; do curl -s -o /dev/null -w "%{http_code}\n" http://storage.googleapis.com/; done'
	echo "$output"
	[ "$(echo "$output" | tr '\n' ,)" = "200,503," ]
}

@test "heads that are never whole take the memory that a pod may have, and no more; another pod's requests go through" {
	run up --workers 1 --limit buffer-memory=4194304
	[ "$status" = 0 ]
	run in_pod cli-pod "
kept, told = [], 0
for _ in range(300):
    s = socket.create_connection(gate, 5)
    s.sendall(b'GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\nX: ' + b'a' * 60000)
    kept.append(s)
time.sleep(1)
for s in kept:
    s.setblocking(False)
    try: told += s.recv(4096)[9:12] == b'503'
    except BlockingIOError: pass
print(told, flush=True)
open('$LAB_DIR/held', 'w').close()
import os
while os.path.exists('$LAB_DIR/held'): time.sleep(0.05)" 3>&- < <(
		wait_for 20 test -e "$LAB_DIR/held"
		in_pod sandbox-pod "print(ask(socket.create_connection(gate, 5), 'www.python.org'))" >"$LAB_DIR/other.out" 2>&1
		awk '/^VmRSS/ { print $2 }' "/proc/$(gate)/status" >"$LAB_DIR/rss.out"
		rm "$LAB_DIR/held")
	echo "$output, $(cat "$LAB_DIR/rss.out") KiB"
	[ "$output" = $((300 - 4194304 / 81920)) ] # blocks of 80 KiB
	[ "$(cat "$LAB_DIR/other.out")" = 200 ]
	[ "$(ps_field "d['gate']['limits']['buffer-memory']['met']")" -ge 249 ]
}

@test "a pod that is denied over and over does not push the lines of others out of the log" {
	sk exec sandbox-pod -- curl -sS http://python.org/ >/dev/null
	before=$(grep -c '"client":"cli-pod"' "$LAB_DIR/run/demo/decisions.log" || true)
	in_pod cli-pod '
for turn in range(20):
    s = socket.create_connection(gate, 5)
    for i in range(100): assert ask(s, "not.listed.example.org") == "403"
    s.close()'
	sleep 0.2 # the log is written in batches
	lines=$(($(grep -c '"client":"cli-pod"' "$LAB_DIR/run/demo/decisions.log") - before))
	echo "$lines lines of 2000"
	[ "$lines" -ge 200 ]
	[ "$lines" -lt 2000 ]
	[ "$(ps_field "d['gate']['log_dropped']")" -ge $((2000 - lines)) ]
	sk log --pod sandbox-pod | grep -q python.org
}

@test "the log goes on in a new file, and log shows the old ones too" {
	truncate -s 70M "$LAB_DIR/run/demo/decisions.log"
	echo >>"$LAB_DIR/run/demo/decisions.log" # the zeros are no line of the gate's
	wait_for 20 test -e "$LAB_DIR/run/demo/decisions.log.1"
	sk exec sandbox-pod -- curl -sS http://www.python.org/ >/dev/null
	wait_for 5 grep -q www.python.org "$LAB_DIR/run/demo/decisions.log"
	run sk log --pod sandbox-pod
	echo "$output"; [[ "$output" == *" python.org"*www.python.org* ]]
	[ "$(stat -c %a "$LAB_DIR/run/demo/decisions.log")" = 600 ]
}
