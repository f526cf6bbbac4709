#!/usr/bin/env bats
# --gate haproxy: the real HAProxy in the gate's place, on the built-in engine and then on Podman, with the same project.
load helpers

setup_file() {
	command -v haproxy >/dev/null || [ -x /usr/sbin/haproxy ] || skip "there is no haproxy here"
	lab_start
	export SETTINGS=$LAB_DIR/state/demo/podman/containers.conf
	[ -n "$(podman_missing)" ] || podman_start
	on_builtin >"$LAB_DIR/up.out" 2>&1 || { cat "$LAB_DIR/up.out" >&2; return 1; }
}
teardown_file() {
	[ -n "${LAB:-}" ] || return 0
	sk down --timeout 0 >/dev/null 2>&1 || true
	[ ! -e "$LAB_DIR/podman/storage.conf" ] || podman_stop
	lab_stop
}

on_podman() { [ -e "$LAB_DIR/podman/storage.conf" ] || skip "Podman cannot run here"; }
on_builtin() { up --gate haproxy "$@"; }
list() { printf '%s\n' "$PROJECT_DIR/haproxy/cli_domains.lst"; }
haproxy_pid() { ps_field "d['haproxy']['pid']"; }
reason() { pod_exec cli-pod curl -sS -m 10 "$@" | sed -n 's/^stockade: \([a-z-]*\):.*/\1/p'; }
# A request as it is, from a file of the host, and the first line of the answer and the reason in its Proxy-Status.
cat_raw() { printf "$1" >"$LAB_DIR/raw"; }
ask_raw() { # FORMAT
	cat_raw "$1"
	sk exec -i cli-pod -- python3 -c '
import socket, sys
s = socket.create_connection(("198.18.0.1", 8080), 3)
s.settimeout(4)
s.sendall(sys.stdin.buffer.read())
got = b""
try:
    while True:
        more = s.recv(65536)
        if not more: break
        got += more
except OSError: pass
print(got.decode("latin1"))' <"$LAB_DIR/raw"
}

seed_checks() {
	check_allowed
	check_denied
	check_direct
}

allowed() { decisions | grep -c '"host":"storage[^"]*",.*"verdict":"allow"' || true; }
logged() { decisions | grep -q -- "$1"; }
is() { [ "$(ps_field "$1")" = "$2" ]; }

names_and_addresses() {
	cp "$(list)" "$LAB_DIR/names.lst"
	printf '%s\n' googleapis.com '!telemetry.googleapis.com' '*.example.com' '=python.org' >"$(list)"
	sk reload
	[ "$(reason http://evilgoogleapis.com/)" = not-listed ] # the label boundary
	[ "$(reason http://googleapis.com.evil.org/)" = not-listed ]
	[ "$(reason http://telemetry.googleapis.com/)" = denied-by-rule ]
	[ "$(reason http://x.telemetry.googleapis.com/)" = denied-by-rule ]
	[ "$(reason http://example.com/)" = not-listed ] # only what is below it
	[ "$(reason http://www.python.org/)" = not-listed ]
	[ "$(reason http://storage.googleapis.com:22/)" = port-not-listed ]
	witness --clear
	for name in private metadata loopback mapped nat64 own-host own-host6; do
		[ "$(reason http://$name.googleapis.com/)" = special-address ]
	done
	[ "$(reason http://1.1.1.1/)" = address-literal ]
	[ "$(reason http://0x01010101/)" = address-literal ]
	[ "$(reason 'http://[2606:4700:4700::1111]/')" = address-literal ]
	[ -z "$(witness)" ]
	for url in http://storage.googleapis.com/ http://STORAGE.googleapis.com./ http://www.example.com/ http://python.org/ http://v6only.googleapis.com/; do
		run pod_exec cli-pod curl -sS -m 10 "$url"
		[[ "$output" == hello* ]]
	done
	cp "$LAB_DIR/names.lst" "$(list)"
	sk reload
}

