/* Refused packets: the kernel's messages as they should be and as they should not, and (as root) from a kernel's own mouth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate/drops.h"
#include "gate_test.h"

enum { GROUP = 7 };

static const char udp4[] = "\x45\0\0\x1d\0\0\x40\0\x40\x11\0\0\x0a\0\0\1\1\1\1\1\x30\x39\x27\x0f\0\x09\0\0x";
static const char icmp6[] =
	"\x60\0\0\0\0\x08\x3a\x40\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x80\0\0\0";

static size_t put_packet(char *out, const void *packet, size_t n)
{
	const uint32_t mark = 1;
	struct nlmsghdr *h = mnl_nlmsg_put_header(out);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	g = mnl_nlmsg_put_extra_header(h, sizeof *g);
	g->nfgen_family = AF_INET;
	mnl_attr_put_u32(h, NFULA_MARK, mark);
	if (packet)
		mnl_attr_put(h, NFULA_PAYLOAD, n, packet);
	mnl_attr_put_strz(h, NFULA_PREFIX, "x");
	return MNL_ALIGN(h->nlmsg_len);
}

struct seen {
	unsigned count;
	struct ip_packet last;
};

static void note(void *arg, const struct ip_packet *p)
{
	struct seen *s = arg;

	s->count++;
	s->last = *p;
}

/* In memory of its own size, so that a read past the end is seen. */
static struct seen parse(const char *bytes, size_t n)
{
	struct seen s = { 0 };
	char *exact = malloc(n ? n : 1);

	assert_non_null(exact);
	memcpy(exact, bytes, n);
	drops_parse((struct span) { exact, n }, note, &s);
	free(exact);
	return s;
}

static void packets_are_read(void **state)
{
	char bytes[1024];
	size_t n = put_packet(bytes, udp4, sizeof udp4 - 1);
	struct seen s = parse(bytes, n);

	assert_int_equal(s.count, 1);
	assert_int_equal(s.last.protocol, 17);
	assert_int_equal(s.last.port, 9999);
	n += put_packet(bytes + n, NULL, 0);
	n += put_packet(bytes + n, icmp6, sizeof icmp6 - 1);
	s = parse(bytes, n);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.last.family, 6);
	assert_int_equal(s.last.protocol, 58);
	assert_int_equal(s.last.destination[1], 1);
}

static void odd_messages_are_passed_over(void **state)
{
	char good[256], bytes[512];
	const size_t n = put_packet(good, udp4, sizeof udp4 - 1);
	struct nlmsghdr *h = (void *)bytes;

	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(parse(good, cut).count, 0);
	memcpy(bytes, good, n);
	h->nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFULNL_MSG_PACKET;
	memcpy(bytes + n, good, n);
	assert_int_equal(parse(bytes, 2 * n).count, 1);
	for (uint32_t length = 0; length < 40; length++) { /* lengths that leave attributes out, or cut them */
		memcpy(bytes, good, n);
		h->nlmsg_len = length;
		assert_int_equal(parse(bytes, n).count, 0);
	}
	memcpy(bytes + n, good, n); /* a length that is negative when taken as signed, back to the start */
	((struct nlmsghdr *)(void *)(bytes + n))->nlmsg_len = (uint32_t)-n;
	assert_int_equal(parse(bytes + n, n).count, 0);
	memcpy(bytes, good, n);
	assert_int_equal(parse(bytes, 2 * n).count, 1);
	for (size_t i = sizeof *h; i < n; i++) /* every byte of attributes as 0 and 255: no crash, at most one packet */
		for (int v = 0; v < 256; v += 255) {
			memcpy(bytes, good, n);
			bytes[i] = (char)v;
			assert_in_range(parse(bytes, n).count, 0, 1);
		}
	assert_int_equal(parse(bytes, put_packet(bytes, "\x50nonsense", 9)).count, 0);
}

