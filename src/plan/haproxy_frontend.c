/* The order of a frontend's rules is the verdict's order (policy/decide.h): well-formed, deny rules, allow rules for host and port, then,
 * after resolving, the address. What is found goes into variables of the transaction; the first reason that is set is the last word.
 * The same rules decide requests ("http-request") and captured TLS ("tcp-request content").
 *
 * HAProxy looks the suffixes of a name up by field(-1,.,N): the last N labels, or the whole when there are fewer. */
#include <stdio.h>

#include "plan/haproxy_text.h"
#include "policy/reason.h"

enum { RANGES_A_LINE = 24 };

/* --- what is known of a request --- */

/* One line of the decision log, in the gate's own form. */
static void put_log_format(const struct haproxy_frontend *f)
{
	arena_text_add(
		f->t,
		"\tlog-format '" HAPROXY_LOG_TIME "\"project\":\"%s\",\"client\":\"%s\",\"event\":\"end\",\"adapter\":\"%%[var("
		"txn.adapter,captured)]\",\"method\":%%[var(txn.method,null)],\"host\":%%[var(txn.host,null)],\"address\":%%[var("
		"txn.address,null)],\"port\":%%[var(txn.port,null)],\"verdict\":\"%%[var(txn.verdict,deny)]\",\"reason\":\"%%[var("
		"txn.reason,malformed-request)]\",\"rule\":%%[var(txn.rule,null)],\"status\":%%[var(txn.status,0)],"
		"\"generation\":%llu,\"hash\":\"%s\",\"bytes_up\":%%U,\"bytes_down\":%%B,\"duration_ms\":%%Tt.000}'\n",
		f->in->project, f->pod->name, (unsigned long long)f->in->policy->generation, f->in->policy->hash);
	arena_text_add(
		f->t,
		"\terror-log-format '" HAPROXY_LOG_TIME "\"project\":\"%s\",\"client\":\"%s\",\"event\":\"end\",\"adapter\":"
		"\"http\",\"host\":null,\"address\":null,\"port\":null,\"verdict\":\"deny\",\"reason\":\"malformed-request\","
		"\"rule\":null,\"generation\":%llu,\"hash\":\"%s\",\"bytes_up\":0,\"bytes_down\":0,\"duration_ms\":0.000}'\n",
		f->in->project, f->pod->name, (unsigned long long)f->in->policy->generation, f->in->policy->hash);
}

static void put_facts(const struct haproxy_frontend *f)
{
#define QUAD "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
	arena_text_add(f->t, "\tacl explicit var(sess.explicit) -m bool\n"
			     "\tacl decided var(txn.reason) -m found\n"
			     "\tacl denied var(txn.denied) -m found\n"
			     "\tacl allowed var(txn.allowed) -m found\n"
			     "\tacl listed var(txn.listed) -m found\n"
			     "\tacl literal var(txn.literal) -m found\n"
			     "\tacl absolute url -m beg -i http://\n"
			     "\tacl name_form var(txn.asked) -m reg "
			     "'^([A-Za-z0-9_-]{1,63}[.])*[A-Za-z0-9_-]{1,63}[.]?(:[1-9][0-9]{0,4})?$'\n"
			     "\tacl six_form var(txn.asked) -m reg '^[[][0-9A-Fa-f]*:[0-9A-Fa-f:.]{1,44}[]](:[1-9][0-9]{0,4})?$'\n"
			     "\tacl odd_bytes var(txn.asked) -m reg '[^][A-Za-z0-9_.:-]'\n"
			     "\tacl numeric var(txn.name),field(-1,.) -m reg '^(0x.*|[0-9]+)$'\n"
			     "\tacl quad var(txn.bare) -m reg '^" QUAD "[.]" QUAD "[.]" QUAD "[.]" QUAD "$'\n"
			     "\tacl six var(txn.addr) -m sub :\n"
			     "\tacl special_address var(txn.addr) -m ip -f " HAPROXY_DIR "/special4.lst\n"
			     "\tacl special_six var(txn.addr) -m ip -f " HAPROXY_DIR "/special6.lst\n"
			     "\tacl embedded var(txn.addr) -m ip -f " HAPROXY_DIR "/embedded.lst\n"
			     "\tacl own_address var(txn.addr) -m ip -f " HAPROXY_DIR "/own4.lst\n"
			     "\tacl own_six var(txn.addr) -m ip -f " HAPROXY_DIR "/own6.lst\n");
#undef QUAD
}

