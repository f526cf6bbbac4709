/* The table itself: a control byte, DEL and everything not named here belongs to no class. */
#include "wire/byte_class.h"

#define V   BYTE_VALUE
#define TV  (BYTE_TOKEN | BYTE_VALUE)
#define UV  (BYTE_URI | BYTE_VALUE)
#define TUV (BYTE_TOKEN | BYTE_URI | BYTE_VALUE)

const uint8_t byte_classes[256] = {
	['\t'] = V,          [' '] = V,
	['!'] = TUV,         ['"'] = V,
	['#'] = TV,          ['$'] = TUV,
	['%'] = TUV,         ['&'] = TUV,
	['\''] = TUV,        ['('] = UV,
	[')'] = UV,          ['*'] = TUV,
	['+'] = TUV,         [','] = UV,
	['-'] = TUV,         ['.'] = TUV,
	['/'] = UV,          ['0' ... '9'] = TUV | BYTE_DIGIT | BYTE_HEX,
	[':'] = UV,          [';'] = UV,
	['<'] = V,           ['='] = UV,
	['>'] = V,           ['?'] = UV,
	['@'] = UV,          ['A' ... 'F'] = TUV | BYTE_HEX,
	['G' ... 'Z'] = TUV, ['['] = UV,
	['\\'] = V,          [']'] = UV,
	['^'] = TV,          ['_'] = TUV,
	['`'] = TV,          ['a' ... 'f'] = TUV | BYTE_HEX,
	['g' ... 'z'] = TUV, ['{'] = V,
	['|'] = TV,          ['}'] = V,
	['~'] = TUV,         [0x80 ... 0xff] = V,
};
