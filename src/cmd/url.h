/* The host and port of what a person calls a destination. Pure. */
#ifndef STOCKADE_CMD_URL_H
#define STOCKADE_CMD_URL_H

#include "policy/host.h"

/* "https://example.com/x", "wss://h:8443", "ssh://git@h" (clients keep the user to themselves), "example.com", "example.com:22",
 * "[2001:db8::1]:443". Without a port: the scheme's; 443 when there is no scheme. A scheme that has none known: *ret_port is 0. */
enum host_result url_parse(const char *url, struct host *ret, uint16_t *ret_port);

#endif
