/* A wire's network: its place, which nobody else may have, its file for Podman, and the wall that keeps the host off it. The wall is up before
 * the network can be used, and goes when the network is gone: whoever is on it, and however that was started, meets the wall. */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/bridge.h"
#include "engine/podman.h"
#include "jail/jail.h"
#include "pod/bridge_ends.h"
#include "pod/errand.h"

/* --- the host's wall --- */

static int apply(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_apply(arg, err);
}

static int apply_and_check(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_apply(arg, err) < 0 ? -1 : jail_check_among(arg, err);
}

static int check(void *arg, int *ret_fds, struct err *err)
{
	(void)ret_fds;
	return jail_check_among(arg, err);
}

static int with_wall(const struct bridge_wire *w, errand_fn *fn, struct err *err)
{
	struct arena a = { 0 };
	const int rc = errand_run(fn, (void *)plan_bridge_host_wall(w->device, &a), NULL, 0, err);

	arena_free(&a);
	return rc < 0 ? err_wrap(err, "the wall between the host and the bridge %s", w->device) : 0;
}

int bridge_wall_up(const struct bridge_wire *w, struct err *err)
{
	return with_wall(w, apply_and_check, err);
}

int bridge_wall_check(const struct bridge_wire *w, struct err *err)
{
	return with_wall(w, check, err);
}

static void take_wall_down(const char *device)
{
	struct arena a = { 0 };
	struct err err = { 0 };

	if (errand_run(apply, (void *)plan_bridge_host_wall_gone(device, &a), NULL, 0, &err) < 0)
		log_error("the tables inet and arp %s stay: %s", device, err.text);
	arena_free(&a);
}

/* --- other networks --- */

/* By one set of settings; the project's own are left out. */
static int add_networks(const struct house *h, const char *env, json_t *list, struct err *err)
{
	static const char *const argv[] = { "podman", "network", "ls", "--format", "json", NULL };
	const struct program p = { .argv = argv, .env = env, .mounts = h->host_mounts, .limit_ms = PODMAN_QUICK_MS };
	struct arena a = { 0 };
	char own[BRIDGE_DEVICE];
	const char *out = "";
	json_t *all = program_wait(&p, &a, &out, err) == 0 ? json_loads(out, 0, NULL) : NULL, *network;
	int rc = json_is_array(all) ? 0
		 : err->class       ? err_wrap(err, "podman network ls")
				    : err_set(err, ERR_FAULT, "podman network ls: its answer is not understood");
	size_t i;

	plan_bridge_prefix(h->podman.dir, own);
	json_array_foreach(all, i, network)
	{
		const char *device = json_string_value(json_object_get(network, "network_interface"));

		if ((!device || strncmp(device, own, strlen(own)) != 0) && json_array_append(list, network) < 0)
			rc = err_set(err, ERR_FAULT, "out of memory for Podman's networks");
	}
	json_decref(all);
	arena_free(&a);
	return rc;
}

/* Those by Podman's usual settings, and those that somebody has made by the project's: they may be down, and then no route tells of them. */
int bridge_networks_read(struct house *h, struct err *err)
{
	json_t *list = json_array();

	if (!list)
		return err_set(err, ERR_FAULT, "out of memory for Podman's networks");
	if (add_networks(h, NULL, list, err) < 0 || add_networks(h, h->podman.env, list, err) < 0) {
		json_decref(list);
		return -1;
	}
	json_decref(h->podman.bridge.others);
	h->podman.bridge.others = list;
	return 0;
}

