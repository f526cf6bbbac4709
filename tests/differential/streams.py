"""The streams that are read: what clients send in the cases of the gate, the corpora of the fuzz targets, and mutations of both."""
import pathlib
import random
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/cases/gate"
CORPUS = ROOT / "tests/fuzz/corpus"
LONG = 6000  # longer streams are not mutated
PIECE = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|hex\(([^)]*)\)|(hello)\([^)]*\))(?:\*(\d+))?')
ESCAPES = {"r": 13, "n": 10, "t": 9, "0": 0, '"': 34, "\\": 92}
REQUEST = re.compile(rb"(?:GET|HEAD|POST|PUT|OPTIONS|CONNECT|DELETE|TRACE|PATCH) ")
SIGNS = [b"\r", b"\n", b"\0", b" ", b"\t", b":", b",", b";", b"\r\n", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\x7f"]
FIELDS = [b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: +5", b"Content-Length: 5, 5", b"Transfer-Encoding: chunked",
          b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding : chunked",
          b"Transfer_Encoding: chunked", b"X: 1\r\n folded", b"Host: evil.net", b"Host:", b"Connection: close", b"Connection: Content-Length",
          b"Connection: upgrade\r\nUpgrade: h2c", b"Expect: 100-continue", b"Trailer: Host", b": empty", b"Content-Length: 0x5", b"Content-Length: 05",
          b"Content-Length: 18446744073709551621", b"Proxy-Connection: keep-alive", b"Keep-Alive: max=1", b"TE: trailers"]


def unescape(text):
    """The bytes of what stands between quotes."""
    out = bytearray()
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode()
            at += 1
        elif text[at + 1] == "x":
            out.append(int(text[at + 2:at + 4], 16))
            at += 4
        else:
            out.append(ESCAPES[text[at + 1]])
            at += 2
    return bytes(out)


def read_bytes(text):
    out = b""
    for quoted, digits, hello, times in PIECE.findall(text):
        piece = bytes.fromhex(digits) if digits else b"\x16\x03\x01" if hello else unescape(quoted)
        out += piece * int(times or 1)
    return out


def read_case(path):
    """{end: bytes}: of clients what they sent, of origins what arrived there."""
    ends = {}
    text = re.sub(r"\n[ \t]+", " ", path.read_text())
    for name, begins, what in re.findall(r"^((?:client|origin)\d*[<>])>? (begins )?(.*)$", text, re.M):
        if name[-1] != ("<" if name.startswith("origin") else ">") or not PIECE.match(what):
            continue
        ends[name[:-1]] = ends.get(name[:-1], b"") + read_bytes(what) if not begins else b""
    return ends


def read_cases():
    """(clients' streams, origins' streams), each [(name, bytes)]."""
    clients, origins = [], []
    for path in sorted(CASES.glob("*.case")):
        for end, data in read_case(path).items():
            (clients if end.startswith("client") else origins).append((f"{path.stem}:{end}", data))
    return clients, origins


def wrap(folder, data):
    """A whole stream from an entry of a corpus that is not one."""
    tail = b"GET /next HTTP/1.1\r\nHost: example.com\r\n\r\n"
    if folder == "http_target":
        method = b"CONNECT" if data[:1] == b"C" else b"GET"
        return method + b" " + data[1:] + b" HTTP/1.1\r\nHost: example.com\r\n\r\n" + tail
    if folder == "http_chunked":
        return b"POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n" + data + tail
    found = REQUEST.search(data) if folder in ("conn", "http_head") else None
    return data[found.start():] if found else data


def read_corpora():
    return [(f"{folder}/{path.name}", wrap(folder, path.read_bytes()))
            for folder in ("http_head", "http_target", "http_chunked", "conn", "http_diff") for path in sorted((CORPUS / folder).iterdir())]


def post(fields, body, more=b""):
    return b"POST http://example.com/p?q=%41 HTTP/1.1\r\nHost: example.com\r\n" + fields + b"\r\n\r\n" + body + more


def honest():
    """What nobody may refuse, and what would be read otherwise if a number were."""
    tail = b"GET http://example.com/next HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n\r\n"
    hidden = b"0\r\n\r\nGET http://example.com/hidden HTTP/1.1\r\nHost: example.com\r\nX: "
    within = b"x" * 100 + b"\r\n" + hidden
    chunked = b"Transfer-Encoding: chunked"
    streams = {
        "get": tail * 3, "length": post(b"Content-Length: 26", b"abcdefghijklmnopqrstuvwxyz", tail), "length-0": post(b"Content-Length: 0", b"", tail),
        "length-within": post(b"Content-Length: 256", within + b"y" * (256 - len(within)), tail),
        "chunks": post(chunked, b"1\r\na\r\n1F\r\n" + b"b" * 31 + b"\r\n00a0\r\n" + b"c" * 160 + b"\r\n0\r\n\r\n", tail),
        "chunk-within": post(chunked, b"100\r\n" + within + b"y" * (256 - len(within)) + b"\r\n0\r\n\r\n", tail),
        "chunk-extensions": post(chunked, b'5;a=b;c\r\nhello\r\n6;d="e;f"\r\n' + b"\r\n0\r\n\r" + b"\r\n0;g\r\n\r\n", tail),
        "chunk-trailers": post(chunked, b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Y:\r\n\r\n", tail),
        "fields": b"GET http://example.com/ HTTP/1.1\r\nhOsT:example.com:80\r\nX:\r\nX: a  b\t\r\n!#$%&'*+.^`|~: \xe4\r\nCookie: a=b; c=\"d\"\r\n\r\n" + tail,
        "close": b"GET http://EXAMPLE.com:8080/ HTTP/1.0\r\nHost: example.COM:8080\r\nConnection: close\r\n\r\n",
    }
    return [(f"honest-{name}", data) for name, data in streams.items()]


def flip(r, data):
    at = r.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << r.randrange(8)]) + data[at + 1:]


