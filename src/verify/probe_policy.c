/* The policy in force: that it is what is shown, what is on disk, and that it denies what nobody listed. */
#include <fcntl.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "policy/decide.h"
#include "verify/probe_state.h"

/* --- hash, seals, what is shown --- */

static bool hash_is(struct span block, const char *hash)
{
	char text[SHA256_DIGEST_STRING_LENGTH];

	return SHA256Data((const uint8_t *)block.p, block.n, text) && strcmp(text, hash) == 0;
}

void policy_hash(struct view *v, const struct probe *p, struct finding *f)
{
	const struct snapshot *s = &v->scene->policy;
	const bool right = hash_is(s->block, s->hash);

	finding_set(f, right ? SIGHT_HELD : SIGHT_THROUGH, "%.12s over %zu bytes%s", s->hash, s->block.n,
		    right ? "" : ": the bytes have another");
}

void policy_hash_control(struct view *v, const struct probe *p, struct finding *f)
{
	const struct snapshot *s = &v->scene->policy;
	const bool right = hash_is(span_first(s->block, s->block.n - 1), s->hash);

	finding_set(f, right ? SIGHT_UNCLEAR : SIGHT_THROUGH, "one byte less %s", right ? "is not noticed" : "has another hash");
}

static bool sealed(int fd)
{
	const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

	return (fcntl(fd, F_GET_SEALS) & all) == all;
}

void policy_sealed(struct view *v, const struct probe *p, struct finding *f)
{
	const bool yes = sealed(v->scene->policy_fd);

	finding_set(f, yes ? SIGHT_HELD : SIGHT_THROUGH, "%s",
		    yes ? "nobody can change it any more" : "its memory can still be changed");
}

void policy_sealed_control(struct view *v, const struct probe *p, struct finding *f)
{
	FD_CLOSE int fd = memfd_create("verify", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const bool yes = fd < 0 || sealed(fd);

	finding_set(f, yes ? SIGHT_UNCLEAR : SIGHT_THROUGH, "memory that is not sealed is %s", yes ? "not noticed" : "noticed");
}

/* What ps says, against what was handed over. */
static bool shown(const struct scene *s, uint64_t generation)
{
	const char *hash = json_string_value(json_object_get(s->ps, "hash"));

	return generation == s->policy.generation && hash && strcmp(hash, s->policy.hash) == 0;
}

void policy_shown(struct view *v, const struct probe *p, struct finding *f)
{
	const struct scene *s = v->scene;

	if (!shown(s, s->generation))
		finding_set(f, SIGHT_THROUGH, "ps shows generation %llu, published is %llu", (unsigned long long)s->generation,
			    (unsigned long long)s->policy.generation);
	else
		finding_set(f, SIGHT_HELD, "generation %llu, %.12s", (unsigned long long)s->generation, s->policy.hash);
}

void policy_shown_control(struct view *v, const struct probe *p, struct finding *f)
{
	const bool same = shown(v->scene, v->scene->generation + 1);

	finding_set(f, same ? SIGHT_UNCLEAR : SIGHT_THROUGH, "another generation is %s", same ? "not noticed" : "noticed");
}

/* --- lists on disk --- */

static bool same_block(struct span a, struct span b)
{
	return a.p && span_eq(a, b);
}

void policy_on_disk(struct view *v, const struct probe *p, struct finding *f)
{
	const struct scene *s = v->scene;

	if (!s->compiled.p)
		finding_set(f, SIGHT_THROUGH, "the lists on disk are not the policy in force: %.140s", s->why_lists);
	else if (!same_block(s->compiled, s->policy.block))
		finding_set(f, SIGHT_THROUGH, "the lists on disk compile to another policy; 'stockade reload' puts them in force");
	else
		finding_set(f, SIGHT_HELD, "compiled again, they give the same %zu bytes", s->compiled.n);
}

/* One client more is another policy. */
void policy_on_disk_control(struct view *v, const struct probe *p, struct finding *f)
{
	struct arena a = { 0 };
	struct policy_builder *b = policy_builder_new(&a);

	(void)policy_builder_client(b, "verify");
	const bool same = same_block(policy_builder_finish(b), v->scene->policy.block);

	arena_free(&a);
	finding_set(f, same ? SIGHT_UNCLEAR : SIGHT_THROUGH, "another policy is %s", same ? "not told apart" : "told apart");
}

/* --- decisions that no list may change by accident --- */

static struct verdict decide(const struct snapshot *s, uint32_t client, const char *name, uint16_t port)
{
	struct host host;
	const enum host_result parsed = host_parse(span_of(name), &host);

	return policy_decide(s, client, parsed, &host, port);
}

static const char *const special[] = { "10.0.0.5",
				       "127.0.0.1",
				       "169.254.169.254",
				       "192.168.1.1",
				       "172.16.0.1",
				       "100.64.0.1",
				       "0.0.0.0",
				       "224.0.0.1",
				       "255.255.255.255",
				       "198.18.0.1",
				       "::1",
				       "::",
				       "fe80::1",
				       "fc00::1",
				       "ff02::1",
				       "::ffff:10.0.0.5",
				       "64:ff9b::a00:5",
				       "2002:a00:5::1",
				       "2001:0:a00:5::1" };

/* A listed name that resolves to one of these must not get there. */
void policy_special(struct view *v, const struct probe *p, struct finding *f)
{
	const struct scene *s = v->scene;
	size_t denied = 0, listed = 0;

	for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
		struct ip_addr a;

		if (!ip_parse(span_of(special[i]), &a))
			continue;
		const struct verdict got = policy_decide_address(&s->policy, v->subject->client, &a, 443);

		/* By a rule for just that: the operator wants it. */
		if (got.allow && got.rule != RULE_NONE)
			listed++;
		else if (!got.allow)
			denied++;
		else {
			finding_set(f, SIGHT_THROUGH, "%s would be dialled", special[i]);
			return;
		}
	}
	finding_set(f, denied ? SIGHT_HELD : SIGHT_ABSENT, "%zu special addresses are denied, %zu are listed", denied, listed);
}

