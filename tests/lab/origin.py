"""The lab's second web server, for what nginx does not do: answers that are early, late, interim, chunked with trailers, without a
length or in pauses; WebSocket; bytes both ways at once; git. It writes down each request as it arrived.

usage: origin.py LOGFILE DIR ADDRESS...    HTTP on 80, HTTPS on 443 (DIR/web.pem), on 7777 the hash of a stream after its end

/echo           the request as it arrived, as JSON        /hash       length, SHA-256 and trailers of the body, as JSON
/both           the body, sent back while it comes        /slow       as /hash, but read slowly
/early          413 before the body is read               /late       100 after a pause, then as /hash
/no             417 without 100                           /interim    102 and 103, then 200
/rude           413 and a reset                           /pause      200 after a pause
/status/N       a reply of status N, without a body       /trailers   a chunked reply with a trailer
/until-close    a reply that ends with the connection     /events     server-sent events with pauses (?chunked)
/ws             WebSocket: sends back what comes          /git/NAME   git http-backend over DIR/git
"""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

PAUSE = 0.3
PIECE = 65536
log_lock = threading.Lock()


class Request:
    def __init__(self, stream, sock, tls):
        line = stream.readline(65536)
        if not line:
            raise EOFError
        self.stream, self.sock, self.tls = stream, sock, tls
        self.raw = line
        self.method, self.target, self.version = line.decode("latin-1").split()
        self.path, _, self.query = self.target.partition("?")
        self.fields, self.trailers = self.read_fields(), []
        self.length = int(self.field("content-length") or 0)
        self.chunked = (self.field("transfer-encoding") or "").lower() == "chunked"
        self.close = self.version == "HTTP/1.0" or (self.field("connection") or "").lower() == "close"
        self.read_whole = False

    def read_fields(self):
        fields = []
        while True:
            line = self.stream.readline(65536)
            self.raw += line
            if line in (b"\r\n", b""):
                return fields
            name, _, value = line.decode("latin-1").partition(":")
            fields.append((name, value.strip()))

    def field(self, name):
        return next((v for n, v in self.fields if n.lower() == name), None)

    def body(self):
        """The body's pieces, as they come."""
        left = self.length
        while not self.chunked and left:
            piece = self.stream.read1(min(left, PIECE))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece
        while self.chunked:
            size = int(self.stream.readline().split(b";")[0], 16)
            if size == 0:
                self.trailers = self.read_fields()
                break
            yield self.stream.read(size)
            self.stream.readline()
        self.read_whole = True


class Reply:
    def __init__(self, request):
        self.request, self.sock = request, request.sock

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def head(self, status, *fields):
        end = ["Connection: close"] if self.request.close else []
        self.send("\r\n".join([f"HTTP/1.1 {status} As Asked", "Server: lab-origin", *fields, *end, "", ""]))

    def whole(self, status, data, kind="text/plain"):
        data = data if isinstance(data, bytes) else data.encode()
        fields = (f"Content-Type: {kind}", f"Content-Length: {len(data)}")
        self.head(status, *fields)
        if self.request.method != "HEAD":
            self.send(data)

    def chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))


def hash_of(request, pause=0.0):
    total, digest = 0, hashlib.sha256()
    for piece in request.body():
        total += len(piece)
        digest.update(piece)
        if pause:
            time.sleep(pause)
    return {"bytes": total, "sha256": digest.hexdigest(), "trailers": request.trailers, "chunked": request.chunked}


def do_echo(request, reply):
    body = hash_of(request)
    said = {"line": request.raw.decode("latin-1").split("\r\n")[0], "fields": request.fields, "tls": request.tls, **body}
    reply.whole(200, json.dumps(said), "application/json")


def do_hash(request, reply):
    if request.field("expect"):
        reply.send("HTTP/1.1 100 Continue\r\n\r\n")
    reply.whole(200, json.dumps(hash_of(request)), "application/json")


def do_slow(request, reply):
    request.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    reply.whole(200, json.dumps(hash_of(request, 0.002)), "application/json")


def do_both(request, reply):
    reply.head(200, "Transfer-Encoding: chunked")
    for piece in request.body():
        reply.chunk(piece)
    reply.send("0\r\n\r\n")


def do_early(request, reply):
    request.close = True
    reply.whole(413, "too much\n")


def do_rude(request, reply):
    """What servers do that know no better: the body lies unread, so the close is a reset."""
    do_early(request, reply)
    request.stream.read1(1)
    raise OSError


def do_late(request, reply):
    time.sleep(PAUSE)
    do_hash(request, reply)


def do_no(request, reply):
    request.close = True
    reply.whole(417, "no\n")


def do_interim(request, reply):
    reply.send("HTTP/1.1 102 Processing\r\n\r\n")
    time.sleep(0.1)
    reply.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
    time.sleep(0.1)
    do_hash(request, reply)


def do_status(request, reply):
    status = int(request.path.rsplit("/", 1)[1])
    reply.head(status, 'ETag: "a"', *(["Content-Length: 5000"] if status == 304 else []))


