/* What people write on a command line: sizes, times, resolvers. */
#ifndef STOCKADE_CMD_VALUES_H
#define STOCKADE_CMD_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "gate/limits.h"
#include "plan/manifest.h"

/* "64M", "512K", "1048576", "2GiB": bytes, at least 1; K, M, G, T are powers of 1024. */
bool size_parse(const char *text, uint64_t *ret);
/* "10", "10s", "5m", "2h", "500ms": milliseconds, up to 20 days. */
bool duration_parse(const char *text, uint32_t *ret_ms);
/* Each is an address, or one with a port: "1.2.3.4", "1.2.3.4:5353", "2001:db8::1", "[2001:db8::1]:53". -1 when all are; else 2,
 * and it is told. */
int dns_check(const char *verb, const struct strings *dns);
/* Each is NAME=VALUE of gate/limits.h; the others have their defaults. Likewise. */
int limits_read(const char *verb, const struct strings *given, struct gate_limits *ret);

#endif
