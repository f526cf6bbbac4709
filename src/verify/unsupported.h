/* What the HAProxy gate cannot do (docs/haproxy.md): such a probe is neither passed nor failed but unsupported, and counted so. */
#ifndef STOCKADE_VERIFY_UNSUPPORTED_H
#define STOCKADE_VERIFY_UNSUPPORTED_H

#include "verify/answer.h"
#include "verify/verify.h"

/* Turns a failure that is known into what it is. One that is not known stays a failure, and what is kept after all stays passed. */
void unsupported_judge(struct probe_result *r);
/* What is known and cannot be tried from a pod; false: there are no more. */
bool unsupported_stated(size_t index, struct probe_result *ret);
/* HAProxy's parser answers by itself, in words that cannot be changed: taken for a refusal as malformed-request. */
void unsupported_take_answer(struct span in, struct answer *a);

#endif
