/* Values with a syntax of their own: quantities, labels, paths. */
#include "config/documents.h"

static bool suffix_factor(const char *s, uint64_t *ret)
{
	static const struct {
		const char *suffix;
		uint64_t milli;
	} table[] = {
		{ "", 1000 },
		{ "m", 1 },
		{ "k", 1000ULL * 1000 },
		{ "M", 1000ULL * 1000 * 1000 },
		{ "G", 1000ULL * 1000 * 1000 * 1000 },
		{ "T", 1000ULL * 1000 * 1000 * 1000 * 1000 },
		{ "Ki", 1000ULL << 10 },
		{ "Mi", 1000ULL << 20 },
		{ "Gi", 1000ULL << 30 },
		{ "Ti", 1000ULL << 40 },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (strcmp(s, table[i].suffix) == 0) {
			*ret = table[i].milli;
			return true;
		}
	return false;
}

bool quantity_parse(const char *text, uint64_t *ret_milli)
{
	uint64_t whole = 0, fraction = 0, unit = 1, factor, milli, part;
	const char *p = text;
	size_t digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++)
		if (__builtin_mul_overflow(whole, 10U, &whole) || __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return false;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, digits++) {
			if (unit >= 1000000)
				return false;
			fraction = fraction * 10 + (uint64_t)(*p - '0');
			unit *= 10;
		}
	if (digits == 0 || !suffix_factor(p, &factor))
		return false;
	if (__builtin_mul_overflow(whole, factor, &milli) || __builtin_mul_overflow(fraction, factor, &part) ||
	    __builtin_add_overflow(milli, (part + unit - 1) / unit, &milli))
		return false;
	*ret_milli = milli;
	return true;
}

static bool alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool label_value_valid(const char *s)
{
	const size_t n = strlen(s);

	if (n == 0)
		return true;
	if (n > 63 || !alphanumeric(s[0]) || !alphanumeric(s[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!alphanumeric(s[i]) && !strchr("-_.", s[i]))
			return false;
	return true;
}

/* Appends the components of `written` to what is in buf; "..", too, is refused rather than worked out. */
static bool append(char *buf, size_t size, const char *written)
{
	size_t n = strlen(buf);

	while (*written) {
		const size_t length = strcspn(written, "/");

		if (length == 2 && written[0] == '.' && written[1] == '.')
			return false;
		if (length && !(length == 1 && written[0] == '.')) {
			if (n + length + 2 > size)
				return false;
			buf[n++] = '/';
			memcpy(buf + n, written, length);
			buf[n += length] = '\0';
		}
		written += length;
		written += *written == '/';
	}
	return true;
}

const char *project_path(struct reader *r, const struct yaml_node *n, const char *written)
{
	static const char token[] = "PROJECT_ROOT";
	char path[4096] = "";
	const char *rest = written;
	bool ok = written[0] != '\0';

	if (strncmp(rest, token, sizeof token - 1) == 0 && (rest[sizeof token - 1] == '/' || !rest[sizeof token - 1])) {
		ok = append(path, sizeof path, r->project_dir);
		rest += sizeof token - 1;
	} else if (written[0] != '/') {
		ok = ok && append(path, sizeof path, r->project_dir);
	}
	if (strstr(rest, token)) {
		(void)reader_error(r, n, "PROJECT_ROOT stands at the start of a path only: PROJECT_ROOT/...");
		return NULL;
	}
	if (!ok || !append(path, sizeof path, rest)) {
		(void)reader_error(r, n, "'%.200s' is no path here: not empty, without '..', at most 4095 bytes", written);
		return NULL;
	}
	return arena_strdup(r->arena, path[0] ? path : "/");
}
