/* rtnetlink in the calling process's network namespace: a socket, one request at a time, its answers. */
#ifndef STOCKADE_POD_RTNL_H
#define STOCKADE_POD_RTNL_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>

#include "base/err.h"
#include "policy/address.h"

enum { RTNL_MESSAGE = 8192, RTNL_DEVICES = 128, RTNL_LO = 1, RTNL_MAC = 6 };

struct rtnl {
	struct mnl_socket *socket;
	unsigned sequence, port;
	_Alignas(struct nlmsghdr) char message[RTNL_MESSAGE];
};

struct rtnl_device {
	int index;
	char name[IF_NAMESIZE];
	uint8_t mac[RTNL_MAC];
	bool up;
};

struct rtnl_devices { /* without lo */
	struct rtnl_device list[RTNL_DEVICES];
	size_t count;
};

int rtnl_open(struct rtnl *r, struct err *err);
void rtnl_close(struct rtnl *r);
struct nlmsghdr *rtnl_begin(struct rtnl *r, uint16_t type, uint16_t flags);
/* Sends and takes the answers, each data message to cb, until the last or the acknowledgement. 0, or -1 with errno. */
int rtnl_talk(struct rtnl *r, const struct nlmsghdr *h, mnl_cb_t cb, void *arg);

int rtnl_list(struct rtnl *r, struct rtnl_devices *d, struct err *err);
/* The rest: 0, or -1 with errno. Addresses are put with their full length. */
int rtnl_up(struct rtnl *r, int device);
int rtnl_remove(struct rtnl *r, int device);
int rtnl_add_address(struct rtnl *r, int device, const struct ip_addr *a);

#endif
