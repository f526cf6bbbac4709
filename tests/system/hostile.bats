#!/usr/bin/env bats
# What a pod could do to the host's root, to its keeper, to other pods and to its own policy, tried from inside.
load helpers

setup_file() {
	lab_start
	rm -rf "$PROJECT_DIR"
	mkdir -p "$PROJECT_DIR/lists" "$PROJECT_DIR/data/deep"
	echo googleapis.com >"$PROJECT_DIR/lists/a_domains.lst"
	cat >"$PROJECT_DIR/pods.yaml" <<-'END'
		apiVersion: v1
		kind: Pod
		metadata: { name: a-pod, labels: { app: a } }
		spec:
		  containers:
		  - { name: one, image: x, command: [sleep, infinity], volumeMounts: [{ name: project, mountPath: /project, readOnly: true }] }
		  - { name: two, image: x, command: [sleep, infinity] }
		  volumes: [{ name: project, hostPath: { path: PROJECT_ROOT } }]
		---
		apiVersion: v1
		kind: Pod
		metadata: { name: b-pod, labels: { app: b } }
		spec: { containers: [{ name: one, image: x, command: [sleep, infinity] }] }
	END
	up >&2
}
teardown_file() { lab_stop; }

py() { local pod=$1; shift; sk exec "$pod" -- python3 -c "$@"; } # POD CODE: Python in a pod
hold() { # POD CODE: the same, in the background until its output says "held"
	sk exec "$1" -- python3 -c "$2" >"$LAB_DIR/hold.out" 2>&1 3>&- &
	holder=$!
	wait_for 10 grep -q held "$LAB_DIR/hold.out"
	cat "$LAB_DIR/hold.out"
}

@test "all the watches that a pod can have leave the host's root and other pods theirs" {
	hold a-pod '
import ctypes, time
c = ctypes.CDLL(None)
n = 0
while n < 2000 and c.inotify_init() >= 0: n += 1
print(n, "held", flush=True); time.sleep(5)'
	code='import ctypes; assert ctypes.CDLL(None).inotify_init() >= 0'
	python3 -c "$code"
	py b-pod "$code"
	wait "$holder"
}

@test "all the terminals that a container can have leave others theirs" {
	hold a-pod/one '
import os, time
fds = []
try:
    while len(fds) < 4000: fds.append(os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY))
except OSError as e: pass
print(len(fds), "held", flush=True); time.sleep(5)'
	[ "$(cut -d' ' -f1 "$LAB_DIR/hold.out")" -le 256 ]
	py b-pod 'import os; os.openpty()'
	py a-pod/two 'import os; os.openpty()'
	wait "$holder"
}

@test "contexts of asynchronous files, a number for the whole machine, are not to be had" {
	run py a-pod '
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
assert c.syscall(206, 100, ctypes.byref(ctypes.c_ulong(0))) < 0
print(os.strerror(ctypes.get_errno()))'
	[ "$output" = "Function not implemented" ]
}

@test "a pod cannot hold a lease on its own list, and a reload goes through" {
	run hold a-pod '
import os, fcntl, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open("/project/lists/a_domains.lst", os.O_RDONLY)
for command, argument in ((1024, fcntl.F_WRLCK), (1024, fcntl.F_RDLCK), (1026, 1), (1040, fcntl.F_WRLCK)):
    try: print("lease", fcntl.fcntl(fd, command, argument))
    except OSError as e: print(e.strerror)
print("held", flush=True); time.sleep(3)'
	echo "$output"
	cat "$LAB_DIR/hold.out"
	[[ "$output" != *lease* ]]
	echo '!www.googleapis.com' >>"$PROJECT_DIR/lists/a_domains.lst"
	sk reload
}

@test "a crash in a pod does not start the host's core_pattern program: the limit is 1 and stays" {
	run sk exec a-pod -- sh -c 'ulimit -c 0; ulimit -c; grep core /proc/self/limits'
	echo "$output"
	[[ "$output" =~ "Max core file size"\ +1\ +1\  ]]
}

@test "a pod cannot take the gate's place: its ports are taken, and an address taken changes nothing" {
	run py a-pod '
import socket
def take(family, kind, address, port, options):
    s = socket.socket(family, kind)
    for o in options: s.setsockopt(socket.SOL_SOCKET, o, 1)
    try:
        s.bind((address, port))
        if kind == socket.SOCK_STREAM: s.listen(1)
        print("TAKEN", address, port, options)
    except OSError as e: print(e.errno, address, port)
R, P = socket.SO_REUSEADDR, socket.SO_REUSEPORT
for options in ([], [R], [P], [R, P]):
    for address in ("0.0.0.0", "127.0.0.1", "198.18.0.1", "1.1.1.1"):
        take(socket.AF_INET, socket.SOCK_STREAM, address, 15001, options)
        take(socket.AF_INET, socket.SOCK_STREAM, address, 53, options)
        take(socket.AF_INET, socket.SOCK_DGRAM, address, 53, options)
    for address in ("::", "::1", "fd5a:5354:4b44::1", "::ffff:127.0.0.1"):
        take(socket.AF_INET6, socket.SOCK_STREAM, address, 15001, options)
        take(socket.AF_INET6, socket.SOCK_STREAM, address, 53, options)
        take(socket.AF_INET6, socket.SOCK_DGRAM, address, 53, options)'
	echo "$output"
	[[ "$output" != *TAKEN* && "$output" != *Error* ]]
	run py a-pod '
import socket
s = [socket.create_server((a, 8080)) for a in ("198.18.0.1", "142.250.74.59")]
c = socket.create_connection(("198.18.0.1", 8080), 3)
c.sendall(b"GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\nConnection: close\r\n\r\n")
print(c.recv(4096))'
	[[ "$output" == *"hello from storage.googleapis.com"* ]]
}