/* Each set of ports that the client's rules name. */
static void put_port_sets(const struct haproxy_frontend *f)
{
	for (size_t i = 0; i < f->lists->count; i++) {
		const struct haproxy_group *g = &f->lists->groups[i];
		bool first = true;

		for (size_t k = 0; k < i && first; k++)
			first = f->lists->groups[k].port_set != g->port_set;
		for (uint32_t k = 0; first && k < g->port_count; k++)
			arena_text_add(f->t, "%s%u:%u%s",
				       k % RANGES_A_LINE
					       ? " "
					       : arena_printf(f->t->arena, "\tacl ports_%u var(txn.port) -m int ", g->port_set),
				       g->ports[k] >> 16, g->ports[k] & 0xffff,
				       (k + 1) % RANGES_A_LINE == 0 || k + 1 == g->port_count ? "\n" : "");
	}
	arena_text_add(f->t, "\tacl ports_0 var(txn.port) -m int 80 443\n");
}

/* The condition on the port; a deny rule without ports means all. */
static const char *port_condition(const struct haproxy_frontend *f, const struct haproxy_group *g)
{
	return g->deny && g->port_count == 0 ? "" : arena_printf(f->t->arena, " ports_%u", g->port_set);
}

/* Looks the name up in a group's file: by each number of labels that its keys have, the longest first. */
static void put_name_lookups(const struct haproxy_frontend *f, const struct haproxy_group *g, const char *rule, const char *into,
			     const char *condition)
{
	const char *from = g->match == RULE_BELOW ? "txn.parent" : "txn.name";
	const char *unless = arena_printf(f->t->arena, "!{ var(%s) -m found }%s", into, condition);

	if (g->match == RULE_EXACT) {
		arena_text_add(f->t, "\t%s set-var(%s) var(txn.name),map_str(" HAPROXY_DIR "/%s) if %s\n", rule, into, g->file,
			       unless);
		return;
	}
	for (unsigned n = 127; n > 0; n--)
		if (g->labels[n / 64] >> n % 64 & 1)
			arena_text_add(f->t, "\t%s set-var(%s) var(%s),field(-1,.,%u),map_str(" HAPROXY_DIR "/%s) if %s\n", rule,
				       into, from, n, g->file, unless);
}

static void put_name_rules(const struct haproxy_frontend *f, const char *rule)
{
	arena_text_add(f->t, "\t%s set-var(txn.parent) var(txn.name),field(2,.,0)\n", rule);
	for (size_t i = 0; i < f->lists->count; i++) {
		const struct haproxy_group *g = &f->lists->groups[i];

		if (g->match != RULE_NETWORK)
			put_name_lookups(f, g, rule, g->deny ? "txn.denied" : "txn.allowed", port_condition(f, g));
	}
	for (size_t i = 0; i < f->lists->count; i++)
		if (f->lists->groups[i].match != RULE_NETWORK && !f->lists->groups[i].deny)
			put_name_lookups(f, &f->lists->groups[i], rule, "txn.listed", " !allowed !denied");
	arena_text_add(f->t,
		       "\t%1$s set-var(txn.reason) str(denied-by-rule) if denied\n"
		       "\t%1$s set-var(txn.reason) str(port-not-listed) if !literal !decided !allowed listed\n"
		       "\t%1$s set-var(txn.reason) str(not-listed) if !literal !decided !allowed !listed\n"
		       "\t%1$s set-var-fmt(txn.rule) \"\\\"%%[var(txn.allowed)]\\\"\" if allowed\n"
		       "\t%1$s set-var-fmt(txn.rule) \"\\\"%%[var(txn.denied)]\\\"\" if denied\n",
		       rule);
}

