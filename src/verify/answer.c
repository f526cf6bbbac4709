#include "verify/answer.h"

#include <stdio.h>

#include "wire/http_head.h"

/* Proxy-Status: stockade; error=http_request_denied; details="not-listed" (RFC 9209) */
static void read_status(struct span value, struct answer *ret)
{
	static const char key[] = "details=\"";
	const struct span name = SPAN_LITERAL("stockade");
	const char *at;

	if (!value.p || value.n < name.n || !span_eq_nocase(span_first(value, name.n), name))
		return;
	at = memmem(value.p, value.n, key, sizeof key - 1);
	ret->from_gate = memmem(value.p, value.n, "error=", 6) != NULL;
	if (!at)
		return;
	at += sizeof key - 1;
	for (size_t i = 0; at < value.p + value.n && i + 1 < sizeof ret->reason && ((*at >= 'a' && *at <= 'z') || *at == '-'); i++)
		ret->reason[i] = *at++;
}

int answer_parse(struct span in, bool for_head, struct answer *ret)
{
	struct http_head head;
	enum http_bad bad;
	const enum wire_result rc = http_reply_parse(in, for_head, false, &head, &bad);

	if (rc != WIRE_DONE)
		return rc == WIRE_MORE ? 0 : -1;
	*ret = (struct answer) { .status = head.status, .size = head.size };
	const struct http_field *field = http_field_find(&head, SPAN_LITERAL("Proxy-Status"));

	if (field)
		read_status(field->value, ret);
	return 1;
}

bool answer_reason_in(const struct answer *a, const char *words)
{
	const size_t n = strlen(a->reason);

	for (const char *at = words; n && (at = strstr(at, a->reason)); at++)
		if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
			return true;
	return false;
}

bool answer_failed_beyond(const struct answer *a)
{
	return a->from_gate && answer_reason_in(a, "resolve-failed connect-failed upstream-failed timeout");
}
