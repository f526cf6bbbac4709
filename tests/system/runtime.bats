#!/usr/bin/env bats
# --runtime: the seed's own file, and a pod with a bit of everything, under each OCI runtime that is installed, at the same time: three
# projects in one lab.
load helpers
bats_require_minimum_version 1.5.0

setup_file() {
	lab_start
	export RUNTIMES=""
	for runtime in crun runc runsc; do
		command -v "$runtime" >/dev/null || { echo "# $runtime is not installed: not tested" >&3; continue; }
		RUNTIMES="$RUNTIMES $runtime"
		project "$runtime"
		on "$runtime" up -f pods.yaml --host-root --runtime "$runtime" >"$LAB_DIR/$runtime.out" 2>&1 ||
			{ cat "$LAB_DIR/$runtime.out" >&2; return 1; }
	done
	[ -n "$RUNTIMES" ] || skip "no OCI runtime is installed"
}

teardown_file() {
	[ -n "${LAB:-}" ] || return 0
	for runtime in crun runc runsc; do on "$runtime" down --timeout 0 >/dev/null 2>&1 || true; done
	lab_stop
}

project() { # NAME: the seed's project with one pod more
	mkdir -p "$LAB_DIR/$1" "$LAB_DIR/$1.data/given" "$LAB_DIR/$1.data/kept"
	cp -r "$top/examples/seed/." "$LAB_DIR/$1/"
	echo from-the-host >"$LAB_DIR/$1.data/given/file"
	cat >>"$LAB_DIR/$1/pods.yaml" <<-END
	---
	apiVersion: v1
	kind: Pod
	metadata: { name: work, labels: { app: work } }
	spec:
	  restartPolicy: OnFailure
	  initContainers:
	  - { name: first, image: x, command: [sh, -c, "echo began >/shared/first"], volumeMounts: [{ name: shared, mountPath: /shared }] }
	  containers:
	  - name: app
	    image: x
	    command: [sh, -c, "echo run; cat /shared/first; [ -e /shared/again ] || { touch /shared/again; exit 3; }; exec sleep 1000"]
	    workingDir: /shared
	    env: [{ name: SAID, value: 'a "b" \\ c' }]
	    securityContext: { runAsUser: 1000, runAsGroup: 1000, readOnlyRootFilesystem: true }
	    resources: { limits: { memory: 256Mi } }
	    volumeMounts:
	    - { name: shared, mountPath: /shared }
	    - { name: given, mountPath: /given, readOnly: true }
	    - { name: kept, mountPath: /kept }
	  - name: second
	    image: x
	    command: [python3, -m, http.server, "8000", --bind, 127.0.0.1, --directory, /shared]
	    volumeMounts: [{ name: shared, mountPath: /shared, readOnly: true }]
	  volumes:
	  - { name: shared, emptyDir: {} }
	  - { name: given, hostPath: { path: $LAB_DIR/$1.data/given } }
	  - { name: kept, hostPath: { path: $LAB_DIR/$1.data/kept } }
	END
}

on() { (export PROJECT_DIR=$LAB_DIR/$1; sk "${@:2}"); }
in_pod() { on "$1" exec "$2" -- "${@:3}"; }
field() { (export PROJECT_DIR=$LAB_DIR/$1; ps_field "$2"); }
pid_in() { field "$1" "[c['pid'] for p in d['pods'] if p['name']=='$2' for c in p['containers'] if c['state']=='running'][0]"; }
each() { for runtime in $RUNTIMES; do echo "--- $runtime"; "$@" "$runtime"; done; }

seed_allowed() {
	run in_pod "$1" cli-pod-cli-app curl -sS -w ' %{http_code} %{ssl_verify_result}' https://storage.googleapis.com
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"hello from storage.googleapis.com"*" 200 0" ]]
}
@test "seed check 1: an allowed name, TLS checked against the origin's certificate" { each seed_allowed; }

