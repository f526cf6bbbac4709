#!/usr/bin/env bats
# The seed's own file, byte for byte, in the lab.
load helpers

setup_file() { lab_start; up >"$LAB_DIR/up.out" 2>&1 || { cat "$LAB_DIR/up.out" >&2; return 1; }; }
teardown_file() { lab_stop; }

@test "the example is the seed's manifest byte for byte" {
	[ "$(sha256sum <"$top/examples/seed/pods.yaml")" = "$(sha256sum <"$PROJECT_DIR/pods.yaml")" ]
	grep -q 'image: curlimages/curl:latest' "$PROJECT_DIR/pods.yaml"
}

@test "up tells that the jailer containers are not needed" {
	grep -q 'cli-node' "$LAB_DIR/up.out"
	grep -q 'sandbox-node' "$LAB_DIR/up.out"
}

@test "up again changes nothing" {
	before=$(pod_pid cli-pod)
	up
	[ "$(pod_pid cli-pod)" = "$before" ]
}

@test "up of another directory with the same name is refused, and changes nothing" {
	before=$(pod_pid cli-pod)
	mkdir -p "$LAB_DIR/other/demo"
	cp -r "$PROJECT_DIR/." "$LAB_DIR/other/demo/"
	PROJECT_DIR=$LAB_DIR/other/demo run up
	[ "$status" = 2 ]
	[[ "$output" == *"the project 'demo' that is up is that of $PROJECT_DIR/pods.yaml; give another name with --project NAME"* ]]
	[ "$(pod_pid cli-pod)" = "$before" ]
	[ "$(ps_field "d['manifest']")" = "$PROJECT_DIR/pods.yaml" ]
	cp "$PROJECT_DIR/pods.yaml" "$PROJECT_DIR/same.yaml" # another file of the same directory is the same project
	up -f same.yaml
	[ "$(pod_pid cli-pod)" = "$before" ]
	up
	rm "$PROJECT_DIR/same.yaml"
	PROJECT_DIR=$LAB_DIR/other/demo up --project demo # who names it means it
	[ "$(ps_field "d['manifest']")" = "$LAB_DIR/other/demo/pods.yaml" ]
	up --project demo
}

@test "seed check 1: an allowed name, TLS checked against the origin's certificate" {
	run pod_exec cli-pod-cli-app curl -sS -w ' %{http_code} %{ssl_verify_result}' https://storage.googleapis.com
	[ "$status" = 0 ]
	[[ "$output" == *"hello from storage.googleapis.com"*" 200 0" ]]
}

@test "seed check 2: a name that is not listed is answered 403 with the reason" {
	run pod_exec cli-pod-cli-app curl -sS -v https://example.com
	[ "$status" != 0 ]
	[[ "$output" == *"403"* ]]
	run pod_exec cli-pod curl -sS -w '%{http_code}' http://example.com/
	[[ "$output" == *"not-listed"* ]]
	[[ "$output" == *403 ]]
	! grep -q 'example.com' "$LAB_DIR/web.log" || return 1
}

@test "seed check 3: a direct connection is refused at once, and the witness sees nothing" {
	lab exec "$LAB" -- curl -sS http://1.1.1.1/ # the same path is open from the host
	witness | grep -q ' 1.1.1.1 80 '
	witness --clear
	run pod_exec cli-pod-cli-app curl --noproxy '*' -sS -m 5 -w '%{http_code} %{time_total}' http://1.1.1.1
	[[ "$status" != 0 || "$output" == *"403"* ]]
	[[ "$output" != *witness* ]]
	run pod_exec cli-pod-cli-app curl --noproxy '*' -sS -m 5 https://1.1.1.1
	[ "$status" != 0 ]
	[ "$status" != 28 ] # not a time-out
	[ -z "$(witness)" ]
}

@test "plain HTTP through the proxy: origin-form, right Host, at the origin" {
	: >"$LAB_DIR/web.log"
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[ "$output" = "hello from storage.googleapis.com port 80" ]
	wait_for 2 grep -q '"GET / HTTP/1.1" host="storage.googleapis.com" 200' "$LAB_DIR/web.log"
}

