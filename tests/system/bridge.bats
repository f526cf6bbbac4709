#!/usr/bin/env bats
# --engine podman --network bridge: the gate in a pod of its own, one network for each pod with it, on the real Podman, in the lab.
load helpers

setup_file() {
	missing=$(podman_missing netavark iptables)
	[ -z "$missing" ] || skip "Podman has no bridges here: $missing"
	lab_start
	# Podman keeps namespaces as mounts: all that is done by hand has to see the same ones.
	setsid "$top/tests/lab/lab" exec "$LAB" -- sh -c "echo \$\$ >'$LAB_DIR/holder'; exec sleep 86400" </dev/null >/dev/null 2>&1 3>&- &
	wait_for 5 test -s "$LAB_DIR/holder"
	export HOLDER
	HOLDER=$(cat "$LAB_DIR/holder")
	podman_start
	podman_runs
	on_bridge >"$LAB_DIR/up.out" 2>&1 || { cat "$LAB_DIR/up.out" >&2; return 1; }
	pm network inspect --format '{{(index .Subnets 0).Subnet}}' "$(wire proxy-pod network)" >"$LAB_DIR/outer"
	pm network inspect --format '{{(index .Subnets 0).Subnet}}' "$(wire cli-pod network)" >"$LAB_DIR/inner"
}
teardown_file() {
	[ -n "${LAB:-}" ] || return 0
	sk down --timeout 0 >/dev/null 2>&1 || true
	podman_stop
	[ -z "${HOLDER:-}" ] || kill "$HOLDER" 2>/dev/null || true
	lab_stop
}

inside() { (cd "$PROJECT_DIR" && nsenter --target "$HOLDER" --mount --net --wd="$PROJECT_DIR" env STOCKADE_RUN_DIR="$LAB_DIR/run" STOCKADE_STATE_DIR="$LAB_DIR/state" "$@"); }
sk() { inside "$stockade" "$@"; }
pm() { CONTAINERS_CONF=$SETTINGS inside podman "$@"; }
host() { nsenter --net="/run/netns/sl-$LAB-host" "$@"; }
on_bridge() { sk up --engine podman --network bridge -f pods.yaml "$@"; }
wire() { ps_field "[p['wire']['$2'] for p in d['pods'] if p['name']=='$1'][0]"; }
infra() { pm pod inspect --format '{{.InfraContainerID}}' "$1"; }
gate_pid() { ps_field "d['gate']['pid']"; }
allowed() { pod_exec "$1" curl -sSf -m 3 -o /dev/null "$2"; }
# Packets that the gate's jail has let fall on its way in from pods.
dropped() { nsenter --net="/proc/$(gate_pid)/ns/net" nft list chain inet stockade input | sed -n 's/.*iifname != .* counter packets \([0-9]*\) .*/\1/p'; }
# Packets that the host's wall has let fall.
arrived() { host nft list table inet "$1" | sed -n 's/.* counter packets \([0-9]*\) .*/\1/p' | paste -sd + | bc; }
# In a pod's network with all the power of the host.
in_net() { local pod=$1; shift; nsenter --net="/proc/$(pod_pid "$pod")/ns/net" "$@"; }

@test "seed check 1: an allowed name, TLS checked against the origin's certificate" {
	check_allowed
}

@test "seed check 2: a name that is not listed is answered 403 with the reason" {
	check_denied
	run pod_exec sandbox-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == *"pod: sandbox-pod"* ]]
	allowed sandbox-pod https://python.org/
}

@test "seed check 3: a direct connection is refused at once, written down, and the witness sees nothing" {
	lab exec "$LAB" -- curl -sS http://1.1.1.1/
	witness | grep -q ' 1.1.1.1 80 '
	witness --clear
	run pod_exec cli-pod-cli-app curl --noproxy '*' -sS -m 5 https://1.1.1.1
	[ "$status" = 7 ] # refused, not a time-out
	run pod_exec cli-pod-cli-app curl --noproxy '*' -sS -m 5 'http://[2606:4700:4700::1111]/'
	[ "$status" = 7 ]
	[ -z "$(witness)" ]
	wait_for 5 sh -c "tail -n 50 '$LAB_DIR/run/demo/decisions.log' | grep '\"address\":\"1.1.1.1\"' | grep -q not-proxied"
}

