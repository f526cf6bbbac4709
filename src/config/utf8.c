#include "config/utf8.h"

size_t utf8_length(const unsigned char *p, size_t left)
{
	const unsigned c = p[0];
	const size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] >= 0xa0) || (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

bool utf8_valid(struct span text)
{
	for (size_t i = 0, n; i < text.n; i += n) {
		n = utf8_length((const unsigned char *)text.p + i, text.n - i);
		if (n == 0)
			return false;
	}
	return true;
}

unsigned utf8_count(const char *p, size_t n)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)p[i] & 0xc0) != 0x80;
	return count;
}