static void put_network_rules(const struct haproxy_frontend *f, const char *rule)
{
	for (size_t i = 0; i < f->lists->count; i++) {
		const struct haproxy_group *g = &f->lists->groups[i];
		const char *family = g->family == 6 ? "six" : "!six";

		if (g->match != RULE_NETWORK)
			continue;
		arena_text_add(f->t, "\t%s set-var(txn.%s) var(txn.addr),map_ip(" HAPROXY_DIR "/%s) if %s%s\n", rule,
			       g->deny     ? "net_denied"
			       : g->single ? "net_single"
					   : "net_allowed",
			       g->file, family, port_condition(f, g));
		if (!g->deny)
			arena_text_add(f->t,
				       "\t%s set-var(txn.net_listed) var(txn.addr),map_ip(" HAPROXY_DIR "/%s) if literal %s\n",
				       rule, g->file, family);
	}
	arena_text_add(
		f->t,
		"\t%1$s set-var(txn.net_allowed) var(txn.net_single) if { var(txn.net_single) -m found }\n"
		"\t%1$s set-var-fmt(txn.rule) \"\\\"%%[var(txn.net_allowed)]\\\"\" if literal { var(txn.net_allowed) -m found "
		"}\n"
		"\t%1$s set-var-fmt(txn.rule) \"\\\"%%[var(txn.net_denied)]\\\"\" if { var(txn.net_denied) -m found }\n"
		"\t%1$s set-var(txn.reason) str(denied-by-rule) if !decided { var(txn.net_denied) -m found }\n"
		"\t%1$s set-var(txn.reason) str(address-literal) if literal !decided six embedded\n"
		"\t%1$s set-var(txn.reason) str(special-address) if !decided six embedded\n"
		"\t%1$s set-var(txn.reason) str(port-not-listed) if literal !decided !{ var(txn.net_allowed) -m found } "
		"{ var(txn.net_listed) -m found }\n"
		"\t%1$s set-var(txn.reason) str(address-literal) if literal !decided !{ var(txn.net_allowed) -m found }\n"
		"\t%1$s set-var(txn.reason) str(special-address) if !decided !six special_address !{ var(txn.net_allowed) -m "
		"found }\n"
		"\t%1$s set-var(txn.reason) str(special-address) if !decided six special_six !{ var(txn.net_allowed) -m found "
		"}\n"
		"\t%1$s set-var(txn.reason) str(special-address) if !decided !six own_address !{ var(txn.net_single) -m found "
		"}\n"
		"\t%1$s set-var(txn.reason) str(special-address) if !decided six own_six !{ var(txn.net_single) -m found }\n",
		rule);
}

/* What was asked for, in txn.asked, as one canonical name or address. */
static void put_canonical(const struct haproxy_frontend *f, const char *rule)
{
	arena_text_add(f->t,
		       "\t%1$s set-var(txn.reason) str(malformed-host) if !decided !name_form !six_form\n"
		       "\t%1$s set-var(txn.reason) str(malformed-host) if !decided odd_bytes\n"
		       "\t%1$s set-var(txn.bare) var(txn.asked),host_only,lower\n"
		       "\t%1$s set-var(txn.name) var(txn.bare),rtrim(.)\n"
		       "\t%1$s set-var(txn.reason) str(malformed-host) if !decided { var(txn.name),length gt 253 } !six_form\n"
		       "\t%1$s set-var(txn.reason) str(malformed-host) if !decided !{ var(txn.port) -m int 1:65535 }\n"
		       "\t%1$s set-var-fmt(txn.host) \"\\\"%%[var(txn.name),json(utf8s)]\\\"\" if { var(txn.name),length le 253 }\n"
		       "\t%1$s set-var(txn.reason) str(address-literal) if !decided !six_form numeric !quad\n"
		       "\t%1$s set-var(txn.literal) var(txn.bare) if quad\n"
		       "\t%1$s set-var(txn.literal) var(txn.asked),field(2,[),field(1,]) if six_form\n",
		       rule);
}

