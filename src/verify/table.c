/* Every probe there is. The order is the order in which results are shown; the first three are the seed's own checks. */
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include "verify/probe_calls.h"
#include "verify/probe_dns.h"
#include "verify/probe_packets.h"
#include "verify/probe_proxy.h"
#include "verify/probe_socks.h"
#include "verify/probe_state.h"

#define IN_POD       .place = PLACE_POD, .control_place = CONTROL_HERE
#define IN_POD_OPEN  .place = PLACE_POD, .control_place = CONTROL_OPEN
#define IN_POD_FREE  .place = PLACE_POD, .control_place = CONTROL_FREE
#define IN_CONTAINER .place = PLACE_CONTAINER, .control_place = CONTROL_OPEN, .look = calls_look
#define FREE_CONTROL .place = PLACE_CONTAINER, .control_place = CONTROL_FREE, .look = calls_look
#define ON_HOST      .place = PLACE_HOST, .control_place = CONTROL_HERE
#define ON_PROJECT   .place = PLACE_PROJECT, .control_place = CONTROL_HERE
#define IN_LOG       .place = PLACE_LOG, .control_place = CONTROL_HERE

#define HTTP(...)                         \
	.data = &(const struct http_case) \
	{                                 \
		__VA_ARGS__               \
	}
#define TLS(...)                         \
	.data = &(const struct tls_case) \
	{                                \
		__VA_ARGS__              \
	}
#define SOCKS(...)                         \
	.data = &(const struct socks_case) \
	{                                  \
		__VA_ARGS__                \
	}
#define DNS(...)                         \
	.data = &(const struct dns_case) \
	{                                \
		__VA_ARGS__              \
	}
#define PACKET(...)                         \
	.data = &(const struct packet_case) \
	{                                   \
		__VA_ARGS__                 \
	}
#define CALL(...)                         \
	.data = &(const struct call_case) \
	{                                 \
		__VA_ARGS__               \
	}
#define TO(where, number) .address = (where), .port = (number)

/* A whole request for an authority, and a CONNECT to one. */
#define GET(authority)     "GET http://" authority "/ HTTP/1.1\r\nHost: " authority "\r\nConnection: close\r\n\r\n"
#define HEAD(authority)    "HEAD http://" authority "/ HTTP/1.1\r\nHost: " authority "\r\nConnection: close\r\n\r\n"
#define CONNECT(authority) "CONNECT " authority " HTTP/1.1\r\nHost: " authority "\r\n\r\n"
/* A request to the allowed host that goes wrong after its first line. */
#define POST "POST http://$H:$P/ HTTP/1.1\r\nHost: $H:$P\r\n"

#define MALFORMED "malformed-host malformed-request"
#define LITERAL   "not-listed address-literal malformed-host port-not-listed denied-by-rule"

#define REFUSED(authority, words) \
	.look = proxy_refused, .control = proxy_control_http, HTTP(.request = GET(authority), .reasons = (words))
#define REFUSED_CONNECT(authority, words) \
	.look = proxy_refused, .control = proxy_control_http, HTTP(.request = CONNECT(authority), .reasons = (words))
#define REFUSED_RAW(text, words) .look = proxy_refused, .control = proxy_control_http, HTTP(.request = (text), .reasons = (words))
#define REFUSED_LITERAL(authority, address)                   \
	.look = proxy_refused, .control = proxy_control_http, \
	HTTP(.request = GET(authority), .reasons = LITERAL, .literal = (address))

#define SOCKS_REFUSED .look = socks_refused, .control = socks_control
#define DNS_REFUSED   .look = dns_refused, .control = dns_control

