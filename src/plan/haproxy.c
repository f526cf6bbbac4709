/* What all pods share, and the files. A frontend is haproxy_frontend.c's. */
#include "plan/haproxy.h"

#include <stdio.h>

#include "plan/haproxy_lua.h"
#include "plan/haproxy_text.h"
#include "policy/reason.h"

/* --- the whole --- */

static void put_global(struct arena_text *t, const struct haproxy_input *in)
{
	arena_text_add(t, "# Written by stockade for project %s, generation %llu.\nglobal\n", in->project,
		       (unsigned long long)in->policy->generation);
	arena_text_add(t, "\tlog fd@%d len 4096 format raw local0\n", in->log);
	arena_text_add(t, "\tlua-load-per-thread " HAPROXY_DIR "/connect.lua\n\tlua-load " HAPROXY_DIR "/ready.lua\n");
	/* Threads that log at the same time lose lines to each other: one, unless more are asked for. */
	arena_text_add(t, "\tnbthread %u\n", in->threads ? in->threads : 1);
	arena_text_add(t,
		       "\ndefaults\n\tmode tcp\n\tlog global\n\tretries 0\n"
		       "\ttimeout connect %ums\n\ttimeout client %ums\n\ttimeout server %ums\n\ttimeout tunnel %ums\n"
		       "\ttimeout http-request %ums\n\ttimeout http-keep-alive %ums\n",
		       in->times.reach, in->times.exchange, in->times.exchange, in->times.tunnel, in->times.head, in->times.idle);
}

static void put_resolvers(struct arena_text *t, const struct haproxy_input *in)
{
	char address[IP_TEXT_MAX];

	arena_text_add(t, "\nresolvers names\n\taccepted_payload_size 4096\n\tresolve_retries 3\n\ttimeout resolve 1s\n\t"
			  "timeout retry 1s\n"
			  "\thold valid 5s\n\thold nx 1s\n\thold refused 1s\n\thold timeout 1s\n\thold other 1s\n\thold "
			  "obsolete 0s\n");
	for (size_t i = 0; i < in->server_count; i++)
		arena_text_add(t, in->servers[i].address.family == 6 ? "\tnameserver n%zu [%s]:%u\n" : "\tnameserver n%zu %s:%u\n",
			       i, ip_format(&in->servers[i].address, address), in->servers[i].port);
}

