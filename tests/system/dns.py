"""A name server of a test's own, by UDP. usage: dns.py ADDRESS PORT [FILE]

silentN.ANY is never answered, heldN.ANY not before FILE is there; ip-A-B-C-D.ANY is A.B.C.D; ip6-HEX.ANY, of 32 digits, likewise; anything else 142.250.74.59."""
import os
import socket
import struct
import sys

A, AAAA = 1, 28
SO_RCVBUFFORCE = 33


def address(label):
    kind, _, rest = label.partition("-")
    if kind == "ip":
        return A, bytes(int(part) for part in rest.split("-"))
    if kind == "ip6":
        return AAAA, bytes.fromhex(rest)
    return A, socket.inet_aton("142.250.74.59")


def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    server.bind((sys.argv[1], int(sys.argv[2])))
    while True:
        message, client = server.recvfrom(4096)
        label = message[13:13 + message[12]].decode().lower()
        if label.startswith("silent") or (label.startswith("held") and not os.path.exists(sys.argv[3])):
            continue
        end = message.index(0, 12) + 5
        kind, data = address(label)
        found = struct.unpack(">H", message[end - 4:end - 2])[0] == kind
        answer = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data if found else b""
        server.sendto(message[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, found, 0, 0) + message[12:end] + answer, client)


main()
