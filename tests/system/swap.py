#!/usr/bin/env python3
"""A TLS client that names one server in its first greeting and another in the one that a HelloRetryRequest asks for.

usage: swap.py WAY ADDRESS FIRST SECOND      WAY: direct, connect or socks (the gate's address; the tunnel is for FIRST)

Its first greeting has a key share for X25519; a server that wants another curve asks for a second one. Prints how many greetings
were sent, then the server's answer to a request for SECOND, or why there is none."""
import ctypes
import ctypes.util
import socket
import sys

ssl = ctypes.CDLL("libssl.so.3")
for name, result in (("TLS_client_method", ctypes.c_void_p), ("SSL_CTX_new", ctypes.c_void_p), ("SSL_new", ctypes.c_void_p)):
    getattr(ssl, name).restype = result
HANDSHAKE, CLIENT_HELLO, SERVER_HELLO = 22, 1, 2
SET_HOST_NAME, SET_GROUPS_LIST = 55, 92
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_size_t, ctypes.c_void_p,
                            ctypes.c_void_p)


def tunnel(way, address, name):
    s = socket.create_connection(address, 5)
    if way == "connect":
        s.sendall(b"CONNECT %s:443 HTTP/1.1\r\nHost: %s:443\r\n\r\n" % (name, name))
        assert s.recv(4096).startswith(b"HTTP/1.1 200"), "no tunnel"
    elif way == "socks":
        s.sendall(b"\5\1\0")
        assert s.recv(2) == b"\5\0", "no tunnel"
        s.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + b"\1\xbb")
        assert s.recv(10)[:2] == b"\5\0", "no tunnel"
    s.settimeout(None)
    return s


def main():
    way, address, first, second = sys.argv[1], sys.argv[2], sys.argv[3].encode(), sys.argv[4].encode()
    host, _, port = address.rpartition(":")
    sock = tunnel(way, (host, int(port)), first)
    sent = []

    @CALLBACK
    def heard(out, _version, kind, data, _size, connection, _arg):
        if kind == HANDSHAKE and out and data[0] == CLIENT_HELLO:
            sent.append(1)
        elif kind == HANDSHAKE and not out and data[0] == SERVER_HELLO and len(sent) == 1:
            ssl.SSL_ctrl(ctypes.c_void_p(connection), SET_HOST_NAME, ctypes.c_long(0), second)

    context = ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_client_method())))
    ssl.SSL_CTX_ctrl(context, SET_GROUPS_LIST, ctypes.c_long(0), b"X25519:P-256")
    ssl.SSL_CTX_set_msg_callback(context, heard)
    connection = ctypes.c_void_p(ssl.SSL_new(context))
    ssl.SSL_set_fd(connection, sock.fileno())
    ssl.SSL_ctrl(connection, SET_HOST_NAME, ctypes.c_long(0), first)
    connected = ssl.SSL_connect(connection) == 1
    print(f"greetings: {len(sent)}")
    if not connected:
        print("refused")
        return
    ask = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % second
    ssl.SSL_write(connection, ask, len(ask))
    answer = ctypes.create_string_buffer(65536)
    n = ssl.SSL_read(connection, answer, len(answer))
    print(answer.raw[:max(n, 0)].decode().partition("\r\n\r\n")[2].strip())


main()
