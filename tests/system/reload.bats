#!/usr/bin/env bats
# Reloads: revocation at once, not one allowed byte lost, a broken list changes nothing.
load helpers

setup_file() { lab_start; up >&2; }
teardown_file() { lab_stop; }

generation() { ps_field "d['generation']"; }

@test "a changed list is in force by itself, and by command" {
	before=$(generation)
	echo example.com >>"$PROJECT_DIR/haproxy/cli_domains.lst"
	wait_for 3 sh -c "[ \"$(generation)\" -gt $before ] || exit 0"
	wait_for 3 test "$(generation)" -gt "$before" || sk reload
	run pod_exec cli-pod curl -sS http://example.com/
	[[ "$output" == hello* ]]
	sed -i '/^example.com/d' "$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	run pod_exec cli-pod curl -sS http://example.com/
	[[ "$output" == *not-listed* ]]
}

@test "a broken list is refused with file:line:column, and the old policy stays in force" {
	hash=$(ps_field "d['hash']")
	cp "$PROJECT_DIR/haproxy/cli_domains.lst" "$LAB_DIR/keep.lst"
	printf 'googleapis.com\nbad name.com\n' >"$PROJECT_DIR/haproxy/cli_domains.lst"
	run sk reload
	[ "$status" != 0 ]
	[[ "$output" == *cli_domains.lst:2:* ]]
	[[ "$output" == *"nothing is changed: generation $(ps_field "d['generation']") stays in force"* ]]
	[ "$(ps_field "d['hash']")" = "$hash" ]
	run pod_exec cli-pod curl -sS http://storage.googleapis.com/
	[[ "$output" == hello* ]]
	gate=$(ps_field "d['gate']['pid']")
	kill -9 "$gate" # and a gate that starts anew has the old one too
	wait_for 3 sh -c "[ ! -e /proc/$gate ]"
	wait_for 3 pod_exec cli-pod curl -sS http://storage.googleapis.com/
	run pod_exec cli-pod curl -sS http://example.com/
	[[ "$output" == *not-listed* ]]
	cp "$LAB_DIR/keep.lst" "$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
}

@test "a list that is gone denies all, and reload says of which pod" {
	mv "$PROJECT_DIR/haproxy/cli_domains.lst" "$PROJECT_DIR/haproxy/cli_domain.lst"
	run sk reload
	mv "$PROJECT_DIR/haproxy/cli_domain.lst" "$PROJECT_DIR/haproxy/cli_domains.lst"
	[ "$status" = 0 ]
	[[ "$output" == *"pod cli-pod: everything is denied: "*"there is no haproxy/cli_domains.lst"* ]]
	run sk reload
	[[ "$status" = 0 && "$output" != *"everything is denied"* ]]
}

@test "up tells each warning once" {
	sed 's/^    image: alpine:latest/&\n    livenessProbe: {}/' "$PROJECT_DIR/pods.yaml" >"$PROJECT_DIR/probe.yaml"
	run up -f probe.yaml
	[ "$status" = 0 ]
	[ "$(grep -c "'livenessProbe' has no effect" <<<"$output")" = 1 ]
	rm "$PROJECT_DIR/probe.yaml"
	up
}

