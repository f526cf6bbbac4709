/* Requests and greetings to the gate, from inside the pod: whatever is not listed must be refused, and what is listed must not. */
#ifndef STOCKADE_VERIFY_PROBE_PROXY_H
#define STOCKADE_VERIFY_PROBE_PROXY_H

#include "verify/probe.h"

/* What is sent; see proxy_expand for the marks in it. */
struct http_case {
	const char *request;
	const char *reasons; /* the gate's words that are right */
	const char *literal; /* an address that the list may allow after all: then there is nothing to show */
	bool captured;       /* not to the gate, but to an address that is nobody's, port 80 */
	bool second;         /* two requests, the first allowed: the second answer counts */
	bool from_other;     /* from another pod's address */
	bool patient;        /* it may have to wait for a name server */
};
struct tls_case {
	const char *name;  /* server name, with marks; NULL: none */
	const char *plain; /* instead of a greeting */
	bool captured;     /* not through a CONNECT to the allowed host, but to an address that is nobody's */
};

/* Finds out what may be reached, and whether the gate answers at all: for the controls. Before the others. */
void proxy_prepare(struct view *v);

/* $N a name of this run that nobody lists, $L the tree that is listed, $H:$P the allowed host and port, $Q:$R a name and port that
 * only another pod may reach, $Z a NUL. Returns the size; 0: something is not there (the finding says what) or does not fit. */
size_t proxy_expand(struct view *v, const char *text, char *out, size_t size, struct finding *f);

/* true: the pod's list allows this address after all (the finding says so), so that there is nothing to show. */
bool proxy_literal_listed(struct view *v, const char *literal, struct finding *f);

void proxy_refused(struct view *v, const struct probe *p,
		   struct finding *f); /* http_case: must be refused with one of its reasons */
void proxy_allowed(struct view *v, const struct probe *p, struct finding *f); /* http_case: must be allowed */
void proxy_reached(struct view *v, const struct probe *p, struct finding *f); /* an allowed name was reached */
void proxy_prompt(struct view *v, const struct probe *p, struct finding *f);  /* the gate answers */
void proxy_tls(struct view *v, const struct probe *p, struct finding *f);     /* tls_case: must be cut off */

/* Controls. */
void proxy_control_http(struct view *v, const struct probe *p, struct finding *f);   /* an allowed request was let through */
void proxy_control_denied(struct view *v, const struct probe *p, struct finding *f); /* a request for $N was not */
void proxy_control_captured(struct view *v, const struct probe *p, struct finding *f);
void proxy_control_tls(struct view *v, const struct probe *p, struct finding *f);
void proxy_control_connected(struct view *v, const struct probe *p, struct finding *f); /* TCP to the gate connects */

#endif