static void lines_are_bounded(void **state)
{
	struct gate_test *t = *state;
	char bytes[256];
	int pair[2];
	const size_t n = put_packet(bytes, udp4, sizeof udp4 - 1);

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(send(pair[1], bytes, n, 0), n);
		drops_ready(&t->worker, &t->client, pair[0]);
	}
	(void)close(pair[0]);
	(void)close(pair[1]);
	assert_int_equal(t->worker.counters.packets_refused, 300);
	const char *text = gate_test_log(t);
	const unsigned lines = gate_test_lines(text);

	assert_in_range(lines, CLIENT_DROP_LINES, 299);
	assert_int_equal(lines + t->worker.counters.log_dropped, 300);
	assert_non_null(strstr(text, "\"adapter\":\"jail\",\"detail\":\"udp\",\"host\":null,\"address\":\"1.1.1.1\",\"port\":9999,"
				     "\"verdict\":\"deny\",\"reason\":\"not-proxied\""));
}

static void an_unnamed_protocol_is_a_number(void **state)
{
	struct gate_test *t = *state;
	char bytes[256], packet[sizeof udp4];
	int pair[2];

	memcpy(packet, udp4, sizeof packet);
	packet[9] = (char)253;
	const size_t n = put_packet(bytes, packet, sizeof packet - 1);

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(send(pair[1], bytes, n, 0), n);
	drops_ready(&t->worker, &t->client, pair[0]);
	(void)close(pair[0]);
	(void)close(pair[1]);
	assert_non_null(strstr(gate_test_log(t), "\"detail\":\"253\",\"host\":null,\"address\":\"1.1.1.1\",\"port\":null,"));
}

/* --- the kernel's own --- */

static int open_group(void)
{
	char bytes[256] = { 0 };
	struct nlmsghdr *h;
	struct nfgenmsg *g;
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(96), .copy_mode = NFULNL_COPY_PACKET };
	struct nfulnl_msg_config_cmd bind_command = { .command = NFULNL_CFG_CMD_BIND };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER);

	assert_true(fd >= 0);
	for (int step = 0; step < 2; step++) {
		h = mnl_nlmsg_put_header(bytes);
		h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
		h->nlmsg_flags = NLM_F_REQUEST;
		g = mnl_nlmsg_put_extra_header(h, sizeof *g);
		g->res_id = htons(GROUP);
		if (step == 0)
			mnl_attr_put(h, NFULA_CFG_CMD, sizeof bind_command, &bind_command);
		else
			mnl_attr_put(h, NFULA_CFG_MODE, sizeof mode, &mode);
		assert_int_equal(send(fd, bytes, h->nlmsg_len, 0), h->nlmsg_len);
	}
	return fd;
}

static bool enter_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	(void)close(fd);
	return system("ip route add local default dev lo && nft add table inet t && "
		      "nft add chain inet t o '{ type filter hook output priority 0; }' && "
		      "nft add rule inet t o udp dport 9999 log group 7 snaplen 96 drop") == 0;
}

static void the_kernel_tells(void **state)
{
	struct gate_test *t = *state;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9999) };

	if (geteuid() != 0 || !enter_network()) {
		print_message("skipped: needs root, ip(8) and nft(8)\n");
		return;
	}
	const int fd = open_group(), out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(inet_pton(AF_INET, "1.1.1.1", &to.sin_addr), 1);
	(void)sendto(out, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
	for (int i = 0; i < 200 && t->worker.counters.packets_refused == 0; i++) {
		drops_ready(&t->worker, &t->client, fd);
		(void)usleep(10000);
	}
	(void)close(fd);
	(void)close(out);
	assert_int_equal(t->worker.counters.packets_refused, 1);
	assert_non_null(strstr(gate_test_log(t), "\"detail\":\"udp\",\"host\":null,\"address\":\"1.1.1.1\",\"port\":9999,"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_test_setup, gate_test_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read),
		cmocka_unit_test(odd_messages_are_passed_over),
		TEST(lines_are_bounded),
		TEST(an_unnamed_protocol_is_a_number),
		TEST(the_kernel_tells), /* last: it leaves the network */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
