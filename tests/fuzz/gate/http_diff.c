/* Request heads: whatever we accept, another parser must read alike. */
#include <stdint.h>

#include "http_parser_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_head((struct span) { (const char *)data, size });
	return 0;
}