void policy_special_control(struct view *v, const struct probe *p, struct finding *f)
{
	static const char *const ordinary[] = { "93.184.215.14", "151.101.0.223", "2a00:1450:400f::59" };

	for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++) {
		struct ip_addr a;

		if (ip_parse(span_of(ordinary[i]), &a) &&
		    policy_decide_address(&v->scene->policy, v->subject->client, &a, 443).allow) {
			finding_set(f, SIGHT_THROUGH, "%s, an ordinary address, would be dialled", ordinary[i]);
			return;
		}
	}
	finding_set(f, SIGHT_ABSENT, "the pod's list denies ordinary addresses too");
}

/* Any name that anybody may reach. */
static const struct subject *with_names(const struct scene *s)
{
	for (size_t i = 0; i < s->subject_count; i++)
		if (s->subjects[i].allowed_count)
			return &s->subjects[i];
	return NULL;
}

void policy_unknown(struct view *v, const struct probe *p, struct finding *f)
{
	const struct scene *s = v->scene;
	const struct subject *one = with_names(s);
	const uint32_t count = snapshot_client_count(&s->policy);

	for (uint32_t i = 0; i < 3; i++) {
		const uint32_t nobody = i == 2 ? CLIENT_NONE : count + i;
		const struct verdict got =
			decide(&s->policy, nobody, one ? one->allowed[0].host : "example.com", one ? one->allowed[0].port : 443);

		if (got.allow || got.reason != REASON_UNKNOWN_CLIENT) {
			finding_set(f, SIGHT_THROUGH, "client %u: %s", nobody, reason_word(got.reason));
			return;
		}
	}
	finding_set(f, SIGHT_HELD, "unknown-client");
}

void policy_known_control(struct view *v, const struct probe *p, struct finding *f)
{
	const struct subject *one = with_names(v->scene);

	if (!one) {
		finding_set(f, SIGHT_ABSENT, "no pod's list allows a name");
		return;
	}
	const bool allowed = decide(&v->scene->policy, one->client, one->allowed[0].host, one->allowed[0].port).allow;

	finding_set(f, allowed ? SIGHT_THROUGH : SIGHT_UNCLEAR, "%.60s for %.60s: %s", one->allowed[0].host, one->name,
		    allowed ? "allowed" : "denied");
}

/* The decision of a policy with one client, with or without a rule. */
static bool small_policy_allows(bool rule)
{
	struct arena a = { 0 };
	struct snapshot s;
	struct policy_builder *b = policy_builder_new(&a);
	const uint32_t client = policy_builder_client(b, "verify");
	const struct rule r = { .match = RULE_TREE, .name = "example.com", .file = "verify", .line = 1 };

	if (rule)
		policy_builder_rule(b, client, &r);
	const bool allowed = snapshot_open(policy_builder_finish(b), &s) && decide(&s, client, "example.com", 443).allow;

	arena_free(&a);
	return allowed;
}

void policy_empty(struct view *v, const struct probe *p, struct finding *f)
{
	const bool allowed = small_policy_allows(false);

	finding_set(f, allowed ? SIGHT_THROUGH : SIGHT_HELD, "%s", allowed ? "a name passes" : "everything is denied");
}

void policy_empty_control(struct view *v, const struct probe *p, struct finding *f)
{
	const bool allowed = small_policy_allows(true);

	finding_set(f, allowed ? SIGHT_THROUGH : SIGHT_UNCLEAR, "with a rule for it, a name %s",
		    allowed ? "passes" : "does not pass");
}

/* --- a block that is not whole --- */

enum damage { DAMAGE_NONE, DAMAGE_CUT, DAMAGE_MAGIC, DAMAGE_OFFSET, DAMAGE_COUNT };

static bool opens(struct span block, enum damage d)
{
	struct snapshot s;
	struct span copy = { .n = block.n - (d == DAMAGE_CUT ? 8 : 0) };
	char *bytes = aligned_alloc(8, (block.n + 7) & ~(size_t)7);

	if (!bytes)
		return d != DAMAGE_NONE;
	memcpy(bytes, block.p, block.n);
	copy.p = bytes;
	if (d == DAMAGE_MAGIC)
		bytes[0] ^= 1;
	if (d == DAMAGE_OFFSET)
		memset(bytes + 64, 0xff, 8);
	const bool yes = snapshot_open(copy, &s);

	free(bytes);
	return yes;
}

void policy_broken(struct view *v, const struct probe *p, struct finding *f)
{
	for (enum damage d = DAMAGE_CUT; d < DAMAGE_COUNT; d++)
		if (opens(v->scene->policy.block, d)) {
			finding_set(f, SIGHT_THROUGH, "a damaged block is taken for whole (%d)", (int)d);
			return;
		}
	finding_set(f, SIGHT_HELD, "cut short, or with a wrong magic number or offset: refused");
}

void policy_broken_control(struct view *v, const struct probe *p, struct finding *f)
{
	const bool yes = opens(v->scene->policy.block, DAMAGE_NONE);

	finding_set(f, yes ? SIGHT_THROUGH : SIGHT_UNCLEAR, "an unchanged copy is %s", yes ? "accepted" : "refused");
}
