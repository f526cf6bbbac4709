/* Damaged policy blocks. A sound block is made once; the input is a list of six-byte patches to it (a 16-bit place, a 32-bit
 * value), so that the fuzzer gets past the header at once. First byte odd: the input itself is the block. A block that opens is
 * read by every reader. */
#include <stdint.h>
#include <stdlib.h>

#include "../../unit/policy/readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena arena;

static struct span sound_block(void)
{
	static const struct port_range ports[] = { { 22, 22 }, { 8000, 8100 } };
	static const char *const names[] = { "example.com", "python.org", "a", "www.example.com", "example.com" };
	struct policy_builder *b = policy_builder_new(&arena);
	const struct ip_addr gate = { 4, { 198, 18, 0, 1 } };

	for (unsigned c = 0; c < 2; c++) {
		const uint32_t client = policy_builder_client(b, c ? "app-pod" : "cli-pod");

		for (unsigned i = 0; i < 5; i++) {
			struct rule r = { .deny = i == 3, .match = i % 3, .name = names[i], .file = "lists/a.lst", .line = i };

			if (i > 1) {
				r.ports = ports;
				r.port_count = i % 2 + 1;
			}
			policy_builder_rule(b, client, &r);
		}
		struct rule net = { .match = RULE_NETWORK, .net = { { 4, { 192, 168, 7, 0 } }, 24 }, .file = "x", .line = 7 };

		policy_builder_rule(b, client, &net);
		net.net = (struct ip_net) { { 6, { 0x20, 0x01, 0x0d, 0xb8 } }, 32 };
		policy_builder_rule(b, client, &net);
	}
	policy_builder_name(b, "cli-pod", &gate, NULL);
	policy_builder_gate(b, &gate, NULL);
	return policy_builder_finish(b);
}

static void open_and_read(const char *p, size_t n)
{
	struct snapshot s;
	void *exact = aligned_alloc(8, n ? (n + 7) / 8 * 8 : 8);

	/* Sizes that are no multiple of 8 would let a short overrun go unseen; the unit test cuts those byte by byte. */
	if (exact && n)
		memcpy(exact, p, n);
	if (exact && snapshot_open((struct span) { exact, n }, &s))
		(void)readers_call_all(&s, 64);
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct span sound;
	char *copy;

	if (!sound.p)
		sound = sound_block();
	if (size > 0 && data[0] % 2) {
		open_and_read((const char *)data + 1, size - 1);
		return 0;
	}
	copy = malloc(sound.n);
	if (!copy)
		return 0;
	memcpy(copy, sound.p, sound.n);
	for (size_t i = 1; i + 6 <= size; i += 6) {
		const size_t place = ((size_t)data[i] | (size_t)data[i + 1] << 8) % (sound.n - 3);

		memcpy(copy + place, data + i + 2, 4);
	}
	open_and_read(copy, sound.n);
	free(copy);
	return 0;
}
