#!/usr/bin/env bats
# The host's own addresses: whichever of them the kernel would dial from, a pod reaches none that is not listed by itself, by name or by
# number; and what is open ends when the entry goes.
load helpers

# In the host's namespace: two addresses of one network, a network that a local route makes its own, and the same of IPv6 (AnyIP).
SECOND=20.20.0.3 ROUTED=20.30.0.7 ANYIP=2a0a:30::7
SECOND_NAME=ip-20-20-0-3.googleapis.com ROUTED_NAME=ip-20-30-0-7.googleapis.com
ANYIP_NAME=ip6-2a0a0030000000000000000000000007.googleapis.com

in_host() { "$top/tests/lab/lab" exec "$LAB" -- "$@"; }

setup_file() {
	lab_start
	in_host sh -c 'ip link add own0 type veth peer name own1 && ip link set own0 up && ip link set own1 up &&
		ip addr add 20.20.0.2/24 dev own1 && ip addr add 20.20.0.3/24 dev own1 && ip addr add 2a0a:20::2/64 dev own1 nodad &&
		ip route add local 20.30.0.0/24 dev lo src 20.20.0.2 && ip -6 route add local 2a0a:30::/64 dev lo src 2a0a:20::2'
	in_host python3 -c '
import socket, threading
def serve(c):
    while data := c.recv(65536):
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhost\n" if data.startswith(b"GET") else data)
    c.close()
s = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()' >>"$LAB_DIR/own.out" 2>&1 3>&- &
	echo $! >"$LAB_DIR/own-host.run"
	"$top/tests/lab/lab" exec "$LAB" --in internet -- python3 "$top/tests/system/dns.py" 20.10.0.53 5354 >>"$LAB_DIR/own.out" 2>&1 3>&- &
	echo $! >"$LAB_DIR/own-dns.run"
	wait_for 10 open_on_host $SECOND
	lists googleapis.com:80,8080
	up --dns 20.10.0.53:5354 >&2
}
teardown_file() {
	for run in own-host own-dns; do kill "$(cat "$LAB_DIR/$run.run")" 2>/dev/null || true; done
	lab_stop
}

lists() { printf '%s\n' "$@" >"$PROJECT_DIR/haproxy/cli_domains.lst"; }
fetch() { pod_exec cli-pod curl -sS -m 10 "http://$1:8080/"; }
each() { # FUNCTION: of every host in its spelling
	local host
	for host in "$SECOND_NAME" "$ROUTED_NAME" "$ANYIP_NAME" $SECOND $ROUTED "[$ANYIP]"; do "$1" "$host"; done
}
denied() { local got; got=$(fetch "$1"); echo "$1: $got"; [[ $got == *special-address* ]]; }
reached() { local got; got=$(fetch "$1"); echo "$1: $got"; [ "$got" = host ]; }
open_on_host() { [ "$(in_host curl -sS -m 5 --noproxy '*' "http://$1:8080/")" = host ]; }

@test "a second address of a network, a local route and AnyIP are the host's own, in a network that is listed too" {
	for host in $SECOND $ROUTED "[$ANYIP]"; do open_on_host "$host"; done
	lists googleapis.com:80,8080 20.20.0.0/24:8080 20.30.0.0/24:8080 "[2a0a:30::/64]:8080"
	sk reload
	each denied
	# What is not the host's own goes through by the same list.
	[ "$(pod_exec cli-pod curl -sS -m 10 -o /dev/null -w '%{http_code}' http://storage.googleapis.com/)" = 200 ]
}

@test "each that is listed by itself is reached, by name and by number" {
	lists googleapis.com:80,8080 $SECOND:8080 $ROUTED:8080 "[$ANYIP]:8080"
	sk reload
	each reached
}

@test "a tunnel to the host's own address ends when its entry goes, though its name or its network stays" {
	for entry in googleapis.com:8080 20.20.0.0/24:8080; do
		case $entry in googleapis*) host=$SECOND_NAME ;; *) host=$SECOND ;; esac
		lists googleapis.com:8080 $SECOND:8080
		sk reload
		rm -f "$LAB_DIR/tunnel.out"
		pod_netns cli-pod python3 -c "
import socket
s = socket.create_connection(('198.18.0.1', 8080), 5)
s.sendall(b'CONNECT $host:8080 HTTP/1.1\r\nHost: $host:8080\r\n\r\n')
assert s.recv(4096)[9:12] == b'200'
s.sendall(b'x'); assert s.recv(1) == b'x'
print('open', flush=True)
s.settimeout(10)
try: print('end' if not s.recv(1) else 'data', flush=True)
except ConnectionResetError: print('reset', flush=True)" >"$LAB_DIR/tunnel.out" 2>&1 3>&- &
		tunnel=$!
		wait_for 10 grep -q open "$LAB_DIR/tunnel.out"
		lists "$entry"
		sk reload # the change may have been seen before
		wait $tunnel
		cat "$LAB_DIR/tunnel.out"
		[ "$(tr '\n' , <"$LAB_DIR/tunnel.out")" = open,reset, ]
	done
}