static int check_network(const json_t *network, const struct bridge_wire *w, struct err *err)
{
	const json_t *subnet;
	struct ip_net net;
	size_t i;

	json_array_foreach(json_object_get(network, "subnets"), i, subnet)
	{
		const char *text = json_string_value(json_object_get(subnet, "subnet"));
		char own[IP_TEXT_MAX];

		if (!text || !ip_net_parse(span_of(text), &net) || !plan_bridge_overlaps(w, &net))
			continue;
		const char *name = json_string_value(json_object_get(network, "name"));

		return err_set(err, ERR_INPUT,
			       "the network %s/%u, which is the project's by its name, overlaps Podman's network '%.60s' (%.60s); "
			       "give the project another name (--project)",
			       ip_format(&w->net.addr, own), w->net.prefix, name ? name : "?", text);
	}
	return 0;
}

int bridge_is_free(const struct house *h, const struct bridge_wire *w, struct err *err)
{
	const json_t *network;
	size_t i;
	int rc = bridge_ends_check_routes(w, err);

	json_array_foreach(h->podman.bridge.others, i, network) if (rc == 0) rc = check_network(network, w, err);
	return rc;
}

/* --- places --- */

static struct bridge *bridge_of(const struct live_pod *p)
{
	return &p->house->podman.bridge;
}

static bool is_taken(const struct live_pod *p, const struct bridge_wire *w)
{
	if (plan_bridge_overlaps(w, &bridge_of(p)->outer.net))
		return true;
	for (const struct live_pod *other = p->house->pods; other; other = other->next)
		if (other != p && other->podman.bridge.wire.network[0] && plan_bridge_overlaps(w, &other->podman.bridge.wire.net))
			return true;
	return false;
}

const struct bridge_wire *bridge_wire_of(const struct live_pod *p)
{
	return bridge_is_gate(p) ? &bridge_of(p)->outer : &p->podman.bridge.wire;
}

int bridge_place(struct live_pod *p, struct err *err)
{
	struct house *h = p->house;
	struct bridge_wire *w = &p->podman.bridge.wire;
	unsigned place = 0;

	if (bridge_is_gate(p)) {
		plan_bridge_wire(h->podman.dir, h->project, NULL, 0, p->podman.bridge.name, &bridge_of(p)->outer);
		return 0;
	}

	do
		plan_bridge_wire(h->podman.dir, h->project, p->name, place, p->podman.bridge.name, w);
	while (is_taken(p, w) && ++place < BRIDGE_PLACES);
	return bridge_is_free(h, w, err);
}

/* --- the network itself --- */

int bridge_network_make(struct live_pod *p, struct err *err)
{
	const struct bridge_wire *w = bridge_wire_of(p);

	if (!w->outer && bridge_wall_up(w, err) < 0)
		return -1;
	return podman_files_network(p->house->podman.dir, w, p->house->project, err);
}

void bridge_network_gone(const struct live_pod *p)
{
	take_wall_down(p->podman.bridge.wire.device);
}

/* Where somebody else is still on it, the network stays, and its wall with it. */
static void sweep_network(const char *file, const struct program *like)
{
	json_t *network = json_load_file(file, 0, NULL);
	const char *device = json_string_value(json_object_get(network, "network_interface"));
	const char *name = json_string_value(json_object_get(network, "name"));
	const char *const argv[] = { "podman", "network", "rm", name, NULL };
	struct arena a = { 0 };
	struct program p = *like;
	struct err err = { 0 };

	p.argv = argv;
	if (name && program_wait(&p, &a, NULL, &err) != 0)
		log_error("podman network rm: %s", err.text);
	else if (device && json_is_true(json_object_get(network, "internal")))
		take_wall_down(device);
	json_decref(network);
	arena_free(&a);
}

void bridge_sweep(const char *dir, const struct program *like)
{
	char path[PODMAN_PATH], file[PODMAN_PATH + 256];
	const struct dirent *entry;

	(void)snprintf(path, sizeof path, "%.490s/networks", dir);
	DIR *list = opendir(path);

	while (list && (entry = readdir(list))) {
		const size_t n = strlen(entry->d_name);

		(void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
		if (n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0)
			sweep_network(file, like);
	}
	if (list)
		(void)closedir(list);
}