static void put_resolving(const struct haproxy_frontend *f, const char *rule)
{
	arena_text_add(f->t,
		       "\t%1$s do-resolve(txn.addr,names,ipv4) var(txn.name) if !literal !decided\n"
		       "\t%1$s set-var(txn.addr) var(txn.literal) if literal\n"
		       "\t%1$s set-var(txn.reason) str(resolve-failed) if !decided !literal !{ var(txn.addr) -m found }\n"
		       "\t%1$s set-var-fmt(txn.address) \"\\\"%%[var(txn.addr),json(utf8s)]\\\"\" if { var(txn.addr) -m found }\n",
		       rule);
}

/* Last: what will be dialled is what was decided, or nothing is. */
static void put_destination(const struct haproxy_frontend *f, const char *rule, const char *refuse)
{
	arena_text_add(f->t,
		       "\t%1$s set-dst var(txn.addr)\n\t%1$s set-dst-port var(txn.port)\n"
		       "\t%2$s if !{ dst,strcmp(txn.addr) eq 0 }\n\t%2$s if !{ dst_port,sub(txn.port) eq 0 }\n"
		       "\t%1$s set-var(txn.reason) str(allowed)\n\t%1$s set-var(txn.verdict) str(allow)\n",
		       rule, refuse);
}

/* --- a newer process has taken over --- */

/* HAProxy takes the signal to stop before it lets go of the listeners, and that is waited for (gates/haproxy.c): so once a newer policy is
 * in force, nothing is decided by this one. Asked when a request comes, and again when its name has been resolved. */
void haproxy_put_superseded(struct arena_text *t, bool http)
{
	if (!http) {
		arena_text_add(t, "\ttcp-request content set-var(txn.reason) str(revoked) if { stopping }\n"
				  "\ttcp-request content reject if { stopping }\n");
		return;
	}
	arena_text_add(
		t, "\thttp-request set-var(txn.superseded) bool(true) if { stopping }\n"
		   "\thttp-request set-var(txn.reason) str(revoked) if { var(txn.superseded) -m bool }\n"
		   "\thttp-request deny deny_status 503 content-type 'text/plain; charset=utf-8' hdr Proxy-Status 'stockade; "
		   "error=http_request_denied; details=\"revoked\"' hdr Retry-After 0 hdr Connection close string \"stockade: "
		   "revoked: "
		   "this connection began under an older policy; ask again on a new one\\n\" if { var(txn.superseded) -m bool }\n");
}

/* --- refusals --- */

struct refusal {
	enum reason reason;
	unsigned status;
	const char *error; /* RFC 9209 2.3 */
	const char *more;
};

#define ASKED        "asked for: %[var(txn.name)] port %[var(txn.port)]\\n"
#define HINT         "To allow it, add this line to a list of %[var(txn.pod)] and run 'stockade reload':\\n%[var(txn.entry)]\\n"
#define HINT_ADDRESS "To allow it, list the address itself as well, and run 'stockade reload'.\\n"

/* Before anything is resolved. */
static const struct refusal early[] = {
	{ REASON_MALFORMED_REQUEST, 400, "http_request_error", "" },
	{ REASON_MALFORMED_HOST, 400, "http_request_error", "" },
	{ REASON_HOST_MISMATCH, 400, "http_request_error", ASKED },
	{ REASON_ADDRESS_LITERAL, 403, "http_request_denied", ASKED },
};
static const struct refusal by_name[] = {
	{ REASON_DENIED_BY_RULE, 403, "http_request_denied", ASKED "rule: %[var(txn.denied)]\\n" },
	{ REASON_PORT_NOT_LISTED, 403, "http_request_denied", ASKED HINT },
	{ REASON_NOT_LISTED, 403, "http_request_denied", ASKED HINT },
};
static const struct refusal by_address[] = {
	{ REASON_RESOLVE_FAILED, 502, "dns_error", ASKED },
	{ REASON_DENIED_BY_RULE, 403, "http_request_denied", ASKED "rule: %[var(txn.net_denied)]\\n" },
	{ REASON_PORT_NOT_LISTED, 403, "http_request_denied", ASKED HINT },
	{ REASON_ADDRESS_LITERAL, 403, "http_request_denied", ASKED HINT },
	{ REASON_SPECIAL_ADDRESS, 403, "destination_ip_prohibited", ASKED HINT_ADDRESS },
};

