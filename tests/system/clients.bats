#!/usr/bin/env bats
# Honest clients: each fetches through the gate from inside a pod, what it got is compared with what was sent, and each asks once for
# a name that is not listed, which must fail with a message that tells, while nothing arrives there.
# talk.py and origin.py say what the cases of the protocol are; docs/clients.md how to use each client in a pod.
load helpers

setup_file() {
	lab_start
	clients=$BATS_TEST_DIRNAME/clients
	"$clients/publish.sh" "$LAB_DIR"
	cp "$clients/pods.yaml" "$PROJECT_DIR/"
	mkdir "$PROJECT_DIR/clients"
	cp "$clients"/*.py "$clients"/client.js "$clients"/Client.java "$LAB_DIR/ca.pem" "$PROJECT_DIR/clients/"
	head -c 16777216 /dev/urandom >"$PROJECT_DIR/clients/upload"
	echo test.googleapis.com:7777 >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	BIG=$(sha256sum <"$LAB_DIR/www/16m.bin" | cut -d' ' -f1)
	export BIG
	up >"$LAB_DIR/up.out" 2>&1 || { cat "$LAB_DIR/up.out" >&2; return 1; }
}
teardown_file() { lab_stop; }

in_pod() { sk exec -i client -- "$@"; }
pod_sh() { in_pod sh -euc "$1"; }
talk() { timeout 60 "$top/tests/lab/lab" exec "$LAB" -- "$stockade" exec --project demo client -- python3 /clients/talk.py "$@"; }
library() { in_pod timeout 60 python3 /clients/libraries.py "$1" "$BIG"; }
need() { local c; for c; do command -v "$c" >/dev/null || skip "$c is not installed"; done; }
need_python() { /usr/bin/python3 -c "import $1" 2>/dev/null || skip "Debian's python3-$1 is not installed"; }
sha() { sha256sum | cut -d' ' -f1; }
upload_sha() { sha256sum <"$PROJECT_DIR/clients/upload" | cut -d' ' -f1; }
logged() { # KEY=VALUE...: a decision with all of them is in the log, or soon will be
	wait_for 3 decided "$@"
}
decided() {
	decisions | python3 -c '
import json, sys
wanted = dict(a.split("=", 1) for a in sys.argv[1:])
sys.exit(not any(all(str(d.get(k)) == v for k, v in wanted.items()) for d in map(json.loads, sys.stdin)))' "$@"
}
# The names of the denied are nowhere but in the gate's own log: not at a server, not in a question to a resolver.
untouched() {
	if grep 'example\.com' "$LAB_DIR/web.log" "$LAB_DIR/dns.log" "$LAB_DIR/origin.log"; then return 1; fi
	[ -z "$(witness)" ]
}
teardown() { untouched; }

# --- curl ---

@test "curl: HTTP and HTTPS, and the log says by which adapter" {
	for url in http://storage.googleapis.com https://storage.googleapis.com; do
		[ "$(in_pod curl -sS $url/bytes/16m.bin | sha)" = "$BIG" ]
	done
	logged client=client adapter=http method=GET host=storage.googleapis.com port=80 verdict=allow status=200
	logged client=client adapter=connect host=storage.googleapis.com port=443 verdict=allow event=end
}

@test "curl: a denied name is 403, with the reason, both ways" {
	run in_pod curl -sS -w '%{http_code}' http://example.com/
	[[ "$output" == *not-listed*403 ]]
	run in_pod curl -sS https://example.com/
	[[ "$status" != 0 && "$output" == *403* ]]
	logged client=client adapter=http host=example.com verdict=deny reason=not-listed status=403
	logged client=client adapter=connect host=example.com port=443 verdict=deny reason=not-listed status=403
}

@test "curl: HTTP/1.0" {
	[ "$(in_pod curl -0 -sS http://storage.googleapis.com/bytes/16m.bin | sha)" = "$BIG" ]
	[ "$(in_pod curl -0 -sS https://storage.googleapis.com/bytes/1m.bin | sha)" = "$(sha <"$LAB_DIR/www/1m.bin")" ]
}

@test "curl: large uploads, of known and of unknown length" {
	want=$(upload_sha)
	for scheme in http https; do
		run in_pod curl -sS -T /clients/upload $scheme://test.googleapis.com/hash
		[[ "$output" == *"$want"* && "$output" == *'"chunked": false'* ]]
		run pod_sh "cat /clients/upload | curl -sS -T - $scheme://test.googleapis.com/hash"
		[[ "$output" == *"$want"* && "$output" == *'"chunked": true'* ]]
	done
}

@test "curl: 100-continue waits for the origin's word" {
	run in_pod curl -sS -w ' %{time_total}' --expect100-timeout 10 -T /clients/upload http://test.googleapis.com/late
	[[ "$output" == *"$(upload_sha)"* ]]
	awk -v t="${output##* }" 'BEGIN { exit !(t >= 0.3 && t < 5) }'
	run in_pod curl -sS -w ' %{http_code}' --expect100-timeout 10 -T /clients/upload http://test.googleapis.com/no
	[[ "$output" == *" 417" ]]
}

@test "curl: HTTP/2 inside CONNECT; asked for without TLS it stays HTTP/1.1" {
	run pod_sh 'curl --http2 -sS -o /tmp/h2 -w "%{http_version}" https://h2.googleapis.com/bytes/16m.bin; sha256sum </tmp/h2'
	[[ "$output" == "2$BIG"* ]]
	run in_pod curl --http2-prior-knowledge -sS -Z -w '%{http_version}\n' 'https://h2.googleapis.com/?[1-50]'
	[ "$(grep -cx 2 <<<"$output")" = 50 ]
	run in_pod curl --http2 -sS -w '%{http_version}' http://h2.googleapis.com/
	[[ "$output" == hello*1.1 ]]
	run in_pod curl --http2 -sS https://example.com/
	[[ "$status" != 0 && "$output" == *403* ]]
}

@test "curl: HEAD, ranges, resumed downloads" {
	run in_pod curl -sS -I http://storage.googleapis.com/bytes/16m.bin
	[[ "$output" == *"200 OK"* && "$output" == *"Content-Length: 16777216"* ]]
	want=$(tail -c +1000001 "$LAB_DIR/www/16m.bin" | head -c 500 | sha)
	[ "$(in_pod curl -sS -r 1000000-1000499 http://storage.googleapis.com/bytes/16m.bin | sha)" = "$want" ]
	pod_sh 'cd /tmp; curl -sS http://storage.googleapis.com/bytes/16m.bin | head -c 3000000 >part || true
		curl -sS -C - -o part http://storage.googleapis.com/bytes/16m.bin; sha256sum part' | grep -q "$BIG"
	run in_pod curl -sS -I http://example.com/
	[[ "$output" == *" 403 "* && "$output" == *not-listed* ]]
}

@test "curl: many at once, and many on one connection" {
	run in_pod curl -sS -Z --parallel-max 50 -w '%{http_code}\n' -o /dev/null 'http://storage.googleapis.com/?[1-200]'
	[ "$(grep -cx 200 <<<"$output")" = 200 ]
	run in_pod curl -sS -w '%{num_connects}\n' -o /dev/null 'http://storage.googleapis.com/?[1-50]'
	[ "$(awk '{n+=$1} END{print n}' <<<"$output")" = 1 ]
}

@test "curl: CONNECT to port 80 carries HTTP for that host only" {
	[ "$(in_pod curl -p -sS http://storage.googleapis.com/bytes/16m.bin | sha)" = "$BIG" ]
	run in_pod curl -p -sS http://example.com/
	[[ "$status" != 0 && "$output" == *403* ]]
	run in_pod curl -p -sS -H 'Host: example.com' http://storage.googleapis.com/
	[[ "$output" == *host-mismatch* ]]
}

# --- SOCKS ---

@test "curl: SOCKS 5, HTTP and HTTPS, by option and by environment" {
	for scheme in http https; do
		[ "$(in_pod curl -sS --socks5-hostname proxy-pod:8080 $scheme://storage.googleapis.com/bytes/16m.bin | sha)" = "$BIG" ]
		[ "$(in_pod env -u http_proxy -u https_proxy ALL_PROXY=socks5h://proxy-pod:8080 \
			curl -sS $scheme://storage.googleapis.com/bytes/16m.bin | sha)" = "$BIG" ]
	done
	logged client=client adapter=socks host=storage.googleapis.com port=80 verdict=allow event=end
	logged client=client adapter=captured-http method=GET host=storage.googleapis.com port=80 verdict=allow status=200
	logged client=client adapter=socks host=storage.googleapis.com port=443 verdict=allow event=end
	run in_pod curl --socks5-hostname proxy-pod:8080 -sS -T /clients/upload https://test.googleapis.com/hash
	[[ "$output" == *"$(upload_sha)"* ]]
	# A password is offered, and not asked for.
	run in_pod curl -sS -o /dev/null -w '%{http_version} %{http_code}' -U root:root --socks5-hostname proxy-pod:8080 https://h2.googleapis.com/
	[ "$output" = "2 200" ]
}

@test "curl: SOCKS 5 to a denied name or address is a failure with a reason, and nothing leaves" {
	for scheme in http https; do
		run in_pod curl -sS --socks5-hostname proxy-pod:8080 $scheme://example.com/
		[[ "$status" = 97 && "$output" == *"SOCKS5"*"(2)"* ]]
	done
	logged client=client adapter=socks host=example.com port=80 verdict=deny reason=not-listed
	logged client=client adapter=socks host=example.com port=443 verdict=deny reason=not-listed
	for address in 142.250.74.59 '[2606:4700:4700::1111]'; do
		run in_pod curl -sSk --socks5-hostname proxy-pod:8080 "https://$address/"
		[[ "$status" = 97 && "$output" == *"(2)"* ]]
	done
	logged client=client adapter=socks host=142.250.74.59 port=443 verdict=deny reason=address-literal
	logged client=client adapter=socks host=2606:4700:4700::1111 port=443 verdict=deny reason=address-literal
	run in_pod curl -sS --socks5-hostname proxy-pod:8080 https://storage.googleapis.com:8443/
	[[ "$status" = 97 && "$output" == *"(2)"* ]]
	logged client=client adapter=socks host=storage.googleapis.com port=8443 verdict=deny reason=port-not-listed
	# With socks5: and socks4: curl asks the pod's resolver, which knows pods only; SOCKS 4A is not spoken.
	for kind in --socks5 --socks4 --socks4a; do
		run in_pod curl -sS $kind proxy-pod:8080 https://example.com/
		[ "$status" = 97 ]
	done
}

@test "SOCKS 5: the server name inside is the one that was asked for" {
	run in_pod curl -sSk --socks5-hostname proxy-pod:8080 --connect-to example.com:443:storage.googleapis.com:443 https://example.com/
	[[ "$status" != 0 && "$status" != 97 ]]
	logged client=client adapter=socks host=storage.googleapis.com port=443 verdict=deny reason=sni-mismatch detail=example.com
	in_pod curl -sS --socks5-hostname proxy-pod:8080 https://storage.googleapis.com/ | grep -q hello
}

@test "ncat: SOCKS 5, to a port of its own" {
	need ncat
	pod_sh 'printf "GET /bytes/1m.bin HTTP/1.0\r\nHost: storage.googleapis.com\r\n\r\n" |
		timeout 20 ncat --proxy proxy-pod:8080 --proxy-type socks5 --proxy-dns remote storage.googleapis.com 80 | tail -c 1048576 | sha256sum' |
		grep -q "$(sha <"$LAB_DIR/www/1m.bin")"
	run pod_sh 'echo data | timeout 20 ncat --proxy proxy-pod:8080 --proxy-type socks5 --proxy-dns remote example.com 22'
	[ "$status" != 0 ]
	logged client=client adapter=socks host=example.com port=22 verdict=deny reason=not-listed
}

@test "git: over SOCKS 5" {
	need git
	run pod_sh 'git -c http.proxy=socks5h://proxy-pod:8080 clone -q https://test.googleapis.com/git/demo.git /tmp/git-socks
		git -C /tmp/git-socks fsck'
	[ "$status" = 0 ]
	run in_pod git -c http.proxy=socks5h://proxy-pod:8080 clone https://example.com/x.git /tmp/git-socks-x
	[[ "$status" != 0 && "$output" == *SOCKS5*"(2)"* ]]
}

@test "Python: requests over SOCKS 5" { need_python requests; need_python socks; library requests_socks; }

# --- other programs ---

@test "wget" {
	need wget
	[ "$(in_pod wget -qO- http://storage.googleapis.com/bytes/16m.bin | sha)" = "$BIG" ]
	[ "$(in_pod wget -qO- https://storage.googleapis.com/bytes/16m.bin | sha)" = "$BIG" ]
	in_pod wget -qO- --post-file=/clients/upload https://test.googleapis.com/hash | grep -q "$(upload_sha)"
	run in_pod wget -O- http://example.com/
	[[ "$status" != 0 && "$output" == *"403: Forbidden"* ]]
	run in_pod wget -O- https://example.com/
	[[ "$status" != 0 && "$output" == *Forbidden* ]]
}

@test "git: clone and push, clone of plain files" {
	need git
	run pod_sh 'export HOME=/tmp/git; mkdir $HOME; cd; git config --global user.name pod; git config --global user.email pod@example.org
		git clone -q https://test.googleapis.com/git/demo.git; cd demo; head -c 5000000 /dev/urandom >more
		git add more; git commit -qm two; git push -q; git rev-parse HEAD'
	[ "$status" = 0 ]
	[ "${lines[-1]}" = "$(git -c safe.directory='*' -C "$LAB_DIR/git/demo.git" rev-parse main)" ]
	[ "$(git -c safe.directory='*' -C "$LAB_DIR/git/demo.git" cat-file blob main:more | wc -c)" = 5000000 ]
	run pod_sh 'cd /tmp/git; git clone -q http://storage.googleapis.com/dumb.git plain; git -C plain rev-parse HEAD; git -C plain fsck'
	[ "${lines[0]}" = "$(git -c safe.directory='*' -C "$LAB_DIR/www/dumb.git" rev-parse main)" ]
	for scheme in http https; do
		run in_pod git clone $scheme://example.com/x.git /tmp/git/x
		[[ "$status" != 0 && "$output" == *403* ]]
	done
}

@test "pip: install from a simple index" {
	[ -e /usr/bin/pip3 ] || skip "python3-pip is not installed"
	run pod_sh 'pip() { python3 -m pip --disable-pip-version-check --no-cache-dir "$@"; }
		pip install -q --target /tmp/pip --index-url https://storage.googleapis.com/simple/ tiny; PYTHONPATH=/tmp/pip python3 -m tiny'
	[[ "$output" == *"tiny from the index"* ]]
	run in_pod python3 -m pip download --no-cache-dir --retries 1 -d /tmp --index-url https://example.com/simple/ tiny
	[[ "$status" != 0 && "$output" == *"403 Forbidden"* ]]
}

@test "npm: install from a registry" {
	need npm
	run pod_sh 'export HOME=/tmp NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; mkdir /tmp/npm; cd /tmp/npm
		npm install -s --no-audit --no-fund --no-update-notifier --registry https://storage.googleapis.com/npm/ tiny
		node -e "require(\"tiny\")"'
	[[ "$output" == *"tiny from the registry"* ]]
	run in_pod env HOME=/tmp npm view --no-update-notifier --fetch-retries 0 --registry https://example.com/ tiny
	[[ "$status" != 0 && "$output" == *"403 Forbidden"* ]]
}

@test "apt: update and download, as root without a root's powers" {
	need apt-get
	run pod_sh 'd=/tmp/apt; mkdir -p $d/etc/apt.conf.d $d/etc/preferences.d $d/etc/trusted.gpg.d $d/state/lists/partial $d/cache/archives/partial
		touch $d/status; echo "deb [trusted=yes] http://storage.googleapis.com/apt ./" >$d/etc/sources.list
		echo "Dir::Etc \"$d/etc\"; Dir::State \"$d/state\"; Dir::State::status \"$d/status\"; Dir::Cache \"$d/cache\";" >$d/conf
		echo "Dir::Log \"$d\"; APT::Sandbox::User \"root\";" >>$d/conf
		export APT_CONFIG=$d/conf; cd /tmp; apt-get update; apt-get download tiny1 tiny2 tiny3 tiny4 tiny5 tiny6 tiny7 tiny8'
	[ "$status" = 0 ]
	for n in 1 8; do [ "$(in_pod cat "/tmp/tiny${n}_1_all.deb" | sha)" = "$(sha <"$LAB_DIR/www/apt/tiny$n.deb")" ]; done
	run pod_sh 'export APT_CONFIG=/tmp/apt/conf; sed -i s/storage.googleapis/example/ /tmp/apt/etc/sources.list; apt-get update'
	[[ "$status" != 0 && "$output" == *"403  Forbidden"* ]]
}

# --- libraries ---

@test "Python: urllib" { library urllib; }
@test "Python: requests" { need_python requests; library requests; }
@test "Python: aiohttp, with WebSocket by upgrade and by CONNECT" { need_python aiohttp; library aiohttp; }
@test "Python: websockets, ws: and wss: by CONNECT" {
	need_python websockets
	library websockets
	logged client=client adapter=connect host=test.googleapis.com port=80 verdict=allow
	logged client=client adapter=connect host=example.com port=80 verdict=deny reason=not-listed
}

@test "gRPC inside CONNECT" {
	/usr/bin/python3 -c 'import grpc' 2>/dev/null || skip "python3-grpcio is not installed"
	timeout 60 "$top/tests/lab/lab" exec "$LAB" --in internet -- \
		/usr/bin/python3 "$BATS_TEST_DIRNAME/clients/grpc_echo.py" serve 142.250.74.72 "$LAB_DIR" 3>&- >/dev/null 2>&1 &
	server=$!
	wait_for 10 lab exec "$LAB" -- python3 -c 'import socket; socket.create_connection(("142.250.74.72", 443), 1)' 2>/dev/null
	run in_pod timeout 30 python3 /clients/grpc_echo.py call own.googleapis.com example.com
	kill "$server"
	wait "$server" || true
	[[ "$status" = 0 && "$output" == *403*"grpc ok"* ]]
}

@test "Node: http and https with an agent; fetch where Node reads the environment" {
	need node
	in_pod env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt NODE_USE_ENV_PROXY=1 timeout 60 node /clients/client.js "$BIG"
}

@test "Go: net/http" {
	need go
	(cd "$BATS_TEST_DIRNAME/clients" && GOCACHE=$BATS_FILE_TMPDIR/go GO111MODULE=off go build -o "$PROJECT_DIR/clients/go-client" client.go)
	in_pod timeout 60 /clients/go-client "$BIG"
}

@test "Java: java.net.http and HttpURLConnection" {
	need java keytool
	java --list-modules | grep -q '^jdk.compiler' || skip "this Java cannot run a source file"
	keytool -importcert -noprompt -alias lab -file "$LAB_DIR/ca.pem" -keystore "$PROJECT_DIR/clients/trust" -storepass changeit 2>/dev/null
	chmod 644 "$PROJECT_DIR/clients/trust"
	in_pod timeout 60 java -Xmx300m -Djavax.net.ssl.trustStore=/clients/trust -Djavax.net.ssl.trustStorePassword=changeit \
		-Dhttp.proxyHost=proxy-pod -Dhttp.proxyPort=8080 -Dhttps.proxyHost=proxy-pod -Dhttps.proxyPort=8080 /clients/Client.java "$BIG"
}

# --- the protocol to its edges ---

@test "HTTP/1.0 clients: with and without Host and keep-alive" { talk http10; }
@test "half-close: the answer comes after the client's end" { talk half-close; }
@test "trailers, both ways" { talk trailers; }
@test "early answers while the body is still being sent" { talk early; }
@test "1xx before the reply" { talk interim; }
@test "100-continue and its refusal, by hand" { talk continue; }
@test "204, 304 and HEAD leave the connection in step" { talk bodiless; }
@test "one connection for many hosts, a denied one in between, and pipelined requests" {
	talk kept
	logged client=client adapter=http host=example.com verdict=deny reason=not-listed status=403
}
@test "large bodies up and down at once, plain and in TLS" { talk both-ways many tls-both-ways; }
@test "server-sent events arrive as they are sent" { talk events; }

@test "a slow reader gets all of it, and the gate keeps no more than its buffers" {
	gate=$(ps_field "d['gate']['pid']")
	before=$(awk '/^VmRSS/ { print $2 }' "/proc/$gate/status")
	run talk slow-reader
	[[ "$output" == *"sha256 $BIG"* ]]
	after=$(awk '/^VmRSS/ { print $2 }' "/proc/$gate/status")
	[ $((after - before)) -lt 2000 ]
}
@test "slow writers: a head byte by byte, and an origin that reads slowly" { talk slow-writer; }

@test "after all this the gate holds no connection of the pod" {
	pod_sh true
	wait_for 5 quiet
}
quiet() { ! pod_netns client ss -Htn state established | grep -q .; }
