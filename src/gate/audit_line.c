/* Written by hand: no allocation, no locale, no time zone. Keys stand in one fixed order, so that a line can be read by eye and by
 * grep. */
#include "gate/audit_line.h"

#include <assert.h>
#include <string.h>

#include "gate/worker.h"

/* Bytes of a text as it stands in the line. Their sum, and all that is fixed, fits AUDIT_LINE_MAX. */
enum { HOST_BYTES = 256, HOST_SHOWN = 640, FILE_SHOWN = 384, DETAIL_SHOWN = 160, NAME_SHOWN = 96, METHOD_SHOWN = 48 };

static const char *const adapter_words[] = {
#define X(constant, word) [ADAPTER_##constant] = (word),
	ADAPTERS(X)
#undef X
};
_Static_assert(sizeof adapter_words / sizeof *adapter_words == ADAPTER_COUNT, "a word for each adapter");

struct line {
	char *p;
	size_t n;
};

/* Inlined, so that the lengths of literals are known. */
static inline __attribute__((always_inline)) void put(struct line *l, const char *s)
{
	const size_t n = strlen(s);

	assert(n <= AUDIT_LINE_MAX - l->n);
	memcpy(l->p + l->n, s, n);
	l->n += n;
}

/* At least `digits` of them. */
static void put_number(struct line *l, uint64_t v, int digits)
{
	char buf[24], *p = buf + sizeof buf - 1;

	*p = '\0';
	for (; v > 0 || digits > 0; digits--, v /= 10)
		*--p = (char)('0' + v % 10);
	put(l, p);
}

/* How c is written in a JSON string. Bytes that are not ASCII stand for themselves as \u0080 to \u00ff: they came in no known
 * coding. */
static size_t escape(char c, char ret[static 6])
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t b = (uint8_t)c;

	if (c == '"' || c == '\\') {
		ret[0] = '\\';
		ret[1] = c;
		return 2;
	}
	if (b >= 0x20 && b < 0x7f) {
		ret[0] = c;
		return 1;
	}
	ret[0] = '\\';
	ret[1] = 'u';
	ret[2] = ret[3] = '0';
	ret[4] = hex[b >> 4];
	ret[5] = hex[b & 15];
	return 6;
}

/* Bytes at the front that stand for themselves: most texts are nothing else. */
static size_t count_plain(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= 0x20 && s.p[n] < 0x7f && s.p[n] != '"' && s.p[n] != '\\')
		n++;
	return n;
}

static void put_escaped(struct line *l, struct span s, size_t shown)
{
	char one[6];
	const size_t plain = count_plain(span_first(s, s.n < shown ? s.n : shown));

	assert(plain <= AUDIT_LINE_MAX - l->n);
	memcpy(l->p + l->n, s.p, plain);
	l->n += plain;
	shown -= plain;
	for (size_t i = plain; i < s.n; i++) {
		const size_t n = escape(s.p[i], one);

		if (n > shown)
			return;
		assert(n <= AUDIT_LINE_MAX - l->n);
		memcpy(l->p + l->n, one, n);
		l->n += n;
		shown -= n;
	}
}

static void put_string(struct line *l, const char *key, struct span s, size_t shown)
{
	put(l, key);
	put(l, "\"");
	put_escaped(l, s, shown);
	put(l, "\"");
}

static void put_word(struct line *l, const char *key, const char *word)
{
	put_string(l, key, span_of(word), NAME_SHOWN);
}

/* Days since 1970 to a date of the Gregorian calendar, by eras of 400 years that begin on a first of March. */
static void put_date(struct line *l, uint64_t days)
{
	const uint64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
	const uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100), march = (5 * of_year + 2) / 153;
	const uint64_t month = march < 10 ? march + 3 : march - 9;

	put_number(l, year + era * 400 + (month <= 2), 4);
	put(l, "-");
	put_number(l, month, 2);
	put(l, "-");
	put_number(l, of_year - (153 * march + 2) / 5 + 1, 2);
}

/* RFC 3339, UTC, microseconds. */
static void put_time(struct line *l, const struct timespec *t)
{
	const uint64_t seconds = t->tv_sec > 0 ? (uint64_t)t->tv_sec : 0;

	put(l, "{\"time\":\"");
	put_date(l, seconds / 86400);
	put(l, "T");
	put_number(l, seconds / 3600 % 24, 2);
	put(l, ":");
	put_number(l, seconds / 60 % 60, 2);
	put(l, ":");
	put_number(l, seconds % 60, 2);
	put(l, ".");
	put_number(l, (uint64_t)t->tv_nsec / 1000, 6);
	put(l, "Z\"");
}

static void put_destination(struct line *l, const struct decision *d)
{
	char address[IP_TEXT_MAX];

	if (d->host.n)
		put_string(l, ",\"host\":", span_first(d->host, d->host.n < HOST_BYTES ? d->host.n : HOST_BYTES), HOST_SHOWN);
	else
		put(l, ",\"host\":null");
	if (d->address.family)
		put_word(l, ",\"address\":", ip_format(&d->address, address));
	else
		put(l, ",\"address\":null");
	put(l, ",\"port\":");
	if (d->port)
		put_number(l, d->port, 1);
	else
		put(l, "null");
}

static void put_rule(struct line *l, const struct generation *g, uint32_t rule)
{
	const char *file = g && rule != RULE_NONE ? snapshot_rule_file(&g->snapshot, rule) : NULL;

	if (!file) {
		put(l, ",\"rule\":null");
		return;
	}
	put(l, ",\"rule\":\"");
	put_escaped(l, span_of(file), FILE_SHOWN);
	put(l, ":");
	put_number(l, snapshot_rule_line(&g->snapshot, rule), 1);
	put(l, "\"");
}

static void put_verdict(struct line *l, const struct generation *g, const struct decision *d)
{
	put_word(l, ",\"verdict\":", d->allow ? "allow" : "deny");
	put_word(l, ",\"reason\":", reason_word(d->reason));
	put_rule(l, g, d->rule);
	if (d->status) {
		put(l, ",\"status\":");
		put_number(l, d->status, 1);
	}
	put(l, ",\"generation\":");
	put_number(l, g ? g->snapshot.generation : 0, 1);
	put_word(l, ",\"hash\":", g ? g->snapshot.hash : "");
}

static void put_work(struct line *l, const struct decision *d)
{
	put(l, ",\"bytes_up\":");
	put_number(l, d->bytes_up, 1);
	put(l, ",\"bytes_down\":");
	put_number(l, d->bytes_down, 1);
	put(l, ",\"duration_ms\":");
	put_number(l, d->duration_us / 1000, 1);
	put(l, ".");
	put_number(l, d->duration_us % 1000, 3);
	put(l, "}\n");
}

size_t audit_line_format(const struct generation *g, const struct decision *d, const struct timespec *now,
			 char ret[static AUDIT_LINE_MAX])
{
	struct line l = { ret, 0 };

	put_time(&l, now);
	put_word(&l, ",\"project\":", g ? g->project : "");
	put_word(&l, ",\"client\":", d->client);
	put_word(&l, ",\"event\":", d->event == DECISION_OPEN ? "open" : "end");
	put_word(&l, ",\"adapter\":", adapter_words[d->adapter]);
	if (d->method)
		put_string(&l, ",\"method\":", span_of(d->method), METHOD_SHOWN);
	if (d->detail)
		put_string(&l, ",\"detail\":", span_of(d->detail), DETAIL_SHOWN);
	put_destination(&l, d);
	put_verdict(&l, g, d);
	put_work(&l, d);
	return l.n;
}