static void put_refusals(const struct haproxy_frontend *f, const struct refusal *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		arena_text_add(f->t,
			       "\thttp-request deny deny_status %u content-type 'text/plain; charset=utf-8' hdr Proxy-Status "
			       "'stockade; error=%s; "
			       "details=\"%s\"' lf-string \"stockade: %s: %s\\npod: %s\\n%s\" if { var(txn.reason) -m str %s }\n",
			       list[i].status, list[i].error, reason_word(list[i].reason), reason_word(list[i].reason),
			       reason_text(list[i].reason), f->pod->name, list[i].more, reason_word(list[i].reason));
}

#define PUT_REFUSALS(f, list) put_refusals((f), (list), sizeof(list) / sizeof *(list))

/* What HAProxy's parser turns away itself, once a request has begun. */
static void put_parse_errors(const struct haproxy_frontend *f)
{
	static const struct {
		unsigned status;
		enum reason reason;
	} list[] = { { 400, REASON_MALFORMED_REQUEST }, { 408, REASON_TIMEOUT } };

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		arena_text_add(f->t,
			       "\thttp-error status %u content-type 'text/plain; charset=utf-8' hdr Proxy-Status 'stockade; "
			       "error=http_request_error; details=\"%s\"' string \"stockade: %s: %s\\npod: %s\\n\"\n",
			       list[i].status, reason_word(list[i].reason), reason_word(list[i].reason),
			       reason_text(list[i].reason), f->pod->name);
}

/* --- connections and requests --- */

static void put_arrival(const struct haproxy_frontend *f)
{
	char v4[IP_TEXT_MAX], v6[IP_TEXT_MAX];

	arena_text_add(f->t, "\nfrontend pod-%s\n\tbind fd@%d\n\tbind fd@%d\n\tmaxconn %u\n\toption disable-h2-upgrade\n",
		       f->pod->name, f->pod->tcp4, f->pod->tcp6, f->in->connections);
	put_log_format(f);
	put_parse_errors(f);
	put_facts(f);
	put_port_sets(f);
	arena_text_add(f->t,
		       "\ttcp-request session set-var(sess.explicit) bool(true) if { dst %s %s }\n"
		       "\ttcp-request session set-var(sess.port) dst_port\n"
		       "\ttcp-request inspect-delay %ums\n"
		       "\ttcp-request content set-var(txn.pod) str(%s)\n"
		       "\ttcp-request content switch-mode http if explicit\n"
		       "\ttcp-request content set-var(txn.port) var(sess.port)\n"
		       "\ttcp-request content switch-mode http if HTTP\n",
		       ip_format(&f->in->gate_v4, v4), ip_format(&f->in->gate_v6, v6), f->in->times.first_byte, f->pod->name);
	haproxy_put_superseded(f->t, false);
}

static void put_captured_tls(const struct haproxy_frontend *f)
{
	static const char rule[] = "tcp-request content", refuse[] = "tcp-request content reject";

	arena_text_add(f->t,
		       "\t%1$s set-var(txn.reason) str(not-proxyable) if !{ req.ssl_hello_type 1 }\n"
		       "\t%2$s if decided\n"
		       "\t%1$s set-var(txn.adapter) str(captured-tls)\n"
		       "\t%1$s set-var(txn.asked) req.ssl_sni\n"
		       "\t%1$s set-var(txn.reason) str(sni-missing) if !{ req.ssl_sni -m len 1: }\n"
		       "\t%1$s lua.hello_strict\n"
		       "\t%1$s set-var(txn.reason) str(malformed-host) if !decided !{ var(txn.hello_name) -m found }\n"
		       "\t%1$s set-var(txn.reason) str(malformed-host) if !decided { req.ssl_sni -m sub : }\n",
		       rule, refuse);
	put_canonical(f, rule);
	arena_text_add(f->t, "\t%s if decided\n", refuse);
	put_name_rules(f, rule);
	arena_text_add(f->t, "\t%s if decided\n", refuse);
	put_resolving(f, rule);
	put_network_rules(f, rule);
	arena_text_add(f->t, "\t%s if decided\n", refuse);
	haproxy_put_superseded(f->t, false);
	put_destination(f, rule, refuse);
}

