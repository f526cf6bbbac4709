/* What a list of a million entries costs: bytes an entry, time to build and to open it, and time of one decision, for hosts that
 * are listed, that lie below a listed one, and that are not listed. Usage: bench-policy [ENTRIES]. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "policy/decide.h"

enum { HOSTS = 1 << 18, ASKS = 4000000 };

static uint64_t scramble(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* Names as lists have them: about 16 bytes, two or three labels. */
static void write_name(uint64_t i, char name[static 64])
{
	static const char *const ends[] = { "com", "net", "org", "io", "co.uk", "example.com", "cloud", "dev" };

	(void)snprintf(name, 64, "h%" PRIx64 ".%s", scramble(i) >> 28, ends[i % 8]);
}

static void time_decisions(const struct snapshot *s, const char *what, const char *prefix, uint64_t from, uint64_t entries)
{
	struct host *hosts = calloc(HOSTS, sizeof *hosts);
	uint64_t allowed = 0, start;

	for (uint64_t i = 0; hosts && i < HOSTS; i++) {
		char name[64], full[128];

		write_name(from + scramble(i + 99) % entries, name);
		(void)snprintf(full, sizeof full, "%s%s", prefix, name);
		if (host_parse(span_of(full), &hosts[i]) != HOST_OK)
			abort();
	}
	start = clock_now_ns();
	for (uint64_t i = 0; hosts && i < ASKS; i++)
		allowed += policy_decide(s, 0, HOST_OK, &hosts[i % HOSTS], 443).allow;
	printf("decide, %-22s %6.0f ns (%.0f %% allowed)\n", what, (double)(clock_now_ns() - start) / ASKS,
	       100.0 * (double)allowed / ASKS);
	free(hosts);
}

int main(int argc, char **argv)
{
	const uint64_t entries = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	struct arena a = { 0 };
	struct snapshot s;
	uint64_t text = 0, start = clock_now_ns();
	struct policy_builder *b = policy_builder_new(&a);
	const uint32_t client = policy_builder_client(b, "pod");

	for (uint64_t i = 0; i < entries; i++) {
		char name[64];
		const struct rule r = { .match = RULE_TREE, .name = name, .file = "lists/big.lst", .line = (uint32_t)i + 1 };

		write_name(i, name);
		text += strlen(name);
		policy_builder_rule(b, client, &r);
	}
	const uint64_t added = clock_now_ns();
	const struct span block = policy_builder_finish(b);
	const uint64_t built = clock_now_ns();

	if (entries == 0 || !snapshot_open(block, &s))
		return 1;
	const uint64_t opened = clock_now_ns();

	printf("%" PRIu64 " entries, %.1f bytes a name\n", entries, (double)text / (double)entries);
	printf("block %.1f MB, %.1f bytes an entry; builder's arena %.1f MB\n", (double)block.n / 1e6,
	       (double)block.n / (double)entries, (double)a.used / 1e6);
	printf("add %.0f ms, finish %.0f ms, open %.1f ms\n", (double)(added - start) / 1e6, (double)(built - added) / 1e6,
	       (double)(opened - built) / 1e6);
	time_decisions(&s, "listed", "", 0, entries);
	time_decisions(&s, "below a listed one", "www.", 0, entries);
	time_decisions(&s, "not listed", "", entries, entries);
	time_decisions(&s, "not listed, 6 labels", "a.bb.ccc.dddd.", entries, entries);
	arena_free(&a);
	return 0;
}
