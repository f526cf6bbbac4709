/* What came back through a gate, as far as a probe must tell it apart. Pure; the bytes are anybody's. */
#ifndef STOCKADE_VERIFY_ANSWER_H
#define STOCKADE_VERIFY_ANSWER_H

#include <stdbool.h>

#include "base/span.h"

struct answer {
	unsigned status;
	bool from_gate;  /* it says so itself: Proxy-Status names stockade and an error */
	char reason[40]; /* the gate's word; "" */
	size_t size;     /* of the head */
};

/* The first head of in: 1 read, 0 more bytes are needed, -1 no HTTP answer. for_head: the request was HEAD. */
int answer_parse(struct span in, bool for_head, struct answer *ret);
/* One of the words of a list with spaces between. */
bool answer_reason_in(const struct answer *a, const char *words);
/* The gate let it pass, and failed to reach the destination. */
bool answer_failed_beyond(const struct answer *a);

#endif
