"""What a pod sends to HAProxy in tests/system/haproxy_hostile.bats; in a pod, or (origin) the far end of it.

standing FILE     connections of many shapes, before FILE is there; once it is, the rest of each, and what came back
waiting           a request whose name is not answered yet, and what came back
hello             TLS greetings in many shapes, in tunnels to own.googleapis.com and captured: whether the origin answered each
upgrade           requests for an Upgrade in many shapes to own.googleapis.com: the status of each, and whether bytes went on behind it
flood THREADS N   N requests of each thread, on connections of their own: how many were answered 200
origin LOG        own.googleapis.com: writes down what arrives, answers 101 to any HTTP, an alert to anything else, and sends bytes back
"""
import os
import socket
import ssl
import struct
import sys
import threading
import time

PROXY = ("198.18.0.1", 8080)
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def connect(address, data=b""):
    s = socket.create_connection(address, 3)
    s.settimeout(5)
    s.sendall(data)
    return s


def read_all(s, limit=4):
    s.settimeout(limit)
    got = b""
    try:
        while more := s.recv(65536):
            got += more
    except OSError:
        pass
    return got


def get(host, form="absolute"):
    target = f"http://{host}/" if form == "absolute" else "/"
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def tunnel(host, port):
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


# --- standing ---


def standing(path):
    host, captured = "storage.googleapis.com", ("1.1.1.1", 80)
    shapes = {}

    def stand(name, address, first, rest, answered=False):
        s = connect(address, first)
        if answered:
            s.recv(65536)
        shapes[name] = (s, rest)

    explicit, origin = get(host), get(host, "origin")
    stand("silent-explicit", PROXY, b"", explicit)
    stand("silent-captured", captured, b"", origin)
    stand("silent-connect", PROXY, b"", tunnel(host, 443))
    stand("idle-explicit", PROXY, explicit, explicit, True)
    stand("idle-captured", captured, origin, origin, True)
    stand("half-explicit", PROXY, explicit[:30], explicit[30:])
    stand("half-captured", captured, origin[:20], origin[20:])
    post = b"POST http://test.googleapis.com/hash HTTP/1.1\r\nHost: test.googleapis.com\r\nContent-Length: 10\r\n\r\n"
    stand("behind-post", PROXY, post + b"12345", b"67890" + explicit)
    stand("captured-tls", ("1.1.1.1", 443), b"", greeting(host))
    stand("tunnel-tls", PROXY, tunnel(host, 443), greeting(host), True)
    stand("tunnel-http", PROXY, tunnel(host, 80), origin, True)
    print("standing", flush=True)
    while not os.path.exists(path):
        time.sleep(0.05)
    for s, rest in shapes.values():
        try:
            s.sendall(rest)
        except OSError:
            pass
    for name, (s, _) in shapes.items():
        got = read_all(s)
        good = b"hello from storage" in got or got[:1] == b"\x16" or got.startswith(b"HTTP/1.1 200 Connection")
        told = "revoked" if b"stockade: revoked:" in got else "post" if b'"bytes": 10' in got else "closed"
        print(name, "served" if good else told, flush=True)


def waiting():
    s = connect(PROXY, get("held1.googleapis.com"))
    print("standing", flush=True)
    got = read_all(s, 5)
    print("served" if b"hello from held1" in got else "revoked" if b"stockade: revoked:" in got else got[:100], flush=True)


# --- hello ---


def greeting(host):
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=host)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def pack(data, form=">H"):
    return struct.pack(form, len(data)) + data


def record(handshake):
    return b"\x16\x03\x01" + pack(handshake)


def server_name(*names):
    return b"\0\0" + pack(pack(b"".join(b"\0" + pack(name.encode()) for name in names)))


def built(host, *extensions):
    """The handshake message of a greeting with these extensions in its server_name's place."""
    data = greeting(host)[5:]
    at = 4 + 34
    at += 1 + data[at]
    at += 2 + struct.unpack_from(">H", data, at)[0]
    at += 1 + data[at]
    rest, others = data[at + 2:], b""
    while rest:
        size = 4 + struct.unpack_from(">H", rest, 2)[0]
        if rest[:2] != b"\0\0":
            others += rest[:size]
        rest = rest[size:]
    body = data[4:at] + pack(b"".join(extensions) + others)
    return b"\x01" + struct.pack(">I", len(body))[1:] + body


