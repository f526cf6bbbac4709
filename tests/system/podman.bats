#!/usr/bin/env bats
# The seed's own file on the real Podman, in the lab: --engine podman, pods without a network of their own, the hook, the gate.
load helpers

setup_file() {
	missing=$(podman_missing)
	[ -z "$missing" ] || skip "Podman cannot run here: $missing"
	lab_start
	podman_start
	podman_runs
	on_podman >"$LAB_DIR/up.out" 2>&1 || { cat "$LAB_DIR/up.out" >&2; return 1; }
}
teardown_file() {
	[ -n "${LAB:-}" ] || return 0
	sk down --timeout 0 >/dev/null 2>&1 || true
	podman_stop
	lab_stop
}

on_podman() { sk up --engine podman -f pods.yaml "$@"; }
state_of() { ps_field "[c['state'] for p in d['pods'] if p['name']=='$1' for c in p['containers']][0]"; }
walls_of() { ps_field "[p['walls'] for p in d['pods'] if p['name']=='$1'][0]"; }

@test "seed check 1: an allowed name, TLS checked against the origin's certificate" {
	check_allowed
}

@test "seed check 2: a name that is not listed is answered 403 with the reason" {
	check_denied
}

@test "seed check 3: a direct connection is refused at once, and the witness sees nothing" {
	check_direct
}

@test "the same by Podman's own command, and each pod has its own list" {
	run pm exec cli-pod-cli-app curl -sS http://storage.googleapis.com/
	[ "$output" = "hello from storage.googleapis.com port 80" ]
	run pm exec sandbox-pod-sandbox-app curl -sS https://python.org/
	[[ "$output" == *"hello from python.org"* ]]
	run pm exec sandbox-pod-sandbox-app curl -sS http://storage.googleapis.com/
	[[ "$output" == *not-listed* ]]
}

@test "the jailers and the gate's pod are not run, nothing was pulled, no network was made" {
	[ "$(pm ps --all --filter label=stockade.project=demo --format '{{.Names}}' | sort | tr '\n' ' ')" = "cli-pod-cli-app sandbox-pod-sandbox-app " ]
	[ "$(pm network ls --quiet)" = podman ]
	[ -z "$(pm volume ls --quiet)" ]
	run pod_exec cli-pod sh -c 'cat /sys/class/net/*/uevent 2>/dev/null; ls /sys/class/net; cat /etc/hosts /etc/resolv.conf'
	[[ "$output" == *"INTERFACE=lo"* && "$output" != *eth0* ]]
	[[ "$output" == *"nameserver 198.18.0.1"* && "$output" == *proxy-pod* && "$output" != *"$(hostname)"* ]]
}

@test "a container: no capability, no new privileges, our system-call filter, the settings that cannot be borrowed" {
	run pod_exec cli-pod grep -E '^(CapEff|CapPrm|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status
	[ "$(echo "$output" | grep -c '0000000000000000')" = 4 ]
	[[ "$output" == *"NoNewPrivs:"*"1"* && "$output" == *"Seccomp:"*"2"* ]]
	run pod_exec cli-pod python3 -c "$(cat "$BATS_TEST_DIRNAME/powers.py")"
	[[ "$output" != *THROUGH* && "$output" == *"thread made"*"control made"* ]]
	[ "$(echo "$output" | grep -c held)" = 5 ]
}

@test "ps, exec, logs, reload as on the built-in engine" {
	[ "$(state_of cli-pod)" = running ]
	run pod_exec cli-pod/cli-app sh -c 'exit 7'
	[ "$status" = 7 ]
	[ "$(echo hi | sk exec -i cli-pod -- cat)" = hi ]
	cp "$PROJECT_DIR/haproxy/cli_domains.lst" "$LAB_DIR/list"
	echo python.org >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == hello* ]]
	cp "$LAB_DIR/list" "$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == *not-listed* ]]
}

@test "up again changes nothing" {
	before=$(pod_pid cli-pod)
	run on_podman
	[[ "$output" == *"cli-pod: unchanged"* ]]
	[ "$(pod_pid cli-pod)" = "$before" ]
}

@test "verify passes, with the probes inside a container under its own filter" {
	check_verify socket-vsock io-uring user-namespace mount jail jail-joined process-capabilities seed-direct
}

@test "a pod that is stopped and started by hand gets walls around its new namespace" {
	before=$(readlink "/proc/$(pod_pid cli-pod)/ns/net")
	restart cli-pod
	[ "$(readlink "/proc/$(pod_pid cli-pod)/ns/net")" != "$before" ]
	[ "$(walls_of cli-pod)" = True ]
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	pod_netns cli-pod nft list table inet stockade | grep -q tproxy
}

@test "the gate killed: nothing gets through it, the new one serves the same pods" {
	kill -9 "$(ps_field "d['gate']['pid']")"
	wait_for 5 pod_exec cli-pod curl -sSf -o /dev/null http://storage.googleapis.com/
	[ "$(ps_field "d['gate']['restarts']")" -ge 1 ]
}

