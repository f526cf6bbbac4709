/* What a byte may be part of, by the grammars of RFC 9110 and RFC 3986. One look-up a byte. */
#ifndef STOCKADE_WIRE_BYTE_CLASS_H
#define STOCKADE_WIRE_BYTE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

enum byte_class {
	BYTE_TOKEN = 1, /* tchar (RFC 9110 5.6.2) */
	BYTE_VALUE = 2, /* HTAB, SP, VCHAR, obs-text (RFC 9110 5.5) */
	BYTE_URI = 4,   /* reserved but '#', unreserved, '%' (RFC 3986 2) */
	BYTE_DIGIT = 8,
	BYTE_HEX = 16,
};

extern const uint8_t byte_classes[256];

static inline bool byte_is(char c, enum byte_class class)
{
	return byte_classes[(uint8_t)c] & (unsigned)class;
}

#endif
