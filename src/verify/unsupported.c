#include "verify/unsupported.h"

#include <stdio.h>
#include <string.h>

#define REPAIRS "HAProxy repairs this and hands on what it understood, where it should refuse"

static const struct {
	const char *id, *why;
} known[] = {
	{ "smuggle-length-chunked", REPAIRS },
	{ "smuggle-fold", REPAIRS },
	{ "smuggle-bare-lf", REPAIRS },
	{ "gate-root", "HAProxy sees the host's programs and its own files, read-only" },
};

static const struct probe_result stated[] = {
	{ .id = "smuggle-repaired",
	  .promise = 3,
	  .pod = "",
	  .title = "lengths that are said twice, ports that are said twice, and framing or Host among trailers are refused",
	  .outcome = PROBE_UNSUPPORTED,
	  .detail = "HAProxy makes one of equal lengths, takes :80 and a lone colon off a target, and hands trailers on",
	  .control = "known of HAProxy, not tried" },
	{ .id = "hello-retry",
	  .promise = 6,
	  .pod = "",
	  .title = "a second TLS greeting, which a server may ask for, is for the same host",
	  .outcome = PROBE_UNSUPPORTED,
	  .detail = "HAProxy sees the first one and hands on unread what the client sends after it",
	  .control = "known of HAProxy, not tried" },
	{ .id = "tunnel-revocation",
	  .promise = 9,
	  .pod = "",
	  .title = "a tunnel that a newer policy does not allow is closed at once",
	  .outcome = PROBE_UNSUPPORTED,
	  .detail = "HAProxy does not judge it again: all connections of the generation before end within 30 s of a reload",
	  .control = "known of HAProxy, not tried" },
};

void unsupported_judge(struct probe_result *r)
{
	char seen[sizeof r->detail];

	if (r->outcome != PROBE_FAILED)
		return;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].id, r->id) != 0)
			continue;
		memcpy(seen, r->detail, sizeof seen);
		(void)snprintf(r->detail, sizeof r->detail, "%s (%.100s)", known[i].why, seen);
		r->outcome = PROBE_UNSUPPORTED;
	}
}

bool unsupported_stated(size_t index, struct probe_result *ret)
{
	if (index >= sizeof stated / sizeof *stated)
		return false;
	*ret = stated[index];
	return true;
}

void unsupported_take_answer(struct span in, struct answer *a)
{
	static const struct span own =
		SPAN_LITERAL("HTTP/1.1 400 Bad request\r\nContent-length: 90\r\nCache-Control: no-cache\r\n"
			     "Connection: close\r\nContent-Type: text/html\r\n\r\n<html><body><h1>400 Bad request"
			     "</h1>\nYour browser sent an invalid request.\n</body></html>");

	if (in.n < own.n || memcmp(in.p, own.p, own.n) != 0)
		return;
	a->from_gate = true;
	(void)snprintf(a->reason, sizeof a->reason, "malformed-request");
}