@test "started without the hook: no network, ps and verify tell, up mends it" {
	stop cli-pod
	nsenter --net="/run/netns/sl-$LAB-host" podman pod start cli-pod # other settings than the project's
	[ "$(walls_of cli-pod)" = False ]
	run sk ps
	[[ "$output" == *"WITHOUT WALLS"* ]]
	run sk verify --pod cli-pod
	[ "$status" = 1 ]
	[[ "$output" == *"failed"*"without walls around it"* ]]
	witness --clear
	run podman exec cli-pod-cli-app curl --noproxy '*' -sS -m 3 http://1.1.1.1/
	[ "$status" != 0 ]
	[ -z "$(witness)" ]
	run on_podman
	[[ "$output" == *"cli-pod: replaced"* ]]
	[ "$(walls_of cli-pod)" = True ]
}

@test "a network of Podman's own is refused by the hook, and left alone" {
	stop cli-pod
	run pm run --rm --network host --annotation stockade.project=demo --annotation stockade.pod=cli-pod alpine true
	[ "$status" != 0 ]
	[[ "$output" == *"host's own network namespace"* ]]
	lab exec "$LAB" -- curl -sS http://storage.googleapis.com/ | grep -q hello # the host's network is as it was
	run pm run --rm --network none --annotation stockade.project=demo --annotation stockade.pod=nobody alpine true
	[ "$status" != 0 ]
	[[ "$output" == *"no such pod"* ]]
	pm pod start cli-pod
}

@test "no race: the first instruction of a program sends a packet, started 50 times, the witness sees none" {
	racer_image
	witness --clear
	lab exec "$LAB" -- "$LAB_DIR/racer/racer" # the control: from the host it arrives
	wait_for 3 sh -c '"$0" witness "$1" | grep -q 9999' "$top/tests/lab/lab" "$LAB"
	with_racer
	witness --clear
	on_podman
	wait_for 60 raced 50
	[ -z "$(witness)" ]
	[ "$(ps_field "[c['restarts'] for p in d['pods'] if p['name']=='racer' for c in p['containers']][0]")" -ge 49 ]
	without_racer
	run on_podman
	[[ "$output" == *"racer: removed"* ]]
	[ -z "$(pm ps --all --quiet --filter name=racer)" ]
}

@test "an attacker in a container, as root with Python: the witness hears nothing, and the walls hold" {
	witness --clear
	: >"$LAB_DIR/dns.log"
	run sk exec -i cli-pod -- python3 - podnonce <"$BATS_TEST_DIRNAME/attacker.py"
	[ "$(echo "$output" | sed -n 's/^attempts //p')" -ge 30 ]
	! echo "$output" | grep -E 'unshare|setns of pid 1|fsopen|bpf|ptrace' | grep -q succeeded || return 1
	sleep 0.5
	[ -z "$(witness)" ] # that it hears such attempts from outside is attack.bats' control
	! grep -q podnonce "$LAB_DIR/dns.log" || return 1
	sk verify >/dev/null
}

@test "a pod of that name that is not the project's is left alone" {
	sed 's/name: cli-pod/name: strange/' "$PROJECT_DIR/pods.yaml" >"$PROJECT_DIR/strange.yaml"
	pm pod create --name strange --network none >/dev/null
	run sk up --engine podman -f strange.yaml
	[ "$status" != 0 ]
	[[ "$output" == *"not of project demo"* ]]
	pm pod exists strange
	pm pod rm --force strange >/dev/null
	on_podman
}

@test "an image that is not there is an error that names it, and nothing is left of the pod" {
	sed 's#curlimages/curl:latest#docker.io/library/nowhere:1#' "$PROJECT_DIR/pods.yaml" >"$PROJECT_DIR/missing.yaml"
	run sk up --engine podman -f missing.yaml
	[ "$status" = 2 ]
	[[ "$output" == *"nowhere:1"*"'podman pull' it first"* ]]
	[ -z "$(pm ps --all --quiet --filter name=cli-pod)" ]
	on_podman
}