verify_is_honest() {
	run sk verify --json
	[ "$status" = 1 ] # what it cannot keep is no success
	echo "$output" | python3 -c '
import json, sys
d = json.load(sys.stdin)
bad = [p for p in d["probes"] if p["result"] in ("failed", "broken")]
assert not bad, bad
unsupported = {p["id"] for p in d["probes"] if p["result"] == "unsupported"}
assert unsupported == {"smuggle-length-chunked", "smuggle-fold", "smuggle-bare-lf", "gate-root",
                       "smuggle-repaired", "hello-retry", "tunnel-revocation"}, unsupported
passed = {p["id"] for p in d["probes"] if p["result"] == "passed"}
for id in ("seed-allowed", "seed-not-listed", "seed-direct", "identity-list", "identity-listeners", "name-prefix", "host-mismatch",
           "literal-v4", "captured-tls", "captured-http", "gate-privileges", "decision-policy", "decision-lines", "pipelined",
           "sni-mismatch", "sni-missing", "not-tls", "tunnel-http"):
    assert id in passed, (id, [p for p in d["probes"] if p["id"] == id])
assert d["totals"]["unsupported"] >= 7'
	run sk verify --accept-unsupported
	[ "$status" = 0 ]
	[[ "$output" == *unsupported* ]]
}

@test "builtin: the seed's three checks" { seed_checks; }
@test "builtin: label boundaries, deny rules, ports, special addresses, address literals" { names_and_addresses; }

@test "the verdicts are those of explain" {
	printf '%s\n' googleapis.com '!telemetry.googleapis.com' '*.below.example' '=python.org' 'example.com:8000-8100' 93.184.215.14:443 >"$(list)"
	sk reload
	for url in http://storage.googleapis.com/ http://googleapis.com/ http://evilgoogleapis.com/ http://telemetry.googleapis.com/ \
		http://below.example/ http://a.below.example/ http://python.org/ http://www.python.org/ http://example.com/ \
		http://example.com:8000/ http://example.com:8101/ http://storage.googleapis.com:22/ http://1.1.1.1/ http://93.184.215.14/ \
		http://93.184.215.14:443/ http://a_b.googleapis.com/ http://1.257/ http://x.y.z.googleapis.com/; do
		want=$(sk explain --json cli-pod "$url" | python3 -c 'import json, sys; print(json.load(sys.stdin)["reason"])')
		got=$(reason "$url")
		case $got in '' | resolve-failed | connect-failed) got=allowed ;; esac
		[ "$got" = "$want" ] || { echo "$url: $got, and explain says $want"; return 1; }
	done
	cp "$LAB_DIR/names.lst" "$(list)"
	sk reload
}

@test "the answer names pod, reason and what to do, like the gate's own" {
	run pod_exec cli-pod curl -sS -i http://example.com/
	[[ "$output" == *'403 Forbidden'* ]]
	[[ "$(tr 'A-Z' 'a-z' <<<"$output")" == *'proxy-status: stockade; error=http_request_denied; details="not-listed"'* ]]
	[[ "$output" == *'pod: cli-pod'*'asked for: example.com port 80'*'add this line to a list of cli-pod'*$'\nexample.com' ]]
}