@test "the gate's image: made here of this program, ours by its label, and made once" {
	grep -q 'image localhost/stockade-gate:[0-9a-f]* built here, [0-9]* bytes in [0-9]* ms' "$LAB_DIR/up.out"
	[ "$(podman images --filter label=stockade.gate --format '{{.Repository}}' | sort -u)" = localhost/stockade-gate ]
	[ "$(podman images --quiet localhost/stockade-gate | sort -u | wc -l)" = 1 ]
	run on_bridge
	[ "$status" = 0 ]
	[[ "$output" != *"built here"* && "$output" == *"cli-pod: unchanged"* ]]
}

@test "the gate's container: a user of its own, no capability, a read-only root; NET_ADMIN is nowhere" {
	pid=$(gate_pid)
	grep -q '^Uid:	1878982656	1878982656' "/proc/$pid/status"
	[ "$(grep -cE '^Cap(Inh|Prm|Eff|Bnd|Amb):	0000000000000000' "/proc/$pid/status")" = 5 ]
	grep -q '^NoNewPrivs:	1' "/proc/$pid/status"
	grep -q '^Seccomp_filters:	[2-9]' "/proc/$pid/status" # Podman's and its own
	grep -E '^[^ ]+ / ' "/proc/$pid/mounts" | grep -q ' ro[, ]'
	[ "$(readlink "/proc/$pid/exe")" = /stockade ]
	for id in $(pm ps --quiet); do [ "$(pm inspect --format '{{.EffectiveCaps}}' "$id")" = '[]' ]; done
}

@test "one network for each pod, without Podman's DNS and internal, and one to the world" {
	[ "$(pm network ls --filter label=stockade.project=demo --format '{{.Name}} {{.Driver}}' | wc -l)" = 3 ]
	for network in $(pm network ls --filter label=stockade.project=demo --format '{{.Name}}'); do
		run pm network inspect "$network"
		[[ "$output" == *'"dns_enabled": false'* ]]
		case "$network" in *OUTER*) [[ "$output" == *'"internal": false'* ]] ;; *) [[ "$output" == *'"internal": true'* ]] ;; esac
	done
	[ "$(wire cli-pod network)" != "$(wire sandbox-pod network)" ]
	run pod_exec cli-pod sh -c 'ls /sys/class/net; cat /etc/resolv.conf /etc/hosts'
	[[ "$output" == *"nameserver 198.18.0.1"* && "$output" == *"198.18.0.1"*proxy-pod* ]]
	[ "$(pm network ls --quiet | wc -l)" = 4 ] && [ -z "$(podman volume ls --quiet)" ]
	# On the host the bridges of pods have no address.
	[ -z "$(host ip -4 -oneline address show | grep -v ' lo \| up0 ' | grep -v "$(host ip -4 -oneline address show | awk '/198\.19\./ { print $2; exit }')")" ]
}

@test "nothing but the gate's two ports is reached: not its others, not siblings, not the host" {
	local other
	other=$(wire sandbox-pod address)
	for to in 198.18.0.1:80 198.18.0.1:15001 "$other:8080" 198.18.0.3:8080 20.10.0.2:80; do
		run pod_exec cli-pod curl --noproxy '*' -sS -m 3 "http://$to/"
		[ "$status" = 7 ]
	done
	run pod_exec cli-pod dig +time=1 +tries=1 @8.8.8.8 secret.example.com
	[ "$status" != 0 ]
	run pod_exec cli-pod dig +time=1 +tries=1 secret.example.com
	[[ "$output" == *NXDOMAIN* ]]
	[ "$(pod_exec cli-pod dig +short proxy-pod)" = 198.18.0.1 ]
	! grep -q secret.example.com "$LAB_DIR/dns.log" || return 1
}

@test "verify passes, and says what has no meaning in this form" {
	check_verify jail host-wall jail-joined identity-source identity-listeners dns-udp-v4 gate-privileges seed-direct socket-vsock
	echo "$output" | python3 -c '
import json, sys
skipped = {p["id"]: p["detail"] for p in json.load(sys.stdin)["probes"] if p["result"] == "skipped"}
for id in ("devices", "captured-http", "gate-root"):
    assert "form" in skipped[id], (id, skipped.get(id))'
}