def do_trailers(request, reply):
    data = b"some bytes\n" * 1000
    reply.head(200, "Transfer-Encoding: chunked", "Trailer: X-Hash")
    for i in range(0, len(data), 3000):
        reply.chunk(data[i:i + 3000])
    reply.send(f"0\r\nX-Hash: {hashlib.sha256(data).hexdigest()}\r\n\r\n")


def do_until_close(request, reply):
    request.close = True
    reply.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    for i in range(100):
        reply.send(f"line {i} " + "x" * 1000 + "\n")


def do_events(request, reply):
    chunked = request.query == "chunked"
    request.close = request.close or not chunked
    reply.head(200, "Content-Type: text/event-stream", *(["Transfer-Encoding: chunked"] if chunked else []))
    for i in range(4):
        event = f"data: {i} {time.time():.3f}\n\n".encode()
        if chunked:
            reply.chunk(event)
        else:
            reply.send(event)
        time.sleep(PAUSE)
    if chunked:
        reply.send("0\r\n\r\n")


def do_pause(request, reply):
    time.sleep(PAUSE)
    do_hash(request, reply)


def read_frame(stream):
    first, second = stream.read(2)
    size = second & 127
    if size == 126:
        size = struct.unpack(">H", stream.read(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", stream.read(8))[0]
    mask = stream.read(4) * (size // 4 + 1)
    data = stream.read(size)
    return first, (int.from_bytes(data, "big") ^ int.from_bytes(mask[:size], "big")).to_bytes(size, "big")


def do_ws(request, reply):
    key = request.field("sec-websocket-key")
    if not key or (request.field("upgrade") or "").lower() != "websocket":
        reply.whole(400, "WebSocket only\n")
        return
    accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    request.close = True
    reply.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               f"Sec-WebSocket-Accept: {base64.b64encode(accept).decode()}\r\n\r\n")
    while True:
        first, data = read_frame(request.stream)
        if first & 15 == 9:
            first = first & 0xF0 | 10
        size = bytes([len(data)]) if len(data) < 126 else struct.pack(">BH", 126, len(data)) if len(data) < 65536 \
            else struct.pack(">BQ", 127, len(data))
        reply.send(bytes([first]) + size + data)
        if first & 15 == 8:
            return


def do_git(request, reply):
    env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": top + "/git", "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "lab",
           "REQUEST_METHOD": request.method, "PATH_INFO": request.path[len("/git"):], "QUERY_STRING": request.query,
           "CONTENT_TYPE": request.field("content-type") or "", "HTTP_GIT_PROTOCOL": request.field("git-protocol") or "",
           "HTTP_CONTENT_ENCODING": request.field("content-encoding") or "", "REMOTE_ADDR": "lab"}
    data = b"".join(request.body())
    env["CONTENT_LENGTH"] = str(len(data))
    done = subprocess.run(["git", "-c", "safe.directory=*", "http-backend"], input=data, env=env, stdout=subprocess.PIPE, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    reply.whole(int(fields.pop("Status", "200").split()[0]), body, fields.get("Content-Type", "text/plain"))


def answer(request):
    name = request.path.strip("/").split("/")[0].replace("-", "_")
    act = globals().get("do_" + name)
    reply = Reply(request)
    if act:
        act(request, reply)
    else:
        reply.whole(200, f"hello from {request.field('host')} port {443 if request.tls else 80}\n")


def write_down(request, end):
    with log_lock, open(log_path, "a", encoding="utf-8") as out:
        out.write(json.dumps({"line": request.raw.decode("latin-1").split("\r\n")[0], "host": request.field("host"),
                              "tls": request.tls, "end": end}) + "\n")


def serve_http(sock, tls):
    stream = sock.makefile("rb", PIECE)
    while True:
        request = Request(stream, sock, tls)
        end = "broken off"
        try:
            answer(request)
            end = "answered"
        finally:
            write_down(request, end)
        if not request.close and not request.read_whole:
            for _ in request.body():
                pass
        if request.close:
            leave(sock, stream)
            return


def leave(sock, stream):
    """As a good server ends: its own side first, then what still comes is read, so that no reset overtakes the answer."""
    if isinstance(sock, ssl.SSLSocket):
        sock.unwrap()
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(2)
    while stream.read1(PIECE):
        pass


def serve_stream(sock, _):
    digest = hashlib.sha256()
    while piece := sock.recv(PIECE):
        digest.update(piece)
    time.sleep(PAUSE)
    sock.sendall(digest.hexdigest().encode() + b"\n")


def one(sock, serve, tls):
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            sock = tls.wrap_socket(sock, server_side=True)
        serve(sock, bool(tls))
    except (OSError, EOFError, ValueError):
        pass  # the client is gone, or never was one
    finally:
        sock.close()


def listen(address, port, serve, tls=None):
    server = socket.create_server((address, port), backlog=256)

    def loop():
        while True:
            sock, _ = server.accept()
            threading.Thread(target=one, args=(sock, serve, tls), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


log_path, top = sys.argv[1:3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(top + "/web.pem", top + "/web.key")
for where in sys.argv[3:]:
    listen(where, 80, serve_http)
    listen(where, 443, serve_http, context)
    listen(where, 7777, serve_stream)
open(log_path, "a", encoding="utf-8").close()
threading.Event().wait()
