/* What every byte parser of this room answers. */
#ifndef STOCKADE_WIRE_WIRE_H
#define STOCKADE_WIRE_WIRE_H

enum wire_result {
	WIRE_DONE, /* a whole thing was read */
	WIRE_MORE, /* what is there is right so far, and not whole */
	WIRE_BAD,  /* it can never become right */
};

/* X(constant, sentence for the 400 answer's body) */
#define HTTP_BADS(X)                                                                                       \
	X(NONE, "")                                                                                        \
	X(REQUEST_LINE, "the request line is not METHOD SP target SP HTTP/1.x")                            \
	X(METHOD, "the method is not a token that every parser reads alike")                               \
	X(TARGET, "the request target has a byte that is not allowed there")                               \
	X(VERSION, "the version is not HTTP/1.0 or HTTP/1.1")                                              \
	X(STATUS_LINE, "the status line is malformed")                                                     \
	X(LINE_END, "a line ends with a bare CR or LF")                                                    \
	X(FIELD_NAME, "a field name is empty, not a token, followed by a space or like a framing field's") \
	X(FIELD_VALUE, "a field value has a control byte")                                                 \
	X(OBS_FOLD, "a field is folded over several lines")                                                \
	X(TOO_LARGE, "the head is larger than 64 KiB")                                                     \
	X(TOO_MANY_FIELDS, "the head has more than 256 fields")                                            \
	X(HOST_MISSING, "HTTP/1.1 needs a Host field")                                                     \
	X(HOST_TWICE, "there are two Host fields")                                                         \
	X(LENGTH, "Content-Length is not one decimal number")                                              \
	X(LENGTH_TWICE, "there are two Content-Length fields")                                             \
	X(LENGTH_AND_CODING, "both Content-Length and Transfer-Encoding are there")                        \
	X(CODING, "Transfer-Encoding is something else than chunked")                                      \
	X(CODING_IN_1_0, "Transfer-Encoding in HTTP/1.0")                                                  \
	X(CONNECT_BODY, "CONNECT and TRACE carry no body")                                                 \
	X(EXPECT, "Expect is something else than 100-continue")                                            \
	X(CONNECTION, "Connection is not a short list of tokens, or names a field that may not be dropped")

enum http_bad {
#define X(constant, text) HTTP_BAD_##constant,
	HTTP_BADS(X)
#undef X
		HTTP_BAD_COUNT
};

const char *http_bad_text(enum http_bad b);

#endif
