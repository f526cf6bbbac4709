/* SOCKS 5 to the gate, from inside the pod: it must be no way around what is asked by HTTP. */
#ifndef STOCKADE_VERIFY_PROBE_SOCKS_H
#define STOCKADE_VERIFY_PROBE_SOCKS_H

#include "verify/probe.h"

struct socks_case {
	const char *name;    /* with the marks of proxy_expand; NULL: */
	const char *literal; /* an address; IPv6 in brackets */
};

void socks_refused(struct view *v, const struct probe *p, struct finding *f); /* socks_case, port 443: must not be allowed */
void socks_control(struct view *v, const struct probe *p, struct finding *f); /* the allowed host was let through */

#endif