@test "a Host that differs from the target, or that is not well-formed, is refused and reaches nobody" {
	run ask_raw 'GET http://www.googleapis.com/ HTTP/1.1\r\nHost: www.googleapis.com\r\nConnection: close\r\n\r\n'
	[[ "$output" == *"200 OK"* ]] # the control
	wait_for 5 logged '"host":"www.googleapis.com".*"verdict":"allow"'
	before=$(allowed)
	for request in \
		'GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n' \
		'GET http://example.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\n\r\n' \
		'GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\nHost: example.com\r\n\r\n' \
		'GET http://storage.googleapis.com/ HTTP/1.1\r\n\r\n' \
		'GET http://example.com\\.storage.googleapis.com/ HTTP/1.1\r\nHost: example.com\\.storage.googleapis.com\r\n\r\n' \
		'GET http://storage.googleapis.com%%00.example.com/ HTTP/1.1\r\nHost: storage.googleapis.com%%00.example.com\r\n\r\n' \
		'GET http://x@storage.googleapis.com/ HTTP/1.1\r\nHost: x@storage.googleapis.com\r\n\r\n' \
		'GET / HTTP/1.1\r\nHost: storage.googleapis.com\r\n\r\n' \
		'CONNECT storage.googleapis.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n' \
		'CONNECT storage.googleapis.com HTTP/1.1\r\nHost: storage.googleapis.com\r\n\r\n' \
		'CONNECT storage.googleapis.com:65979 HTTP/1.1\r\nHost: storage.googleapis.com:65979\r\n\r\n' \
		'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' '\005\001\000'; do
		run ask_raw "$request"
		[[ "$output" == "HTTP/1.1 400 "* ]]
	done
	wait_for 5 logged 'PRI\|"reason":"malformed-request"'
	[ "$(allowed)" = "$before" ]
}

@test "each request of a connection is decided anew, and goes where it says" {
	printf '%s\n' googleapis.com python.org >"$(list)"
	sk reload
	run ask_raw 'GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\n\r\nGET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\nGET http://python.org/ HTTP/1.1\r\nHost: python.org\r\nConnection: close\r\n\r\n'
	[[ "$output" == *"hello from storage.googleapis.com"*"403 Forbidden"*not-listed*"hello from python.org"* ]]
}

@test "CONNECT to any port: 200 only when the destination has accepted, 502 when not" {
	printf '%s\n' googleapis.com googleapis.com:8443 >"$(list)"
	sk reload
	run pod_exec cli-pod curl -sS -m 15 https://dead.googleapis.com:8443/
	[[ "$output" == *502* ]]
	run pod_exec cli-pod curl -sS -m 15 https://storage.googleapis.com:8443/
	[[ "$output" == *"hello from storage.googleapis.com"* ]]
	wait_for 5 logged '"host":"dead.googleapis.com".*"port":8443.*"reason":"connect-failed"'
}

@test "CONNECT to 443: TLS for the host that was allowed, or the tunnel is closed" {
	cat >"$LAB_DIR/hello.py" <<-'END'
	import socket, ssl, sys
	host, name, plain = sys.argv[1:4]
	s = socket.create_connection(("198.18.0.1", 8080), 3); s.settimeout(8)
	context = ssl.create_default_context()
	context.check_hostname = False
	into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
	tls = context.wrap_bio(into, out, server_hostname=name or None)
	try: tls.do_handshake()
	except ssl.SSLWantReadError: pass
	first = plain.encode() if plain else out.read()
	# Head and greeting at once: what comes early is not lost.
	s.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (host.encode(), host.encode()) + first)
	got = b""
	while b"\r\n\r\n" not in got: got += s.recv(4096)
	head, rest = got.split(b"\r\n\r\n", 1)
	try: rest = rest or s.recv(4096)
	except ConnectionResetError: rest = b""
	print(head.split(b"\r\n")[0].decode(), "answered" if rest else "closed")
	END
	hello() { sk exec -i cli-pod -- python3 - "$@" <"$LAB_DIR/hello.py"; }
	[ "$(hello storage.googleapis.com storage.googleapis.com '')" = "HTTP/1.1 200 Connection established answered" ] # the control
	[ "$(hello STORAGE.googleapis.com. storage.googleapis.com '')" = "HTTP/1.1 200 Connection established answered" ]
	[ "$(hello storage.googleapis.com example.com '')" = "HTTP/1.1 200 Connection established closed" ]
	[ "$(hello storage.googleapis.com '' '')" = "HTTP/1.1 200 Connection established closed" ]
	[ "$(hello storage.googleapis.com '' 'SSH-2.0-x')" = "HTTP/1.1 200 Connection established closed" ]
	wait_for 5 logged '"client":"cli-pod".*"reason":"sni-mismatch"'
	wait_for 5 logged '"reason":"sni-missing"'
	wait_for 5 logged '"reason":"not-tls"'
	run pod_exec cli-pod curl -sS -m 20 https://dead.googleapis.com/
	[ "$status" = 35 ] # a tunnel that is closed
	wait_for 5 logged '"host":"dead.googleapis.com".*"port":443.*"reason":"connect-failed"'
}

