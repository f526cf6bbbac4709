/* Why a request was decided as it was: one stable word each, the same in answers, logs, metrics and docs. */
#ifndef STOCKADE_POLICY_REASON_H
#define STOCKADE_POLICY_REASON_H

/* X(constant, word, what it means to a person) */
#define REASONS(X)                                                                                               \
	X(ALLOWED, "allowed", "an allow rule names this host and port")                                          \
	X(UNKNOWN_CLIENT, "unknown-client", "the gate has no policy for whoever is asking")                      \
	X(MALFORMED_HOST, "malformed-host", "the host is not a valid name or address")                           \
	X(MALFORMED_REQUEST, "malformed-request", "the request is not one that every parser reads alike")        \
	X(NOT_LISTED, "not-listed", "no allow rule names this host")                                             \
	X(PORT_NOT_LISTED, "port-not-listed", "the host is listed, but not with this port")                      \
	X(DENIED_BY_RULE, "denied-by-rule", "a deny rule names this host")                                       \
	X(ADDRESS_LITERAL, "address-literal", "an address was asked for, and no rule lists it")                  \
	X(SPECIAL_ADDRESS, "special-address", "the name leads to a private, local or otherwise special address") \
	X(HOST_MISMATCH, "host-mismatch", "the Host field differs from what was allowed")                        \
	X(SNI_MISMATCH, "sni-mismatch", "the TLS server name differs from what was allowed")                     \
	X(SNI_MISSING, "sni-missing", "the TLS greeting names no server")                                        \
	X(NOT_TLS, "not-tls", "a TLS port was asked for, and what came is not TLS")                              \
	X(NOT_PROXYABLE, "not-proxyable", "captured traffic that names no host the gate could decide on")        \
	X(RESOLVE_FAILED, "resolve-failed", "the name has no address, or its servers do not answer")             \
	X(CONNECT_FAILED, "connect-failed", "the destination does not accept the connection")                    \
	X(UPSTREAM_FAILED, "upstream-failed", "the destination broke off or answered nonsense")                  \
	X(TIMEOUT, "timeout", "a time limit ran out")                                                            \
	X(LIMIT, "limit", "a limit of the gate was reached")                                                     \
	X(REVOKED, "revoked", "a newer policy no longer allows this tunnel")                                     \
	X(DNS_NAME, "dns-name", "the pod's resolver answers pod names and nothing else")                         \
	X(NOT_PROXIED, "not-proxied", "a packet that is not TCP to the gate, refused by the jail")

enum reason {
#define X(constant, word, text) REASON_##constant,
	REASONS(X)
#undef X
		REASON_COUNT
};

const char *reason_word(enum reason r); /* "not-listed" */
const char *reason_text(enum reason r); /* the sentence */

#endif
