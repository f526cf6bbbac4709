/* Questions to any resolver, for names that exist only in this run: none may be answered, and none may leave. */
#ifndef STOCKADE_VERIFY_PROBE_DNS_H
#define STOCKADE_VERIFY_PROBE_DNS_H

#include "verify/probe.h"

struct dns_case {
	const char *server; /* NULL: the pod's own resolver, the gate */
	const char *name;   /* with the marks of proxy_expand */
	uint16_t type;
	bool tcp;
};
void dns_refused(struct view *v, const struct probe *p, struct finding *f);
void dns_control(struct view *v, const struct probe *p, struct finding *f); /* the gate's name, asked the same way */

#endif