@test "verify sees a jail that is gone, a pod's and the gate's" {
	in_net sandbox-pod nft delete table arp stockade
	run sk verify --pod sandbox-pod
	[ "$status" = 1 ]
	[[ "$output" == *failed*"the jail is"* ]]
	restart sandbox-pod
	sk verify --pod sandbox-pod >/dev/null
	nsenter --net="/proc/$(gate_pid)/ns/net" nft add rule inet stockade input counter
	run sk verify --pod cli-pod
	[ "$status" = 1 ]
	[[ "$output" == *"the gate's pod"* ]]
	restart cli-pod # every change of a wire puts up the gate's jail anew
	sk verify --pod cli-pod >/dev/null
}

@test "verify sees that the host's wall is gone, or is not as it was put up, and by the next start of the pod it is back" {
	local bridge change
	bridge=$(wire cli-pod bridge)
	for change in "delete table inet $bridge" "delete table arp $bridge" "flush chain inet $bridge input" \
		"add table inet $bridge { flags dormant; }" "insert rule inet $bridge forward accept"; do
		host nft "$change"
		run sk verify --pod cli-pod --json
		[ "$status" = 1 ]
		echo "$output" | python3 -c '
import json, sys
failed = [p for p in json.load(sys.stdin)["probes"] if p["result"] in ("failed", "broken")]
assert [(p["id"], p["promise"]) for p in failed] == [("host-wall", 1)], failed
assert sys.argv[1] in failed[0]["detail"], failed' "$bridge"
		restart cli-pod
		sk verify --pod cli-pod >/dev/null
	done
	# Other people's tables are theirs.
	host nft add table inet somebody
	sk verify --pod cli-pod >/dev/null
	host nft delete table inet somebody
}

@test "reload: at once, and a broken list changes nothing" {
	cp "$PROJECT_DIR/haproxy/cli_domains.lst" "$LAB_DIR/list"
	echo python.org >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	allowed cli-pod http://python.org/
	echo 'not a name' >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	run sk reload
	[ "$status" != 0 ]
	allowed cli-pod http://python.org/
	cp "$LAB_DIR/list" "$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == *not-listed* ]]
}

@test "the gate killed: it comes back in its place, same address and MAC, and pods go on" {
	before=$(wire cli-pod network)
	net=$(readlink "/proc/$(gate_pid)/ns/net")
	app=$(pod_pid cli-pod)
	kill -9 "$(gate_pid)"
	wait_for 5 allowed cli-pod http://storage.googleapis.com/
	wait_for 5 allowed sandbox-pod http://python.org/
	[ "$(readlink "/proc/$(gate_pid)/ns/net")" = "$net" ]
	[ "$(wire cli-pod network)" = "$before" ] && [ "$(pod_pid cli-pod)" = "$app" ]
	[ "$(ps_field "d['gate']['restarts']")" -ge 1 ]
	[ "$(ps_field "[c['restarts'] for p in d['pods'] if p['name']=='proxy-pod' for c in p['containers']][0]")" -ge 1 ]
}

@test "the gate's pod stopped: nothing flows; started by hand: all pods are joined again within 2 s" {
	local macs
	macs=$(nsenter --net="/proc/$(gate_pid)/ns/net" ip -oneline link | grep -o 'link/ether [0-9a-f:]*' | sort)
	app=$(pod_pid cli-pod)
	stop proxy-pod
	witness --clear
	! allowed cli-pod http://storage.googleapis.com/ || return 1
	run pod_exec cli-pod curl --noproxy '*' -sS -m 2 http://1.1.1.1/
	[ "$status" = 7 ]
	[ -z "$(witness)" ]
	pm pod start proxy-pod
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
	wait_for 2 allowed sandbox-pod http://python.org/
	[ "$(pod_pid cli-pod)" = "$app" ]
	[ "$(nsenter --net="/proc/$(gate_pid)/ns/net" ip -oneline link | grep -o 'link/ether [0-9a-f:]*' | sort)" = "$macs" ]
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == *"pod: cli-pod"* ]]
}

@test "another option of the gate: its pod is another one, and the pods go on" {
	app=$(pod_pid cli-pod)
	run on_bridge --limit connections=1000
	[[ "$output" == *"gate: its pod is started anew"*"cli-pod: unchanged"* ]]
	allowed cli-pod http://storage.googleapis.com/ # up has waited for it
	[ "$(pod_pid cli-pod)" = "$app" ]
	[ "$(ps_field "d['gate']['limits']['connections']['value']")" = 1000 ]
	on_bridge
	allowed sandbox-pod http://python.org/
}

