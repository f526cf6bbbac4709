"""The lab's witness: writes down every IP packet that reaches its host, and answers, so that a control can succeed.

usage: witness.py LOGFILE     one line a packet: PROTOCOL SOURCE DESTINATION DPORT PAYLOAD-START
"""
import os
import select
import socket
import struct
import sys

PORTS = (53, 80, 443, 853, 5353, 8080, 9999)
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
ETH_P_ALL = 3


def parse(frame, kind):
    """An IP packet as (protocol, source, destination, port, payload), or None for what only keeps the link alive."""
    if kind == 0x0800 and len(frame) >= 20:
        size = (frame[0] & 15) * 4
        protocol, source, destination = frame[9], frame[12:16], frame[16:20]
        family = socket.AF_INET
    elif kind == 0x86DD and len(frame) >= 40:
        size, protocol, source, destination = 40, frame[6], frame[8:24], frame[24:40]
        family = socket.AF_INET6
        if protocol == 0:  # hop-by-hop: multicast listener reports
            return None
        if protocol == 58 and len(frame) > 40 and frame[40] in (133, 134, 135, 136):  # neighbour discovery
            return None
    else:
        return None
    rest = frame[size:]
    port = struct.unpack("!H", rest[2:4])[0] if protocol in (6, 17, 132) and len(rest) >= 4 else 0
    data = rest[8:] if protocol == 17 else rest[(rest[12] >> 4) * 4:] if protocol == 6 and len(rest) > 12 else rest
    return (PROTOCOLS.get(protocol, str(protocol)), socket.inet_ntop(family, source), socket.inet_ntop(family, destination), port, data)


def serve(sock, udp):
    if udp:
        data, peer = sock.recvfrom(2048)
        sock.sendto(b"witness:" + data[:1024], peer)
        return
    conn, _ = sock.accept()
    conn.settimeout(0.2)
    try:
        conn.recv(1024)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nwitness\n")
    except OSError:
        pass
    conn.close()


def main():
    log = open(sys.argv[1], "a", buffering=1, encoding="ascii")
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    servers = {}
    for port in PORTS:
        for family in (socket.AF_INET, socket.AF_INET6):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                sock = socket.socket(family, kind)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind(("", port))
                if kind == socket.SOCK_STREAM:
                    sock.listen(64)
                servers[sock] = kind == socket.SOCK_DGRAM
    log.write("ready\n")
    while os.getppid() != 0:
        for sock in select.select([raw, *servers], [], [], 60)[0]:
            if sock is not raw:
                try:
                    serve(sock, servers[sock])
                except OSError:
                    pass
                continue
            frame, where = raw.recvfrom(65535)
            if where[2] == 4 or where[0] == "lo":  # outgoing
                continue
            found = parse(frame, where[1])
            if found:
                text = "".join(chr(b) if 32 < b < 127 else "." for b in found[4][:80])
                log.write("%s %s %s %d %s\n" % (found[0], found[1], found[2], found[3], text or "-"))


main()
