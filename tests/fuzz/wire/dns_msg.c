/* DNS questions. Whatever is answered must be a well-formed answer to that very question, which a naive reader checks. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/dns_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned number(const char *p, size_t at)
{
	return (unsigned)(uint8_t)p[at] << 8 | (uint8_t)p[at + 1];
}

static void check_answer(const struct dns_question *q, struct span query, enum dns_rcode rcode, struct span addr)
{
	const size_t question = q->wire_name.n + 4;
	char *out = malloc(DNS_ANSWER_MAX);
	struct dns_question again;
	int bad;
	size_t n, at;

	assert(out);
	n = dns_answer_write(q, rcode, addr, UINT32_MAX, out, DNS_ANSWER_MAX);
	assert(n >= 12 + question && n <= DNS_ANSWER_MAX);
	assert(number(out, 0) == number(query.p, 0));
	assert((number(out, 2) & 0x8000) && (number(out, 2) & 0x7a0f) == (unsigned)rcode);
	assert(number(out, 4) == 1 && number(out, 6) == (addr.n > 0) && number(out, 8) == 0 && number(out, 10) == q->edns);
	assert(memcmp(out + 12, query.p + 12, question) == 0);
	at = 12 + question;
	if (addr.n > 0) {
		assert(number(out, at) == 0xc00c && number(out, at + 2) == q->type && number(out, at + 10) == addr.n);
		assert(!((uint8_t)out[at + 6] & 0x80) && memcmp(out + at + 12, addr.p, addr.n) == 0);
		at += 12 + addr.n;
	}
	assert(n - at == (q->edns ? 11U : 0U));
	assert(dns_question_parse((struct span) { out, n }, &again, &bad) == WIRE_BAD && bad == -1); /* no answer to an answer */
	for (size_t small = 0; small < n; small += 7)
		assert(dns_answer_write(q, rcode, addr, 0, out, small) == 0);
	free(out);
}

static void check_name(const struct dns_question *q)
{
	assert(q->name_length < sizeof q->name && strlen(q->name) == q->name_length);
	for (size_t i = 0; i < q->name_length; i++)
		assert(q->name[i] > ' ' && q->name[i] < 0x7f && q->name[i] != '"' && !(q->name[i] >= 'A' && q->name[i] <= 'Z'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = { (const char *)data, size };
	const struct span none = { NULL, 0 };
	struct dns_question q;
	char out[12];
	int rcode = 99;

	if (dns_question_parse(in, &q, &rcode) == WIRE_DONE) {
		assert(rcode == DNS_NOERROR && q.wire_name.p == in.p + 12);
		check_name(&q);
		check_answer(&q, in, DNS_NXDOMAIN, none);
		check_answer(&q, in, DNS_NOERROR, none);
		if (q.type == DNS_A)
			check_answer(&q, in, DNS_NOERROR, SPAN_LITERAL("\xc6\x12\0\1"));
		if (q.type == DNS_AAAA)
			check_answer(&q, in, DNS_NOERROR, SPAN_LITERAL("0123456789abcdef"));
	} else {
		assert(rcode == -1 || rcode == DNS_FORMERR || rcode == DNS_NOTIMP);
		assert(rcode == -1 ? size < 12 || (data[2] & 0x80) : size >= 12 && !(data[2] & 0x80));
	}
	assert(dns_error_write(in, rcode, out, sizeof out) == (size < 12 ? 0 : 12));
	return 0;
}
