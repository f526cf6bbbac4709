/* The jail: one `inet stockade` table in a pod's network namespace, put up from outside in one transaction and read back.
 *
 * The pod has no device but lo, and `local default dev lo` makes every destination local. So all that a pod sends appears in
 * prerouting on lo. The table: TCP to anything but 127.0.0.0/8 and ::1 goes by tproxy to port 15001; DNS (UDP and TCP port 53)
 * goes to the listener on port 53; loopback addresses and the pod's own addresses are left alone; everything else is logged to
 * NFLOG (rate-limited, 96 bytes) and refused at once (output chain: TCP reset / ICMP port-unreachable / admin-prohibited). A
 * forward chain with policy drop, and a rule that drops and logs what enters or leaves by any device but lo: with a device added by
 * somebody, there is still a wall. */
#ifndef STOCKADE_JAIL_JAIL_H
#define STOCKADE_JAIL_JAIL_H

#include "base/arena.h"
#include "base/err.h"

/* All of these act on the network namespace of the calling thread and need CAP_NET_ADMIN there; jail_check also CAP_SYS_ADMIN, for
 * a namespace to compare with. */

/* Applies `ruleset` (plan_ruleset) as one transaction. */
int jail_apply(const char *ruleset, struct err *err);
/* Lists what is in force and compares it with what the ruleset asks for: any table, chain, rule, policy or order that
 * differs is an error that names it. Counters and handles are ignored. */
int jail_check(const char *ruleset, struct err *err);
/* The same where other people have tables too: only those that the ruleset names are looked at. */
int jail_check_among(const char *ruleset, struct err *err);
/* A non-blocking netlink socket bound to the NFLOG group, copy mode packet 96 bytes; for the gate. -1 on error. */
int jail_open_drops(unsigned group, struct err *err);

#endif
