#include "gate/limits.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum unit { UNIT_COUNT, UNIT_TIME };

static const struct {
	const char *name;
	enum unit unit;
	uint32_t usual, least, most;
	const char *text;
} table[LIMIT_COUNT] = {
#define X(constant, name, unit, usual, least, most, text) \
	[LIMIT_##constant] = { (name), UNIT_##unit, (usual), (least), (most), (text) },
	GATE_LIMITS(X)
#undef X
};

static const struct {
	const char *word;
	uint32_t ms;
} times[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };

enum { TIMES = sizeof times / sizeof *times };

void limits_default(struct gate_limits *ret)
{
	for (int i = 0; i < LIMIT_COUNT; i++)
		ret->of[i] = table[i].usual;
}

const char *limit_name(enum gate_limit l)
{
	return table[l].name;
}

/* In the largest unit that it is a whole number of. */
static int format_value(enum gate_limit l, uint32_t value, char *out, size_t size)
{
	int i = 0;

	if (table[l].unit == UNIT_COUNT)
		return snprintf(out, size, "%u", value);
	while (i < TIMES - 1 && value % times[i].ms != 0)
		i++;
	return snprintf(out, size, "%u%s", value / times[i].ms, times[i].word);
}

const char *limits_format(const struct gate_limits *limits, enum gate_limit l, char ret[static LIMIT_TEXT_MAX])
{
	const int n = snprintf(ret, LIMIT_TEXT_MAX, "%s=", table[l].name);

	(void)format_value(l, limits->of[l], ret + n, LIMIT_TEXT_MAX - (size_t)n);
	return ret;
}

/* Digits and a unit, nothing else; a time without a unit could be meant in any. */
static bool parse_value(enum gate_limit l, const char *text, uint32_t *ret)
{
	const size_t digits = strspn(text, "0123456789");
	uint64_t n;

	if (digits == 0 || digits > 9)
		return false;
	n = strtoull(text, NULL, 10);
	if (table[l].unit == UNIT_COUNT && text[digits] == '\0') {
		*ret = (uint32_t)n;
		return true;
	}
	for (int i = 0; table[l].unit == UNIT_TIME && i < TIMES; i++) {
		if (strcmp(times[i].word, text + digits) != 0 || n * times[i].ms > UINT32_MAX)
			continue;
		*ret = (uint32_t)(n * times[i].ms);
		return true;
	}
	return false;
}

static int refuse_name(const char *text, size_t length, struct err *err)
{
	char names[LIMIT_COUNT * LIMIT_TEXT_MAX];
	size_t n = 0;

	for (int i = 0; i < LIMIT_COUNT; i++)
		n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", table[i].name);
	return err_set(err, ERR_INPUT, "no such limit: '%.*s'; there are %s", length < 40 ? (int)length : 40, text, names);
}

static int refuse_value(enum gate_limit l, const char *value, struct err *err)
{
	char least[16], most[16], usual[16];

	(void)format_value(l, table[l].least, least, sizeof least);
	(void)format_value(l, table[l].most, most, sizeof most);
	(void)format_value(l, table[l].usual, usual, sizeof usual);
	return err_set(err, ERR_INPUT, "%s (%s) takes %s to %s, default %s, not '%.40s'%s", table[l].name, table[l].text, least,
		       most, usual, value, table[l].unit == UNIT_TIME ? "; a time has its unit: ms, s, m or h" : "");
}

int limits_set(struct gate_limits *limits, const char *text, struct err *err)
{
	const size_t length = strcspn(text, "=");
	uint32_t value;

	for (int i = 0; i < LIMIT_COUNT; i++) {
		if (strlen(table[i].name) != length || memcmp(table[i].name, text, length) != 0)
			continue;
		const char *given = text[length] ? text + length + 1 : "";

		if (!parse_value((enum gate_limit)i, given, &value) || value < table[i].least || value > table[i].most)
			return refuse_value((enum gate_limit)i, given, err);
		limits->of[i] = value;
		return 0;
	}
	return refuse_name(text, length, err);
}
