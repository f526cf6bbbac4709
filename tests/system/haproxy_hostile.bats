#!/usr/bin/env bats
# --gate haproxy against a pod that looks for the seams: connections older than the list, upgrades, TLS greetings and heads that are read in
# more than one way, the host's own addresses as they change; and that no decision is missing from the log.
load helpers

setup_file() {
	[ -x /usr/sbin/haproxy ] || [ -x /usr/local/sbin/haproxy ] || [ -x /usr/bin/haproxy ] || skip "there is no haproxy here"
	lab_start
	export ARRIVED=$LAB_DIR/arrived
	"$top/tests/lab/lab" exec "$LAB" --in internet -- python3 "$top/tests/system/haproxy_shapes.py" origin "$ARRIVED" >"$LAB_DIR/origin.out" 2>&1 3>&- &
	echo $! >"$LAB_DIR/hostile-origin.run"
	"$top/tests/lab/lab" exec "$LAB" --in internet -- python3 "$top/tests/system/dns.py" 20.10.0.53 5354 "$LAB_DIR/held" >"$LAB_DIR/dns.out" 2>&1 3>&- &
	echo $! >"$LAB_DIR/hostile-dns.run"
	list googleapis.com
	up --gate haproxy >&2
}
teardown_file() {
	[ -n "${LAB:-}" ] || return 0
	for run in hostile-origin hostile-dns; do kill "$(cat "$LAB_DIR/$run.run")" 2>/dev/null || true; done
	lab_stop
}

# What a test before has left, also one that failed.
setup() {
	list googleapis.com
	sk reload >&2
}

none() { if grep "$@"; then return 1; fi; }
list() { printf '%s\n' "$@" >"$PROJECT_DIR/haproxy/cli_domains.lst"; }
shapes() { sk exec -i cli-pod -- python3 - "$@" <"$top/tests/system/haproxy_shapes.py"; }
in_host() { "$top/tests/lab/lab" exec "$LAB" -- "$@"; }
fetch() { pod_exec cli-pod curl -sS -m 10 "http://$1/" | head -n 1; }
denied() { [[ $(fetch "$1") == *special-address* ]]; }
reached() { [[ $(fetch "$1") == hello* ]]; }
lines_of() { decisions | grep -c -- "$1" || true; }
served_lines() { lines_of '"host":"storage.googleapis.com".*"status":200'; }
storage_answers() { grep -c '^storage' "$LAB_DIR/web.log" || true; }

# HAProxy has done all that there was to do: it has not run for a moment.
runs() { grep ctxt "/proc/$(ps_field "d['haproxy']['pid']")/status"; }
at_rest() { local before; before=$(runs); sleep 0.2; [ "$(runs)" = "$before" ]; }

# Connections in every shape, FILE made once they stand (after CHANGE), and what became of each.
stand_through() { # FILE CHANGE...
	local file=$1; shift
	shapes standing "$file" >"$LAB_DIR/standing" 2>&1 &
	local standing=$!
	wait_for 20 grep -q standing "$LAB_DIR/standing"
	wait_for 10 at_rest # else the inner half of a tunnel may not have been taken up
	"$@"
	before=$(storage_answers)
	pod_exec cli-pod touch "$file"
	wait "$standing"
	cat "$LAB_DIR/standing"
}

@test "connections of every shape are served while no list changes: the control" {
	stand_through /tmp/go-control true
	[ "$(grep -c ' served$' "$LAB_DIR/standing")" = 11 ]
	grep -q '^behind-post served' "$LAB_DIR/standing"
	[ "$(storage_answers)" -gt "$before" ]
}

