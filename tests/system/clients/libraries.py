"""Python's HTTP libraries, as a program uses them that knows of no proxy: the environment names it.

usage: libraries.py LIBRARY SHA256     of storage.googleapis.com/bytes/16m.bin; a denied name must fail, telling 403 or the reason
"""
import asyncio
import hashlib
import json
import os
import sys

BIG = "://storage.googleapis.com/bytes/16m.bin"
HASH = "://test.googleapis.com/hash"
PROXY = "http://proxy-pod:8080"
DENIED = "://example.com/"
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
UPLOAD = os.urandom(5 << 20)


def same(got, want):
    assert got == want, f"{got!r} instead of {want!r}"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def denied_https(call):
    """A CONNECT is refused: the library raises, and says why."""
    try:
        call()
    except Exception as e:
        assert "403" in f"{e!r} {e}", repr(e)
    else:
        raise AssertionError("a denied name was reached")


def do_urllib(want):
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen
    for scheme in ("http", "https"):
        same(sha(urlopen(scheme + BIG).read()), want)
        same(json.load(urlopen(Request(scheme + HASH, data=UPLOAD, method="PUT")))["sha256"], sha(UPLOAD))
    try:
        urlopen("http" + DENIED)
    except HTTPError as e:
        same((e.code, b"not-listed" in e.read()), (403, True))
    denied_https(lambda: urlopen("https" + DENIED))


def pieces(data):
    for at in range(0, len(data), 70000):
        yield data[at:at + 70000]


def do_requests(want):
    import requests
    with requests.Session() as session:
        for scheme in ("http", "https"):
            same(sha(session.get(scheme + BIG).content), want)
            same(session.put(scheme + HASH, data=UPLOAD).json()["sha256"], sha(UPLOAD))
            same(session.post(scheme + HASH, data=pieces(UPLOAD)).json()["sha256"], sha(UPLOAD))  # chunked
            same(session.head(scheme + BIG).headers["content-length"], str(16 << 20))
            same(session.get(scheme + BIG, headers={"Range": "bytes=100-199"}).status_code, 206)
        reply = session.get("http" + DENIED)
        same((reply.status_code, "not-listed" in reply.text), (403, True))
    denied_https(lambda: requests.get("https" + DENIED))


def do_requests_socks(want):
    import requests
    with requests.Session() as session:
        session.proxies = dict.fromkeys(("http", "https"), "socks5h://proxy-pod:8080")
        session.trust_env = False
        for scheme in ("http", "https"):
            same(sha(session.get(scheme + BIG, verify=TRUSTED).content), want)
            same(session.put(scheme + HASH, data=UPLOAD, verify=TRUSTED).json()["sha256"], sha(UPLOAD))
            try:
                session.get(scheme + DENIED)
            except requests.ConnectionError as e:
                assert "0x02" in str(e), e
            else:
                raise AssertionError("a denied name was reached")


async def aio(want):
    import aiohttp
    async with aiohttp.ClientSession(trust_env=True) as session:
        for scheme in ("http", "https"):
            async with session.get(scheme + BIG) as r:
                same(sha(await r.read()), want)
            async with session.put(scheme + HASH, data=UPLOAD) as r:
                same((await r.json())["sha256"], sha(UPLOAD))
            replies = await asyncio.gather(*(session.get(scheme + "://test.googleapis.com/echo") for _ in range(20)))
            for r in replies:
                same((r.status, (await r.json())["line"]), (200, "GET /echo HTTP/1.1"))
            async with session.ws_connect(scheme + "://test.googleapis.com/ws") as ws:
                for message in ("hello", "x" * 100000):
                    await ws.send_str(message)
                    same(await ws.receive_str(), message)
        async with session.get("http" + DENIED) as r:
            same((r.status, "not-listed" in await r.text()), (403, True))
        # For wss: it asks the environment for wss_proxy, so it is told here; for ws: it writes a target that no proxy knows.
        async with session.ws_connect("wss://test.googleapis.com/ws", proxy=PROXY) as ws:
            await ws.send_bytes(UPLOAD[:70000])
            same(await ws.receive_bytes(), UPLOAD[:70000])
        for url in ("https" + DENIED, "wss" + DENIED):
            try:
                await (session.ws_connect(url, proxy=PROXY) if url[0] == "w" else session.get(url))
            except aiohttp.ClientResponseError as e:
                same(e.status, 403)
            else:
                raise AssertionError(url + " was reached")


def do_aiohttp(want):
    asyncio.run(aio(want))


async def websockets_over(sock, url):
    import websockets
    name = {"server_hostname": "test.googleapis.com"} if url.startswith("wss") else {}
    async with websockets.connect(url, sock=sock, **name) as ws:
        for message in ("hello", b"\0\1\2", "x" * 300000):
            await ws.send(message)
            same(await ws.recv(), message)
        await (await ws.ping())
    same(ws.close_code, 1000)


def do_websockets(_):
    """Version 10 knows no proxy (15 does): the tunnel is made here."""
    import http.client

    def tunnel(host, port):
        conn = http.client.HTTPConnection("proxy-pod", 8080)
        conn.set_tunnel(host, port)
        conn.connect()
        return conn.sock

    asyncio.run(websockets_over(tunnel("test.googleapis.com", 80), "ws://test.googleapis.com/ws"))
    asyncio.run(websockets_over(tunnel("test.googleapis.com", 443), "wss://test.googleapis.com/ws"))
    denied_https(lambda: tunnel("example.com", 80))
    denied_https(lambda: tunnel("example.com", 443))


globals()["do_" + sys.argv[1]](sys.argv[2])
print(sys.argv[1], "ok")
