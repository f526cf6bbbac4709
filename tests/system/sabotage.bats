#!/usr/bin/env bats
# Walls are broken on purpose, for each promise of docs/threat-model.md, and `verify` must fail and name that promise. verify passes
# before (setup_file) and after each mending, so that its failure is the sabotage's doing.
load helpers

setup_file() { lab_start; up >&2; sk verify >"$LAB_DIR/clean.out" 2>&1 || { cat "$LAB_DIR/clean.out" >&2; return 1; }; }
teardown_file() { lab_stop; }
setup() { up >/dev/null; saboteur=; }
teardown() {
	[ -z "$saboteur" ] || kill "$saboteur" 2>/dev/null || true
	sk down --timeout 1 >/dev/null 2>&1 || true
	cp -r "$top/examples/seed/." "$PROJECT_DIR/"
}

sabotage() { # MODE POD [OTHER]
	local mode=$1; shift
	local pids=()
	rm -f "$LAB_DIR/sabotage.out" # the one before said ready, too
	for pod in "$@"; do pids+=("$(pod_pid "$pod")"); done
	lab exec "$LAB" -- python3 "$BATS_TEST_DIRNAME/sabotage.py" "$mode" "${pids[@]}" >"$LAB_DIR/sabotage.out" 2>&1 3>&- &
	saboteur=$!
	wait_for 5 grep -q ready "$LAB_DIR/sabotage.out" || { cat "$LAB_DIR/sabotage.out"; return 1; }
}

# verify fails, and among what failed is a probe of each of these promises.
verify_names() {
	run --separate-stderr sk verify --json
	[ "$status" = 1 ]
	echo "$output" | python3 -c '
import json, sys
failed = [p for p in json.load(sys.stdin)["probes"] if p["result"] == "failed"]
print(sorted({(p["promise"], p["id"]) for p in failed}))
missing = set(map(int, sys.argv[1:])) - {p["promise"] for p in failed}
assert not missing, missing' "$@"
}

@test "1 only wire: a device and a route are added to a pod" {
	nsenter --net="/run/netns/sl-$LAB-host" ip link add sab0 type veth peer name eth0 netns "$(pod_pid cli-pod)"
	pod_netns cli-pod ip link set eth0 up
	pod_netns cli-pod ip addr add 172.31.9.2/24 dev eth0
	pod_netns cli-pod ip route add 1.1.1.1/32 dev eth0
	verify_names 1
	nsenter --net="/run/netns/sl-$LAB-host" ip link del sab0
}

@test "2 unforgeable identity: what a pod sends arrives as another pod's" {
	sabotage identity sandbox-pod cli-pod
	verify_names 2
}

@test "3, 4, 6 names, addresses, borrowed names: an open proxy stands in for the gate" {
	sabotage open cli-pod
	verify_names 1 3 4 6
}

@test "5 no DNS channel: a resolver answers from outside" {
	sabotage dns cli-pod
	verify_names 5
}

@test "7 jailed before born: the jail is flushed" {
	pod_netns cli-pod nft flush ruleset
	verify_names 7
}

@test "7 jailed before born: one rule is taken out" {
	handle=$(pod_netns cli-pod nft -a list chain inet stockade output | sed -n 's/.*goto refuse.*# handle //p' | head -n 1)
	pod_netns cli-pod nft delete rule inet stockade output handle "$handle"
	verify_names 7
}

@test "1 only wire: a process in the pod has a capability" {
	nsenter --target "$(pod_pid cli-pod)" --net --pid sleep 30 3>&- &
	saboteur=$!
	sleep 0.3
	verify_names 1
}

@test "8, 9, 10 fails closed, revocation, policy in force: the gate hangs on an old policy" {
	gate=$(ps_field "d['gate']['pid']")
	kill -STOP "$gate"
	echo changed.example.org >"$PROJECT_DIR/haproxy/cli_domains.lst"
	sleep 0.5
	verify_names 9 10
	kill -9 "$gate"
}

@test "10 policy in force: lists on disk that are broken are not the policy in force" {
	echo 'bad name' >"$PROJECT_DIR/haproxy/cli_domains.lst"
	sleep 0.5
	verify_names 10
}