/* What HAProxy's parser lets through, and the next one may read otherwise. */
void haproxy_put_unambiguous(struct arena_text *t)
{
	arena_text_add(t, "\thttp-request set-var(txn.reason) str(malformed-request) if !{ req.ver 1.0 1.1 }\n"
			  "\thttp-request set-var(txn.reason) str(malformed-request) if { req.ver 1.0 } "
			  "{ req.fhdr_cnt(transfer-encoding) gt 0 }\n"
			  "\thttp-request set-var(txn.reason) str(malformed-request) if { req.hdr_names(:) -m reg -i "
			  "'(^|:)(content_length|transfer_encoding|transfer-encoding[^:])' }\n"
			  "\thttp-request set-var(txn.reason) str(malformed-request) if { req.hdrs -m reg '\\x00' }\n");
}

static void put_understanding(const struct haproxy_frontend *f)
{
	arena_text_add(f->t,
		       "\thttp-request set-var(txn.pod) str(%s)\n"
		       "\thttp-request set-var(txn.verb) str(other)\n"
		       "\thttp-request set-var(txn.verb) method,json(utf8s) if { method -m len 1:16 }\n"
		       "\thttp-request set-var-fmt(txn.method) \"\\\"%%[var(txn.verb)]\\\"\"\n"
		       "\thttp-request set-var(txn.adapter) str(http)\n"
		       "\thttp-request set-var(txn.adapter) str(captured-http) if !explicit\n"
		       "\thttp-request set-var(txn.adapter) str(connect) if explicit METH_CONNECT\n",
		       f->pod->name);
	haproxy_put_superseded(f->t, true);
	haproxy_put_unambiguous(f->t);
	arena_text_add(f->t,
		       "\thttp-request set-var(txn.reason) str(malformed-request) if explicit !METH_CONNECT !absolute\n"
		       "\thttp-request set-var(txn.reason) str(malformed-request) if !explicit METH_CONNECT\n"
		       "\thttp-request set-var(txn.reason) str(malformed-request) if { req.hdr_cnt(host) gt 1 }\n"
		       "\thttp-request set-var(txn.reason) str(malformed-request) if { req.ver 1.1 } !{ req.hdr(host) -m found }\n"
		       "\thttp-request set-var(txn.asked) req.fhdr(host)\n"
		       "\thttp-request set-var(txn.asked) url,field(3,/),field(1,?) if absolute\n"
		       "\thttp-request set-var(txn.asked) url if METH_CONNECT\n"
		       "\thttp-request set-var(txn.port) var(txn.asked),port_only\n"
		       "\thttp-request set-var(txn.port) int(80) if !METH_CONNECT { var(txn.port) -m int 0 }\n");
	put_canonical(f, "http-request");
	/* The Host field says the same; a CONNECT's may leave out the port. */
	arena_text_add(f->t, "\thttp-request set-var(txn.host_name) req.fhdr(host),host_only,lower,rtrim(.)\n"
			     "\thttp-request set-var(txn.host_port) req.fhdr(host),port_only\n"
			     "\thttp-request set-var(txn.host_port) int(80) if !METH_CONNECT { var(txn.host_port) -m int 0 }\n"
			     "\thttp-request set-var(txn.host_port) var(txn.port) if METH_CONNECT { var(txn.host_port) -m int 0 }\n"
			     "\thttp-request set-var(txn.reason) str(host-mismatch) if !decided { req.hdr(host) -m found } "
			     "!{ var(txn.host_name),strcmp(txn.name) eq 0 }\n"
			     "\thttp-request set-var(txn.reason) str(host-mismatch) if !decided { req.hdr(host) -m found } "
			     "!{ var(txn.host_port),sub(txn.port) eq 0 }\n"
			     "\thttp-request set-var(txn.reason) str(host-mismatch) if !decided !explicit !{ "
			     "var(sess.port),sub(txn.port) eq 0 }\n");
	/* As it is written in a list. */
	arena_text_add(f->t, "\thttp-request set-var(txn.entry) var(txn.name)\n"
			     "\thttp-request set-var-fmt(txn.entry) \"%%[var(txn.name)]:%%[var(txn.port)]\" if !{ var(txn.port) -m "
			     "int 80 443 }\n");
	PUT_REFUSALS(f, early);
}