@test "a program in a pod finds no file open but its three" {
	run sk exec a-pod -- sh -c 'ls -l /proc/self/fd /proc/1/fd 2>&1'
	echo "$output"
	[[ "$output" == *"Permission denied"* ]]
	[ "$(echo "$output" | grep -c ' -> ')" = 4 ] # and the directory that ls reads
}

@test "a socket or a named pipe in a volume, which read-only does not shut, keeps a pod from starting" {
	for make in 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' 'import os,sys; os.mkfifo(sys.argv[1])'; do
		sk down --timeout 1
		python3 -c "$make" "$PROJECT_DIR/data/deep/door"
		run up
		echo "$output"
		[ "$status" != 0 ]
		[[ "$output" == *"data/deep/door is a"* ]]
		rm "$PROJECT_DIR/data/deep/door"
	done
	up
	# Not judged again when a container starts anew: what it has made itself does not keep it down.
	python3 -c "$make" "$PROJECT_DIR/data/deep/door"
	kill -9 "$(pod_pid a-pod)"
	wait_for 5 sk exec a-pod/one -- true
	rm "$PROJECT_DIR/data/deep/door"
}

@test "an exec that has stopped does not hold up the supervisor when its container is to end" {
	hold b-pod 'import time; print("held", flush=True); time.sleep(60)'
	stopped=$(python3 - "$holder" <<-'END'
	import os, sys
	# The process of `stockade exec` itself, below the shells that started it.
	def below(pid):
	    with open(f"/proc/{pid}/task/{pid}/children") as f: children = [int(x) for x in f.read().split()]
	    return [pid] + [d for c in children for d in below(c)]
	print(*[p for p in below(int(sys.argv[1])) if os.path.basename(os.readlink(f"/proc/{p}/exe")) == "stockade"])
	END
	)
	echo "stopping $stopped"
	[ -n "$stopped" ]
	kill -STOP "$stopped"
	run timeout 20 "$top/tests/lab/lab" exec "$LAB" -- "$stockade" down --project demo --timeout 1
	ended=$status
	kill -CONT "$stopped"
	wait "$holder" || true
	[ "$ended" = 0 ]
	up
}

@test "what a pod calls a host neither makes a line of its own in stockade log nor hides one" {
	py a-pod '
import socket
for name in (b"one.test\n2026-01-01T00:00:00.000000Z  allow  b-pod  connect  two.test", b"three.test\0\tx"):
    s = socket.create_connection(("198.18.0.1", 8080))
    s.sendall(b"\5\1\0"); s.recv(2)
    s.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + b"\1\xbb"); assert s.recv(2) == b"\5\2"'
	wait_for 5 grep -q three.test "$LAB_DIR/run/demo/decisions.log"
	for more in "" "--tail 9"; do
		run sk log $more
		echo "$output"
		[ "$(grep -c 'one.test^J2026.*two.test' <<<"$output")" = 1 ]
		! grep '^2026-01-01' <<<"$output" || return 1
		[ "$(grep -c 'deny .*a-pod  socks  three.test^@^Ix:443' <<<"$output")" = 1 ]
	done
	[ "$(sk log --json | grep -c three.test)" = 1 ]
}

@test "nor does it make verify doubt the log" {
	hold a-pod '
import socket, time
print("held", flush=True)
for i in range(100):
    s = socket.create_connection(("198.18.0.1", 8080))
    s.sendall(b"\5\1\0"); s.recv(2)
    s.sendall(b"\5\1\0\3\7a.test\0\1\xbb"); s.close(); time.sleep(0.05)'
	run sk verify --json
	wait "$holder"
	python3 -c 'import json, sys
log = [p for p in json.load(sys.stdin)["probes"] if "lines," in p.get("detail", "")]
print(log); assert log and all(p["result"] == "passed" for p in log)' <<<"$output"
}

@test "a gate that has stopped ends with its killed supervisor" {
	gate=$(ps_field "d['gate']['pid']") supervisor=$(ps_field "d['supervisor']['pid']")
	kill -STOP "$gate"
	kill -9 "$supervisor"
	wait_for 3 test ! -e "/proc/$gate"
	sk down
}
