"""Breaks walls from the host's side, as root, for sabotage.bats: a relay inside a pod's network namespace takes the place of the gate.

usage: sabotage.py MODE PID-IN-POD [PID-IN-OTHER-POD]
  identity   what the pod sends to the gate goes to the other pod's gate listener: it now speaks as the other pod
  open       an open proxy answers the pod instead of the gate: any CONNECT, SOCKS or absolute-form request, any direct connection, from the
             host's own network; no name, address or server name is checked
  dns        an open resolver answers the pod's DNS questions from the host's own network
Prints "ready" when it is in place, and ends by SIGTERM or after 60 s.
"""
import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PORT = 15077
HERE = os.open("/proc/self/ns/net", os.O_RDONLY)
lock = threading.Lock()


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def in_ns(fd, action):
    with lock:  # setns is per thread, but the way back must not be missed
        enter(fd)
        try:
            return action()
        finally:
            enter(HERE)


def relay(a, b):
    pairs = {a: b, b: a}
    while True:
        for s in select.select(list(pairs), [], [], 10)[0]:
            data = s.recv(65536)
            if not data:
                a.close()
                b.close()
                return
            pairs[s].sendall(data)


def as_other(conn, _, other):
    up = in_ns(other, lambda: socket.create_connection(("198.18.0.1", 8080), 3))
    relay(conn, up)


def open_socks(conn):
    """What the client wants, after a greeting whose first byte is read; told that it is there."""
    conn.recv(conn.recv(1)[0], socket.MSG_WAITALL)
    conn.sendall(b"\5\0")
    kind = conn.recv(4, socket.MSG_WAITALL)[3]
    host = conn.recv({1: 4, 4: 16}.get(kind) or conn.recv(1)[0], socket.MSG_WAITALL)
    port = int.from_bytes(conn.recv(2, socket.MSG_WAITALL), "big")
    conn.sendall(b"\5\0\0\1" + bytes(6))
    return host.decode() if kind == 3 else socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, host), port


def open_proxy(conn, target, _):
    head = b""
    if target[0] in ("198.18.0.1", "fd5a:5354:4b44::1"):
        head = conn.recv(1)
        if not head:
            return
    if head == b"\5":
        target = open_socks(conn)
    elif head:
        while b"\r\n\r\n" not in head:
            more = conn.recv(65536)
            if not more:
                return
            head += more
        method, where = head.split(b" ", 2)[:2]
        if method != b"CONNECT":
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nopen!\n")
            conn.close()
            return
        conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        host, port = where.decode("latin-1").rsplit(":", 1)
        target = (host.strip("[]"), int(port))
    try:
        relay(conn, socket.create_connection(target[:2], 3))
    except OSError:
        data = conn.recv(65536)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nopen!\n" if data else b"")
        conn.close()


def serve(pod, action, other):
    def listener(family, address):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET:
            s.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
        else:
            s.setsockopt(socket.IPPROTO_IPV6, 75, 1)  # IPV6_TRANSPARENT
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((address, PORT))
        s.listen(64)
        return s

    listeners = in_ns(pod, lambda: [listener(socket.AF_INET, "0.0.0.0"), listener(socket.AF_INET6, "::")])
    rules = """add table inet sabotage
add chain inet sabotage c { type filter hook prerouting priority -200; }
add rule inet sabotage c ip daddr 127.0.0.0/8 accept
add rule inet sabotage c ip6 daddr ::1 accept
add rule inet sabotage c tcp dport 53 accept
add rule inet sabotage c meta nfproto ipv4 meta l4proto tcp tproxy ip to :%d accept
add rule inet sabotage c meta nfproto ipv6 meta l4proto tcp tproxy ip6 to :%d accept
""" % (PORT, PORT)
    # The real rules go, so that only the relay decides where connections end.
    in_ns(pod, lambda: subprocess.run(["nft", "-f", "-"], input="flush ruleset\n" + rules, text=True, check=True))
    print("ready", flush=True)
    while True:
        for s in select.select(listeners, [], [], 60)[0]:
            conn, _ = s.accept()
            threading.Thread(target=safely, args=(action, conn, conn.getsockname(), other), daemon=True).start()


def safely(action, conn, target, other):
    try:
        action(conn, target, other)
    except OSError:
        pass
    finally:
        conn.close()


def dns(pod):
    def bind():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("127.0.0.1", PORT))  # where redirect sends it
        return s

    inside = in_ns(pod, bind)
    in_ns(pod, lambda: subprocess.run(["nft", "-f", "-"], input="""flush ruleset
add table ip sabotage
add chain ip sabotage c { type nat hook output priority -100; }
add rule ip sabotage c udp dport 53 redirect to :%d
""" % PORT, text=True, check=True))
    print("ready", flush=True)
    while True:
        query, peer = inside.recvfrom(2048)
        # An answer with an address, as a resolver with a way out would give it; asked outside too, so that the question leaks.
        outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        outside.sendto(query, ("20.10.0.53", 53))
        outside.close()
        end = query.index(b"\0", 12) + 5
        inside.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x01\x01\x01\x01", peer)


def main():
    signal.alarm(60)
    pod = os.open("/proc/%s/ns/net" % sys.argv[2], os.O_RDONLY)
    other = os.open("/proc/%s/ns/net" % sys.argv[3], os.O_RDONLY) if len(sys.argv) > 3 else -1
    if sys.argv[1] == "dns":
        dns(pod)
    serve(pod, as_other if sys.argv[1] == "identity" else open_proxy, other)


main()