@test "a pod that is started anew by hand has its walls, and its own list" {
	before=$(readlink "/proc/$(pod_pid cli-pod)/ns/net")
	restart cli-pod
	[ "$(readlink "/proc/$(pod_pid cli-pod)/ns/net")" != "$before" ]
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == *"pod: cli-pod"* ]]
	in_net cli-pod nft list table inet stockade | grep -q 'policy drop'
}

@test "a pod that is started anew with another address keeps its own list, within 2 s, and nobody else's" {
	local network was new
	network=$(wire cli-pod network)
	was=$(wire cli-pod address)
	new=${was%.*}.$((${was##*.} + 1))
	stop cli-pod
	pm network disconnect "$network" "$(infra cli-pod)"
	pm network connect --ip "$new" "$network" "$(infra cli-pod)"
	pm pod start cli-pod
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
	[ "$(wire cli-pod address)" = "$new" ]
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == *"pod: cli-pod"*python.org* ]]
	allowed sandbox-pod http://python.org/
	sk verify --pod cli-pod >/dev/null
	# Of another network it gets none: the hook does not let it start.
	stop cli-pod
	pm network disconnect "$network" "$(infra cli-pod)"
	pm network connect "$(wire sandbox-pod network)" "$(infra cli-pod)"
	run pm pod start cli-pod
	[[ "$output" == *"is none for a pod in its own network"* ]]
	[ "$(pm inspect --format '{{.State.Running}}' cli-pod-cli-app)" = false ]
	pm pod rm --force --time 0 cli-pod
	on_bridge
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
	[ "$(wire cli-pod address)" = "$was" ]
}

@test "a container takes a sibling's address: without power it cannot, and with all of the host's nothing comes through" {
	local victim victim_mac own
	victim=$(wire sandbox-pod address)
	victim_mac=$(wire sandbox-pod mac)
	own=$(wire cli-pod address)
	cat >"$LAB_DIR/claim.py" <<-'END'
		import errno, socket, sys
		for name, option in (("plain", None), ("free", (socket.IPPROTO_IP, 15)), ("transparent", (socket.IPPROTO_IP, 19))):
		    s = socket.socket(); s.settimeout(1)
		    try:
		        if option: s.setsockopt(*option, 1)
		        s.bind((sys.argv[1], 0)); s.connect(("198.18.0.1", 8080))
		        s.sendall(b"GET http://python.org/ HTTP/1.1\r\nHost: python.org\r\nConnection: close\r\n\r\n")
		        print(name, "THROUGH", s.recv(300))
		    except OSError as e:
		        print(name, "held", errno.errorcode.get(e.errno, e))
		s = socket.create_connection(("198.18.0.1", 8080), 1); print("control connected")
	END
	run inside "$stockade" exec -i cli-pod -- python3 - "$victim" <"$LAB_DIR/claim.py"
	[[ "$output" != *THROUGH* && "$output" == *"control connected"* ]]
	[ "$(echo "$output" | grep -c held)" = 3 ]
	# Now as one who has power over the pod's network, and breaks its jail.
	run in_net cli-pod python3 - "$victim" <"$LAB_DIR/claim.py"
	[[ "$output" != *THROUGH* ]]
	in_net cli-pod nft flush ruleset
	in_net cli-pod ip address add "$victim/32" dev eth0
	in_net cli-pod ip address add 198.18.0.3/32 dev lo
	before=$(dropped)
	run in_net cli-pod python3 - "$victim" <"$LAB_DIR/claim.py"
	[[ "$output" != *THROUGH* && "$output" == *"control connected"* ]]
	run in_net cli-pod python3 - 198.18.0.3 <"$LAB_DIR/claim.py"
	[[ "$output" != *THROUGH* ]]
	[ "$(dropped)" -gt "$before" ] # they did arrive at the gate's pod
	in_net cli-pod ip link set eth0 down
	in_net cli-pod ip link set eth0 address "$victim_mac" up
	in_net cli-pod ip route replace 198.18.0.1 dev eth0 src "$victim"
	in_net cli-pod ip neigh replace 198.18.0.1 lladdr "$(host bridge fdb show | awk '/^52:01/ { print $1; exit }')" dev eth0
	run in_net cli-pod python3 - "$victim" <"$LAB_DIR/claim.py"
	[[ "$output" != *THROUGH* ]]
	allowed sandbox-pod http://python.org/ # the victim is untouched
	! decisions | tail -n 200 | grep '"client":"sandbox-pod"' | grep -q "\"$own\"" || return 1
	restart cli-pod
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
}

@test "a pod that has broken its jail still does not reach the host by the bridge" {
	local bridge mac
	bridge=$(wire cli-pod bridge)
	mac=$(host ip -oneline link show "$bridge" | sed -n 's#.*link/ether \([^ ]*\).*#\1#p')
	listen() {
		host timeout 6 python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("20.10.0.2", 9797)); s.settimeout(4)
print("ready", flush=True)
try: print("heard", s.recv(100).decode(), flush=True)
except OSError: print("nothing", flush=True)' >"$LAB_DIR/heard" 3>&-
	}
	shout() {
		listen & wait_for 3 grep -q ready "$LAB_DIR/heard"
		for _ in 1 2 3; do in_net cli-pod sh -c 'echo hello | ncat --udp -w 1 20.10.0.2 9797' 2>/dev/null || true; done
		wait_for 6 grep -qE 'heard|nothing' "$LAB_DIR/heard"
	}
	in_net cli-pod nft flush ruleset
	in_net cli-pod ip route add 20.10.0.2/32 dev eth0
	in_net cli-pod ip neigh add 20.10.0.2 lladdr "$mac" dev eth0
	shout
	grep -q nothing "$LAB_DIR/heard"
	host nft delete table inet "$bridge" # the control: it is this wall that holds
	shout
	grep -q 'heard hello' "$LAB_DIR/heard"
	restart cli-pod
	host nft list table inet "$bridge" | grep -q 'drop'
}

