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
	for runtime in crun runc runsc slow; do on "$runtime" down --timeout 0 >/dev/null 2>&1 || true; done
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
	! grep -q 'example.com' "$LAB_DIR/web.log" || return 1
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
	! grep -q "nonce-$1" "$LAB_DIR/dns.log" || return 1
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
	run on "$1" run --runtime "$1" -- python3 -c "$(cat "$BATS_TEST_DIRNAME/powers.py")"
	echo "$output"
	[[ "$output" != *THROUGH* && "$output" == *"thread made"*"control made"* ]]
	[ "$(echo "$output" | grep -c held)" = 5 ]
	# The same as the host's kernel sees the container's own processes.
	grep -q '^NoNewPrivs:.*1' "/proc/$(pid_in "$1" cli-pod)/status"
	[ "$(awk '/^Uid:/ { print $2 }' "/proc/$(pid_in "$1" cli-pod)/status")" -ge 1879048192 ]
}
@test "a container: no capability, no new privileges, our system-call filter, ids of its own" { each powerless; }

# What would make a file set-id, each way on a file of its own; then what is to work. As it is seen from the host in the end.
SET_ID='
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
top = sys.argv[1] + "/modes"
os.makedirs(top, exist_ok=True); os.chdir(top)
def make(name):
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644))
    return name.encode()
def tried(what):
    try: what()
    except OSError as e: pass
def call(number, *arguments):
    libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
for mode in 0o4755, 0o2755, 0o6711:
    n = "-%o" % mode
    tried(lambda: os.chmod(make("chmod" + n), mode))
    tried(lambda: os.fchmod(os.open(make("fchmod" + n), os.O_RDONLY), mode))
    call(268, -100, make("fchmodat" + n), mode)
    call(268, -100, make("upper" + n), mode | 1 << 40)
    call(452, -100, make("fchmodat2" + n), mode, 0)
    call(85, ("creat" + n).encode(), mode)
    call(2, ("open" + n).encode(), os.O_CREAT | os.O_WRONLY, mode)
    call(257, -100, ("openat" + n).encode(), os.O_CREAT | os.O_WRONLY, mode)
    call(437, -100, ("openat2" + n).encode(), (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, mode, 0), 24)
    call(133, ("mknod" + n).encode(), 0o100000 | mode, 0)
    call(259, -100, ("mknodat" + n).encode(), 0o100000 | mode, 0)
    tried(lambda: os.link("/proc/self/fd/%d" % os.open(".", os.O_TMPFILE | os.O_WRONLY, mode), "unnamed" + n, follow_symlinks=True))
tried(lambda: os.setxattr(make("capable"), "security.capability", bytes.fromhex("0100000200200000000000000000000000000000")))
os.chmod(make("plain"), 0o755)
os.mkdir("sticky"); os.chmod("sticky", 0o1777)
try: socket.socket(40, socket.SOCK_STREAM); print("vsock THROUGH")
except OSError: pass
print("tried")'