seed_denied() {
	run in_pod "$1" cli-pod curl -sS -w '%{http_code}' http://example.com/
	[[ "$output" == *"not-listed"*403 ]]
	run in_pod "$1" cli-pod curl -sS -v https://example.com
	[ "$status" != 0 ]
	[[ "$output" == *"403"* ]]
	! grep -q 'example.com' "$LAB_DIR/web.log"
}
@test "seed check 2: a name that is not listed is answered 403 with the reason" { each seed_denied; }

seed_direct() {
	lab exec "$LAB" -- curl -sS http://1.1.1.1/ # the same path is open from the host
	witness | grep -q ' 1.1.1.1 80 '
	witness --clear
	run in_pod "$1" cli-pod curl --noproxy '*' -sS -m 5 http://1.1.1.1
	[[ "$status" != 0 || "$output" == *address-literal* || "$output" == *not-listed* ]]
	run in_pod "$1" cli-pod curl --noproxy '*' -sS -m 5 https://1.1.1.1
	[ "$status" != 0 ]
	[ "$status" != 28 ] # not a time-out
	[ -z "$(witness)" ]
}
@test "seed check 3: a direct connection is refused at once, and the witness sees nothing" { each seed_direct; }

captured() {
	run in_pod "$1" cli-pod curl --noproxy '*' -sS --resolve storage.googleapis.com:443:198.18.9.9 https://storage.googleapis.com/
	[ "$output" = "hello from storage.googleapis.com port 443" ]
	run in_pod "$1" sandbox-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == *not-listed* ]]
	run in_pod "$1" sandbox-pod curl -sS https://python.org/
	[[ "$output" == *"hello from python.org"* ]]
}
@test "what uses no proxy is captured, and each pod has its own list" { each captured; }

resolver() {
	lab exec "$LAB" -- dig +short +tries=1 +time=2 "control-$1.example.com" >/dev/null || true
	wait_for 2 grep -q "control-$1" "$LAB_DIR/dns.log"
	run in_pod "$1" cli-pod dig +tries=1 +time=2 @8.8.8.8 "nonce-$1.example.com"
	[[ "$output" == *NXDOMAIN* ]]
	run in_pod "$1" cli-pod dig +short +tries=1 +time=2 @8.8.8.8 sandbox-pod
	[[ "$output" == 198.18.* ]]
	! grep -q "nonce-$1" "$LAB_DIR/dns.log"
	wait_for 2 grep -q "nonce-$1.example.com" "$LAB_DIR/run/$1/decisions.log"
}
@test "the pod's resolver answers pod names, and NXDOMAIN to all else" { each resolver; }

udp() {
	lab exec "$LAB" -- python3 -c 'import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2); s.sendto(b"x",("1.1.1.1",9999)); s.recv(99)'
	witness --clear
	run in_pod "$1" cli-pod python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)
try:
    s.connect(("1.1.1.1", 9999)); s.send(b"x"); s.recv(99); print("answered")
except OSError as e: print("not answered")'
	[ "$output" = "not answered" ]
	[ -z "$(witness)" ]
}
@test "UDP elsewhere arrives nowhere" { each udp; }

powerless() {
	run in_pod "$1" cli-pod grep -E '^(CapEff|CapPrm|CapBnd|Seccomp):' /proc/1/status /proc/self/status
	echo "$output"
	[ "$(echo "$output" | grep -c 0000000000000000)" = 6 ]
	[[ "$output" == *"/1/status:Seccomp:"*2* ]]
	run on "$1" run --runtime "$1" -- python3 -c '
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
def tried(what, ok):
    print(what, "THROUGH" if ok else "held")
try:
    socket.socket(40, socket.SOCK_STREAM); tried("vsock", True)
except OSError: tried("vsock", False)
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); tried("raw", True)
except OSError: tried("raw", False)
tried("userns", libc.unshare(0x10000000) == 0)
tried("mount", libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
tried("uring", libc.syscall(425, 1, 0) >= 0)
import threading
thread = threading.Thread(target=lambda: print("thread made")); thread.start(); thread.join()
socket.socket(socket.AF_INET, socket.SOCK_STREAM); print("control made")'
	echo "$output"
	[[ "$output" != *THROUGH* && "$output" == *"thread made"*"control made"* ]]
	[ "$(echo "$output" | grep -c held)" = 5 ]
	# The same as the host's kernel sees the container's own processes.
	grep -q '^NoNewPrivs:.*1' "/proc/$(pid_in "$1" cli-pod)/status"
	[ "$(awk '/^Uid:/ { print $2 }' "/proc/$(pid_in "$1" cli-pod)/status")" -ge 1879048192 ]
}
@test "a container: no capability, no new privileges, our system-call filter, ids of its own" { each powerless; }

