#include "engine/gate_options.h"

#include <stdio.h>
#include <string.h>

#include "engine/house.h"

/* --- reading --- */

static int read_dns(struct gate_options *o, const json_t *dns, struct err *err)
{
	if (json_array_size(dns) > GATE_DNS_MAX)
		return err_set(err, ERR_INPUT, "at most %d DNS servers", GATE_DNS_MAX);
	for (size_t i = 0; i < json_array_size(dns); i++) {
		const char *text = json_string_value(json_array_get(dns, i));

		if (!text || !text[0] || strlen(text) >= GATE_DNS_TEXT)
			return err_set(err, ERR_INPUT, "a DNS server is ADDRESS or ADDRESS:PORT");
		(void)snprintf(o->dns[i], GATE_DNS_TEXT, "%s", text);
	}
	return 0;
}

/* A limit that nobody would keep is not taken. */
static int check_haproxy(const struct gate_options *o, struct err *err)
{
	static const enum gate_limit not_kept[] = { LIMIT_HEADS_PER_SECOND, LIMIT_REST_TIME, LIMIT_ANSWER_TIME, LIMIT_DRAIN_TIME };
	struct gate_limits usual;

	limits_default(&usual);
	for (size_t i = 0; i < sizeof not_kept / sizeof *not_kept; i++)
		if (o->limits.of[not_kept[i]] != usual.of[not_kept[i]])
			return err_set(err, ERR_INPUT, "HAProxy does not keep the limit %s; leave it out, or use --gate builtin",
				       limit_name(not_kept[i]));
	return 0;
}

static int read_limits(struct gate_options *o, const json_t *limits, struct err *err)
{
	limits_default(&o->limits);
	for (size_t i = 0; i < json_array_size(limits); i++) {
		const char *text = json_string_value(json_array_get(limits, i));

		if (limits_set(&o->limits, text ? text : "", err) < 0)
			return -1;
	}
	return 0;
}

int gate_options_read(struct gate_options *o, const json_t *request, struct err *err)
{
	const char *gate = json_string_value(json_object_get(request, "gate"));
	const json_int_t workers = json_integer_value(json_object_get(request, "workers"));

	*o = (struct gate_options) { .workers = (unsigned)workers, .haproxy = gate && strcmp(gate, "haproxy") == 0 };
	if (workers < 0 || workers > GATE_WORKERS_MAX)
		return err_set(err, ERR_INPUT, "the gate has 1 to %d workers", GATE_WORKERS_MAX);
	if (gate && !o->haproxy && strcmp(gate, "builtin") != 0)
		return err_set(err, ERR_INPUT, "no such gate: %.40s", gate);
	if (read_dns(o, json_object_get(request, "dns"), err) < 0 || read_limits(o, json_object_get(request, "limits"), err) < 0)
		return -1;
	return o->haproxy ? check_haproxy(o, err) : 0;
}

/* --- setting --- */

static int start_haproxy(struct house *h, struct err *err)
{
	h->haproxy.pods = &h->gate.pods;
	h->haproxy.log = h->decisions;
	h->haproxy.limits = &h->options.limits;
	if (haproxy_start(&h->haproxy, err) < 0)
		return -1;
	h->gate.haproxy = &h->haproxy;
	return 0;
}

static bool are_others(const struct gate_options *o, const struct gate_options *than)
{
	return memcmp(o->dns, than->dns, sizeof o->dns) != 0 || o->workers != than->workers ||
	       memcmp(&o->limits, &than->limits, sizeof o->limits) != 0;
}

static void keep(struct house *h, const struct gate_options *o)
{
	size_t n = 0;

	h->options = *o;
	while (n < GATE_DNS_MAX && h->options.dns[n][0]) {
		h->dns_list[n] = h->options.dns[n];
		n++;
	}
	h->dns_list[n] = NULL;
	h->gate.dns = h->haproxy.dns = n ? h->dns_list : NULL;
	h->gate.workers = h->haproxy.workers = o->workers;
	h->gate.limits = &h->options.limits;
}

int gate_options_set(struct house *h, const struct gate_options *o, struct err *err)
{
	const bool others = are_others(o, &h->options);

	if (h->gate_started && (h->gate.haproxy != NULL) != o->haproxy)
		return err_set(err, ERR_INPUT, "the project runs with --gate %s; 'stockade down' first",
			       h->gate.haproxy ? "haproxy" : "builtin");
	if (!h->gate_started && o->haproxy && start_haproxy(h, err) < 0)
		return -1;
	keep(h, o);
	if (h->gate_started)
		return others ? GATE_OPTIONS_OTHER : GATE_OPTIONS_SAME;
	h->gate_started = true;
	h->gate.outside = h->podman.bridge.on;
	gate_link_start(&h->gate);
	gate_link_log(&h->gate, h->decisions);
	return GATE_OPTIONS_STARTED;
}
