#!/usr/bin/env bats
# `stockade init --seed`: the layout by hand, run by stock Podman and HAProxy, with the seed's own commands typed as they stand. They are
# docs/seed.md's transcript: this test fails when it is not what they print. To write it anew: SEED_TRANSCRIPT=write bats FILE.
load helpers

setup_file() {
	for program in podman runc conmon catatonit haproxy busybox nft iptables netavark aardvark-dns; do
		command -v "$program" >/dev/null || [ -x "/usr/libexec/podman/$program" ] || [ -x "/usr/lib/podman/$program" ] ||
			skip "Podman cannot run this here: no $program"
	done
	lab_start
	rm -r "$PROJECT_DIR"
	export PODMAN=$LAB_DIR/podman
	mkdir -p "$PODMAN"
	printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/root"\nrunroot = "%s/runroot"\n' "$PODMAN" "$PODMAN" >"$PODMAN/storage.conf"
	# Where both versions of control groups are mounted crun does not run, and root may not raise limits.
	cat >"$PODMAN/containers.conf" <<-END
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
		[engine]
		runtime = "runc"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		tmp_dir = "$PODMAN/tmp"
		[network]
		network_config_dir = "$PODMAN/networks"
	END
	terminal_open
	term "$top/tests/lab/images" --stock "$LAB_DIR/bundle.pem"
	(cd "$LAB_DIR" && "$stockade" init --seed demo >"$LAB_DIR/init.out")
	cp -r "$PROJECT_DIR" "$LAB_DIR/written"
}
teardown_file() {
	[ -n "${LAB:-}" ] || return 0
	term podman pod rm --all --force --time 0 >/dev/null 2>&1 || true
	term podman rm --all --force --time 0 >/dev/null 2>&1 || true
	term podman network rm --force secure_net >/dev/null 2>&1 || true
	[ ! -s "$LAB_DIR/terminal.pid" ] || kill "$(cat "$LAB_DIR/terminal.pid")" 2>/dev/null || true
	lab_stop
}

# A mount and network namespace that all commands of this file are typed in: Podman's mounts, its run directory and its settings are no
# other's, and go with it.
terminal_open() {
	setsid "$top/tests/lab/lab" exec "$LAB" -- sh -c '
		mkdir -p /run/containers && mount -t tmpfs none /run/containers && echo $$ >"$0" && exec sleep 3600' "$LAB_DIR/terminal.pid" \
		>/dev/null 2>&1 </dev/null 3>&- &
	wait_for 5 test -s "$LAB_DIR/terminal.pid"
	until grep -q sleep "/proc/$(cat "$LAB_DIR/terminal.pid")/cmdline"; do sleep 0.05; done
}
term() {
	local pid
	pid=$(cat "$LAB_DIR/terminal.pid")
	nsenter --target "$pid" --mount --net -- env CONTAINERS_STORAGE_CONF="$PODMAN/storage.conf" CONTAINERS_CONF="$PODMAN/containers.conf" \
		sh -c 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"' - "$PROJECT_DIR" "$@"
}
# A command line as a person types it, on a terminal.
typed() {
	term python3 -c 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", sys.argv[1]])))' "$1" </dev/null |
		tr -d '\r' | sed '/^failed to connect to syslog/d'
	return "${PIPESTATUS[0]}"
}
not() { if "$@"; then return 1; fi; } # of a plain "!" bats takes no notice