separate() {
	local one two own
	one=$(pid_in "$1" cli-pod) two=$(pid_in "$1" sandbox-pod)
	for own in net user pid mnt ipc uts cgroup; do
		[ "$(readlink "/proc/$one/ns/$own")" != "$(readlink "/proc/$two/ns/$own")" ]
		[ "$(readlink "/proc/$one/ns/$own")" != "$(readlink "/proc/self/ns/$own")" ]
	done
	in_pod "$1" cli-pod sh -c 'echo secret >/tmp/mine'
	run in_pod "$1" sandbox-pod cat /tmp/mine
	[ "$status" != 0 ]
	run in_pod "$1" cli-pod cat /tmp/mine
	[ "$output" = secret ]
}
@test "pods are apart from each other and from the host" { each separate; }

volumes() {
	[ "$(in_pod "$1" work cat /given/file)" = from-the-host ]
	run in_pod "$1" work sh -c 'echo x >/given/file'
	[ "$status" != 0 ]
	run in_pod "$1" work sh -c 'echo x >/etc/new'
	[ "$status" != 0 ]
	in_pod "$1" work sh -c 'cat >/dev/null; :' </dev/null
	on "$1" exec -u 0 work -- sh -c 'echo back >/kept/file'
	[ "$(cat "$LAB_DIR/$1.data/kept/file")" = back ]
	[ "$(stat -c %u "$LAB_DIR/$1.data/kept/file")" = 0 ]
	[ "$(cat "$LAB_DIR/$1.data/given/file")" = from-the-host ]
}
@test "volumes: read-only ones are, what is written arrives, ids are mapped" { each volumes; }

lives() {
	wait_for 10 test "$(field "$1" "[c['restarts'] for p in d['pods'] if p['name']=='work' for c in p['containers'] if c['name']=='app'][0]")" = 1
	[ "$(field "$1" "[c['state'] for p in d['pods'] if p['name']=='work' for c in p['containers'] if c['name']=='app'][0]")" = running ]
	[ "$(on "$1" logs work/app | grep -c began)" = 2 ]
	[ "$(in_pod "$1" work id -u)" = 1000 ]
	[ "$(in_pod "$1" work pwd)" = /shared ]
	[ "$(in_pod "$1" work sh -c 'echo "$SAID"')" = 'a "b" \ c' ]
	# Containers of a pod are apart but for the network and the volumes.
	[ "$(in_pod "$1" work/app curl --noproxy '*' -sS http://127.0.0.1:8000/first)" = began ]
	run in_pod "$1" work/second touch /shared/x
	[ "$status" != 0 ]
}
@test "an init container, an end with a failure and the restart, user, directory and variables" {
	for runtime in $RUNTIMES; do wait_for 10 lives "$runtime" || lives "$runtime"; done
}