@test "a pod that is started without its hook has a wire, and does not reach the host over it: the wall was there before it" {
	local bridge address before
	bridge=$(wire cli-pod bridge)
	grep -v '^hooks_dir' "$SETTINGS" >"$LAB_DIR/unhooked.conf"
	host python3 -u -m http.server --bind :: --directory /etc 8000 >"$LAB_DIR/served" 2>&1 3>&- &
	server=$!
	stop cli-pod
	stop proxy-pod # now nobody is on the bridge, and Podman makes it anew
	! host ip link show "$bridge" 2>/dev/null || return 1
	before=$(arrived "$bridge")
	CONTAINERS_CONF=$LAB_DIR/unhooked.conf inside podman pod start cli-pod
	link_local() { address=$(host ip -6 -oneline address show dev "$bridge" scope link -tentative | sed -n 's#.*inet6 \([^/]*\)/.*#\1#p'); [ -n "$address" ]; }
	wait_for 10 link_local
	ask() { pm exec cli-pod-cli-app curl --noproxy '*' -gsS -m 3 -o /dev/null -w '%{http_code}' "http://[$address%eth0]:8000/hostname"; }
	run wait_for 4 ask # an address of the pod's own takes a while
	[ "$status" != 0 ]
	! grep -q GET "$LAB_DIR/served" || return 1
	[ "$(arrived "$bridge")" -gt "$before" ] # on the bridge it was
	run sk ps
	[[ "$output" == *cli-pod*"WITHOUT WALLS"* ]]
	run sk verify --pod cli-pod
	[ "$status" = 1 ]
	host nft delete table inet "$bridge" # the control: it is this wall that holds
	wait_for 10 ask
	grep -q 'GET /hostname.* 200' "$LAB_DIR/served"
	kill "$server"
	pm pod start proxy-pod
	on_bridge
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
	host nft list table inet "$bridge" | grep -q drop
	[ -z "$(host ip -6 -oneline address show dev "$bridge")" ] # nor does the host speak IPv6 there
	sk verify --pod cli-pod >/dev/null
}

