"""HTTP spoken by hand through the proxy: what a program does that uses the protocol to its edges, and rightly.

usage: talk.py WHAT...     each a do_ function below; prints "WHAT ok", or ends with what was wrong
"""
import hashlib
import json
import os
import socket
import ssl
import sys
import threading
import time

ORIGIN = "test.googleapis.com"
FILES = "storage.googleapis.com"
MIB = 1 << 20


def proxy():
    return socket.create_connection(("proxy-pod", 8080), 20)


def head(stream):
    status = stream.readline()
    if not status:
        raise EOFError("no reply")
    fields = []
    while (line := stream.readline()) != b"\r\n":
        assert line.endswith(b"\r\n"), line
        name, _, value = line.decode().partition(":")
        fields.append((name.lower(), value.strip()))
    return int(status.split()[1]), dict(fields)


def chunks(stream):
    """The data of a chunked body; its trailers come last, as a dict."""
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        assert stream.readline() == b"\r\n"
    trailers = {}
    while (line := stream.readline()) != b"\r\n":
        name, _, value = line.decode().partition(":")
        trailers[name.lower()] = value.strip()
    yield trailers


def body(stream, fields):
    if fields.get("transfer-encoding") == "chunked":
        return b"".join(list(chunks(stream))[:-1])
    if "content-length" in fields:
        return stream.read(int(fields["content-length"]))
    return stream.read()


def reply(stream):
    status, fields = head(stream)
    return status, fields, body(stream, fields)


def request(method, path, *fields, host=ORIGIN, version="1.1"):
    return "\r\n".join([f"{method} http://{host}{path} HTTP/{version}", f"Host: {host}", *fields, "", ""]).encode()


def tunnel(host, port, tls=True):
    sock = proxy()
    sock.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        assert byte, got
        got += byte
    assert got.startswith(b"HTTP/1.1 200 "), got
    return ssl.create_default_context().wrap_socket(sock, server_hostname=host) if tls else sock


def same(got, want):
    assert got == want, f"{got!r} instead of {want!r}"


def do_http10():
    for fields in ((), ("Connection: keep-alive",)):
        sock = proxy()
        stream = sock.makefile("rb")
        sock.sendall(request("GET", "/echo", *fields, version="1.0"))
        status, said, data = reply(stream)
        same(status, 200)
        same(json.loads(data)["line"], "GET /echo HTTP/1.0")
        if fields and said.get("connection") == "keep-alive":
            sock.sendall(request("GET", "/echo", version="1.0"))
            same(reply(stream)[0], 200)
        same(stream.read(), b"")
    sock = proxy()
    sock.sendall(f"GET http://{ORIGIN}/until-close HTTP/1.0\r\n\r\n".encode())  # as old clients: no Host
    data = sock.makefile("rb").read()
    same(data.count(b"\n" + b"line"), 100)


def do_half_close():
    sock = proxy()
    sock.sendall(request("GET", "/pause", "Connection: close"))
    sock.shutdown(socket.SHUT_WR)
    stream = sock.makefile("rb")
    same(reply(stream)[0], 200)
    same(stream.read(), b"")
    data = os.urandom(3 * MIB)
    sock = proxy()
    sock.sendall(request("POST", "/slow", f"Content-Length: {len(data)}"))
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    same(json.loads(reply(sock.makefile("rb"))[2])["sha256"], hashlib.sha256(data).hexdigest())
    sock = tunnel(ORIGIN, 7777, tls=False)
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    same(sock.makefile("rb").read().decode().strip(), hashlib.sha256(data).hexdigest())
    sock = proxy()  # all of it at once, before the gate has said 200
    sock.sendall(f"CONNECT {ORIGIN}:7777 HTTP/1.1\r\nHost: {ORIGIN}:7777\r\n\r\n".encode() + data[:5000])
    sock.shutdown(socket.SHUT_WR)
    stream = sock.makefile("rb")
    same(head(stream)[0], 200)
    same(stream.read().decode().strip(), hashlib.sha256(data[:5000]).hexdigest())