enters() {
	run in_pod "$1" cli-pod/cli-app sh -c 'exit 7'
	[ "$status" = 7 ]
	run -127 on "$1" exec cli-pod -- no-such-program
	[[ "$output" == *no-such-program* ]]
	[ "$(echo hi | on "$1" exec -i cli-pod -- cat)" = hi ]
	run on "$1" exec -t cli-pod -- true
	[ "$status" = 2 ]
	on "$1" exec cli-pod -- sh -c 'echo one' >"$LAB_DIR/two-lines"
	on "$1" exec cli-pod -- sh -c 'echo two' >>"$LAB_DIR/two-lines"
	[ "$(tr '\n' ' ' <"$LAB_DIR/two-lines")" = "one two " ]
	# On a terminal of its own, which ^C ends a program on.
	python3 "$top/tests/system/terminal.py" "$LAB_DIR/$1" "$top/tests/lab/lab" exec "$LAB" -- "$stockade" exec -it cli-pod -- sh
}
@test "exec: exit codes, standard input, files, terminals" { each enters; }

verified() {
	on "$1" verify --json >"$LAB_DIR/verify.json"
	python3 - "$1" "$LAB_DIR/verify.json" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[2]))
	bad = [p for p in d["probes"] if p["result"] in ("failed", "broken")]
	assert not bad, bad
	result = {(p["id"], p["pod"]): p for p in d["probes"]}
	passed = [p for p in d["probes"] if p["result"] == "passed"]
	inside = result[("socket-vsock", "cli-pod")]
	# Nothing can be brought into gVisor, and verify says so; into the others the same probes go as into a container of our own.
	if sys.argv[1] == "runsc":
	    assert inside["result"] == "skipped" and "gVisor" in inside["detail"], inside
	    assert len(passed) > 200, len(passed)
	else:
	    assert inside["result"] == "passed", inside
	    assert len(passed) > 300, len(passed)
	assert result[("process-capabilities", "cli-pod")]["result"] == "passed"
	assert result[("jail", "cli-pod")]["result"] == "passed"
	END
}
@test "verify passes, and says what it cannot try" { each verified; }

shown() {
	[ "$(field "$1" "d['runtime']['kind']")" = "$1" ]
	run on "$1" ps
	[[ "$output" == *"runtime /"*"$1"* ]]
	run on "$1" up -f pods.yaml --host-root --runtime "$1"
	[[ "$output" == *"cli-pod: unchanged"* ]]
	run on "$1" up -f pods.yaml --host-root
	[ "$status" != 0 ]
	[[ "$output" == *"down"* ]]
}
@test "ps shows the runtime; a project keeps it" { each shown; }

@test "a runtime that fails, is no runtime, or could be changed by others is refused with the reason" {
	project other
	cat >"$LAB_DIR/broken" <<-'END'
	#!/bin/sh
	[ "$1" != --version ] || { echo "runc version 9"; exit 0; }
	echo 'time="x" level=error msg="no \"luck\" today"' >/run/log
	exit 1
	END
	chmod 755 "$LAB_DIR/broken"
	run on other up -f pods.yaml --host-root --runtime "$LAB_DIR/broken"
	echo "$output"
	[ "$status" = 3 ]
	[[ "$output" == *"does not work here"*'no "luck" today'* ]]
	wait_for 5 test ! -e "$LAB_DIR/run/other"
	run on other up -f pods.yaml --host-root --runtime /usr/bin/true
	[ "$status" != 0 ]
	[[ "$output" == *"is it an OCI runtime?"* ]]
	chmod 777 "$LAB_DIR/broken"
	run on other up -f pods.yaml --host-root --runtime "$LAB_DIR/broken"
	[ "$status" = 2 ]
	[[ "$output" == *"changed by others"* ]]
	run on other up -f pods.yaml --host-root --runtime ./broken
	[ "$status" = 2 ]
	run on other up -f pods.yaml --host-root --runtime "$LAB_DIR/none"
	[ "$status" = 2 ]
	[[ "$output" == *"No such file"* ]]
	[ ! -e "$LAB_DIR/run/other" ]
	run on other up -f pods.yaml --engine podman --runtime crun
	[ "$status" = 2 ]
}