@test "no race: the first instruction of a program sends a packet, started 50 times, the witness sees none" {
	racer_image
	witness --clear
	pm run --rm --network "$(wire proxy-pod network)" localhost/racer:1 /racer # the control: without a jail it arrives
	wait_for 3 sh -c '"$0" witness "$1" | grep -q 9999' "$top/tests/lab/lab" "$LAB"
	with_racer
	witness --clear
	on_bridge
	wait_for 60 raced 50
	[ -z "$(witness)" ]
	[ "$(ps_field "[c['restarts'] for p in d['pods'] if p['name']=='racer' for c in p['containers']][0]")" -ge 49 ]
	without_racer
	run on_bridge
	[[ "$output" == *"racer: removed"* ]]
	[ "$(pm network ls --quiet | wc -l)" = 4 ] # its network went with it
}

@test "an attacker in a container, as root with Python: the witness hears nothing" {
	witness --clear
	: >"$LAB_DIR/dns.log"
	run inside "$stockade" exec -i cli-pod -- python3 - podnonce <"$BATS_TEST_DIRNAME/attacker.py"
	[ "$(echo "$output" | sed -n 's/^attempts //p')" -ge 30 ]
	sleep 0.5
	[ -z "$(witness)" ]
	! grep -q podnonce "$LAB_DIR/dns.log" || return 1
	sk verify >/dev/null
}

@test "a published port" {
	cat >"$PROJECT_DIR/port.yaml" <<-'END'
		apiVersion: v1
		kind: Pod
		metadata: { name: cli-pod, labels: { app: cli } }
		spec:
		  containers:
		  - { name: app, image: "python:3.9-slim", command: [python3, -m, http.server, "8000", --directory, /etc], ports: [{ containerPort: 8000, hostPort: 8124 }] }
	END
	sk up --engine podman --network bridge -f port.yaml
	wait_for 5 host curl -sSf -o /dev/null http://127.0.0.1:8124/hosts
	restart cli-pod
	wait_for 10 host curl -sSf -o /dev/null http://127.0.0.1:8124/hosts
	on_bridge
}

@test "the host's own addresses are the host's to the gate in its pod too" {
	cp "$PROJECT_DIR/haproxy/cli_domains.lst" "$LAB_DIR/list"
	echo '20.10.0.0/24:80' >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	run pod_exec cli-pod curl -sS http://20.10.0.2/
	[[ "$output" == *special-address* ]]
	run pod_exec cli-pod curl -sS -o /dev/null -w '%{http_code}' http://20.10.0.1/ # the control: a neighbour's may be asked for
	[[ "$output" != 403 ]]
	cp "$LAB_DIR/list" "$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
}

@test "the supervisor killed: nothing flows, no pod starts, up puts all right" {
	check_supervisor_killed
	on_bridge
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
}

@test "a network that somebody has laid over a pod's place, with the project's own settings, is refused too" {
	printf 'apiVersion: v1\nkind: Pod\nmetadata: { name: sandbox-pod, labels: { app: sandbox } }\nspec:\n  containers:\n  - { name: app, image: "alpine:latest", command: [sleep, "1000"] }\n' >"$PROJECT_DIR/one.yaml"
	sk up --engine podman --network bridge -f one.yaml
	pm network create --internal --subnet "$(cat "$LAB_DIR/inner")" laid-over >/dev/null
	run on_bridge
	[ "$status" != 0 ]
	echo "$output"
	[[ "$output" == *"cli-pod: "*"overlaps Podman's network 'laid-over'"* ]]
	pm network rm laid-over >/dev/null
	on_bridge
	wait_for 2 allowed cli-pod http://storage.googleapis.com/
}

@test "an address that Podman has given away: the pod gets a network of another name, apart from whoever is there" {
	local network address bridge
	network=$(wire cli-pod network)
	address=$(wire cli-pod address)
	bridge=$(wire cli-pod bridge)
	pm pod rm --force --time 0 cli-pod
	pm run --detach --name squatter --network "$network:ip=$address" docker.io/library/alpine:latest sleep 1000
	on_bridge
	allowed cli-pod http://storage.googleapis.com/
	[ "$(wire cli-pod network)" != "$network" ] && [ "$(wire cli-pod bridge)" != "$bridge" ]
	! pm exec squatter curl -sS -m 2 -x http://198.18.0.1:8080 http://storage.googleapis.com/ || return 1
	pm rm --force --time 0 squatter
	sk verify >/dev/null
}