@test "a big file arrives whole, by HTTP and by TLS" {
	want=$(sha256sum <"$LAB_DIR/www/16m.bin")
	[ "$(pod_exec cli-pod curl -sS http://storage.googleapis.com/bytes/16m.bin | sha256sum)" = "$want" ]
	[ "$(pod_exec cli-pod curl -sS https://storage.googleapis.com/bytes/16m.bin | sha256sum)" = "$want" ]
}

@test "each pod has its own list" {
	run pod_exec sandbox-pod curl -sS https://python.org/
	[[ "$output" == *"hello from python.org"* ]]
	run pod_exec sandbox-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == *not-listed* ]]
	run pod_exec cli-pod curl -sS http://python.org/
	[[ "$output" == *not-listed* ]]
}

@test "captured TLS and HTTP reach allowed names without any proxy variable" {
	run pod_exec cli-pod curl --noproxy '*' -sS --resolve storage.googleapis.com:443:198.18.9.9 https://storage.googleapis.com/
	[[ "$output" == "hello from storage.googleapis.com port 443" ]]
	run pod_exec cli-pod curl --noproxy '*' -sS --resolve storage.googleapis.com:80:198.18.9.9 http://storage.googleapis.com/
	[[ "$output" == "hello from storage.googleapis.com port 80" ]]
	run pod_exec cli-pod curl --noproxy '*' -sS -m 5 --resolve example.com:443:93.184.215.14 https://example.com/
	[ "$status" != 0 ]
	[ "$status" != 28 ]
}

@test "no pod reaches another, and the answer does not say that a list would help" {
	run pod_exec cli-pod curl -sS http://sandbox-pod:8000/
	[[ "$output" == *not-listed*"No pod reaches another, whatever the lists say."* && "$output" != *"add this line"* ]]
	run pod_exec cli-pod curl -sS http://intranet:8000/
	[ "${lines[-1]}" = "=intranet:8000" ]
}

@test "suffixes without a label boundary, and names that only begin alike, are denied" {
	for name in evilgoogleapis.com googleapis.com.evil.org; do
		lab exec "$LAB" -- curl -sS "http://$name/" | grep -q hello
		run pod_exec cli-pod curl -sS "http://$name/"
		[[ "$output" == *not-listed* ]]
	done
}

@test "listed names that lead to special addresses are denied, and nothing arrives there" {
	lab exec "$LAB" -- curl -sS http://private.googleapis.com/ | grep -q witness
	witness --clear
	for name in private metadata loopback mapped nat64; do
		run pod_exec cli-pod curl -sS "http://$name.googleapis.com/"
		[[ "$output" == *special-address* ]]
	done
	[ -z "$(witness)" ]
}