def insert(r, data):
    at = r.choice([r.randrange(len(data) + 1)] + [m.start() + r.randrange(2) for m in re.finditer(rb"[\r\n :,;]", data)][:60])
    return data[:at] + r.choice(SIGNS) + data[at:]


def edit_sign(r, data):
    """Removes, doubles or replaces one of the bytes that give a stream its shape."""
    places = list(re.finditer(rb"\r\n|[\r\n\0 \t:,;]", data))
    if not places:
        return insert(r, data)
    m = r.choice(places)
    sign = r.choice(SIGNS)
    halves = [b"\n", b"\r", sign + b"\n", b"\r" + sign, b"\n\r"] if m[0] == b"\r\n" else []
    return data[:m.start()] + r.choice([b"", m[0] * 2, sign] + halves) + data[m.end():]


def double_field(r, data):
    lines = data.split(b"\r\n")
    at = r.randrange(len(lines))
    return b"\r\n".join(lines[:at] + [lines[at]] + lines[at:])


def add_field(r, data):
    at = data.find(b"\r\n") + 2
    return data[:at] + r.choice(FIELDS) + b"\r\n" + data[at:] if at > 1 else data


def change_case(r, data):
    words = list(re.finditer(rb"[A-Za-z-]{2,}", data))
    if not words:
        return data
    m = r.choice(words)
    return data[:m.start()] + r.choice([m[0].upper(), m[0].lower(), m[0].swapcase()]) + data[m.end():]


def change_number(r, data):
    numbers = list(re.finditer(rb"[0-9a-fA-F]+(?=\r\n)|(?<= )[0-9]+", data))
    if not numbers:
        return data
    m = r.choice(numbers)
    new = [m[0] + b"0", b"0" + m[0], b"0x" + m[0], b"-" + m[0], b"+" + m[0], b"", b"_", m[0] + b"_0", m[0] + b" ", b"%d" % r.randrange(70), b"f" * 17, m[0] + b".0"]
    return data[:m.start()] + r.choice(new) + data[m.end():]


def cut(r, data):
    at = r.randrange(len(data))
    return data[:at] if r.randrange(2) else data[:at] + data[min(len(data), at + r.randrange(1, 9)):]


def mutations(seeds, each):
    """The same for a seed whatever other seeds there are."""
    ways = [flip, insert, insert, edit_sign, edit_sign, double_field, add_field, add_field, change_case, change_number, change_number, cut]
    for name, data in seeds:
        r = random.Random(name)
        for i in range(each if 0 < len(data) < LONG else 0):
            mutant = data
            for _ in range(r.choice([1, 1, 1, 2, 3])):
                mutant = r.choice(ways)(r, mutant) or b"\r\n"
            yield f"{name}~{i}", mutant