@test "a runtime that leaves a wall out is found out, and its container ended" {
	command -v crun >/dev/null || skip "crun is not installed"
	project other
	# It takes our bundle and gives the container what it must not have.
	cat >"$LAB_DIR/generous" <<-'END'
	#!/usr/bin/python3
	import json, os, sys
	what = os.path.basename(sys.argv[0])
	if "create" in sys.argv:
	    c = json.load(open("/run/bundle/config.json"))
	    if what == "capable":
	        for s in c["process"]["capabilities"]:
	            c["process"]["capabilities"][s] = ["CAP_CHOWN"]
	    elif what == "elsewhere":
	        c["linux"]["namespaces"].append({"type": "network"})
	    elif what == "unfiltered":
	        del c["linux"]["seccomp"]
	    open("/run/bundle/config.json", "w").write(json.dumps(c))
	os.execv("/usr/bin/crun", ["crun"] + sys.argv[1:])
	END
	chmod 755 "$LAB_DIR/generous"
	for wrong in "capable capabilities" "elsewhere network namespace" "unfiltered system-call filter"; do
		cp "$LAB_DIR/generous" "$LAB_DIR/${wrong%% *}"
		run on other run --runtime "$LAB_DIR/${wrong%% *}" -- sh -c 'sleep 3; echo it ran'
		echo "$output"
		[ "$status" = 3 ]
		[[ "$output" == *"${wrong#* }"* && "$output" != *"it ran"* ]]
	done
	cp "$LAB_DIR/generous" "$LAB_DIR/honest" # the control
	run on other run --runtime "$LAB_DIR/honest" -- echo it ran
	[ "$output" = "it ran" ]
}

one_shot() {
	mkdir -p "$LAB_DIR/there" && echo text >"$LAB_DIR/there/file"
	run on "$1" run --runtime "$1" --allow example.com -v "$LAB_DIR/there:ro" -w "$LAB_DIR/there" -- sh -c 'cat file; curl -sS http://example.com/; curl -sS http://python.org/; echo x >file; exit 9'
	echo "$output"
	[ "$status" = 9 ]
	[[ "$output" == *text* && "$output" == *"hello from example.com"* && "$output" == *not-listed* ]]
	[ "$(cat "$LAB_DIR/there/file")" = text ]
	run -127 on "$1" run --runtime "$1" -- no-such-program
	[ "$status" = 127 ]
	run on "$1" run --runtime "$1" -- "$(printf '\377')"
	[ "$status" = 2 ]
	run on "$1" run --runtime "$1" --timeout 1s -- sleep 100
	[ "$status" = 124 ]
}
@test "run: one command under a runtime" { each one_shot; }

no_trace() { # PATTERN: no process of it, no cgroup
	! pgrep -f "runsc-(sandbox|gofer).*$1" >/dev/null
	! find /sys/fs/cgroup -maxdepth 6 -name "$1*" | grep -q .
}

killed() {
	local supervisor pids prefix
	supervisor=$(field "$1" "d['supervisor']['pid']")
	pids="$(pid_in "$1" cli-pod) $(pid_in "$1" work)"
	prefix=$(sed -n "s#.*/\(stockade-$1-[0-9a-f]*-\).*#\1#p" "/proc/${pids%% *}/cgroup" | head -n 1)
	[ -n "$prefix" ]
	kill -9 "$supervisor"
	for pid in $pids; do wait_for 5 test ! -e "/proc/$pid"; done
	on "$1" up -f pods.yaml --host-root --runtime "$1" >/dev/null
	run in_pod "$1" cli-pod curl -sS http://storage.googleapis.com/
	[ "$output" = "hello from storage.googleapis.com port 80" ]
	pid=$(pid_in "$1" cli-pod)
	on "$1" down
	[ ! -e "/proc/$pid" ]
	[ ! -e "$LAB_DIR/run/$1" ]
	no_trace "$prefix"
	[ ! -e "/run/$1/container" ] && [ ! -e /run/container ]
	! grep -q "$LAB_DIR/run/$1" /proc/mounts
}
@test "a killed supervisor takes its containers with it; after down nothing is left" { each killed; }