@test "a removed host's tunnel is closed within 100 ms; a still allowed one is not touched" {
	printf 'googleapis.com\nexample.com\n' >"$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	cat >"$LAB_DIR/tunnels.py" <<-'END'
	import socket, ssl, sys, time
	def tunnel(host):
	    s = socket.create_connection(("198.18.0.1", 8080), 3)
	    s.sendall(("CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (host, host)).encode())
	    assert b" 200 " in s.recv(4096)
	    return ssl.create_default_context().wrap_socket(s, server_hostname=host)
	def get(t, host):
	    t.sendall(("GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host).encode())
	    return t.recv(4096)
	kept, gone = tunnel("storage.googleapis.com"), tunnel("example.com")
	assert b"200 OK" in get(kept, "storage.googleapis.com") and b"200 OK" in get(gone, "example.com")
	print("open", flush=True)
	gone.settimeout(10)
	try:
	    data = gone.recv(1)
	    print("closed", time.time() if not data else "data", flush=True)
	except OSError:
	    print("closed", time.time(), flush=True)
	assert b"200 OK" in get(kept, "storage.googleapis.com")
	print("kept", flush=True)
	END
	sk exec -i cli-pod -- python3 - <"$LAB_DIR/tunnels.py" >"$LAB_DIR/tunnels.out" 2>&1 3>&- &
	tunnels=$!
	wait_for 5 grep -q open "$LAB_DIR/tunnels.out"
	echo googleapis.com >"$PROJECT_DIR/haproxy/new.lst"
	mv "$PROJECT_DIR/haproxy/new.lst" "$PROJECT_DIR/haproxy/cli_domains.lst"
	sk reload
	wait "$tunnels"
	cat "$LAB_DIR/tunnels.out"
	grep -q kept "$LAB_DIR/tunnels.out"
	grep -q '"revoked"' "$LAB_DIR/run/demo/decisions.log"
	# 100 ms from the adoption of the new generation, by the gate's own clock.
	python3 - "$LAB_DIR/tunnels.out" "$LAB_DIR/run/demo/decisions.log" <<-'END'
	import datetime, json, sys
	closed = float([l for l in open(sys.argv[1]) if l.startswith("closed")][0].split()[1])
	lines = [json.loads(l) for l in open(sys.argv[2])]
	revoked = [l for l in lines if l["reason"] == "revoked"][-1]
	at = datetime.datetime.fromisoformat(revoked["time"].replace("Z", "+00:00")).timestamp()
	assert abs(closed - at) < 0.1, (closed, at)
	END
}

@test "200 live downloads and 50 reloads: every hash is right" {
	want=$(sha256sum <"$LAB_DIR/www/1m.bin" | cut -d' ' -f1)
	cat >"$LAB_DIR/downloads.py" <<-'END'
	import hashlib, socket, sys, threading
	want, bad, lock = sys.argv[1], [], threading.Lock()
	started = threading.Barrier(201)
	def one(n):
	    try:
	        s = socket.create_connection(("198.18.0.1", 8080), 20); s.settimeout(60)
	        if n % 2:
	            s.sendall(b"CONNECT storage.googleapis.com:80 HTTP/1.1\r\nHost: storage.googleapis.com:80\r\n\r\n") if False else None
	        s.sendall(b"GET http://storage.googleapis.com/slow/1m.bin HTTP/1.1\r\nHost: storage.googleapis.com\r\nConnection: close\r\n\r\n")
	        data = s.recv(65536)
	        started.wait(60)
	        while True:
	            more = s.recv(65536)
	            if not more: break
	            data += more
	        body = data.split(b"\r\n\r\n", 1)[1]
	        if hashlib.sha256(body).hexdigest() != want: raise ValueError("wrong body, %d bytes" % len(body))
	    except Exception as e:
	        with lock: bad.append(repr(e))
	threads = [threading.Thread(target=one, args=(n,)) for n in range(200)]
	for t in threads: t.start()
	started.wait(60); print("started", flush=True)
	for t in threads: t.join()
	print("bad", len(bad), bad[:3], flush=True)
	END
	sed -i '/if n % 2:/,+1d' "$LAB_DIR/downloads.py"
	sk exec -i cli-pod -- python3 - "$want" <"$LAB_DIR/downloads.py" >"$LAB_DIR/downloads.out" 2>&1 3>&- &
	downloads=$!
	wait_for 30 grep -q started "$LAB_DIR/downloads.out"
	before=$(generation)
	for i in $(seq 50); do
		printf 'googleapis.com\nx%d.org\n' "$i" >"$LAB_DIR/next.lst"
		cp "$LAB_DIR/next.lst" "$PROJECT_DIR/haproxy/cli_domains.lst"
		sk reload >/dev/null
	done
	kill -0 "$downloads" || echo "note: the downloads were done before the last reload"
	wait "$downloads"
	cat "$LAB_DIR/downloads.out"
	grep -q '^bad 0 ' "$LAB_DIR/downloads.out"
	[ "$(generation)" -ge $((before + 50)) ]
}

@test "an up that is refused leaves the manifest that reload, ps and verify go by" {
	other=$LAB_DIR/other
	mkdir -p "$other"
	cp -r "$PROJECT_DIR/." "$other/"
	echo only-in-the-other.example >"$other/haproxy/cli_domains.lst"
	before=$(ps_field "(d['manifest'], d['hash'])")
	run sk up -f "$other/pods.yaml" --project demo --host-root --gate haproxy
	[ "$status" = 2 ]
	[[ "$output" == *"runs with --gate builtin"* ]]
	sk reload
	[ "$(ps_field "(d['manifest'], d['hash'])")" = "$before" ]
}