void haproxy_put_rewriting(struct arena_text *t)
{
	arena_text_add(
		t, "\thttp-request set-var(txn.path) pathq\n"
		   "\thttp-request set-uri %%[var(txn.path)] if !METH_CONNECT { pathq -m len 1: }\n"
		   "\thttp-request set-uri / if !METH_CONNECT !METH_OPTIONS !{ pathq -m len 1: }\n"
		   "\thttp-request set-uri * if METH_OPTIONS !{ pathq -m len 1: }\n"
		   "\thttp-request set-header Host %%[var(txn.name)] if !METH_CONNECT { var(txn.port) -m int 80 }\n"
		   "\thttp-request set-header Host %%[var(txn.name)]:%%[var(txn.port)] if !METH_CONNECT !{ var(txn.port) -m int "
		   "80 }\n"
		   "\thttp-request del-header Proxy-Authorization\n"
		   "\thttp-request del-header Proxy-Connection\n"
		   "\thttp-request del-header HTTP2-Settings\n"
		   "\thttp-request del-header Upgrade if !{ req.fhdr_cnt(upgrade) eq 1 }\n"
		   "\thttp-request del-header Upgrade if !{ req.fhdr(upgrade) -m str -i websocket }\n"
		   "\thttp-request set-var(txn.upgrade) bool(true) if { req.fhdr_cnt(upgrade) eq 1 }\n");
}

/* What the inner proxies go by: who asks, and a source of the address's family, as a PROXY header has one. */
static void put_hand_over(const struct haproxy_frontend *f)
{
	arena_text_add(f->t, "\thttp-request set-header X-Connect-Client %%[var(txn.pod)] if METH_CONNECT\n"
			     "\thttp-request set-src ipv4(127.0.0.1) if METH_CONNECT !six\n"
			     "\thttp-request set-src ipv6(::1) if METH_CONNECT six\n");
}

static void put_requests(const struct haproxy_frontend *f)
{
	static const char rule[] = "http-request";

	put_understanding(f);
	put_name_rules(f, rule);
	PUT_REFUSALS(f, by_name);
	put_resolving(f, rule);
	put_network_rules(f, rule);
	PUT_REFUSALS(f, by_address);
	haproxy_put_superseded(f->t, true);
	put_destination(f, rule, "http-request deny deny_status 500");
	haproxy_put_rewriting(f->t);
	put_hand_over(f);
	arena_text_add(f->t,
		       "\thttp-after-response set-var(txn.status) status\n"
		       "\thttp-after-response set-header Connection close if !{ var(txn.verdict) -m found } { status 400 503 }\n"
		       "\thttp-after-response set-var(txn.reason) str(connect-failed) if { res.hdr(proxy-status) -m sub "
		       "connect-failed }\n"
		       "\thttp-after-response set-var(txn.reason) str(timeout) if { res.hdr(proxy-status) -m sub "
		       "details=\\\"timeout }\n"
		       "\tuse_backend connect-pinned if METH_CONNECT !literal { var(txn.port) -m int 80 443 }\n"
		       "\tuse_backend connect if METH_CONNECT\n"
		       "\tuse_backend http if { var(txn.method) -m found }\n"
		       "\tdefault_backend tls\n");
}

void haproxy_frontend_put(const struct haproxy_frontend *f)
{
	put_arrival(f);
	put_captured_tls(f);
	put_requests(f);
}