@test "CONNECT to 80: HTTP for the host that was allowed, each request anew, or TLS for it" {
	cat >"$LAB_DIR/plain.py" <<-'END'
	import socket, sys
	s = socket.create_connection(("198.18.0.1", 8080), 3); s.settimeout(3)
	s.sendall(b"CONNECT storage.googleapis.com:80 HTTP/1.1\r\nHost: storage.googleapis.com:80\r\n\r\n")
	got = b""
	while b"\r\n\r\n" not in got: got += s.recv(4096)
	for host in sys.argv[1:]: s.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host.encode())
	if len(sys.argv) == 1: s.sendall(b"SSH-2.0-x\r\n\r\n")
	try:
	    while True:
	        more = s.recv(4096)
	        if not more: break
	        got += more
	except OSError: pass
	print(got.decode())
	END
	plain() { sk exec -i cli-pod -- python3 - "$@" <"$LAB_DIR/plain.py"; }
	run plain storage.googleapis.com STORAGE.googleapis.com.:80
	[[ "$output" == *"200 OK"*"hello from storage.googleapis.com"*"200 OK"*"hello from storage.googleapis.com"* ]]
	run plain storage.googleapis.com example.com
	[[ "$output" == *"hello from storage.googleapis.com"*"400 Bad Request"*host-mismatch* && "$output" != *"hello from example.com"* ]]
	run plain example.com
	[[ "$output" == *host-mismatch* && "$output" != *hello* ]]
	run plain
	[[ "$output" == *"200 Connection established"* && "$output" != *" 400 "* && "$output" != *hello* ]]
	wait_for 5 logged '"client":"cli-pod".*"adapter":"connect".*"port":80.*"reason":"host-mismatch"'
}

@test "captured connections: TLS by its server name, HTTP by its Host, anything else is cut off" {
	run pod_exec cli-pod curl --noproxy '*' --connect-to ::1.1.1.1: -sS https://storage.googleapis.com/
	[[ "$output" == *"hello from storage.googleapis.com"* ]]
	run pod_exec cli-pod curl --noproxy '*' --connect-to ::1.1.1.1: -sS http://storage.googleapis.com/
	[[ "$output" == *"hello from storage.googleapis.com"* ]]
	witness --clear
	run pod_exec cli-pod curl --noproxy '*' --connect-to ::1.1.1.1: -sS https://example.com/
	[ "$status" != 0 ]
	run pod_exec cli-pod curl --noproxy '*' --connect-to ::1.1.1.1: -sS http://example.com/
	[[ "$output" == *not-listed* ]]
	run pod_exec cli-pod curl --noproxy '*' --connect-to ::1.1.1.1:8443 -sS http://storage.googleapis.com/
	[[ "$output" == *host-mismatch* ]]
	run pod_exec cli-pod python3 -c '
import socket
s = socket.create_connection(("1.1.1.1", 22), 3); s.settimeout(8)
s.sendall(b"SSH-2.0-x\r\n"); print(s.recv(10))'
	[[ "$output" == *"b''"* || "$output" == *ConnectionReset* ]]
	[ -z "$(witness)" ]
}

@test "a pod is known by its listener: its own list, whatever address it claims" {
	run pod_exec sandbox-pod curl -sS https://python.org/
	[[ "$output" == *"hello from python.org"* ]]
	[ "$(pod_exec sandbox-pod curl -sS -H 'X-Forwarded-For: 198.18.0.4' http://storage.googleapis.com/ | head -n 1)" = "stockade: not-listed: no allow rule names this host" ]
	decisions | grep '"client":"sandbox-pod"' | grep -q '"host":"storage.googleapis.com".*"verdict":"deny"'
	! decisions | grep '"client":"sandbox-pod"' | grep -q '"host":"storage.googleapis.com".*"verdict":"allow"' || return 1
}