cli() { term podman exec cli-pod-cli-app "$@"; }
sandbox() { term podman exec -i sandbox-pod-sandbox-app "$@"; }
proxy_log() { term podman logs proxy-pod-proxy 2>&1; }
logged() { proxy_log | grep -qF -- "$1"; }
address_of() { term podman inspect --format '{{.NetworkSettings.Networks.secure_net.IPAddress}}' "$(term podman pod inspect --format '{{.InfraContainerID}}' "$1")"; }
# When a container leaves, the bridge may take another hardware address; with this setting it says so, as README.md advises. The transcript
# is typed without it, and so are the restarts of the race.
bridge_tells() { term sysctl -qw "net.ipv4.conf.podman1.arp_notify=$1"; }
# Podman's own process that cleans up after a container would take a pod that is started too soon for one that has ended.
cleaned_up() { ! pgrep -f "podman .*$PODMAN/.* container cleanup" >/dev/null; }
stop() { term podman pod stop --time 0 "$1" >/dev/null; wait_for 10 cleaned_up; }
restart() { stop "$1" && term podman pod start "$1" >/dev/null; }
reload() { # WHAT THE LOG SAYS THEN
	local before
	before=$(proxy_log | grep -cF -- "$1") || true
	term podman exec proxy-pod-proxy kill -USR2 1
	wait_for 5 eval "[ \"\$(proxy_log | grep -cF -- '$1')\" -gt $before ]"
}
# A container on the same network that nobody has jailed: shows that what the pods may not is possible there.
stranger() { term podman run --rm --network "secure_net${STRANGER:-}" --cap-drop ALL docker.io/library/python:3.9-slim "$@"; }
# What the proxy answers to one request, from a pod: the status and the reason.
asks() { # POD-FUNCTION TARGET [HOST]
	"$1" python3 - "$2" "${3-}" <<-'END'
		import socket, sys
		target, host = sys.argv[1], sys.argv[2]
		method, target = target.split(" ") if " " in target else ("GET", target)
		host = host or target.split("://")[-1].split("/")[0]
		s = socket.create_connection(("proxy-pod", 8080), 5)
		s.settimeout(10)
		s.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
		answer = b""
		while chunk := s.recv(4096):
		    answer += chunk
		    if method == "CONNECT" and b"\r\n\r\n" in answer:
		        break
		head, _, body = answer.decode().partition("\r\n\r\n")
		print(head.split()[1], body.split(":")[0].strip())
	END
}

@test "init --seed wrote the seed's layout, and says what to type next" {
	for file in pods.yaml scripts/jail_cli.sh scripts/jail_sandbox.sh haproxy/haproxy.cfg haproxy/startup.sh haproxy/cli_domains.lst \
		haproxy/sandbox_domains.lst README.md; do
		[ -s "$LAB_DIR/written/$file" ]
	done
	cmp "$LAB_DIR/written/haproxy/connect.lua" "$top/src/plan/haproxy_connect.lua"
	(cd "$top/share/seed" && find . -type f) | while read -r file; do cmp "$top/share/seed/$file" "$LAB_DIR/written/$file"; done
	grep -q 'podman play kube --network secure_net -' "$LAB_DIR/init.out"
	run "$stockade" init --seed "$PROJECT_DIR"
	[ "$status" = 2 ]
	[[ "$output" == *"is there already"* ]]
}

@test "the seed's commands, typed as they stand, and the transcript in docs/seed.md" {
	transcript="$LAB_DIR/transcript"
	: >"$transcript"
	: >"$LAB_DIR/web.log"
	type_in() { # EXPECTED-STATUS COMMAND
		local out status=0
		out=$(typed "$2") || status=$?
		printf '# %s\n%s' "$2" "${out:+$out$'\n'}" >>"$transcript"
		printf '%s\n' "$out"
		[ "$status" = "$1" ] || { echo "exit status $status, not $1: $2" >&2; return 1; }
	}
	[[ "$(type_in 0 'podman network create secure_net')" == secure_net ]]
	[[ "$(type_in 0 'sed "s|PROJECT_ROOT|$(pwd)|g" pods.yaml | podman play kube --network secure_net -')" == *Pod:*Pod:*Pod:* ]]
	out=$(type_in 0 'podman exec -it cli-pod-cli-app curl -v https://storage.googleapis.com')
	[[ "$out" == *"SSL certificate verify ok"*"200 OK"*"hello from storage.googleapis.com port 443"* ]]
	out=$(type_in 56 'podman exec -it cli-pod-cli-app curl -v https://example.com')
	[[ "$out" == *"HTTP/1.1 403"*not-listed* ]]
	not grep -q '^example.com' "$LAB_DIR/web.log"
	witness --clear
	out=$(type_in 7 'podman exec -it cli-pod-cli-app curl --noproxy "*" -v http://1.1.1.1')
	[[ "$out" == *"Connection refused"* ]]
	[ -z "$(witness)" ]
	type_in 0 'echo example.com >>haproxy/sandbox_domains.lst'
	type_in 0 'podman exec proxy-pod-proxy kill -USR2 1'
	wait_for 5 logged 'reload; cli-pod is'
	wait_for 5 eval '[ "$(asks sandbox http://example.com/)" = "200 hello from example.com port 80" ]'
	out=$(type_in 0 'podman exec -it sandbox-pod-sandbox-app python3 -c "import urllib.request as u; print(u.urlopen(\"https://example.com\").read().decode())"')
	[[ "$out" == *"hello from example.com port 443"* ]]
	python3 "$BATS_TEST_DIRNAME/transcript.py" "$transcript" "$top/docs/seed.md" "${SEED_TRANSCRIPT:-compare}"
}