def do_trailers():
    sock = proxy()
    stream = sock.makefile("rb")
    sock.sendall(request("GET", "/trailers", "TE: trailers", "Connection: TE"))
    status, fields = head(stream)
    same((status, fields["transfer-encoding"], fields["trailer"]), (200, "chunked", "X-Hash"))
    *data, trailers = chunks(stream)
    same(trailers.get("x-hash"), hashlib.sha256(b"".join(data)).hexdigest())
    sock.sendall(request("POST", "/hash", "Transfer-Encoding: chunked", "Trailer: X-Sum")
                 + b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n")
    said = json.loads(reply(stream)[2])
    same((said["bytes"], said["trailers"], said["chunked"]), (11, [["X-Sum", "42"]], True))


def read_while_sending(path, size):
    """The reply, read while the body is sent, until the peer takes no more of it."""
    sock, got = proxy(), []
    sock.sendall(request("POST", path, f"Content-Length: {size}"))
    reader = threading.Thread(target=lambda: got.append(reply(sock.makefile("rb"))[::2]))
    reader.start()
    try:
        for _ in range(size // 65536):
            sock.sendall(bytes(65536))
    except (BrokenPipeError, ConnectionResetError):
        pass
    reader.join(10)
    same(got, [(413, b"too much\n")])


def do_early():
    """The answer comes while the body is still being sent."""
    read_while_sending("/early", 64 * MIB)
    for _ in range(5):
        read_while_sending("/rude", 64 * MIB)
    sock = proxy()  # and a client that sends all of a smaller body first
    sock.sendall(request("POST", "/early", f"Content-Length: {MIB // 2}") + bytes(MIB // 2))
    same(reply(sock.makefile("rb"))[::2], (413, b"too much\n"))


def do_interim():
    """Captured, all are handed on; to a proxy's connection, which may serve several hosts, none but 100."""
    sock = socket.create_connection(("1.1.1.1", 80), 20)  # any address: Host says where to
    stream = sock.makefile("rb")
    sock.sendall(f"GET /interim HTTP/1.1\r\nHost: {ORIGIN}\r\n\r\n".encode())
    same(head(stream)[0], 102)
    status, fields = head(stream)
    same((status, fields["link"]), (103, "</a.css>; rel=preload"))
    same(reply(stream)[0], 200)
    sock = proxy()
    stream = sock.makefile("rb")
    sock.sendall(request("GET", "/interim"))
    same(reply(stream)[0], 200)
    sock.sendall(request("GET", "/echo"))
    same(reply(stream)[0], 200)


def do_continue():
    sock = proxy()
    stream = sock.makefile("rb")
    began = time.monotonic()
    sock.sendall(request("POST", "/late", "Content-Length: 5", "Expect: 100-continue"))
    same(head(stream)[0], 100)
    assert time.monotonic() - began > 0.2, "the 100 is not the origin's"
    sock.sendall(b"hello")
    same(json.loads(reply(stream)[2])["sha256"], hashlib.sha256(b"hello").hexdigest())
    sock.sendall(request("POST", "/no", "Content-Length: 5", "Expect: 100-continue"))
    same(reply(stream)[::2], (417, b"no\n"))
    same(stream.read(), b"")


def do_bodiless():
    sock = proxy()
    stream = sock.makefile("rb")
    sock.sendall(request("GET", "/status/204"))
    same(head(stream)[0], 204)
    sock.sendall(request("GET", "/status/304", 'If-None-Match: "a"'))
    status, fields = head(stream)
    same((status, fields["etag"], fields["content-length"]), (304, '"a"', "5000"))
    sock.sendall(request("HEAD", "/bytes/16m.bin", host=FILES))
    status, fields = head(stream)
    same((status, fields["content-length"]), (200, str(16 * MIB)))
    sock.sendall(request("GET", "/echo"))
    same(json.loads(reply(stream)[2])["line"], "GET /echo HTTP/1.1")


def do_kept():
    """One connection, many requests: other hosts, a denied one in between, several at once."""
    sock = proxy()
    stream = sock.makefile("rb")
    for host in (ORIGIN, FILES, ORIGIN):
        sock.sendall(request("GET", "/", host=host))
        same(reply(stream)[::2], (200, f"hello from {host} port 80\n".encode()))
    sock.sendall(request("GET", "/", host="example.com"))
    status, fields, data = reply(stream)
    same((status, "not-listed" in fields["proxy-status"], b"not-listed" in data), (403, True, True))
    sock.sendall(request("GET", "/echo") * 20)
    for _ in range(20):
        same(reply(stream)[0], 200)
    sock.sendall(request("POST", "/hash", "Content-Length: 3") + b"abc" + request("GET", "/until-close"))
    same(json.loads(reply(stream)[2])["bytes"], 3)
    same(reply(stream)[2].count(b"line "), 100)
    same(stream.read(), b"")


def send_chunked(sock, data, size):
    for at in range(0, len(data), size):
        piece = data[at:at + size]
        sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
    sock.sendall(b"0\r\n\r\n")


def both_ways(sock, target, host, data):
    sender = threading.Thread(target=send_chunked, args=(sock, data, 50000))
    sock.sendall(f"POST {target} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    sender.start()
    status, _, got = reply(sock.makefile("rb"))
    sender.join()
    same(status, 200)
    same(hashlib.sha256(got).hexdigest(), hashlib.sha256(data).hexdigest())


def do_both_ways():
    data = os.urandom(16 * MIB)
    both_ways(proxy(), f"http://{ORIGIN}/both", ORIGIN, data)


def do_many():
    """Eight at once, each both ways at once."""
    data, done = os.urandom(4 * MIB), []

    def one():
        both_ways(proxy(), f"http://{ORIGIN}/both", ORIGIN, data)
        done.append(1)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(len(done), 8)


def do_tls_both_ways():
    """As do_both_ways inside a tunnel, a piece up and a piece down in turn."""
    data, got = os.urandom(2 * MIB), hashlib.sha256()
    sock = tunnel(ORIGIN, 443)
    sock.sendall(f"POST /both HTTP/1.1\r\nHost: {ORIGIN}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    stream = sock.makefile("rb")
    same(head(stream)[0], 200)
    for at in range(0, len(data), 50000):
        piece = data[at:at + 50000]
        sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        while piece:
            size = int(stream.readline(), 16)
            got.update(stream.read(size))
            piece = piece[size:]
            stream.readline()
    sock.sendall(b"0\r\n\r\n")
    same(got.hexdigest(), hashlib.sha256(data).hexdigest())


def do_slow_reader():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    sock.connect((socket.gethostbyname("proxy-pod"), 8080))
    sock.sendall(request("GET", "/bytes/16m.bin", "Connection: close", host=FILES))
    time.sleep(0.5)  # all buffers on the way are full by now
    digest, stream, left = hashlib.sha256(), sock.makefile("rb"), 16 * MIB
    same(head(stream)[0], 200)
    while left:
        piece = stream.read(min(left, 200000))
        assert piece, left
        digest.update(piece)
        left -= len(piece)
        time.sleep(0.005)
    print("sha256", digest.hexdigest())


def do_slow_writer():
    sock = proxy()
    for byte in request("POST", "/hash", "Content-Length: 40"):
        sock.sendall(bytes([byte]))
        time.sleep(0.002)
    for i in range(40):
        sock.sendall(b"%d" % (i % 10))
        time.sleep(0.005)
    want = hashlib.sha256(b"0123456789" * 4).hexdigest()
    same(json.loads(reply(sock.makefile("rb"))[2])["sha256"], want)
    data = os.urandom(2 * MIB)  # and an origin that reads slowly
    sock = proxy()
    sock.sendall(request("POST", "/slow", "Transfer-Encoding: chunked"))
    send_chunked(sock, data, 10000)
    same(json.loads(reply(sock.makefile("rb"))[2])["sha256"], hashlib.sha256(data).hexdigest())


def events(sock, target):
    """Each event arrives when it is sent: soon after the origin's time in it, and not together with others."""
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {ORIGIN}\r\nAccept: text/event-stream\r\n\r\n".encode())
    stream = sock.makefile("rb")
    status, fields = head(stream)
    same((status, fields["content-type"]), (200, "text/event-stream"))
    seen = []
    while len(seen) < 4:
        line = stream.readline()
        assert line, seen
        if line.startswith(b"data: "):
            _, number, sent = line.split()
            late = time.time() - float(sent)
            assert late < 0.2, f"event {number} came {late} s late"
            seen.append(int(number))
    same(seen, [0, 1, 2, 3])


def do_events():
    threads, failed = [], []
    for path in ("/events", "/events?chunked"):
        for sock, target in ((proxy(), f"http://{ORIGIN}{path}"), (tunnel(ORIGIN, 443), path)):
            def one(sock=sock, target=target):
                try:
                    events(sock, target)
                except Exception as e:
                    failed.append((target, e))
            threads.append(threading.Thread(target=one))
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(failed, [])


for what in sys.argv[1:]:
    globals()["do_" + what.replace("-", "_")]()
    print(what, "ok")
