/* A request target (RFC 9112 3.2) taken apart. The host is left raw: policy/host.h makes it canonical. Pure. */
#ifndef STOCKADE_WIRE_HTTP_TARGET_H
#define STOCKADE_WIRE_HTTP_TARGET_H

#include <stdbool.h>

#include "base/span.h"

enum http_target_form { HTTP_TARGET_ORIGIN, HTTP_TARGET_ABSOLUTE, HTTP_TARGET_AUTHORITY, HTTP_TARGET_ASTERISK };

struct http_target {
	enum http_target_form form;
	struct span authority; /* "host" or "host:port" as written; absolute and authority form */
	struct span path;      /* origin-form to send on: "/..." with query, or "*"; empty in authority form */
	bool path_absent;      /* absolute form without a path: path is "/", but an OPTIONS sends "*" (RFC 9112 3.2.4) */
};

/* connect: the method is CONNECT (authority form, port required). Absolute form must be http:// (case-insensitive);
 * userinfo, fragment, a backslash, a byte outside the URI alphabet, a broken %-escape, or a query straight after the
 * authority (clients write the "/") are refused: false. */
bool http_target_parse(struct span target, bool connect, struct http_target *ret);

#endif
