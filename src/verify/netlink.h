/* What an attacker would ask of the kernel's network, as raw netlink: no tool is needed inside a container. Each returns 0 or an
 * errno. */
#ifndef STOCKADE_VERIFY_NETLINK_H
#define STOCKADE_VERIFY_NETLINK_H

#include <stdbool.h>
#include <stddef.h>

int netlink_link_add(void);                  /* a dummy device "verify0" (where the kernel has none of these: veth, bridge) */
int netlink_address_add(const char *device); /* 192.0.2.1/32 */
int netlink_route_delete(void);              /* the route that makes every IPv4 destination local */
int netlink_nft_flush(void);                 /* all nftables tables */
/* Sets a device up; by ioctl. */
int netlink_link_up(const char *name);

/* Routes of all tables, IPv4 and IPv6: how many, and how many of them do not lead to lo. */
int netlink_routes(size_t *ret_all, size_t *ret_foreign);

#endif
