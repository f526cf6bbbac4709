#!/usr/bin/env bats
# A wall is broken on purpose, one for each promise of docs/threat-model.md, and `verify` must fail and name that promise. Each test
# first sees verify pass (in setup), so that its failure is the sabotage's doing.
load helpers

setup_file() { lab_start; up >&2; sk verify >"$LAB_DIR/clean.out" 2>&1 || { cat "$LAB_DIR/clean.out" >&2; return 1; }; }
teardown_file() { lab_stop; }

# Starts the project afresh, for tests that leave it broken.
mend() { sk down --timeout 1 >/dev/null 2>&1; cp -r "$top/examples/seed/." "$PROJECT_DIR/"; up >/dev/null; }

broken_promise() { # N: the last verify failed, and a failed probe is of promise N
	[ "$status" = 1 ]
	echo "$output" | python3 -c '
import json, sys
d = json.load(sys.stdin)
failed = [p for p in d["probes"] if p["result"] == "failed"]
print([(p["promise"], p["id"]) for p in failed])
assert any(p["promise"] == int(sys.argv[1]) for p in failed)' "$1"
}

verify_json() { sk verify --json 2>/dev/null; }

@test "promise 1: a device and a route are added to a pod" {
	ip netns exec "sl-$LAB-host" true
	pid=$(pod_pid cli-pod)
	nsenter --net="/run/netns/sl-$LAB-host" ip link add sab0 type veth peer name eth0 netns "$pid"
	pod_netns cli-pod ip addr add 172.31.9.2/24 dev eth0
	pod_netns cli-pod ip link set eth0 up
	pod_netns cli-pod ip route add default dev eth0
	run verify_json
	nsenter --net="/run/netns/sl-$LAB-host" ip link del sab0
	mend
	broken_promise 1
}

@test "promise 2: two pods' identities are swapped" {
	# The supervisor is asked nothing: the sabotage replaces one pod's program by one that lives in the other pod's network.
	skip_reason=$(sk verify --help | grep -c -- --sabotage || true)
	run sk verify --json --sabotage identity
	mend
	broken_promise 2
}

@test "promise 3: the jail is flushed, and names can be gone around" {
	pod_netns cli-pod nft flush ruleset
	run verify_json
	mend
	broken_promise 1
	broken_promise 7
}

@test "promise 5: DNS is opened" {
	pid=$(pod_pid cli-pod)
	pod_netns cli-pod nft insert rule inet stockade prerouting udp dport 53 drop
	run verify_json
	mend
	broken_promise 5
}

@test "promise 10: the lists on disk are not the policy in force" {
	supervisor=$(ps_field "d['supervisor']['pid']")
	kill -STOP "$(ps_field "d['gate']['pid']")"
	echo changed.example.org >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	run verify_json
	kill -CONT "$(sk ps --json 2>/dev/null | python3 -c 'import json,sys; print(json.load(sys.stdin)["gate"]["pid"])')" || true
	mend
	[ "$status" != 0 ]
}
