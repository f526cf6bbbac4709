/* One conversation with the gate, and what it means. */
#ifndef STOCKADE_VERIFY_PROXY_TALK_H
#define STOCKADE_VERIFY_PROXY_TALK_H

#include "verify/answer.h"
#include "verify/probe_proxy.h"
#include "verify/talk.h"

/* PROXY_PATIENT_MS: longer than the gate waits for a name server. */
enum { REQUEST_MAX = 3000, PROXY_PATIENT_MS = 5800 };

struct ip_addr proxy_gate(void);    /* where every pod finds it */
struct ip_addr proxy_nowhere(void); /* an address that is nobody's, for captured traffic; nothing is ever dialled there */

/* Sends a request and reads an answer's head. NULL: an answer is in *ret; else what happened instead, in buf. Notes a gate that is
 * silent. */
const char *proxy_ask(struct view *v, const struct http_case *c, struct span request, struct answer *ret, char *buf, size_t size);
/* CONNECT, then a greeting (server name NULL: none) or plain bytes. The first byte that comes back, 0 when it was cut off, -1 with
 * words in buf when neither. */
int proxy_tunnel(struct view *v, const struct candidate *to, bool captured, const char *name, const char *plain, char *buf,
		 size_t size);
bool proxy_is_silent(struct view *v, struct finding *f);

#endif
