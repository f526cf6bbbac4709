#include "config/text.h"

#include "config/utf8.h"

/* Nothing but printable ASCII, tabs and line feeds: most lists. No branch in the loop, so that it is done in wide steps. */
static bool plain_ascii(struct span text)
{
	unsigned bad = 0;

	for (size_t i = 0; i < text.n; i++) {
		const unsigned char c = (unsigned char)text.p[i];

		bad |= (unsigned)(c >= 0x7f) | ((unsigned)(c < 0x20) & (unsigned)(c != '\n') & (unsigned)(c != '\t'));
	}
	return !bad;
}

bool text_check(const struct source *s, size_t limit, enum text_lines lines, struct report *r)
{
	const unsigned char *p = (const unsigned char *)s->text.p;
	const size_t size = s->text.n;
	unsigned line = 1, column = 1;

	if (size > limit)
		return report_error(r, s, 0, 0, "larger than the limit of %zu bytes", limit);
	if (plain_ascii(s->text))
		return true;
	if (size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		return report_error(r, s, 1, 1, "the file starts with a byte order mark; save it as plain UTF-8");
	for (size_t i = 0; i < size;) {
		const size_t n = utf8_length(p + i, size - i);
		const bool crlf = p[i] == '\r' && i + 1 < size && p[i + 1] == '\n';

		if (n == 0)
			return report_error(r, s, line, column, "byte 0x%02x is not UTF-8; save the file as UTF-8", p[i]);
		if (crlf && lines == TEXT_LF)
			return report_error(r, s, line, column, "the line ends with CR LF; save the file with LF line ends");
		if ((p[i] < 0x20 && p[i] != '\n' && p[i] != '\t' && !crlf) || p[i] == 0x7f)
			return report_error(r, s, line, column, "control byte 0x%02x; remove it", p[i]);
		column = p[i] == '\n' ? 1 : column + 1;
		line += p[i] == '\n';
		i += n;
	}
	return true;
}