const struct probe probes[] = {
	/* the seed's */
	{ "seed-allowed", 3, "a listed name is reached", IN_POD, proxy_reached, proxy_control_denied },
	{ "seed-not-listed", 3, "a name that is not listed is answered 403", IN_POD, REFUSED("$N", "not-listed") },
	{ "seed-direct", 1, "a direct connection is refused at once", IN_POD_OPEN, packets_tcp, PACKET(TO("1.1.1.1", 80)) },

	/* 1: packets to anywhere */
	{ "tcp-v4", 1, "TCP to an odd port", IN_POD_OPEN, packets_tcp, PACKET(TO("1.1.1.1", 9999)) },
	{ "tcp-v6", 1, "TCP over IPv6", IN_POD_OPEN, packets_tcp, PACKET(TO("2606:4700:4700::1111", 9999)) },
	{ "tcp-metadata", 1, "TCP to the cloud's metadata address", IN_POD_OPEN, packets_tcp, PACKET(TO("169.254.169.254", 80)) },
	{ "tcp-private", 1, "TCP to a private address", IN_POD_OPEN, packets_tcp, PACKET(TO("10.0.0.5", 22)) },
	{ "tcp-other-pod", 1, "TCP to another pod", IN_POD_OPEN, packets_tcp, PACKET(.target = TARGET_OTHER_POD, .port = 9999) },
	{ "tcp-host", 1, "TCP to the host's own address", IN_POD_FREE, packets_tcp, PACKET(.target = TARGET_WITNESS) },
	{ "udp-v4", 1, "UDP", IN_POD_OPEN, packets_udp, PACKET(TO("1.1.1.1", 9999)) },
	{ "udp-v6", 1, "UDP over IPv6", IN_POD_OPEN, packets_udp, PACKET(TO("2606:4700:4700::1111", 9999)) },
	{ "udp-quic-v4", 1, "QUIC", IN_POD_OPEN, packets_udp, PACKET(TO("142.250.74.59", 443)) },
	{ "udp-quic-v6", 1, "QUIC over IPv6", IN_POD_OPEN, packets_udp, PACKET(TO("2606:4700:4700::1111", 443)) },
	{ "udp-metadata", 1, "UDP to the cloud's metadata address", IN_POD_OPEN, packets_udp, PACKET(TO("169.254.169.254", 123)) },
	{ "udp-other-pod", 1, "UDP to another pod", IN_POD_OPEN, packets_udp, PACKET(.target = TARGET_OTHER_POD, .port = 9999) },
	{ "udp-host", 1, "UDP to the host's own address", IN_POD_FREE, packets_udp, PACKET(.target = TARGET_WITNESS) },
	{ "icmp-v4", 1, "ICMP echo", IN_POD_OPEN, packets_raw, PACKET(TO("1.1.1.1", 0), .protocol = IPPROTO_ICMP) },
	{ "icmp-v6", 1, "ICMPv6 echo", IN_POD_OPEN, packets_raw,
	  PACKET(TO("2606:4700:4700::1111", 0), .protocol = IPPROTO_ICMPV6) },
	{ "raw-sctp", 1, "SCTP", IN_POD_OPEN, packets_raw, PACKET(TO("1.1.1.1", 0), .protocol = IPPROTO_SCTP) },
	{ "raw-sctp-v6", 1, "SCTP over IPv6", IN_POD_OPEN, packets_raw,
	  PACKET(TO("2606:4700:4700::1111", 0), .protocol = IPPROTO_SCTP) },
	{ "raw-udplite", 1, "UDP-Lite", IN_POD_OPEN, packets_raw, PACKET(TO("1.1.1.1", 0), .protocol = IPPROTO_UDPLITE) },
	{ "raw-dccp", 1, "DCCP", IN_POD_OPEN, packets_raw, PACKET(TO("1.1.1.1", 0), .protocol = IPPROTO_DCCP) },
	{ "raw-gre", 1, "GRE", IN_POD_OPEN, packets_raw, PACKET(TO("1.1.1.1", 0), .protocol = IPPROTO_GRE) },
	{ "raw-ipip", 1, "IP in IP", IN_POD_OPEN, packets_raw, PACKET(TO("1.1.1.1", 0), .protocol = IPPROTO_IPIP) },
	{ "raw-odd", 1, "an IP protocol that nobody knows", IN_POD_OPEN, packets_raw, PACKET(TO("1.1.1.1", 0), .protocol = 253) },
	{ "devices", 1, "no network device but lo", IN_POD, wire_devices, wire_devices_control },
	{ "routes", 1, "no route but to lo", IN_POD, wire_routes, wire_routes_control },

	/* 1: ways around the network */
	{ "socket-raw", 1, "a raw socket", IN_CONTAINER, CALL(call_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP) },
	{ "socket-raw-v6", 1, "a raw IPv6 socket", IN_CONTAINER, CALL(call_socket, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6) },
	{ "socket-ping", 1, "a ping socket", IN_CONTAINER, CALL(call_ping_socket) },
	{ "socket-packet", 1, "a packet socket", IN_CONTAINER, CALL(call_socket, AF_PACKET, SOCK_RAW, 0) },
	{ "socket-vsock", 1, "a socket to the hypervisor", IN_CONTAINER, CALL(call_socket, AF_VSOCK, SOCK_STREAM, 0) },
	{ "socket-sctp", 1, "an SCTP socket", IN_CONTAINER, CALL(call_socket, AF_INET, SOCK_STREAM, IPPROTO_SCTP) },
	{ "socket-udplite", 1, "a UDP-Lite socket", IN_CONTAINER, CALL(call_socket, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE) },
	{ "socket-dccp", 1, "a DCCP socket", IN_CONTAINER, CALL(call_socket, AF_INET, SOCK_DCCP, IPPROTO_DCCP) },
	{ "socket-mptcp", 1, "a multipath TCP socket", IN_CONTAINER, CALL(call_socket, AF_INET, SOCK_STREAM, 262) },
	{ "socket-alg", 1, "a socket of the kernel's crypto", IN_CONTAINER, CALL(call_socket, AF_ALG, SOCK_SEQPACKET, 0) },
	{ "io-uring", 1, "io_uring, which knows no filter on socket()", IN_CONTAINER, CALL(call_io_uring) },
	{ "unix-control", 1, "the supervisor's control socket", IN_CONTAINER, CALL(call_control_socket) },
	{ "unix-host", 1, "other unix sockets of the host, by path", IN_CONTAINER, CALL(call_host_sockets) },
	{ "unix-abstract", 1, "a unix socket of the host, by abstract name", FREE_CONTROL, CALL(call_abstract_socket) },
	{ "user-namespace", 1, "a user namespace of its own", IN_CONTAINER, CALL(call_unshare, CLONE_NEWUSER) },
	{ "user-namespace-clone", 1, "the same by clone", IN_CONTAINER, CALL(call_clone, CLONE_NEWUSER) },
	{ "net-namespace", 1, "a network namespace of its own", IN_CONTAINER, CALL(call_unshare, CLONE_NEWNET) },
	{ "setns", 1, "entering a network namespace", IN_CONTAINER, CALL(call_setns) },
	{ "mount", 1, "mount", IN_CONTAINER, CALL(call_mount) },
	{ "mount-api", 1, "the new mount calls", IN_CONTAINER, CALL(call_fsopen) },
	{ "mount-tree", 1, "a copy of a mount", IN_CONTAINER, CALL(call_open_tree) },
	{ "chroot", 1, "chroot", IN_CONTAINER, CALL(call_chroot) },
	{ "bpf", 1, "bpf", IN_CONTAINER, CALL(call_bpf) },
	{ "keyctl", 1, "the kernel's keys", IN_CONTAINER, CALL(call_keyctl) },
	{ "perf", 1, "perf events", IN_CONTAINER, CALL(call_perf) },
	{ "userfaultfd", 1, "userfaultfd", IN_CONTAINER, CALL(call_userfaultfd) },
	{ "ptrace", 1, "ptrace", IN_CONTAINER, CALL(call_ptrace) },
	{ "process-memory", 1, "another process's memory", IN_CONTAINER, CALL(call_read_memory) },
	{ "pid1-memory", 1, "the memory of process 1", IN_CONTAINER,
	  CALL(call_pid1_memory, .podman = "Podman's process 1 is the container's own program",
	       .runtime = "a runtime's process 1 is the container's own program") },
	{ "file-handle", 1, "a file by its handle", IN_CONTAINER, CALL(call_open_handle) },
	{ "set-id", 1, "a set-id bit", IN_CONTAINER, CALL(call_set_id_bit) },
	{ "device-node", 1, "a device of its own making", IN_CONTAINER, CALL(call_mknod) },
	{ "devices-host", 1, "devices of the host", IN_CONTAINER,
	  CALL(call_open_any, O_RDONLY,
	       .path = "/dev/mem /dev/kmsg /dev/kvm /dev/net/tun /dev/vsock /dev/vhost-vsock /dev/fuse /dev/loop-control /dev/vda "
		       "/dev/sda") },
	{ "hostname", 1, "the host name", IN_CONTAINER, CALL(call_hostname) },
	{ "core-pattern", 1, "the kernel's core handler", IN_CONTAINER,
	  CALL(call_open_write, .path = "/proc/sys/kernel/core_pattern") },
	{ "sysrq", 1, "sysrq", IN_CONTAINER, CALL(call_open_write, .path = "/proc/sysrq-trigger") },
	{ "sysfs", 1, "settings in /sys", IN_CONTAINER,
	  CALL(call_open_any, O_WRONLY,
	       .path = "/sys/kernel/uevent_helper /sys/kernel/mm/transparent_hugepage/enabled /sys/kernel/mm/ksm/run "
		       "/sys/power/state") },
	{ "usr", 1, "a file in /usr", IN_CONTAINER,
	  CALL(call_make_file, .path = "/usr", .podman = "the root is the container's own layer over its image") },
	{ "shadow", 1, "the host's password hashes", IN_CONTAINER,
	  CALL(call_open_read, .path = "/etc/shadow", .podman = "it is the image's own file") },
	{ "capabilities", 1, "a capability, in any set", IN_CONTAINER, CALL(call_capabilities) },
	{ "new-privileges", 1, "privileges by a set-id program", IN_CONTAINER, CALL(call_new_privileges) },
	{ "host-wall", 1, "the wall between the host and the pod's bridge, rule by rule", ON_HOST, jail_host_wall, jail_host_wall },
	{ "process-capabilities", 1, "no process in the pod's network has a capability", ON_HOST, processes_capabilities,
	  processes_capabilities_control },
	{ "process-namespaces", 1, "containers share no namespace with the host", ON_HOST, processes_namespaces,
	  processes_own_control },
	{ "process-ids", 1, "containers have ids of their own, and a filter", ON_HOST, processes_ids, processes_own_control },

	/* 2: identity */
	{ "identity-list", 2, "another pod's list does not count", IN_POD,
	  REFUSED("$Q:$R", "not-listed port-not-listed denied-by-rule") },
	{ "identity-header", 2, "nor for who claims to be it", IN_POD,
	  REFUSED_RAW("GET http://$Q:$R/ HTTP/1.1\r\nHost: $Q:$R\r\nX-Forwarded-For: 198.18.0.2, 198.18.0.3\r\nForwarded: "
		      "for=198.18.0.2\r\n"
		      "X-Real-IP: 198.18.0.3\r\nProxy-Authorization: Basic cm9vdDpyb290\r\nConnection: close\r\n\r\n",
		      "not-listed port-not-listed denied-by-rule") },
	{ "identity-source", 2, "nor for who comes from its address", IN_POD, .look = proxy_refused, .control = proxy_control_http,
	  HTTP(.request = GET("$Q:$R"), .reasons = "not-listed port-not-listed denied-by-rule", .from_other = true) },
	{ "identity-log", 2, "the gate knows who asked", IN_LOG, log_client, log_found_control },
	{ "identity-listeners", 2, "the gate alone answers at the pod's listeners", IN_POD, wire_listeners,
	  wire_listeners_control },

	/* 3: names */
	{ "name-upper-case", 3, "upper case is the same name", IN_POD, proxy_allowed, proxy_control_denied,
	  HTTP(.request = HEAD("$C:$P")) },
	{ "name-final-dot", 3, "a final dot is the same name", IN_POD, proxy_allowed, proxy_control_denied,
	  HTTP(.request = HEAD("$H.:$P")) },
	{ "name-prefix", 3, "a name that only ends like a listed one", IN_POD, REFUSED("$U$L", "not-listed") },
	{ "name-dash", 3, "the same with a dash", IN_POD, REFUSED("$U-$L", "not-listed") },
	{ "name-suffix", 3, "a name that only begins like a listed one", IN_POD, REFUSED("$L.$N", "not-listed") },
	{ "name-connect", 3, "CONNECT to a name that is not listed", IN_POD, REFUSED_CONNECT("$N:443", "not-listed") },
	{ "name-socks", 3, "SOCKS to a name that is not listed", IN_POD, SOCKS_REFUSED, SOCKS(.name = "socks.$N") },
	{ "name-socks-prefix", 3, "SOCKS to a name that only ends like a listed one", IN_POD, SOCKS_REFUSED,
	  SOCKS(.name = "$U$L") },
	{ "name-nul", 3, "a NUL in a name", IN_POD, REFUSED("$L$Z.$N", MALFORMED) },
	{ "name-percent", 3, "a percent sign in a name", IN_POD, REFUSED("$L%2e$N", MALFORMED) },
	{ "name-userinfo", 3, "a listed name as user", IN_POD, REFUSED("$L@$N", MALFORMED) },
	{ "name-backslash", 3, "a backslash in a name", IN_POD, REFUSED("$N\\.$L", MALFORMED) },
	{ "name-fragment", 3, "a listed name as fragment", IN_POD,
	  REFUSED_RAW("GET http://$N#.$L/ HTTP/1.1\r\nHost: $N\r\n\r\n", MALFORMED) },
	{ "name-two-dots", 3, "an empty label", IN_POD, REFUSED("$N..$L", MALFORMED) },
	{ "name-space", 3, "a space in a target", IN_POD, REFUSED("$N $L", MALFORMED) },
	{ "name-not-ascii", 3, "a byte that is not ASCII in a name", IN_POD, REFUSED("$N\xe3\x80\x82$L", MALFORMED) },
	{ "port-zero", 3, "port 0", IN_POD, REFUSED_CONNECT("$H:0", MALFORMED) },
	{ "port-large", 3, "a port that is right only modulo 65536", IN_POD, REFUSED_CONNECT("$H:65979", MALFORMED) },
	{ "port-sign", 3, "a port with a sign", IN_POD, REFUSED_CONNECT("$H:+443", MALFORMED) },
	{ "origin-form", 3, "a request without a host in its target", IN_POD,
	  REFUSED_RAW("GET / HTTP/1.1\r\nHost: $N\r\n\r\n", MALFORMED " not-listed") },
	{ "smuggle-two-lengths", 3, "two Content-Lengths", IN_POD,
	  REFUSED_RAW(POST "Content-Length: 0\r\nContent-Length: 40\r\n\r\n", MALFORMED) },
	{ "smuggle-length-chunked", 3, "a length and chunks", IN_POD,
	  REFUSED_RAW(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", MALFORMED) },
	{ "smuggle-chunked", 3, "an odd spelling of chunked", IN_POD,
	  REFUSED_RAW(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", MALFORMED) },
	{ "smuggle-space", 3, "a space before a colon", IN_POD, REFUSED_RAW(POST "Content-Length : 0\r\n\r\n", MALFORMED) },
	{ "smuggle-fold", 3, "a folded field", IN_POD, REFUSED_RAW(POST "X-A: b\r\n Content-Length: 40\r\n\r\n", MALFORMED) },
	{ "smuggle-bare-lf", 3, "a bare line feed", IN_POD, REFUSED_RAW("GET http://$H:$P/ HTTP/1.1\nHost: $H:$P\n\n", MALFORMED) },
	{ "pipelined", 3, "a second request on a connection is decided anew", IN_POD, .look = proxy_refused,
	  .control = proxy_control_http,
	  HTTP(.request = "HEAD http://$H:$P/ HTTP/1.1\r\nHost: $H:$P\r\n\r\n" GET("$N"), .reasons = "not-listed",
	       .second = true) },
	{ "captured-http", 3, "captured HTTP is decided by its Host", IN_POD, .look = proxy_refused,
	  .control = proxy_control_captured,
	  HTTP(.request = "GET / HTTP/1.1\r\nHost: $N\r\nConnection: close\r\n\r\n", .reasons = "not-listed", .captured = true) },
	{ "captured-tls", 3, "captured TLS is decided by its server name", IN_POD, proxy_tls, proxy_control_tls,
	  TLS(.name = "$N", .captured = true) },

	/* 4: addresses */
	{ "literal-v4", 4, "an address", IN_POD, REFUSED_LITERAL("1.1.1.1", "1.1.1.1") },
	{ "literal-v6", 4, "an IPv6 address", IN_POD, REFUSED_LITERAL("[2606:4700:4700::1111]", "[2606:4700:4700::1111]") },
	{ "literal-connect", 4, "CONNECT to an address", IN_POD, .look = proxy_refused, .control = proxy_control_http,
	  HTTP(.request = CONNECT("1.1.1.1:443"), .reasons = LITERAL, .literal = "1.1.1.1") },
	{ "literal-doh", 4, "CONNECT to a DNS-over-HTTPS address", IN_POD, .look = proxy_refused, .control = proxy_control_http,
	  HTTP(.request = CONNECT("8.8.8.8:443"), .reasons = LITERAL, .literal = "8.8.8.8") },
	{ "literal-socks", 4, "SOCKS to an address", IN_POD, SOCKS_REFUSED, SOCKS(.literal = "1.1.1.1") },
	{ "literal-socks-v6", 4, "SOCKS to an IPv6 address", IN_POD, SOCKS_REFUSED, SOCKS(.literal = "[2606:4700:4700::1111]") },
	{ "literal-socks-metadata", 4, "SOCKS to the cloud's metadata address", IN_POD, SOCKS_REFUSED,
	  SOCKS(.literal = "169.254.169.254") },
	{ "literal-decimal", 4, "an address as one number", IN_POD, REFUSED("16843009", LITERAL) },
	{ "literal-hex", 4, "an address in hexadecimal", IN_POD, REFUSED("0x01010101", LITERAL) },
	{ "literal-octal", 4, "an address in octal", IN_POD, REFUSED("01.01.01.01", LITERAL) },
	{ "literal-short", 4, "an address in short", IN_POD, REFUSED("1.257", LITERAL) },
	{ "literal-final-dot", 4, "an address with a final dot", IN_POD, REFUSED_LITERAL("1.1.1.1.", "1.1.1.1") },
	{ "literal-mapped", 4, "an IPv4 address as IPv6", IN_POD, REFUSED_LITERAL("[::ffff:1.1.1.1]", "[::ffff:1.1.1.1]") },
	{ "literal-nat64", 4, "an IPv4 address behind NAT64", IN_POD, REFUSED_LITERAL("[64:ff9b::101:101]", "[64:ff9b::101:101]") },
	{ "literal-zone", 4, "an address with a zone", IN_POD, REFUSED("[fe80::1%25lo]", LITERAL " malformed-request") },
	{ "literal-loopback", 4, "the gate's loopback", IN_POD, REFUSED_LITERAL("127.0.0.1", "127.0.0.1") },
	{ "literal-loopback-v6", 4, "the gate's IPv6 loopback", IN_POD, REFUSED_LITERAL("[::1]", "[::1]") },
	{ "literal-zero", 4, "the address 0.0.0.0", IN_POD, REFUSED_LITERAL("0.0.0.0", "0.0.0.0") },
	{ "literal-metadata", 4, "the cloud's metadata address", IN_POD, REFUSED_LITERAL("169.254.169.254", "169.254.169.254") },
	{ "literal-gate", 4, "the gate's own address", IN_POD, REFUSED_LITERAL("198.18.0.1:8080", "198.18.0.1") },
	{ "literal-localhost", 4, "the name localhost", IN_POD, REFUSED_LITERAL("localhost", "localhost") },
	{ "special-addresses", 4, "special addresses that a listed name may resolve to", ON_HOST, policy_special,
	  policy_special_control },

	/* 5: DNS */
	{ "dns-own", 5, "the pod's resolver, for a name of this run", IN_POD, DNS_REFUSED, DNS(NULL, "own.$N", 1) },
	{ "dns-udp-v4", 5, "another resolver", IN_POD, DNS_REFUSED, DNS("8.8.8.8", "a.$N", 1) },
	{ "dns-udp-v6", 5, "another resolver over IPv6", IN_POD, DNS_REFUSED, DNS("2001:4860:4860::8888", "b.$N", 1) },
	{ "dns-tcp-v4", 5, "another resolver by TCP", IN_POD, DNS_REFUSED, DNS("1.1.1.1", "c.$N", 1, .tcp = true) },
	{ "dns-tcp-v6", 5, "another resolver by TCP over IPv6", IN_POD, DNS_REFUSED,
	  DNS("2606:4700:4700::1111", "d.$N", 1, .tcp = true) },
	{ "dns-aaaa", 5, "a question for an IPv6 address", IN_POD, DNS_REFUSED, DNS("9.9.9.9", "e.$N", 28) },
	{ "dns-txt", 5, "a question for text", IN_POD, DNS_REFUSED, DNS("8.8.8.8", "f.$N", 16) },
	{ "dns-any", 5, "a question for anything", IN_POD, DNS_REFUSED, DNS("8.8.8.8", "g.$N", 255) },
	{ "dns-long", 5, "data in long labels", IN_POD, DNS_REFUSED,
	  DNS("8.8.8.8",
	      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
	      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.$N",
	      1) },
	{ "dns-listed", 5, "data below a listed name", IN_POD, DNS_REFUSED, DNS("8.8.8.8", "$U.$L", 1) },
	{ "dns-mdns", 5, "DNS at another port", IN_POD_OPEN, packets_udp, PACKET(TO("8.8.8.8", 5353)) },
	{ "dns-over-quic", 5, "DNS over QUIC", IN_POD_OPEN, packets_udp, PACKET(TO("8.8.8.8", 853)) },
	{ "dns-over-tls", 5, "DNS over TLS", IN_POD_OPEN, packets_tcp, PACKET(TO("8.8.8.8", 853)) },
	{ "dns-over-https", 5, "a DNS-over-HTTPS address, directly", IN_POD_OPEN, packets_tcp, PACKET(TO("8.8.8.8", 443)) },

	/* 6: borrowed names */
	{ "host-mismatch", 6, "a Host that differs from the target", IN_POD,
	  REFUSED_RAW("GET http://$H:$P/ HTTP/1.1\r\nHost: $N\r\nConnection: close\r\n\r\n", "host-mismatch malformed-request") },
	{ "host-twice", 6, "two Hosts", IN_POD,
	  REFUSED_RAW("GET http://$H:$P/ HTTP/1.1\r\nHost: $H:$P\r\nHost: $N\r\nConnection: close\r\n\r\n", MALFORMED) },
	{ "host-missing", 6, "no Host", IN_POD, REFUSED_RAW("GET http://$H:$P/ HTTP/1.1\r\nConnection: close\r\n\r\n", MALFORMED) },
	{ "host-other-way", 6, "a listed Host, and a target that is not", IN_POD,
	  REFUSED_RAW("GET http://$N/ HTTP/1.1\r\nHost: $H\r\nConnection: close\r\n\r\n",
		      "host-mismatch not-listed malformed-request") },
	{ "sni-mismatch", 6, "another server name in an allowed tunnel", IN_POD, proxy_tls, proxy_control_tls, TLS(.name = "$N") },
	{ "sni-missing", 6, "no server name in an allowed tunnel", IN_POD, proxy_tls, proxy_control_tls, TLS(.name = NULL) },
	{ "not-tls", 6, "something else than TLS in an allowed tunnel", IN_POD, proxy_tls, proxy_control_tls,
	  TLS(.plain = "SSH-2.0-stockade\r\n") },
	{ "tunnel-http", 6, "HTTP for another host in an allowed tunnel", IN_POD, proxy_tls, proxy_control_tls,
	  TLS(.plain = "GET / HTTP/1.1\r\nHost: stockade.invalid\r\n\r\n") },

	/* 7: the jail */
	{ "jail", 7, "the jail is in force, rule by rule", ON_HOST, jail_in_force, jail_in_force_control },
	{ "jail-owner", 7, "root in a container has no power over it", ON_HOST, jail_owner, jail_owner_control },
	{ "jail-joined", 7, "every container is in it", ON_HOST, jail_joined, jail_joined_control },
	{ "jail-flush", 7, "flushing nftables", IN_CONTAINER, CALL(call_nft_flush) },
	{ "jail-link", 7, "adding a device", IN_CONTAINER, CALL(call_link_add) },
	{ "jail-address", 7, "adding an address", IN_CONTAINER, CALL(call_address_add) },
	{ "jail-route", 7, "deleting a route", IN_CONTAINER, CALL(call_route_delete) },
	{ "jail-transparent", 7, "a socket that speaks for any address", IN_CONTAINER, CALL(call_transparent) },
	{ "jail-sysctl", 7, "network settings", IN_CONTAINER, CALL(call_open_write, .path = "/proc/sys/net/ipv4/ip_forward") },

	/* 8: fails closed */
	{ "unknown-client", 8, "who is unknown is denied", ON_PROJECT, policy_unknown, policy_known_control },
	{ "empty-list", 8, "an empty list denies everything", ON_PROJECT, policy_empty, policy_empty_control },
	{ "broken-block", 8, "a damaged policy is refused", ON_PROJECT, policy_broken, policy_broken_control },
	{ "gate-privileges", 8, "the gate has no privileges", ON_PROJECT, processes_gate, processes_own_control },
	{ "gate-root", 8, "the gate sees no file", ON_PROJECT, processes_gate_root, processes_own_control },
	{ "lists-writable", 8, "writing to the lists", IN_CONTAINER, CALL(call_write_lists) },

	/* 9: revocation */
	{ "gate-answers", 9, "the gate decides now", IN_POD, proxy_prompt, proxy_control_connected },
	{ "decision-fresh", 9, "the pod's requests are decided by the newest generation", IN_LOG, log_fresh, log_readable_control },

	/* 10: the policy in force */
	{ "decision-policy", 10, "the log names the generation and hash in force", IN_LOG, log_generation, log_readable_control },
	{ "decision-lines", 10, "every line of the log does", IN_LOG, log_lines, log_readable_control },
	{ "policy-hash", 10, "the hash is the policy's", ON_PROJECT, policy_hash, policy_hash_control },
	{ "policy-sealed", 10, "the policy in force cannot be changed", ON_PROJECT, policy_sealed, policy_sealed_control },
	{ "policy-shown", 10, "what ps shows is what was published", ON_PROJECT, policy_shown, policy_shown_control },
	{ "policy-on-disk", 10, "the lists on disk are the policy in force", ON_PROJECT, policy_on_disk, policy_on_disk_control },
};
const size_t probe_count = sizeof probes / sizeof *probes;