@test "listed names that lead to the host itself are denied, and nothing arrives there" {
	lab exec "$LAB" -- python3 -c '
import http.server, socket
class S(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
S(("::", 80), http.server.SimpleHTTPRequestHandler).serve_forever()' >"$LAB_DIR/host-web.out" 2>&1 3>&- &
	server=$!
	for name in own-host own-host6; do # the same path is open from the host
		wait_for 5 lab exec "$LAB" -- curl -sS -o /dev/null "http://$name.googleapis.com/control"
	done
	wait_for 2 grep -q control "$LAB_DIR/host-web.out"
	: >"$LAB_DIR/host-web.out"
	for name in own-host own-host6; do
		run pod_exec cli-pod curl -sS "http://$name.googleapis.com/"
		[[ "$output" == *special-address* ]] || { kill "$server"; false; }
	done
	kill "$server"
	[ ! -s "$LAB_DIR/host-web.out" ]
}

@test "an IPv6-only name works" {
	run pod_exec cli-pod curl -sS http://v6only.googleapis.com/
	[ "$output" = "hello from v6only.googleapis.com port 80" ]
}

@test "the pod's resolver answers pod names, and NXDOMAIN at once to all else" {
	run pod_exec cli-pod getent hosts sandbox-pod
	[ "$status" = 0 ]
	run pod_exec cli-pod getent ahosts secret.example.com
	[ "$status" != 0 ]
	run pod_exec cli-pod dig +tries=1 +time=2 @8.8.8.8 nonce-8472.example.com
	[[ "$output" == *NXDOMAIN* ]]
	run pod_exec cli-pod dig +tcp +tries=1 +time=2 @1.1.1.1 nonce-8473.example.com
	[[ "$output" == *NXDOMAIN* ]]
	run pod_exec cli-pod dig +short +tries=1 +time=2 @8.8.8.8 proxy-pod
	[ "$output" = 198.18.0.1 ]
	! grep -q nonce-847 "$LAB_DIR/dns.log" || return 1
	wait_for 2 grep -q 'nonce-8472.example.com' "$LAB_DIR/run/demo/decisions.log"
}

@test "a resolver of another C library (musl) gets the same answers" {
	command -v musl-gcc >/dev/null || skip "musl-gcc is not here"
	cat >"$LAB_DIR/look.c" <<-'END'
	#include <netdb.h>
	#include <stdio.h>
	int main(int argc, char **argv)
	{
		for (int i = 1; i < argc; i++) {
			struct addrinfo *found;
			const int rc = getaddrinfo(argv[i], "80", NULL, &found);
			printf("%s %s\n", argv[i], rc ? gai_strerror(rc) : "found");
		}
		return 0;
	}
	END
	musl-gcc -static -o "$LAB_DIR/look" "$LAB_DIR/look.c"
	sk exec -i cli-pod -- sh -c 'cat >/tmp/look && chmod +x /tmp/look' <"$LAB_DIR/look"
	run pod_exec cli-pod sh -c 'rm -f /etc/hosts; /tmp/look sandbox-pod proxy-pod nonce-8474.example.com'
	echo "$output"
	[[ "$output" == *"sandbox-pod found"* && "$output" == *"proxy-pod found"* ]]
	[[ "$output" == *"nonce-8474.example.com Name does not resolve"* ]]
	! grep -q nonce-8474 "$LAB_DIR/dns.log" || return 1
}

@test "UDP and ICMP elsewhere are refused at once and logged with protocol, address and port" {
	lab exec "$LAB" -- python3 -c 'import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2); s.sendto(b"x",("1.1.1.1",9999)); s.recv(99)'
	witness --clear
	run pod_exec cli-pod python3 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2); s.connect(("1.1.1.1", 9999)); began = time.time()
try:
    s.send(b"x"); s.recv(99); print("answered")
except socket.timeout: print("time-out")
except OSError as e: print("refused" if time.time() - began < 0.5 else "late")'
	[ "$output" = refused ]
	[ -z "$(witness)" ]
	wait_for 2 grep -q '"udp".*1\.1\.1\.1.*9999' "$LAB_DIR/run/demo/decisions.log"
}

@test "every decision is a JSON line with client, rule, generation and hash" {
	wait_for 2 grep -q storage.googleapis.com "$LAB_DIR/run/demo/decisions.log"
	decisions | python3 -c '
import json, sys
lines = [json.loads(l) for l in sys.stdin]
assert lines
for l in lines:
    for key in ("time", "project", "client", "adapter", "verdict", "reason", "generation", "hash"):
        assert key in l, (key, l)
allowed = [l for l in lines if l.get("host") == "storage.googleapis.com" and l["verdict"] == "allow"]
assert any("cli_domains.lst:" in (l.get("rule") or "") for l in allowed), allowed
assert any(l.get("host") == "example.com" and l["reason"] == "not-listed" for l in lines)'
}

@test "ps shows pods, gate, generation; its JSON is JSON" {
	run sk ps
	[ "$status" = 0 ]
	[[ "$output" == *cli-pod* && "$output" == *sandbox-pod* && "$output" == *running* ]]
	sk ps --json | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d["generation"] >= 1 and len(d["hash"]) == 64'
}