@test "once reload is done nothing is decided by the list before it, on whatever connection it comes" {
	list python.org
	stand_through /tmp/go-reload sk reload
	none ' served$' "$LAB_DIR/standing"
	for shape in silent-explicit silent-captured silent-connect half-explicit half-captured tunnel-http; do
		grep -q "^$shape revoked" "$LAB_DIR/standing"
	done
	grep -q '^behind-post post' "$LAB_DIR/standing" # what had begun is finished, and what was behind it is not
	[ "$(storage_answers)" = "$before" ]
	wait_for 5 logged_as_revoked
}
logged_as_revoked() { [ "$(lines_of '"verdict":"deny","reason":"revoked"')" -ge 6 ]; }

@test "Upgrade goes on only as one field that is websocket; who has not asked for it gets no tunnel from a 101" {
	: >"$ARRIVED"
	shapes upgrade >"$LAB_DIR/upgrade"
	cat "$LAB_DIR/upgrade"
	[ "$(grep -c ' websocket 101 on$' "$LAB_DIR/upgrade")" = 3 ] # the control: explicit, captured, in a tunnel to 80
	[ "$(grep -c ' 502 off$' "$LAB_DIR/upgrade")" = 24 ]
	[ "$(wc -l <"$LAB_DIR/upgrade")" = 27 ]
	[ "$(grep -ac 'x-shape:' "$ARRIVED")" = 27 ]
	[ "$(grep -aic '|upgrade: websocket|' "$ARRIVED")" = 3 ]
	[ "$(grep -aic '|upgrade:' "$ARRIVED")" = 3 ]
	none -ai 'http2-settings:' "$ARRIVED"
	none -a SMUGGLED "$ARRIVED"
}

@test "a TLS greeting in which another reader might find another name is for nobody" {
	: >"$ARRIVED"
	shapes hello >"$LAB_DIR/hello"
	cat "$LAB_DIR/hello"
	for way in tunnel captured; do
		for shape in control rebuilt upper-case; do grep -q "^$way $shape answered" "$LAB_DIR/hello"; done
	done
	[ "$(grep -c ' answered$' "$LAB_DIR/hello")" = 6 ]
	[ "$(grep -c ' closed$' "$LAB_DIR/hello")" = 20 ]
	none -a example.com "$ARRIVED"
	wait_for 5 logged_as_mismatch || { decisions | grep own.googleapis | tail -n 26; return 1; }
}
logged_as_mismatch() { [ "$(lines_of '"host":"own.googleapis.com".*"verdict":"deny","reason":"sni-mismatch"')" = 8 ]; }

@test "heads that the next parser may read otherwise are refused" {
	cat >"$LAB_DIR/heads.py" <<-'END'
	import socket
	def ask(version="1.1", field="", method="GET"):
	    s = socket.create_connection(("198.18.0.1", 8080), 3); s.settimeout(5)
	    s.sendall((f"{method} http://test.googleapis.com/hash HTTP/{version}\r\nHost: test.googleapis.com\r\nConnection: close\r\n"
	               f"{field}\r\n").encode("latin-1"))
	    got = b""
	    while more := s.recv(65536): got += more
	    return got[9:12].decode()
	print("control", ask(), ask("1.0"), ask(field="X_A: b\r\n"), ask(field="Content-Length: 0\r\n", method="POST"))
	print("refused", *[ask(field=f"{f}\r\n") for f in ("X-A: a\0b", "X-A: \0", "Transfer_Encoding: chunked", "content_LENGTH: 5",
	                                                    "Transfer-Encoding2: chunked")],
	      ask("1.0", "Transfer-Encoding: chunked\r\n", "POST"), ask("2.0"), ask("1.2"), ask("0.9"))
	END
	run sk exec -i cli-pod -- python3 - <"$LAB_DIR/heads.py"
	echo "$output"
	[[ "$output" == *"control 200 200 200 200"* ]]
	[[ "$output" == *"refused 400 400 400 400 400 400 400 400 400"* ]]
}

