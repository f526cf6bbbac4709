/* The kernel's word of refused packets: whatever comes, what is told of is a packet. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "gate/drops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seen(void *arg, const struct ip_packet *p)
{
	assert(p->family == 4 || p->family == 6);
	++*(size_t *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *aligned = malloc(size + 1); /* as a socket's buffer is */
	size_t count = 0;

	if (!aligned)
		return 0;
	memcpy(aligned, data, size);
	drops_parse((struct span) { aligned, size }, seen, &count);
	free(aligned);
	assert(count <= size / 44); /* the headers of netlink, nfnetlink, an attribute and IPv4: 16, 4, 4 and 20 bytes */
	return 0;
}