@test "volumes, init containers, users, limits, a published port" {
	mkdir -p "$PROJECT_DIR/data"
	echo seen >"$PROJECT_DIR/data/file"
	cat >"$PROJECT_DIR/more.yaml" <<-'END'
		apiVersion: v1
		kind: ConfigMap
		metadata: { name: settings }
		data: { greeting: hello }
		---
		apiVersion: v1
		kind: Pod
		metadata: { name: more, labels: { app: cli } }
		spec:
		  initContainers:
		  - { name: first, image: alpine, command: [sh, -c, "echo init >/work/made"], volumeMounts: [{ name: work, mountPath: /work }] }
		  containers:
		  - name: app
		    image: python:3.9-slim
		    command: [sh, -c, "id; cat /work/made /config/greeting /data/file; echo no 2>/dev/null >/data/file || echo read-only; exec python3 -m http.server 8000 --directory /config"]
		    securityContext: { runAsUser: 1234, runAsGroup: 1234 }
		    resources: { limits: { memory: 200Mi } }
		    ports: [{ containerPort: 8000, hostPort: 8123 }]
		    volumeMounts:
		    - { name: work, mountPath: /work }
		    - { name: config, mountPath: /config }
		    - { name: data, mountPath: /data, readOnly: true }
		  volumes:
		  - { name: work, emptyDir: {} }
		  - { name: config, configMap: { name: settings } }
		  - { name: data, hostPath: { path: data, type: Directory } }
	END
	run sk up --engine podman -f more.yaml
	echo "$output"
	[ "$status" = 0 ]
	wait_for 5 sh -c 'cd "$1" && "$2" exec "$3" -- "$4" logs more/app | grep -q read-only' - "$PROJECT_DIR" "$top/tests/lab/lab" "$LAB" "$stockade"
	run sk logs more/app
	[[ "$output" == *"uid=1234"*init*hello*seen*read-only* ]]
	wait_for 5 lab exec "$LAB" -- curl -sSf http://127.0.0.1:8123/greeting
	restart more
	wait_for 10 lab exec "$LAB" -- curl -sSf http://127.0.0.1:8123/greeting
	on_podman
}

@test "the supervisor killed: nothing flows, a pod does not start again, up puts all right" {
	check_supervisor_killed
	on_podman
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
}

# What sweeps by Podman from here waits at its first step while the file "hold" is there.
held() {
	mkdir -p "$LAB_DIR/bin"
	cat >"$LAB_DIR/bin/podman" <<-END
		#!/bin/sh
		[ "\$1 \$2" != "pod ps" ] || touch $LAB_DIR/in
		while [ "\$1 \$2" = "pod ps" ] && [ -e $LAB_DIR/hold ]; do sleep 0.05; done
		exec $(command -v podman) "\$@"
	END
	chmod +x "$LAB_DIR/bin/podman"
	rm -f "$LAB_DIR/in"
	(export PATH="$LAB_DIR/bin:$PATH" && sk "$@")
}
ended() { [ ! -e "/proc/$1" ]; }

@test "a down that cleans up as after a reboot takes nothing from an up that begins meanwhile" {
	on_podman
	kill -9 "$(ps_field "d['supervisor']['pid']")"
	rm -rf "$LAB_DIR/run/demo"
	podman pod rm --all --force --time 0 >/dev/null
	touch "$LAB_DIR/hold"
	held down >"$LAB_DIR/down.out" 2>&1 3>&- &
	down=$!
	wait_for 5 [ -e "$LAB_DIR/in" ]
	on_podman >"$LAB_DIR/up.out" 2>&1 3>&- &
	up=$!
	wait_for 5 ended "$up" || true
	rm "$LAB_DIR/hold"
	wait "$down"
	wait "$up"
	check_allowed
	[ "$(state_of sandbox-pod)" = running ]
}

@test "a disk that was full while the settings were made: down and up work again" {
	sk down --timeout 0
	mkdir -p "$LAB_DIR/state"
	mount -t tmpfs -o size=12k,nr_inodes=40 small "$LAB_DIR/state"
	run on_podman
	[ "$status" != 0 ]
	[[ "$output" == *"No space left on device"* ]]
	mount -o remount,size=20m,nr_inodes=4000 "$LAB_DIR/state"
	run sk down
	left=$(find "$LAB_DIR/state" -mindepth 1)
	again=0
	on_podman || again=$?
	sk down --timeout 0 || true
	umount "$LAB_DIR/state"
	[ "$status" = 0 ]
	[ -z "$left" ]
	[ "$again" = 0 ]
	on_podman
}

@test "a second down while the first one is at its end waits for it" {
	sk down --timeout 0
	held up --engine podman -f pods.yaml
	rm -f "$LAB_DIR/in"
	touch "$LAB_DIR/hold"
	sk down --timeout 0 3>&- &
	first=$!
	wait_for 10 [ -e "$LAB_DIR/in" ]
	sk down --timeout 0 3>&- &
	second=$!
	wait_for 2 ended "$second" || true
	rm "$LAB_DIR/hold"
	wait "$first"
	wait "$second"
	[ ! -e "$LAB_DIR/state/demo/podman" ]
	on_podman
}

@test "down leaves nothing, also after a supervisor that was killed" {
	sk down --timeout 0
	[ -z "$(podman ps --all --quiet)" ] && [ -z "$(podman pod ps --quiet)" ] && [ -z "$(podman volume ls --quiet)" ]
	[ ! -e "$LAB_DIR/state/demo" ]
	on_podman
	kill -9 "$(ps_field "d['supervisor']['pid']")"
	sk down
	[ -z "$(podman ps --all --quiet)" ] && [ -z "$(podman pod ps --quiet)" ]
	[ ! -e "$LAB_DIR/state/demo" ]
	[ ! -e "$LAB_DIR/run/demo" ]
}
