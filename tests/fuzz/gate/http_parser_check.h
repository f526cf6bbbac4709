/* What another parser (Debian's libhttp-parser) reads in bytes that ours takes for requests. */
#ifndef STOCKADE_FUZZ_HTTP_PARSER_CHECK_H
#define STOCKADE_FUZZ_HTTP_PARSER_CHECK_H

#include "base/span.h"

/* Aborts unless both see the same in a head that http_request_parse and http_target_parse accept: method, target, version, each
 * field, and where the body ends. */
void check_head(struct span head);
/* Aborts unless all of the stream is requests, the last perhaps unfinished, each for `host` (canonical) and `port`, and both parsers
 * see them begin and end at the same bytes. switched: a websocket's bytes may follow a request that asks for one. */
void check_requests(struct span stream, struct span host, unsigned port, bool switched);

#endif
