/* The only device of a pod. */
#ifndef STOCKADE_POD_LO_H
#define STOCKADE_POD_LO_H

#include "base/err.h"
#include "policy/address.h"

/* In the network namespace of the calling thread, which must have no device but lo: lo up, both addresses on it, and every
 * destination local to it. */
int lo_set_up(const struct ip_addr *v4, const struct ip_addr *v6, struct err *err);
/* Fails when there is any other device that is up: then the namespace is somebody's. */
int lo_check_alone(struct err *err);

#endif