@test "the controls of the three checks: from the host all of it is open" {
	bridge_tells 1
	[[ "$(lab exec "$LAB" -- curl -sS https://example.com/)" == hello* ]]
	[ "$(lab exec "$LAB" -- curl -sS http://1.1.1.1/)" = witness ]
	witness | grep -q ' 1.1.1.1 80 '
	[ "$(stranger curl -sS -m 5 http://1.1.1.1/)" = witness ] # and from that very network
	logged '"pod":"cli-pod","source":"'"$(address_of cli-pod)"'","method":"CONNECT","host":"example.com"'
}

@test "a name is a name by its labels, and is looked up only when it is allowed" {
	for name in evilgoogleapis.com googleapis.com.evil.org; do lab exec "$LAB" -- curl -sS "http://$name/" | grep -q hello; done
	: >"$LAB_DIR/dns.log"
	for name in evilgoogleapis.com googleapis.com.evilgoogleapis.com googleapis.com.evil.org com googleapis.comm xgoogleapis.com; do
		run cli curl -sS "http://$name/"
		[[ "$output" == not-listed:* ]]
	done
	not grep -qE 'evil|comm|xgoogle' "$LAB_DIR/dns.log"
	for name in storage.googleapis.com STORAGE.GoogleAPIs.com.; do [[ "$(cli curl -sS "http://$name/")" == hello* ]]; done
	grep -q 'storage.googleapis.com' "$LAB_DIR/dns.log"
}

@test "ports, address literals, special addresses, Host, what is no target: each refused with its reason" {
	cp "$PROJECT_DIR/haproxy/sandbox_domains.lst" "$LAB_DIR/list"
	echo googleapis.com >>"$PROJECT_DIR/haproxy/sandbox_domains.lst"
	reload 'reload; cli-pod is'
	wait_for 5 eval '[[ "$(asks sandbox http://storage.googleapis.com/)" == "200 hello"* ]]'
	witness --clear
	while read -r want target host; do
		want=${want/./ }
		got=$(asks sandbox "${target/_/ }" "$host")
		[[ "$got" == "$want"* ]] || { echo "$target $host: $got, not $want" >&2; false; }
	done <<-END
		200 http://storage.googleapis.com
		200 CONNECT_storage.googleapis.com:443
		403.port-not-listed http://storage.googleapis.com:8000/
		403.port-not-listed CONNECT_storage.googleapis.com:22
		403.address-literal http://142.250.74.59/
		403.address-literal http://1.1/
		403.address-literal http://0x8efa4a3b/
		403.address-literal http://[2a00:1450:400f::59]/
		403.address-literal CONNECT_[2a00:1450:400f::59]:443
		403.special-address http://private.googleapis.com/
		403.special-address http://metadata.googleapis.com/
		403.special-address http://loopback.googleapis.com/
		403.special-address http://mapped.googleapis.com/
		403.special-address CONNECT_private.googleapis.com:443
		403.resolve-failed http://nowhere.googleapis.com/
		403.malformed-host https://storage.googleapis.com/
		403.malformed-host http://storage..googleapis.com/
		403.malformed-host http://storage%2egoogleapis.com/
		403.malformed-host / storage.googleapis.com
		400 http://storage.googleapis.com/ example.com
		400 CONNECT_storage.googleapis.com:443 example.com:443
		400 http://storage.googleapis.com@evil.org/
		403.not-listed http://a.b.c.d.e.f.g.h.i.j.k.storage.googleapis.com/
	END
	[ -z "$(witness)" ]
	cp "$LAB_DIR/list" "$PROJECT_DIR/haproxy/sandbox_domains.lst"
	reload 'reload; cli-pod is'
}

@test "each pod has its own list, and the sandbox has the proxy's variables too" {
	wait_for 5 eval '[ "$(asks sandbox http://storage.googleapis.com/)" = "403 not-listed" ]'
	[[ "$(sandbox python3 -c 'import urllib.request as u; print(u.urlopen("https://python.org").read().decode())')" == "hello from python.org port 443"* ]]
	run cli curl -sS http://python.org/
	[[ "$output" == not-listed:* ]]
}

@test "who is no pod of ours is nobody: another container on the network, the host's published port" {
	[ "$(asks stranger_in http://storage.googleapis.com/)" = "403 unknown-client" ]
	run lab exec "$LAB" -- curl -sS -m 5 --proxy http://127.0.0.1:5050 http://storage.googleapis.com/
	[[ "$output" == unknown-client:* ]]
	run lab exec "$LAB" -- curl -sS -m 5 --proxy http://20.10.0.2:5050 http://storage.googleapis.com/
	[ "$status" = 7 ] # published on the loopback only
}
stranger_in() { term podman run --rm -i --network "secure_net${STRANGER:-}" --cap-drop ALL docker.io/library/python:3.9-slim "$@"; }

@test "DNS is no channel: not to any server, not by way of Podman's own resolver" {
	# The control: an unjailed container's questions reach the witness, and Podman's resolver hands them on to the host's.
	stranger dig +tries=1 +time=2 @1.1.1.1 control-1.example.com >/dev/null || true
	stranger getent hosts control-2.example.com >/dev/null || true
	witness | grep -q ' 1.1.1.1 53 .*control-1'
	grep -q control-2.example.com "$LAB_DIR/dns.log"
	witness --clear
	resolver=$(term podman network inspect --format '{{(index .Subnets 0).Gateway}}' secure_net)
	for server in 1.1.1.1 8.8.8.8 "$resolver" 20.10.0.53; do
		for how in +notcp +tcp; do
			run sandbox dig $how +tries=1 +time=2 "@$server" "nonce-1.example.com"
			[ "$status" != 0 ]
		done
	done
	run sandbox getent hosts nonce-2.example.com
	[ "$status" != 0 ]
	run cli nslookup nonce-3.example.com "$resolver"
	[ "$status" != 0 ]
	run sandbox getent hosts proxy-pod
	[[ "$output" == "$(address_of proxy-pod)"* ]]
	sleep 0.3
	[ -z "$(witness)" ]
	not grep -q nonce- "$LAB_DIR/dns.log"
}

@test "UDP, TCP and IPv6 elsewhere are refused at once: the host, the other pod, the internet" {
	host6=$(term ip -6 -o addr show dev podman1 scope link | awk '{ sub("/.*", "", $4); print $4; exit }')
	[ -n "$host6" ]
	term python3 -c '
import socket, threading
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("::", 8099)); s.listen()
while True: s.accept()[0].close()' >/dev/null 2>&1 3>&- &
	server=$!
	cat >"$LAB_DIR/tries.py" <<-END
		import socket, sys, time
		def tries(what, kind, family, address):
		    s = socket.socket(family, kind); s.settimeout(3); began = time.time()
		    try:
		        s.connect(address)
		        if kind == socket.SOCK_DGRAM:
		            s.send(b"tries"); s.recv(99)
		        print(what, "through")
		    except socket.timeout: print(what, "timeout")
		    except OSError as e: print(what, "refused" if time.time() - began < 1 else "late", e)
		index = socket.if_nametoindex("eth0")
		tries("udp", socket.SOCK_DGRAM, socket.AF_INET, ("1.1.1.1", 9999))
		tries("tcp", socket.SOCK_STREAM, socket.AF_INET, ("1.1.1.1", 443))
		tries("host", socket.SOCK_STREAM, socket.AF_INET, ("20.10.0.2", 8099))
		tries("host-ipv6", socket.SOCK_STREAM, socket.AF_INET6, ("$host6", 8099, 0, index))
		tries("other-port-of-proxy", socket.SOCK_STREAM, socket.AF_INET, ("$(address_of proxy-pod)", 8081))
		tries("other-pod", socket.SOCK_STREAM, socket.AF_INET, ("$(address_of cli-pod)", 8080))
	END
	wait_for 5 eval 'stranger_in python3 - <"$LAB_DIR/tries.py" | grep -q "host-ipv6 through"'
	run stranger_in python3 - <"$LAB_DIR/tries.py"
	echo "$output"
	for what in tcp host host-ipv6; do [[ "$output" == *"$what through"* ]]; done
	witness | grep -q '^udp .* 1.1.1.1 9999'
	witness --clear
	run sandbox python3 - <"$LAB_DIR/tries.py"
	kill "$server"
	echo "$output"
	[ "$(echo "$output" | grep -c ' refused ')" = 6 ]
	[ -z "$(witness)" ]
}

@test "an app has no capability and is not root; the jail cannot be changed from inside" {
	for app in cli-pod-cli-app sandbox-pod-sandbox-app; do
		run term podman exec "$app" grep -E '^(CapEff|CapPrm|CapBnd|CapAmb|NoNewPrivs|Uid):' /proc/self/status
		[ "$(echo "$output" | grep -c '0000000000000000')" = 4 ]
		[[ "$output" == *"NoNewPrivs:"*"1"* && "$output" == *$'Uid:\t1000\t1000'* ]]
	done
	run term podman exec --user 0 cli-pod-cli-app ip route del unreachable 192.0.2.1
	[ "$status" != 0 ]
	pid=$(term podman inspect --format '{{.State.Pid}}' cli-pod-cli-app)
	term nsenter --target "$pid" --net nft list table inet jail | grep -q 'policy drop'
}

@test "no race: the first instruction of a program sends a packet, started 10 times, the witness sees none" {
	(podman() { term podman "$@"; }; racer_image)
	witness --clear
	term podman run --rm --network secure_net localhost/racer:1 /racer # the control: without the jail it arrives
	wait_for 3 sh -c '"$0" witness "$1" | grep -q 9999' "$top/tests/lab/lab" "$LAB"
	# cli-pod itself, so that its jail finds what it waits for, with the racer as its program and in_jail.sh left out.
	sed -n '/^  name: cli-pod/,$p' "$PROJECT_DIR/pods.yaml" | sed "s|PROJECT_ROOT|$PROJECT_DIR|; s|docker.io/curlimages/curl:latest|localhost/racer:1|
		s|command: .*in_jail.*|command: [/racer]|" >"$LAB_DIR/racer.part"
	{ printf 'apiVersion: v1\nkind: Pod\nmetadata:\n'; cat "$LAB_DIR/racer.part"; } >"$LAB_DIR/racer.yaml"
	grep -q 'command: \[/racer\]' "$LAB_DIR/racer.yaml"
	term podman pod rm --force --time 0 cli-pod >/dev/null
	witness --clear
	bridge_tells 0
	term podman play kube --network secure_net "$LAB_DIR/racer.yaml"
	for _ in $(seq 9); do restart cli-pod; done
	bridge_tells 1
	wait_for 5 eval '[ "$(term podman logs cli-pod-cli-app | grep -c sent)" = 10 ]'
	sleep 0.2
	[ -z "$(witness)" ]
	term podman pod rm --force --time 0 cli-pod >/dev/null
	play_cli
}
play_cli() {
	{ printf 'apiVersion: v1\nkind: Pod\nmetadata:\n'; sed -n '/^  name: cli-pod/,$p' "$PROJECT_DIR/pods.yaml"; } | sed "s|PROJECT_ROOT|$PROJECT_DIR|" |
		term podman play kube --network secure_net -
}

@test "a pod that is started anew has another address, its own list at once, and its old address is nobody's" {
	before=$(address_of cli-pod)
	stop cli-pod
	term podman pod start cli-pod
	[[ "$(cli curl -sS -m 2 http://storage.googleapis.com/)" == hello* ]] # no waiting here: it is known before its program starts
	[ "$(address_of cli-pod)" != "$before" ]
	run cli curl -sS http://python.org/
	[[ "$output" == not-listed:* ]]
	[ "$(STRANGER=:ip=$before asks stranger_in http://storage.googleapis.com/)" = "403 unknown-client" ]
}

@test "within two seconds a stopped pod's address means nothing any more" {
	old=$(address_of cli-pod)
	[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]
	stop cli-pod
	sleep 2
	[ "$(STRANGER=:ip=$old asks stranger_in http://storage.googleapis.com/)" = "403 unknown-client" ]
	term podman pod start cli-pod
}

@test "a name with two addresses is nobody, and so are two names with one" {
	other() { # ALIAS...
		local alias network=secure_net:
		for alias; do network+=alias=$alias,; done
		term podman run --detach --name other --network "${network%,}" --cap-drop ALL docker.io/library/python:3.9-slim sleep 600 >/dev/null
		other=$(term podman inspect --format '{{.NetworkSettings.Networks.secure_net.IPAddress}}' other)
	}
	in_other() { term podman exec -i other "$@"; }
	other sandbox-pod
	wait_for 3 eval '[ "$(asks sandbox http://python.org/)" = "403 unknown-client" ]'
	[ "$(asks in_other http://python.org/)" = "403 unknown-client" ]
	term podman rm --force --time 0 other
	wait_for 5 eval '[[ "$(asks sandbox http://python.org/)" == "200 hello"* ]]'
	stop cli-pod
	stop sandbox-pod
	other cli-pod sandbox-pod
	wait_for 5 logged "cli-pod is $other, sandbox-pod is $other"
	sleep 0.5
	for url in http://python.org/ http://storage.googleapis.com/; do [ "$(asks in_other "$url")" = "403 unknown-client" ]; done
	term podman rm --force --time 0 other
	term podman pod start sandbox-pod cli-pod
	[[ "$(asks sandbox http://python.org/)" == "200 hello"* ]]
	[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]
}

@test "one container of a stopped pod started without the jail: nothing is started in it" {
	stop cli-pod
	witness --clear
	term podman start cli-pod-cli-app
	wait_for 5 eval 'term podman logs cli-pod-cli-app 2>&1 | grep -q "this pod has no jail"'
	wait_for 5 eval '[ "$(term podman inspect --format "{{.State.Running}}" cli-pod-cli-app)" = false ]'
	run cli curl --noproxy '*' -sS -m 3 http://1.1.1.1/
	[ "$status" != 0 ]
	[ -z "$(witness)" ]
	stop cli-pod
	term podman pod start cli-pod
	[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]
}

@test "the jail's container started again while the app runs: the jail stays" {
	term podman start cli-pod-cli-node
	wait_for 5 eval '[ "$(term podman inspect --format "{{.State.Running}}" cli-pod-cli-node)" = false ]'
	[ "$(term podman inspect --format '{{.State.ExitCode}}' cli-pod-cli-node)" = 0 ]
	run cli curl --noproxy '*' -sS -m 3 http://1.1.1.1/
	[ "$status" = 7 ]
	[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]
}

@test "the proxy started anew: the pods reach nothing until they are started anew too" {
	restart proxy-pod
	run cli curl -sS -m 2 http://storage.googleapis.com/
	[ "$status" != 0 ]
	restart cli-pod
	restart sandbox-pod
	[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]
}

@test "a list that says more than can be said here is refused by line, and the old one stays" {
	cp "$PROJECT_DIR/haproxy/cli_domains.lst" "$LAB_DIR/list"
	for entry in '!telemetry.googleapis.com' '*.python.org' '=python.org' 'python.org:443' 'com' '10.0.0.5' 'python.org # and a comment' 'pythön.org'; do
		{ cat "$LAB_DIR/list"; echo "$entry"; } >"$PROJECT_DIR/haproxy/cli_domains.lst"
		reload 'reload, but it was refused'
		logged "cli_domains.lst:4: $entry: "
	done
	[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]
	# An address is taken up even so, with the lists that are in force.
	restart cli-pod
	[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]
	rm "$PROJECT_DIR/haproxy/cli_domains.lst"
	reload 'reload, but it was refused'
	printf '# all forms that are names\r\n  .Python.ORG \r\n\n' >"$PROJECT_DIR/haproxy/cli_domains.lst"
	reload 'reload; cli-pod is'
	wait_for 5 eval '[[ "$(cli curl -sS http://storage.googleapis.com/)" == not-listed:* ]]'
	[[ "$(cli curl -sS http://www.python.org/)" == hello* ]]
	: >"$PROJECT_DIR/haproxy/cli_domains.lst" # an empty list denies all
	reload 'reload; cli-pod is'
	wait_for 5 eval '[[ "$(cli curl -sS http://www.python.org/)" == not-listed:* ]]'
	cp "$LAB_DIR/list" "$PROJECT_DIR/haproxy/cli_domains.lst"
	reload 'reload; cli-pod is'
}

@test "rules that HAProxy does not take are refused, and the old ones stay" {
	cp "$PROJECT_DIR/haproxy/haproxy.cfg" "$LAB_DIR/rules"
	echo '	no-such-word' >>"$PROJECT_DIR/haproxy/haproxy.cfg"
	reload 'reload, but it was refused'
	logged no-such-word
	wait_for 5 eval '[[ "$(cli curl -sS http://storage.googleapis.com/)" == hello* ]]'
	cp "$LAB_DIR/rules" "$PROJECT_DIR/haproxy/haproxy.cfg"
	reload 'reload; cli-pod is'
}

@test "a reload breaks no tunnel, and a big file arrives whole" {
	want=$(sha256sum <"$LAB_DIR/www/1m.bin")
	cli sh -c 'curl -sS --no-buffer https://storage.googleapis.com/slow/1m.bin | sha256sum' >"$LAB_DIR/slow.sum" 2>&1 3>&- &
	slow=$!
	sleep 1
	reload 'reload; cli-pod is'
	wait "$slow"
	[ "$(cat "$LAB_DIR/slow.sum")" = "$want" ]
	[ "$(cli sh -c 'curl -sS http://storage.googleapis.com/bytes/16m.bin | sha256sum')" = "$(sha256sum <"$LAB_DIR/www/16m.bin")" ]
}

@test "HAProxy killed: nothing flows, and Podman starts the proxy again" {
	term podman exec proxy-pod-proxy sh -c 'kill -9 $(pidof haproxy)' || true # it may end with the container
	wait_for 15 eval '[[ "$(cli curl -sS -m 2 http://storage.googleapis.com/)" == hello* ]]'
	logged 'HAProxy has ended'
}

@test "the same directory by stockade up, on the built-in engine" {
	sk up -f pods.yaml --host-root >"$LAB_DIR/up.out" 2>&1
	grep -q 'the container cli-node is not run' "$LAB_DIR/up.out"
	grep -q 'the container sandbox-node is not run' "$LAB_DIR/up.out"
	[[ "$(pod_exec cli-pod-cli-app curl -sS https://storage.googleapis.com)" == hello* ]]
	run pod_exec cli-pod-cli-app curl -sS http://example.com
	[[ "$output" == *not-listed* ]]
	run pod_exec cli-pod-cli-app curl --noproxy '*' -sS -m 5 https://1.1.1.1
	[ "$status" != 0 ]
	[ "$status" != 28 ]
	sk down --timeout 0
}

@test "a jail that cannot be put up: the app does not start" {
	term podman pod rm --force --time 0 cli-pod >/dev/null
	cp "$PROJECT_DIR/scripts/jail.sh" "$LAB_DIR/jail.sh"
	sed -i 's/policy drop/policy nothing/' "$PROJECT_DIR/scripts/jail.sh"
	run play_cli
	cp "$LAB_DIR/jail.sh" "$PROJECT_DIR/scripts/jail.sh"
	[ "$status" != 0 ]
	[ "$(term podman inspect --format '{{.State.Running}}' cli-pod-cli-app)" = false ]
	term podman logs cli-pod-cli-node 2>&1 | grep -q 'nft did not take the rules'
}

@test "all of it is removed" {
	term podman pod rm --force --time 0 proxy-pod sandbox-pod cli-pod
	term podman network rm secure_net
	[ -z "$(term podman ps --all --quiet)" ] && [ -z "$(term podman pod ps --quiet)" ] && [ -z "$(term podman volume ls --quiet)" ]
	[ "$(term podman network ls --quiet)" = podman ]
}

@test "the same directory by stockade up, on Podman, without a network and with" {
	by_stockade() {
		term env -u CONTAINERS_CONF STOCKADE_RUN_DIR="$LAB_DIR/run" STOCKADE_STATE_DIR="$LAB_DIR/state" "$stockade" "$@"
	}
	for network in none bridge; do
		by_stockade up --engine podman --network "$network" >"$LAB_DIR/up.out" 2>&1 || { cat "$LAB_DIR/up.out" >&2; false; }
		[[ "$(by_stockade exec cli-pod -- curl -sS https://storage.googleapis.com)" == hello* ]]
		run by_stockade exec cli-pod -- curl --noproxy '*' -sS -m 5 http://1.1.1.1
		[[ "$status" != 28 && "$output" != *witness* ]]
		by_stockade down --timeout 0
	done
}