@test "HAProxy has an id of its own, no capability, a filter, and sees neither the host's files nor the lists of others" {
	pid=$(haproxy_pid)
	[ "$(awk '/^Uid:/ { print ($2 >= 0x6fff1000) }' "/proc/$pid/status")" = 1 ]
	[ "$(grep -cE '^Cap[A-Za-z]+:	0000000000000000' "/proc/$pid/status")" = 5 ]
	grep -q '^NoNewPrivs:	1' "/proc/$pid/status"
	grep -q '^Seccomp:	2' "/proc/$pid/status"
	[ "$(ls "/proc/$pid/root" | tr '\n' ' ')" = "bin etc gate lib lib32 lib64 run sbin usr " ] || ls "/proc/$pid/root" | grep -qxE 'bin|etc|gate|lib.*|run|sbin|usr'
	! ls "/proc/$pid/root" | grep -qxE 'home|root|var|proc|dev|tmp' || return 1
	[ ! -e "/proc/$pid/root/etc/shadow" ]
	[ "$(stat -c %a "$LAB_DIR/run/demo/haproxy")" = 700 ]
}

@test "reload: the new lists are in force at once, and no request is lost" {
	cat >"$LAB_DIR/ask.py" <<-'END'
	import socket, sys, time
	asked = good = 0
	end = time.monotonic() + 60
	while time.monotonic() < end:
	    s = socket.create_connection(("198.18.0.1", 8080)); s.settimeout(10)
	    s.sendall(b"GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\nConnection: close\r\n\r\n")
	    got = b""
	    while True:
	        more = s.recv(4096)
	        if not more: break
	        got += more
	    if got[9:12] == b"503" and b"stockade: revoked:" in got: continue # it was between two processes, and says so
	    asked += 1
	    good += b"hello from" in got
	    if asked == 1: print("asking", flush=True)
	    if b"403" in got[:20] and b"not-listed" in got: break
	print(asked, good, flush=True)
	END
	sk exec -i cli-pod -- python3 - <"$LAB_DIR/ask.py" >"$LAB_DIR/asked" 2>&1 &
	asker=$!
	wait_for 10 grep -q asking "$LAB_DIR/asked"
	for i in 1 2 3 4 5; do
		echo "reload$i.example" >>"$(list)"
		sk reload
	done
	before=$(haproxy_pid)
	printf 'python.org\n' >"$(list)"
	sk reload
	[ "$(haproxy_pid)" != "$before" ]
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == *not-listed* ]]
	wait "$asker"
	read -r asked good <<<"$(tail -n 1 "$LAB_DIR/asked")"
	[ "$asked" -gt 10 ]
	[ "$good" = $((asked - 1)) ] # all but the one that the new list refused
	[ "$(decisions | tail -n 1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["generation"])')" = "$(ps_field "d['generation']")" ]
}

@test "reload: a broken list, or a configuration that HAProxy refuses, changes nothing" {
	printf 'googleapis.com\n' >"$(list)"
	sk reload
	hash=$(ps_field "d['hash']") before=$(haproxy_pid)
	printf 'googleapis.com\nbad name\n' >"$(list)"
	run sk reload
	[ "$status" != 0 ]
	[[ "$output" == *cli_domains.lst:2:* ]]
	# More kinds of entries than it takes.
	for i in $(seq 1 200); do echo "h$i.example:$((1000 + i))"; done >"$(list)"
	run sk reload
	[ "$status" != 0 ]
	[[ "$output" == *"kinds of entries"* ]]
	[ "$(ps_field "d['hash']")" = "$hash" ]
	[ "$(haproxy_pid)" = "$before" ]
	decisions | python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]' # not a line is torn, whoever wrote it
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	printf 'googleapis.com\n' >"$(list)"
	sk reload
	[ "$(ps_field "d['hash']")" = "$hash" ]
}