@test "the other form is refused while this one is up" {
	run sk up --engine podman -f pods.yaml
	[ "$status" != 0 ]
	[[ "$output" == *"--network bridge; 'stockade down' first"* ]]
}

@test "down leaves nothing but the images, and no image of anybody else's is touched" {
	before=$(podman images --quiet --no-trunc | sort)
	sk down --timeout 0
	[ -z "$(podman ps --all --quiet)" ] && [ -z "$(podman pod ps --quiet)" ] && [ -z "$(podman volume ls --quiet)" ]
	[ -z "$(podman secret ls --quiet)" ]
	[ -z "$(find "$LAB_DIR/state" "$LAB_DIR/run" -mindepth 1)" ]
	[ -z "$(host ip -oneline link | grep -v ': lo:\|: up0@')" ]
	! host nft list tables | grep -q ' sk' || return 1
	[ "$(podman images --quiet --no-trunc | sort)" = "$before" ]
	on_bridge
	kill -9 "$(ps_field "d['supervisor']['pid']")"
	sk down
	[ -z "$(podman ps --all --quiet)" ] && [ -z "$(podman pod ps --quiet)" ]
	[ -z "$(find "$LAB_DIR/state" "$LAB_DIR/run" -mindepth 1)" ]
	[ -z "$(host ip -oneline link | grep -v ': lo:\|: up0@')" ]
	! host nft list tables | grep -q ' sk' || return 1
}

@test "a network of the host's in the same place is a plain refusal, and nothing is left" {
	host ip link add other type bridge
	host ip address add 198.19.0.1/16 dev other
	host ip link set other up
	run on_bridge
	[ "$status" != 0 ]
	[[ "$output" == *"is in use here: there is a route to 198.19.0.0/16 by other"* ]]
	host ip link delete other
	[ -z "$(podman ps --all --quiet)" ]
	for place in outer inner; do # of the gate, of a pod; no route tells of either
		podman network create --subnet "$(cat "$LAB_DIR/$place")" "clash-$LAB" >/dev/null
		run on_bridge
		podman network rm "clash-$LAB" >/dev/null
		[ "$status" != 0 ]
		[[ "$output" == *"overlaps Podman's network 'clash-$LAB' ($(cat "$LAB_DIR/$place"))"* ]]
		if [ "$place" = inner ]; then # the others are up
			[ "$(pm pod ps --format '{{.Name}}' | sort | paste -sd ' ')" = "proxy-pod sandbox-pod" ]
			sk down --timeout 0
		fi
		[ -z "$(podman ps --all --quiet)" ]
		! host nft list tables | grep -q ' sk' || return 1
	done
	echo "nameserver 127.0.0.53" >"$LAB_DIR/loopback.conf"
	inside mount --bind "$LAB_DIR/loopback.conf" /etc/resolv.conf
	run on_bridge
	inside umount /etc/resolv.conf
	[ "$status" != 0 ]
	[[ "$output" == *"127.0.0.53"*"name another with --dns"* ]]
}

@test "a gate that ends before it has said a word to the supervisor: up says what its container said last" {
	local image label
	on_bridge >/dev/null
	image=$(podman images --filter label=stockade.gate --format '{{.Repository}}:{{.Tag}}' | head -n 1)
	label=$(podman image inspect --format '{{index .Labels "stockade.gate"}}' "$image")
	sk down --timeout 0
	mkdir -p "$LAB_DIR/mute"
	printf '#include <unistd.h>\nint main(void) { return (int)write(2, "first\\nno gate today\\n", 20) - 19; }\n' >"$LAB_DIR/mute.c"
	gcc -static -o "$LAB_DIR/mute/stockade" "$LAB_DIR/mute.c"
	tar -C "$LAB_DIR/mute" -cf "$LAB_DIR/mute.tar" .
	podman import --quiet --change 'ENTRYPOINT ["/stockade"]' --change "LABEL stockade.gate=$label" "$LAB_DIR/mute.tar" "$image" >/dev/null
	run on_bridge
	[ "$status" != 0 ]
	[[ "$output" == *"the last that it said is: no gate today"* ]]
	[ "$(pm logs proxy-pod-gate 2>&1 | grep -c first)" -le 12 ] # each time it waits longer
	sk down --timeout 0
	[ -z "$(podman ps --all --quiet)" ]
	podman image rm --force "$image" >/dev/null
}