@test "a pod that does not start is in ps with its reason, and up is a finding, no fault" {
	{
		cat "$PROJECT_DIR/pods.yaml"
		printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: { name: third, labels: { app: cli } }\nspec:\n'
		printf '  initContainers: [{ name: bad, image: x, command: ["sh", "-c", "echo no; exit 7"] }]\n'
		printf '  containers: [{ name: a, image: x, command: ["sleep", "infinity"] }]\n'
	} >"$PROJECT_DIR/third.yaml"
	run up -f third.yaml
	[ "$status" = 1 ]
	[[ "$output" == *"pod third: the init container bad ended with 7; 'stockade logs third/bad' has what it printed"* ]]
	run sk ps
	[[ "$output" == *"third"*"not started"*"pod third is not started: the init container bad ended with 7"* ]]
	[ "$(ps_field "list(d['not_started'])")" = "['third']" ]
	[ "$(sk logs third/bad)" = no ]
	rm "$PROJECT_DIR/third.yaml"
	up
	run sk ps
	[[ "$output" != *"third"* ]]
}

@test "verify of a project none of whose pods runs proves nothing" {
	mkdir -p "$LAB_DIR/none"
	printf 'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  containers: [{ name: c, image: x, command: ["no-such-program"] }]\n' >"$LAB_DIR/none/pods.yaml"
	PROJECT_DIR=$LAB_DIR/none
	run up
	[ "$status" = 2 ]
	run sk verify
	sk down
	[ "$status" = 1 ]
	[[ "$output" == *"no pod runs whose walls could be tried"* ]]
}

@test "exec: exit codes, names, standard input" {
	run pod_exec cli-pod/cli-app sh -c 'exit 7'
	[ "$status" = 7 ]
	[ "$(echo hi | sk exec -i cli-pod -- cat)" = hi ]
	run sk exec no-such-pod -- true
	[ "$status" != 0 ]
	[[ "$output" == *no-such-pod* ]]
}

@test "the container: no capability, no new privileges, seccomp, nothing of the host" {
	run pod_exec cli-pod sh -c 'grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; ls /home /root /run; ls /sys 2>/dev/null'
	[[ "$output" == *"CapEff:"*"0000000000000000"* ]]
	[[ "$output" == *"CapBnd:"*"0000000000000000"* ]]
	[[ "$output" == *"NoNewPrivs:"*"1"* ]]
	[[ "$output" == *"Seccomp:"*"2"* ]]
}

@test "explain names the rule" {
	run sk explain cli-pod https://storage.googleapis.com/
	[ "$status" = 0 ]
	[[ "$output" == *cli_domains.lst:* ]]
	run sk explain cli-pod https://example.com/
	[ "$status" = 1 ]
	[[ "$output" == *not-listed* ]]
}

@test "verify passes" {
	run sk verify
	echo "$output"
	[ "$status" = 0 ]
	sk verify --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
probes = d["probes"] if isinstance(d, dict) else d
assert len({p["id"] for p in probes}) >= 45, len(probes)
assert not [p for p in probes if p["result"] in ("failed", "broken")]'
}

@test "verify does not take a resolver that is silent for a wall that is down" {
	up --dns 192.0.2.1
	run sk verify
	up # the lab's resolver again
	echo "$output" | grep -E '^  (failed|broken)' -A 1 >&2 || true
	[ "$status" = 0 ]
	[[ "$output" == *"skipped  "*"upper case is the same name: no allowed name answers from here"* ]]
	[[ "$output" == *" 0 failed, 0 broken, "* ]]
}

@test "down leaves nothing" {
	pid=$(pod_pid cli-pod) prefix=$(cgroup_prefix)
	sk down
	[ ! -e "/proc/$pid" ]
	[ ! -e "$LAB_DIR/run/demo" ] || [ -z "$(find "$LAB_DIR/run/demo" -name '*.sock')" ]
	no_cgroups "$prefix"
	up
}
