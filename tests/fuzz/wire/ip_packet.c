/* Refused packets. Addresses are where the RFCs have them, and a port is said only of a protocol that has ports. */
#include <assert.h>
#include <stdint.h>

#include "wire/ip_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ip_packet p;
	const char *name;

	if (!ip_packet_parse((struct span) { (const char *)data, size }, &p)) {
		assert(p.family == 0);
		assert(size < 20 || (data[0] >> 4 == 4 ? (data[0] & 15) < 5 : data[0] >> 4 != 6 || size < 40));
		return 0;
	}
	assert(p.family == data[0] >> 4);
	assert(memcmp(p.destination, data + (p.family == 4 ? 16 : 24), p.family == 4 ? 4 : 16) == 0);
	assert(p.family == 6 || p.protocol == data[9]);
	assert(p.port == 0 || p.protocol == 6 || p.protocol == 17 || p.protocol == 33 || p.protocol == 132 || p.protocol == 136);
	name = ip_protocol_name(p.protocol);
	assert(!name || (strlen(name) >= 2 && strlen(name) <= 7));
	return 0;
}