/* What HAProxy itself has to say when the destination does not answer. */
static void put_failures(struct arena_text *t)
{
	static const struct {
		unsigned status;
		enum reason reason;
		const char *error;
	} list[] = {
		{ 500, REASON_LIMIT, "proxy_internal_error" },
		{ 502, REASON_CONNECT_FAILED, "connection_refused" },
		{ 503, REASON_CONNECT_FAILED, "connection_refused" },
		{ 504, REASON_TIMEOUT, "connection_timeout" },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		arena_text_add(
			t,
			"\thttp-error status %u content-type 'text/plain; charset=utf-8' hdr Proxy-Status 'stockade; "
			"error=%s; "
			"details=\"%s\"' lf-string \"stockade: %s: %s\\npod: %%[var(txn.pod)]\\nasked for: %%[var(txn.name)] port "
			"%%[var(txn.port)]\\n\"\n",
			list[i].status, list[i].error, reason_word(list[i].reason), reason_word(list[i].reason),
			reason_text(list[i].reason));
}

#define SPLICED "\toption splice-request\n\toption splice-response\n"

static void put_backends(struct arena_text *t)
{
	/* Who has not asked for a WebSocket gets no tunnel either. */
	arena_text_add(t, "\nbackend http\n\tmode http\n\thttp-reuse never\n\thttp-response del-header Proxy-Status\n"
			  "\thttp-response deny deny_status 502 if { status 101 } !{ var(txn.upgrade) -m found }\n" SPLICED);
	put_failures(t);
	arena_text_add(t, "\tserver destination 0.0.0.0:0\n\nbackend tls\n\tmode tcp\n" SPLICED "\tserver destination 0.0.0.0:0\n");
	/* What comes of a tunnel that stands is told by the line of its CONNECT. */
	arena_text_add(t, "\nbackend pinned-tls\n\tmode tcp\n" SPLICED
			  "\ttcp-response content set-log-level silent\n\tserver destination 0.0.0.0:0\n");
	for (unsigned pinned = 0; pinned < 2; pinned++) {
		arena_text_add(t, "\nbackend connect%s\n\tmode http\n\thttp-response del-header Proxy-Status\n" SPLICED,
			       pinned ? "-pinned" : "");
		put_failures(t);
		arena_text_add(t, "\tserver inner unix@" HAPROXY_RUN "/connect%s.sock send-proxy-v2\n", pinned ? "-pinned" : "");
	}
}

/* Where CONNECT ends (connect.lua): any protocol. */
static void put_inner(struct arena_text *t)
{
	arena_text_add(t, "\nlisten inner\n\tmode tcp\n\tno log\n\tbind unix@" HAPROXY_RUN
			  "/connect.sock mode 600 accept-proxy\n" SPLICED
			  "\ttcp-request inspect-delay 5s\n\ttcp-request content lua.connect_head\n"
			  "\ttcp-response inspect-delay 5s\n\ttcp-response content lua.connect_established\n"
			  "\tserver destination 0.0.0.0:0\n");
}

/* The same for ports 443 and 80: TLS for the host that was decided on, or, to port 80, HTTP for it, each request anew. */
static void put_pinned(struct arena_text *t, const struct haproxy_input *in)
{
	arena_text_add(
		t,
		"\nfrontend pinned\n\tmode tcp\n\tbind unix@" HAPROXY_RUN "/connect-pinned.sock mode 600 accept-proxy\n"
		"\toption disable-h2-upgrade\n" SPLICED "\tlog-format '" HAPROXY_LOG_TIME
		"\"project\":\"%s\",\"client\":\"%%[var(sess.connect_client)]\",\"event\":\"end\",\"adapter\":\"connect\","
		"\"host\":\"%%[var(sess.connect_host),json(utf8s)]\",\"address\":\"%%[dst]\",\"port\":%%[dst_port],"
		"\"verdict\":\"%%[var(txn.verdict,deny)]\",\"reason\":\"%%[var(txn.reason,connect-failed)]\",\"rule\":null,"
		"\"generation\":%llu,\"hash\":\"%s\",\"bytes_up\":%%U,\"bytes_down\":%%B,\"duration_ms\":%%Tt.000}'\n"
		"\terror-log-format '" HAPROXY_LOG_TIME
		"\"project\":\"%s\",\"client\":\"%%[var(sess.connect_client)]\",\"event\":\"end\",\"adapter\":\"connect\","
		"\"host\":\"%%[var(sess.connect_host),json(utf8s)]\",\"address\":null,\"port\":80,\"verdict\":\"deny\","
		"\"reason\":\"malformed-request\",\"rule\":null,\"generation\":%llu,\"hash\":\"%s\",\"bytes_up\":0,\"bytes_down\":"
		"0,"
		"\"duration_ms\":0.000}'\n",
		in->project, (unsigned long long)in->policy->generation, in->policy->hash, in->project,
		(unsigned long long)in->policy->generation, in->policy->hash);
	arena_text_add(t,
		       "\tacl decided var(txn.reason) -m found\n"
		       "\ttcp-request inspect-delay %ums\n"
		       "\ttcp-request content lua.connect_accept if !{ var(sess.connect_host) -m found }\n"
		       "\ttcp-request content set-var(sess.connect_client) var(txn.connect_client) if { var(txn.connect_host) -m "
		       "found }\n"
		       "\ttcp-request content set-var(sess.connect_host) var(txn.connect_host) if { var(txn.connect_host) -m found "
		       "}\n"
		       "\ttcp-request content switch-mode http if { dst_port 80 } HTTP\n",
		       in->times.head);
	haproxy_put_superseded(t, false);
	arena_text_add(t, "\ttcp-request content set-var(txn.reason) str(not-tls) if !{ req.ssl_hello_type 1 }\n"
			  "\ttcp-request content reject if decided\n"
			  "\ttcp-request content set-var(txn.reason) str(sni-missing) if !{ req.ssl_sni -m len 1: }\n"
			  "\ttcp-request content reject if decided\n"
			  "\ttcp-request content lua.hello_strict\n"
			  "\ttcp-request content set-var(txn.reason) str(sni-mismatch) if !{ var(txn.hello_name) -m found }\n"
			  "\ttcp-request content set-var(txn.reason) str(sni-mismatch) if !decided "
			  "!{ var(txn.hello_name),strcmp(sess.connect_host) eq 0 }\n"
			  "\ttcp-request content reject if decided\n");
	arena_text_add(t, "\thttp-request set-var(txn.pod) var(sess.connect_client)\n"
			  "\thttp-request set-var(txn.name) var(sess.connect_host)\n"
			  "\thttp-request set-var(txn.port) int(80)\n");
	haproxy_put_superseded(t, true);
	haproxy_put_unambiguous(t);
	arena_text_add(
		t, "\thttp-request set-var(txn.reason) str(malformed-request) if METH_CONNECT\n"
		   "\thttp-request set-var(txn.reason) str(malformed-request) if !{ req.hdr_cnt(host) eq 1 }\n"
		   "\thttp-request set-var(txn.reason) str(host-mismatch) if !decided "
		   "!{ req.fhdr(host),host_only,lower,rtrim(.),strcmp(sess.connect_host) eq 0 }\n"
		   "\thttp-request set-var(txn.reason) str(host-mismatch) if !decided !{ req.fhdr(host),port_only -m int 0 80 }\n"
		   "\thttp-request deny deny_status 400 content-type 'text/plain; charset=utf-8' hdr Proxy-Status 'stockade; "
		   "error=http_request_error; details=\"%%[var(txn.reason)]\"' hdr Connection close lf-string \"stockade: "
		   "%%[var(txn.reason)]: the tunnel is for another host\\npod: %%[var(txn.pod)]\\n\" if decided\n"
		   "\thttp-request set-var(txn.reason) str(allowed)\n"
		   "\thttp-request set-var(txn.verdict) str(allow)\n");
	haproxy_put_rewriting(t);
	arena_text_add(t, "\tuse_backend http if { var(txn.verdict) -m found }\n\tdefault_backend pinned-tls\n");
}

/* --- files --- */

static void add_file(struct haproxy_files *l, struct arena *a, const char *name, struct span text)
{
	ARENA_PUSH(a, l->items, l->count) = (struct haproxy_file) { name, text };
}

static void add_networks(struct haproxy_files *l, struct arena *a, const char *name, bool (*next)(size_t, struct ip_net *),
			 uint8_t family)
{
	struct arena_text t = { .arena = a };
	struct ip_net net;
	char address[IP_TEXT_MAX];

	for (size_t i = 0; next(i, &net); i++)
		if (net.addr.family == family)
			arena_text_add(&t, "%s/%u\n", ip_format(&net.addr, address), net.prefix);
	add_file(l, a, name, (struct span) { t.p, t.n });
}

static void add_own(struct haproxy_files *l, struct arena *a, const char *name, const struct haproxy_input *in, uint8_t family)
{
	struct arena_text t = { .arena = a };
	char address[IP_TEXT_MAX];

	for (size_t i = 0; i < in->own_count; i++)
		if (in->own[i].addr.family == family)
			arena_text_add(&t, "%s/%u\n", ip_format(&in->own[i].addr, address), in->own[i].prefix);
	add_file(l, a, name, (struct span) { t.p, t.n });
}

static int add_pod(struct haproxy_files *l, struct arena_text *t, const struct haproxy_input *in, size_t pod, struct err *err)
{
	const uint32_t client = snapshot_client(in->policy, span_of(in->pods[pod].name));
	struct haproxy_lists lists;
	const struct haproxy_frontend f = { t, in, &in->pods[pod], &lists };

	if (!text_is_plain(in->pods[pod].name))
		return err_set(err, ERR_FAULT, "a pod's name that cannot be given to HAProxy: %.80s", in->pods[pod].name);
	/* One that the policy does not know has no rule, and so may reach nothing. */
	if (haproxy_lists_make(in->policy, client, (unsigned)pod, t->arena, &lists, err) < 0)
		return -1;
	for (size_t i = 0; i < lists.count; i++)
		add_file(l, t->arena, lists.groups[i].file, (struct span) { lists.groups[i].text.p, lists.groups[i].text.n });
	haproxy_frontend_put(&f);
	return 0;
}

static bool is_rendered(const struct haproxy_input *in, const char *client)
{
	for (size_t i = 0; i < in->pod_count; i++)
		if (strcmp(in->pods[i].name, client) == 0)
			return true;
	return false;
}

/* A pod that comes later must find its lists as good as those that are there: what could not be served is refused with the policy. */
static int check_others(const struct haproxy_input *in, struct arena *a, struct err *err)
{
	struct haproxy_lists unused;

	for (uint32_t i = 0; i < snapshot_client_count(in->policy); i++)
		if (!is_rendered(in, snapshot_client_name(in->policy, i)) &&
		    haproxy_lists_make(in->policy, i, 0, a, &unused, err) < 0)
			return -1;
	return 0;
}

int plan_haproxy(const struct haproxy_input *in, struct arena *a, struct haproxy_files *ret, struct err *err)
{
	struct arena_text t = { .arena = a };
	struct haproxy_files l = { 0 };

	if (!text_is_plain(in->project) || (in->policy->hash[0] && !text_is_plain(in->policy->hash)))
		return err_set(err, ERR_FAULT, "a project's name that cannot be given to HAProxy: %.80s", in->project);
	put_global(&t, in);
	put_resolvers(&t, in);
	put_backends(&t);
	put_inner(&t);
	put_pinned(&t, in);
	for (size_t i = 0; i < in->pod_count; i++)
		if (add_pod(&l, &t, in, i, err) < 0)
			return -1;
	if (check_others(in, a, err) < 0)
		return -1;
	add_file(&l, a, HAPROXY_CONFIG, (struct span) { t.p, t.n });
	add_networks(&l, a, "special4.lst", ip_special_net, 4);
	add_networks(&l, a, "special6.lst", ip_special_net, 6);
	add_networks(&l, a, "embedded.lst", ip_embedded_net, 6);
	add_own(&l, a, "own4.lst", in, 4);
	add_own(&l, a, "own6.lst", in, 6);
	add_file(&l, a, "connect.lua", plan_haproxy_connect_lua());
	add_file(&l, a, "ready.lua", (struct span) { haproxy_ready_lua, haproxy_ready_lua_size });
	*ret = l;
	return 0;
}

struct span plan_haproxy_connect_lua(void)
{
	return (struct span) { haproxy_connect_lua, haproxy_connect_lua_size };
}
