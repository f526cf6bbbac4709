#include "engine/reload.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "engine/house.h"
#include "engine/last_words.h"

static void begin(struct house *h);

static void finish(struct house *h, const struct reload_outcome *o, const struct err *why)
{
	struct reload_request *r = h->reload.queue;

	loop_timer_cancel(h->loop, &h->reload.limit);
	if (!r)
		return;
	h->reload.queue = r->next;
	r->next = NULL;
	if (o)
		h->reload.error[0] = '\0';
	r->done(r, o, why);
	begin(h);
}

static struct reload_outcome outcome(const struct house *h, bool changed, uint32_t revoked)
{
	return (struct reload_outcome) {
		.changed = changed, .generation = h->reload.generation, .hash = h->reload.in_force->hash, .revoked = revoked
	};
}

/* The gate keeps the fd of what it was told last, so that is told first and only then let go of. */
static void publish(struct house *h, struct loaded *l)
{
	struct loaded *before = h->reload.pending;

	h->reload.pending = l;
	gate_link_publish(&h->gate, l->policy, ++h->reload.published, l->hash);
	loaded_free(before);
	loop_timer_set(h->loop, &h->reload.limit, RELOAD_ADOPT_MS);
}

static void loaded(void *arg, struct loaded *l, const struct err *why)
{
	struct house *h = arg;
	struct reload_request *r = h->reload.queue;
	struct err err = { 0 };

	h->reload.loader = NULL;
	if (!l) {
		finish(h, NULL, why);
		return;
	}
	if (r->loaded && r->loaded(r, l, &err) < 0) {
		loaded_free(l);
		finish(h, NULL, &err);
		return;
	}
	watch_set(&h->watch, r->manifest, json_object_get(l->report, "files"));
	if (!h->reload.pending && h->reload.in_force && strcmp(h->reload.in_force->hash, l->hash) == 0) {
		loaded_free(l);
		const struct reload_outcome o = outcome(h, false, 0);

		finish(h, &o, NULL);
		return;
	}
	publish(h, l);
}

static void begin(struct house *h)
{
	struct err err = { 0 };

	if (!h->reload.queue || h->reload.loader)
		return;
	h->reload.loader = loader_start(h->loop, h->reload.queue->manifest, loaded, h, &err);
	if (!h->reload.loader)
		finish(h, NULL, &err);
}

void reload_ask(struct house *h, struct reload_request *r)
{
	struct reload_request **at = &h->reload.queue;

	while (*at)
		at = &(*at)->next;
	*at = r;
	r->next = NULL;
	if (h->reload.queue == r)
		begin(h);
}

/* The gate has said no to it, which its reading of a block that we made ourselves should never do, or HAProxy has: back to what was. */
static void withdraw(struct house *h)
{
	struct err why = { .class = ERR_FAULT, .text = "the gate refused the policy; see supervisor.log" };
	struct loaded *refused = h->reload.pending, *kept = h->reload.in_force;

	if (h->gate.refusal[0])
		(void)err_set(&why, ERR_FAULT, "%s", h->gate.refusal);
	h->reload.pending = NULL;
	if (kept)
		gate_link_publish(&h->gate, kept->policy, h->reload.generation, kept->hash);
	else
		gate_link_publish(&h->gate, -1, 0, "");
	loaded_free(refused);
	finish(h, NULL, &why);
}

void reload_on_adopted(struct house *h, uint64_t generation, bool refused, uint32_t revoked)
{
	/* A new gate adopts what is in force already. */
	if (!h->reload.pending || generation != h->reload.published)
		return;
	if (refused) {
		withdraw(h);
		return;
	}
	const bool awaited = h->reload.limit.prev != NULL;

	loaded_free(h->reload.in_force);
	h->reload.in_force = h->reload.pending;
	h->reload.pending = NULL;
	h->reload.generation = generation;
	log_info("generation %llu is in force, hash %s", (unsigned long long)generation, h->reload.in_force->hash);
	if (!awaited)
		return;
	const struct reload_outcome o = outcome(h, true, revoked);

	finish(h, &o, NULL);
}

/* It stays pending: a gate that comes back will adopt it. */
static void adopt_late(struct timer *t)
{
	struct house *h = (struct house *)((char *)t - offsetof(struct house, reload.limit));
	struct err why = { 0 };

	last_words_late(h, "the gate has not taken on the policy yet", &why);
	finish(h, NULL, &why);
}

void reload_give_up(struct house *h, const struct err *why)
{
	if (h->reload.limit.prev)
		finish(h, NULL, why);
}

/* --- the automatic one --- */

/* What is being written at this moment is not read twice the same: later. */
static int automatic_loaded(struct reload_request *r, const struct loaded *l, struct err *err)
{
	struct house *h = (struct house *)((char *)r - offsetof(struct house, reload.automatic));

	h->reload.automatic_again = watch_take(&h->watch);
	return h->reload.automatic_again ? err_set(err, ERR_FINDING, "changed again while it was read") : 0;
}

static void automatic_done(struct reload_request *r, const struct reload_outcome *o, const struct err *why)
{
	struct house *h = (struct house *)((char *)r - offsetof(struct house, reload.automatic));

	h->reload.automatic_asked = false;
	if (h->reload.automatic_again) {
		h->reload.automatic_again = false;
		watch_again(&h->watch);
	} else if (why) {
		(void)snprintf(h->reload.error, sizeof h->reload.error, "%s", why->text);
		log_error("the changed lists are not in force: %s", why->text);
	}
}

void reload_automatic(struct house *h)
{
	if (!h->manifest[0] || h->leaving || h->reload.automatic_asked)
		return;
	(void)watch_take(&h->watch);
	h->reload.automatic_asked = true;
	h->reload.automatic.manifest = h->manifest;
	reload_ask(h, &h->reload.automatic);
}

/* --- beginning and end --- */

void reload_init(struct house *h)
{
	h->reload.limit.expired = adopt_late;
	h->reload.automatic.loaded = automatic_loaded;
	h->reload.automatic.done = automatic_done;
}

void reload_cancel(struct house *h)
{
	const struct err why = { .class = ERR_FAULT, .text = "the project is being taken down" };
	struct reload_request *all = h->reload.queue;

	loader_cancel(h->reload.loader);
	h->reload.loader = NULL;
	h->reload.queue = NULL;
	loop_timer_cancel(h->loop, &h->reload.limit);
	while (all) {
		struct reload_request *r = all;

		all = r->next;
		r->next = NULL;
		r->done(r, NULL, &why);
	}
}

void reload_free(struct house *h)
{
	loaded_free(h->reload.pending);
	loaded_free(h->reload.in_force);
	h->reload.pending = h->reload.in_force = NULL;
}