def hello():
    host, other = "own.googleapis.com", "example.com"
    mine, theirs = built(host, server_name(host)), built(other, server_name(other))
    shapes = {
        "control": greeting(host),
        "rebuilt": record(mine),
        "upper-case": record(built(host, server_name(host.upper()))),
        "two-extensions": record(built(host, server_name(host), server_name(other))),
        "two-extensions-last": record(built(host, server_name(other), server_name(host))),
        "two-names": record(built(host, server_name(host, other))),
        "final-dot": record(built(host, server_name(host + "."))),
        "nul": record(built(host, server_name(host + "\0." + other))),
        "no-name": record(built(host)),
        "behind-in-record": record(mine + theirs),
        "behind-in-bytes": record(mine) + record(theirs),
        "two-records": record(mine[:60]) + record(mine[60:]),
        "longer-than-said": record(mine + b"\0"),
    }
    for name, data in shapes.items():
        s = connect(PROXY, tunnel(host, 443))
        s.recv(4096)
        s.sendall(data)
        print("tunnel", name, "answered" if read_all(s) else "closed", flush=True)
        print("captured", name, "answered" if read_all(connect(("1.1.1.1", 443), data)) else "closed", flush=True)


# --- upgrade ---


def upgrade():
    asked = {
        "websocket": ["websocket"], "none": [], "h2c": ["h2c"], "two": ["websocket", "h2c"], "two-turned": ["h2c", "websocket"],
        "twice": ["websocket", "websocket"], "list": ["websocket, h2c"], "list-turned": ["h2c, websocket"], "versioned": ["websocket/13"],
    }
    for name, values in asked.items():
        fields = "".join(f"Upgrade: {value}\r\n" for value in values)
        head = (f"Host: own.googleapis.com\r\nX-Shape: {name}\r\nConnection: Upgrade, HTTP2-Settings\r\n{fields}"
                f"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n").encode()
        ways = {"explicit": (connect(PROXY), b"GET http://own.googleapis.com/ HTTP/1.1\r\n"),
                "captured": (connect(("1.1.1.1", 80)), b"GET / HTTP/1.1\r\n"),
                "tunnel": (connect(PROXY, tunnel("own.googleapis.com", 80)), b"GET / HTTP/1.1\r\n")}
        ways["tunnel"][0].recv(4096)
        for s, line in ways.values():
            s.sendall(line + head + b"SMUGGLED")
        for way, (s, _) in ways.items():
            got = read_all(s, 0.5)
            print(way, name, got[9:12].decode("latin-1"), "on" if b"SMUGGLED" in got else "off", flush=True)


# --- flood ---


def flood(threads, count):
    good = []

    def one():
        for _ in range(count):
            got = read_all(connect(PROXY, get("storage.googleapis.com").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")), 20)
            good.append(got.startswith(b"HTTP/1.1 200 "))

    running = [threading.Thread(target=one) for _ in range(threads)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    print(sum(good))


# --- the far end ---


def origin(log):
    lock = threading.Lock()

    def answer(first):
        if not first.startswith(b"GET "):
            return b"\x15\x03\x03\0\2\2\x28"
        return (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
                .encode() + first.partition(b"\r\n\r\n")[2])

    def serve(s):
        with s:
            first = s.recv(65536)
            with lock, open(log, "ab") as out:
                out.write(first.replace(b"\r\n", b"|") + b"\n")
            s.sendall(answer(first))
            s.settimeout(1)
            try:
                while more := s.recv(65536):
                    s.sendall(more)
            except OSError:
                pass

    def listen(port):
        server = socket.create_server(("142.250.74.72", port))
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    threading.Thread(target=listen, args=(443,), daemon=True).start()
    listen(80)


VERBS = {"standing": standing, "waiting": waiting, "hello": hello, "upgrade": upgrade, "origin": origin,
         "flood": lambda threads, count: flood(int(threads), int(count))}
VERBS[sys.argv[1]](*sys.argv[2:])