@test "the log has a line for every request of a flood" {
	grep -qx '	nbthread 1' "$LAB_DIR"/run/demo/haproxy/*/haproxy.cfg
	before=$(served_lines)
	[ "$(shapes flood 32 32)" = 1024 ]
	wait_for 5 eval '[ "$(served_lines)" -ge $((before + 1024)) ]'
	[ "$(served_lines)" = $((before + 1024)) ]
	none 'lines of the decision log' "$LAB_DIR/run/demo/supervisor.log"
}

@test "the host's own: an address, a local route, a range and one in another table, as they come and go" {
	reached www.googleapis.com
	in_host ip route add local 142.250.74.60/32 dev lo
	wait_for 5 denied www.googleapis.com
	reached storage.googleapis.com
	in_host ip route del local 142.250.74.60/32 dev lo
	wait_for 5 reached www.googleapis.com
	in_host ip route add local 142.250.74.56/29 dev lo table 77
	wait_for 5 denied telemetry.googleapis.com
	denied storage.googleapis.com
	in_host ip route del local 142.250.74.56/29 dev lo table 77
	wait_for 5 reached telemetry.googleapis.com
	in_host ip addr add 142.250.74.61/32 dev lo
	wait_for 5 denied telemetry.googleapis.com
	reached storage.googleapis.com
	in_host ip addr del 142.250.74.61/32 dev lo
	wait_for 5 reached telemetry.googleapis.com
	# What a transparent proxy of the host's has for packets with a mark is not all the world's address.
	in_host ip route add local default dev lo table 78
	in_host ip -6 route add local 2a00:1450:400f::60/128 dev lo
	wait_for 5 denied v6only.googleapis.com
	reached www.googleapis.com
	in_host ip -6 route del local 2a00:1450:400f::60/128 dev lo
	wait_for 5 reached v6only.googleapis.com
}

@test "once up is done with other options nothing is decided by those before it" {
	for i in 1 2 3; do
		up --gate haproxy --dns 20.10.0.53:5354
		reached "ip-142-250-74-59.of$i.googleapis.com" # a name that this server alone has
		up --gate haproxy
		[[ $(fetch "ip-142-250-74-59.again$i.googleapis.com") == *resolve-failed* ]]
	done
}

@test "a request that waits for its name while the list changes is not decided by the old one" {
	held=$LAB_DIR/held
	up --gate haproxy --dns 20.10.0.53:5354
	wait_for 10 reached storage.googleapis.com
	for change in true 'sk reload'; do
		rm -f "$held"
		shapes waiting >"$LAB_DIR/waiting" 2>&1 &
		waiting=$!
		wait_for 10 grep -q standing "$LAB_DIR/waiting"
		[ "$change" = true ] || list python.org
		$change
		touch "$held"
		wait "$waiting"
		cat "$LAB_DIR/waiting"
		[ "$change" = true ] || break
		[ "$(tail -n 1 "$LAB_DIR/waiting")" = served ] # the control
	done
	[ "$(tail -n 1 "$LAB_DIR/waiting")" = revoked ]
	[ "$(grep -c '^held1' "$LAB_DIR/web.log")" = 1 ] # the control's
}

@test "more threads lose lines to each other: every one that is missing is counted" {
	up --gate haproxy --dns 20.10.0.53:5354 --workers 6
	wait_for 10 grep -qx '	nbthread 6' "$LAB_DIR"/run/demo/haproxy/*/haproxy.cfg
	wait_for 10 reached storage.googleapis.com
	before=$(served_lines)
	for i in 1 2 3 4; do [ "$(shapes flood 32 32)" = 1024 ]; done
	wait_for 10 all_accounted_for 4096 || { echo "$(served_lines) - $before lines, $(lost_lines) lost"; return 1; }
	echo "$(lost_lines) lost"
}
lost_lines() { sed -n 's/^HAProxy has lost \([0-9]*\) lines.*/\1/p' "$LAB_DIR/run/demo/supervisor.log" | awk '{ n += $1 } END { print n + 0 }'; }
all_accounted_for() { [ $(($(served_lines) - before + $(lost_lines))) = "$1" ]; }