harmless() { # DIR: what arrived in it
	stat -c '%n %u %a' "$1"/modes/*
	[ "$(stat -c '%u %a' "$1/modes/plain")" = "0 755" ]
	[ "$(stat -c '%u %a' "$1/modes/sticky")" = "0 1777" ]
	[ "$(stat -c '%u %a' "$1/modes/chmod-4755")" = "0 644" ]
	[ -z "$(find "$1/modes" -perm /6000)" ]
	[ -z "$(getcap -r "$1/modes")" ]
}
set_id() {
	local own="$LAB_DIR/$1.data/own"
	mkdir -p "$own"
	run on "$1" exec -u 0 work -- python3 -c "$SET_ID" /kept
	[ "$output" = tried ]
	harmless "$LAB_DIR/$1.data/kept"
	run on "$1" run --runtime "$1" -v "$own" -w "$own" -- python3 -c "$SET_ID" "$own"
	[ "$output" = tried ]
	harmless "$own"
}
@test "no set-id file and no file with capabilities arrives on a volume, by exec or by the program" { each set_id; }

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
	# One that ends at once is not run either: the probe was, and did not end.
	run on other run --runtime "$LAB_DIR/unfiltered" -- true
	[ "$status" = 3 ]
	run on other up -f pods.yaml --host-root --runtime "$LAB_DIR/unfiltered"
	echo "$output"
	[ "$status" = 3 ]
	[[ "$output" == *"does not work here"*"no system-call filter"* ]]
	cp "$LAB_DIR/generous" "$LAB_DIR/honest" # the control
	run on other run --runtime "$LAB_DIR/honest" -- echo it ran
	[ "$output" = "it ran" ]
}

slow_state() { field slow "[c['$1'] for p in d['pods'] if p['name']=='sandbox-pod' for c in p['containers']][0]"; }
is_state() { [ "$(slow_state state)" = "$1" ]; }

@test "a runtime that works when it is tried and not at a pod's start: up says why, and down does not wait for it" {
	command -v crun >/dev/null || skip "crun is not installed"
	project slow
	cat >"$LAB_DIR/later" <<-'END'
	#!/usr/bin/python3
	import json, os, sys, time
	if "create" in sys.argv and json.load(open("/run/bundle/config.json"))["hostname"] != "probe":
	    open("/run/log", "w").write("not again")
	    time.sleep(1000 if "hangs" in sys.argv[0] else 0)
	    sys.exit(1)
	os.execv("/usr/bin/crun", ["crun"] + sys.argv[1:])
	END
	chmod 755 "$LAB_DIR/later"
	run on slow up -f pods.yaml --host-root --runtime "$LAB_DIR/later"
	echo "$output"
	[ "$status" = 3 ]
	[[ "$output" == *"could not make the container: not again"* ]]
	on slow down --timeout 1
	cp "$LAB_DIR/later" "$LAB_DIR/hangs"
	on slow up -f pods.yaml --host-root --runtime "$LAB_DIR/hangs" >"$LAB_DIR/hangs.out" 2>&1 3>&- &
	local up=$! ended=0
	wait_for 20 is_state starting
	on slow down --timeout 1
	wait "$up" || ended=$?
	cat "$LAB_DIR/hangs.out"
	[ "$ended" != 0 ]
	[ -z "$(pgrep -f "$LAB_DIR/hangs .*create")" ]
}

two_faced() {
	local own="$LAB_DIR/two-faced-$1.data"
	[ "$1" != runsc ] || return 0 # which filters the program by itself
	mkdir -p "$own"
	# As it should be when it is tried, and without our filter for the program.
	cat >"$LAB_DIR/two-faced-$1" <<-END
	#!/usr/bin/python3
	import json, os, sys
	if "create" in sys.argv:
	    c = json.load(open("/run/bundle/config.json"))
	    if c["hostname"] != "probe":
	        del c["linux"]["seccomp"]
	    open("/run/bundle/config.json", "w").write(json.dumps(c))
	os.execv("$(command -v "$1")", ["$1"] + sys.argv[1:])
	END
	chmod 755 "$LAB_DIR/two-faced-$1"
	# A program that does it first of all, and ends before it is looked at, or not.
	printf '%s\n' '#include <sys/socket.h>' '#include <sys/stat.h>' '#include <unistd.h>' 'int main(void) {' \
		'if (socket(40, SOCK_STREAM, 0) >= 0) mkdir("vsock", 0755);' 'chmod("set-id", 04755); mkdir("tried", 0755); sleep(1); }' |
		gcc -static -O1 -x c -o "$own/first" -
	for try in 1 2 3; do
		rm -rf "$own/set-id" "$own/vsock" "$own/tried"
		touch "$own/set-id"
		run on other run --runtime "$LAB_DIR/two-faced-$1" -v "$own" -w "$own" -- "$own/first"
		[ "$status" = 3 ]
		[ -d "$own/tried" ] # the control: it was fast enough
		[ ! -e "$own/vsock" ]
		[ "$(stat -c %a "$own/set-id")" = 644 ]
	done
	run on other run --runtime "$LAB_DIR/two-faced-$1" -- sh -c 'sleep 3; echo it ran'
	[ "$status" = 3 ]
	[[ "$output" == *"no system-call filter"* && "$output" != *"it ran"* ]]
}
@test "a runtime that leaves the filter out when it is not tried: what its program does first is held all the same" { project other; each two_faced; }

@test "a runtime sees of the host what a container sees, and writes nowhere" {
	command -v crun >/dev/null || skip "crun is not installed"
	project other
	echo secret >"$LAB_DIR/secret"
	chmod 755 "$LAB_DIR"; chmod 644 "$LAB_DIR/secret"
	setpriv --reuid 65534 --clear-groups cat "$LAB_DIR/secret" # the control: anybody on the host may
	cat >"$LAB_DIR/curious" <<-END
	#!/usr/bin/python3
	import os, socket, sys
	if "create" in sys.argv:
	    for path in "$LAB_DIR/secret", "/etc/passwd", "/etc/hostname", "/root", "/home", "/proc/$$/status":
	        print(path, "SEEN" if os.path.exists(path) else "not there")
	    for dir in "/", "/usr", "/var/tmp", "/etc", "/dev", "/sys/fs/cgroup":
	        try: open(dir + "/from-the-runtime", "w"); print(dir, "WRITTEN")
	        except OSError: print(dir, "not written")
	    open("/tmp/from-the-runtime-$LAB", "w").write("x"); print("its own /tmp written")
	    sockets = [p for top in ("/run", "/tmp", "/var", "/dev") for d, _, files in os.walk(top) for p in files if os.path.exists(d + "/" + p) and (os.lstat(d + "/" + p).st_mode & 0o170000) == 0o140000]
	    print("SOCKETS" if sockets else "no sockets", sockets)
	    sys.stdout.flush()
	os.execv("/usr/bin/crun", ["crun"] + sys.argv[1:])
	END
	chmod 755 "$LAB_DIR/curious"
	run on other run --runtime "$LAB_DIR/curious" -- echo it ran
	echo "$output"
	[ "$status" = 0 ]
	[[ "$output" == *"its own /tmp written"*"no sockets"*"it ran"* ]]
	[[ "$output" != *SEEN* && "$output" != *WRITTEN* ]]
	[ ! -e "/tmp/from-the-runtime-$LAB" ]
}

@test "a runtime that hangs holds up its container, and neither ps, reload, exec nor another pod" {
	command -v crun >/dev/null || skip "crun is not installed"
	project slow
	printf '#!/usr/bin/python3\nimport os, sys\nos.execv("/usr/bin/crun", ["crun"] + sys.argv[1:])\n' >"$LAB_DIR/sometimes"
	cp "$LAB_DIR/sometimes" "$LAB_DIR/sometimes.good"
	chmod 755 "$LAB_DIR/sometimes"
	on slow up -f pods.yaml --host-root --runtime "$LAB_DIR/sometimes"
	run in_pod slow cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == *hello* ]]
	printf '#!/usr/bin/python3\nimport sys, time\nif "create" in sys.argv: time.sleep(1000)\n' >"$LAB_DIR/sometimes"
	kill -9 "$(pid_in slow sandbox-pod)"
	wait_for 20 is_state starting
	timeout 10 "$top/tests/lab/lab" exec "$LAB" -- "$stockade" ps --project slow
	sed -i '/googleapis/d' "$LAB_DIR/slow/haproxy/cli_domains.lst"
	(cd "$LAB_DIR/slow" && timeout 10 "$top/tests/lab/lab" exec "$LAB" -- "$stockade" reload)
	run in_pod slow cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == *not-listed* ]]
	run in_pod slow sandbox-pod true
	[ "$status" = 1 ]
	is_state starting # all the while
	# It gives up, and is tried again.
	cp "$LAB_DIR/sometimes.good" "$LAB_DIR/sometimes"
	for pid in $(pgrep -f "$LAB_DIR/sometimes .*create"); do kill -9 "$pid"; done
	wait_for 20 is_state running
	[ "$(slow_state restarts)" = 1 ]
	# So does down, without waiting for it.
	printf '#!/usr/bin/python3\nimport time\ntime.sleep(1000)\n' >"$LAB_DIR/sometimes"
	kill -9 "$(pid_in slow sandbox-pod)"
	wait_for 20 is_state starting
	on slow down --timeout 1
	[ -z "$(pgrep -f "$LAB_DIR/sometimes .*create")" ]
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
	! pgrep -f "runsc-(sandbox|gofer).*$1" >/dev/null || return 1
	! find /sys/fs/cgroup -maxdepth 6 -name "$1*" | grep -q . || return 1
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
	! grep -q "$LAB_DIR/run/$1" /proc/mounts || return 1
}
@test "a killed supervisor takes its containers with it; after down nothing is left" { each killed; }
