/* What comes back to a probe, from anybody: a DNS reply and an HTTP answer. Neither may be read past its end, nor be twice
 * different. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "verify/answer.h"
#include "verify/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = { (const char *)data, size };
	const uint16_t id = size >= 2 ? (uint16_t)((unsigned)data[0] << 8 | data[1]) : 0;
	struct dns_reply r;
	struct answer a, again;

	if (dns_reply_read(in, id, &r)) {
		assert(size >= 12 && r.rcode < 16);
		assert(r.address.family == 0 || (r.answers > 0 && (r.address.family == 4 || r.address.family == 6)));
		assert(!dns_reply_read(in, (uint16_t)(id + 1), &r));
	}
	if (answer_parse(in, false, &a) > 0) {
		assert(a.size <= size && strlen(a.reason) < sizeof a.reason);
		assert(answer_parse(span_first(in, a.size), false, &again) > 0 && again.status == a.status);
		assert(strspn(a.reason, "abcdefghijklmnopqrstuvwxyz-") == strlen(a.reason));
	}
	return 0;
}