@test "a tunnel of an older generation goes on a while and ends; new ones obey at once" {
	printf 'googleapis.com\nexample.com\n' >"$(list)"
	sk reload
	cat >"$LAB_DIR/tunnel.py" <<-'END'
	import socket, time
	s = socket.create_connection(("198.18.0.1", 8080), 3)
	s.sendall(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
	assert b" 200 " in s.recv(4096)
	print("open", flush=True)
	s.settimeout(60)
	began = time.monotonic()
	print("ended", s.recv(10), int(time.monotonic() - began), flush=True)
	END
	sk exec -i cli-pod -- python3 - <"$LAB_DIR/tunnel.py" >"$LAB_DIR/tunnel" 2>&1 &
	tunnel=$!
	wait_for 10 grep -q open "$LAB_DIR/tunnel"
	printf 'googleapis.com\n' >"$(list)"
	run sk reload
	[[ "$output" == *"end within 30 s"* ]]
	[ "$(ps_field "d['haproxy']['old']")" = 1 ]
	run pod_exec cli-pod curl -sS https://example.com/
	[[ "$output" == *403* ]]
	wait "$tunnel" || true
	wait_for 5 is "d['haproxy']['old']" 0
}

@test "HAProxy killed: it is started anew, and the pods' requests wait instead of being refused" {
	before=$(haproxy_pid)
	kill -9 "$before"
	run pod_exec cli-pod curl -sS -m 20 http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	[ "$(haproxy_pid)" != "$before" ]
	[ "$(ps_field "d['haproxy']['restarts']")" -ge 1 ]
}

@test "no HAProxy: nothing flows, ps says so; and all is well again when it is back" {
	dir=$LAB_DIR/run/demo/haproxy
	supervisor=$(ps_field "d['supervisor']['pid']")
	# A file where its directories are to be made: no new one can be started.
	rm -rf "$dir" && touch "$dir"
	kill -9 "$(haproxy_pid)"
	wait_for 10 is "d['haproxy']['pid']" 0
	witness --clear
	run pod_exec cli-pod curl -sS -m 3 http://storage.googleapis.com/
	[ "$status" != 0 ]
	run pod_exec cli-pod curl --noproxy '*' -sS -m 3 http://1.1.1.1/
	[ "$status" != 0 ]
	[ -z "$(witness)" ]
	[ "$(ps_field "[p['attached'] for p in d['pods'] if p['name']=='cli-pod'][0]")" = False ]
	kill -0 "$supervisor"
	rm "$dir"
	wait_for 20 pod_exec cli-pod curl -sS -m 5 -o /dev/null http://storage.googleapis.com/
	[ "$(ps_field "[p['attached'] for p in d['pods'] if p['name']=='cli-pod'][0]")" = True ]
}

@test "the gate killed: HAProxy serves on, and the new gate answers the pods' names" {
	kill -9 "$(ps_field "d['gate']['pid']")"
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	wait_for 5 pod_exec cli-pod getent hosts sandbox-pod
	wait_for 5 is "d['gate']['state']" serving
}

@test "the gate of a project that runs is not changed under it" {
	run up
	[ "$status" = 2 ]
	[[ "$output" == *"runs with --gate haproxy; 'stockade down' first"* ]]
	run sk up --gate squid -f pods.yaml --host-root
	[ "$status" = 2 ]
	run on_builtin --limit heads-per-second=10
	[ "$status" = 2 ]
	[[ "$output" == *"does not keep the limit heads-per-second"* ]]
	run on_builtin
	[ "$status" = 0 ]
	[[ "$output" == *"cli-pod: unchanged"* ]]
}

@test "a manifest whose lists HAProxy refuses is not the one that goes on being watched and reloaded" {
	mkdir -p "$LAB_DIR/other"
	cp -r "$PROJECT_DIR/." "$LAB_DIR/other/"
	for i in $(seq 1 200); do echo "h$i.example:$((1000 + i))"; done >"$LAB_DIR/other/haproxy/cli_domains.lst"
	run sk up -f "$LAB_DIR/other/pods.yaml" --project demo --host-root --gate haproxy
	[ "$status" != 0 ]
	[[ "$output" == *"kinds of entries"* ]]
	[ "$(ps_field "d['manifest']")" = "$PROJECT_DIR/pods.yaml" ]
	sk reload
	cp "$(list)" "$LAB_DIR/keep.lst"
	before=$(ps_field "d['generation']")
	echo watched.example >>"$(list)" # by itself
	later() { [ "$(ps_field "d['generation']")" -gt "$before" ]; }
	wait_for 10 later
	cp "$LAB_DIR/keep.lst" "$(list)"
	sk reload
}

@test "builtin: verify tells what HAProxy cannot keep, and passes nothing else by" { verify_is_honest; }

@test "down leaves nothing of it" {
	pid=$(haproxy_pid)
	sk down --timeout 1
	[ ! -e "/proc/$pid" ]
	[ ! -e "$LAB_DIR/run/demo" ]
}

@test "without HAProxy up refuses, and says what to install" {
	mkdir -p "$LAB_DIR/empty"
	run unshare -m sh -c '
		for f in /usr/sbin/haproxy /usr/local/sbin/haproxy /usr/bin/haproxy; do [ ! -e "$f" ] || mount --bind "$1" "$f" || exit 9; done
		cd "$2" && exec "$3/tests/lab/lab" exec "$4" -- "$5" up -f pods.yaml --host-root --gate haproxy' sh \
		"$LAB_DIR/bundle.pem" "$PROJECT_DIR" "$top" "$LAB" "$stockade"
	[ "$status" = 2 ]
	[[ "$output" == *"apt-get install haproxy"* ]]
	run sk ps
	[ "$status" != 0 ] # nothing was left up
}

@test "options that HAProxy cannot keep are refused by the first up, which leaves nothing" {
	sk down --timeout 0 || true
	run on_builtin --limit heads-per-second=10
	[ "$status" = 2 ]
	[[ "$output" == *"does not keep the limit heads-per-second"* ]]
	run sk ps
	[ "$status" = 1 ]
}

@test "lists that HAProxy cannot be given are refused by the first up" {
	sk down --timeout 0 || true
	cp "$(list)" "$LAB_DIR/keep.lst"
	for i in $(seq 1 200); do echo "h$i.example:$((1000 + i))"; done >"$(list)"
	run on_builtin
	[ "$status" != 0 ]
	[[ "$output" == *cli_domains.lst:129:*"kinds of entries"* ]]
	cp "$LAB_DIR/keep.lst" "$(list)"
	run sk ps
	[ "$status" != 0 ] # nothing was left up
}

@test "podman: up with --gate haproxy" {
	on_podman
	cp "$top/examples/seed/haproxy/"*.lst "$PROJECT_DIR/haproxy/"
	sk up --engine podman --gate haproxy -f pods.yaml
}
@test "podman: the seed's three checks" { on_podman; seed_checks; }
@test "podman: label boundaries, deny rules, ports, special addresses, address literals" {
	on_podman
	names_and_addresses
}
@test "podman: verify tells what HAProxy cannot keep, and passes nothing else by" {
	on_podman
	verify_is_honest
}
@test "podman: a pod stopped and started by hand is served by its new listeners" {
	on_podman
	pm pod stop --time 0 cli-pod >/dev/null
	wait_for 10 cleaned_up
	pm pod start cli-pod >/dev/null
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	sk down --timeout 1
}

@test "a first up that HAProxy cannot be started for shows what supervisor.log said, which is gone then" {
	sk down --timeout 0
	run bash -c 'cd "$1" && exec "$2/tests/lab/lab" exec "$3" -- sh -c "ulimit -n 200; exec \"\$0\" up -f pods.yaml --host-root --gate haproxy --workers 1" "$4"' \
		bash "$PROJECT_DIR" "$top" "$LAB" "$stockade"
	[ "$status" = 3 ]
	[[ "$output" == *"supervisor.log: "*"Cannot raise FD limit"* ]]
}
