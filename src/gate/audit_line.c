/* Written by hand: no allocation, no locale, no time zone. Keys stand in one fixed order, so that a line can be read by eye and by
 * grep. */
#include "gate/audit_line.h"

#include <assert.h>
#include <string.h>

#include "gate/text.h"
#include "gate/worker.h"

/* Bytes of a text as it stands in the line. Their sum, and all that is fixed, fits AUDIT_LINE_MAX. */
enum { HOST_BYTES = 256, HOST_SHOWN = 640, FILE_SHOWN = 384, DETAIL_SHOWN = 160, NAME_SHOWN = 96, METHOD_SHOWN = 48 };

static const char *const adapter_words[] = {
#define X(constant, word) [ADAPTER_##constant] = (word),
	ADAPTERS(X)
#undef X
};
_Static_assert(sizeof adapter_words / sizeof *adapter_words == ADAPTER_COUNT, "a word for each adapter");

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

static void put_escaped(struct text *l, struct span s, size_t shown)
{
	char one[6];
	const size_t plain = count_plain(span_first(s, s.n < shown ? s.n : shown));

	text_put_span(l, span_first(s, plain));
	shown -= plain;
	for (size_t i = plain; i < s.n; i++) {
		const size_t n = escape(s.p[i], one);

		if (n > shown)
			return;
		text_put_span(l, (struct span) { one, n });
		shown -= n;
	}
}

static void put_string(struct text *l, const char *key, struct span s, size_t shown)
{
	text_put(l, key);
	text_put(l, "\"");
	put_escaped(l, s, shown);
	text_put(l, "\"");
}

static void put_word(struct text *l, const char *key, const char *word)
{
	put_string(l, key, span_of(word), NAME_SHOWN);
}

/* A word of ours: there is nothing to escape. */
static void put_own(struct text *l, const char *key, const char *word)
{
	text_put(l, key);
	text_put(l, "\"");
	text_put(l, word);
	text_put(l, "\"");
}

/* Days since 1970 to a date of the Gregorian calendar, by eras of 400 years that begin on a first of March. */
static void put_date(struct text *l, uint64_t days)
{
	const uint64_t z = days + 719468, era = z / 146097, of_era = z % 146097;
	const uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100), march = (5 * of_year + 2) / 153;
	const uint64_t month = march < 10 ? march + 3 : march - 9;

	text_put_number(l, year + era * 400 + (month <= 2), 4);
	text_put(l, "-");
	text_put_number(l, month, 2);
	text_put(l, "-");
	text_put_number(l, of_year - (153 * march + 2) / 5 + 1, 2);
}

/* RFC 3339, UTC, microseconds. */
static void put_time(struct text *l, const struct timespec *t)
{
	const uint64_t seconds = t->tv_sec > 0 ? (uint64_t)t->tv_sec : 0;

	text_put(l, "{\"time\":\"");
	put_date(l, seconds / 86400);
	text_put(l, "T");
	text_put_number(l, seconds / 3600 % 24, 2);
	text_put(l, ":");
	text_put_number(l, seconds / 60 % 60, 2);
	text_put(l, ":");
	text_put_number(l, seconds % 60, 2);
	text_put(l, ".");
	text_put_number(l, (uint64_t)t->tv_nsec / 1000, 6);
	text_put(l, "Z\"");
}

static void put_destination(struct text *l, const struct decision *d)
{
	char address[IP_TEXT_MAX];

	if (d->host.n)
		put_string(l, ",\"host\":", span_first(d->host, d->host.n < HOST_BYTES ? d->host.n : HOST_BYTES), HOST_SHOWN);
	else
		text_put(l, ",\"host\":null");
	if (d->address.family)
		put_own(l, ",\"address\":", ip_format(&d->address, address));
	else
		text_put(l, ",\"address\":null");
	text_put(l, ",\"port\":");
	if (d->port)
		text_put_number(l, d->port, 1);
	else
		text_put(l, "null");
}

static void put_rule(struct text *l, const struct generation *g, uint32_t rule)
{
	const char *file = g && rule != RULE_NONE ? snapshot_rule_file(&g->snapshot, rule) : NULL;

	if (!file) {
		text_put(l, ",\"rule\":null");
		return;
	}
	text_put(l, ",\"rule\":\"");
	put_escaped(l, span_of(file), FILE_SHOWN);
	text_put(l, ":");
	text_put_number(l, snapshot_rule_line(&g->snapshot, rule), 1);
	text_put(l, "\"");
}

static void put_verdict(struct text *l, const struct generation *g, const struct decision *d)
{
	put_own(l, ",\"verdict\":", d->allow ? "allow" : "deny");
	put_own(l, ",\"reason\":", reason_word(d->reason));
	put_rule(l, g, d->rule);
	if (d->status) {
		text_put(l, ",\"status\":");
		text_put_number(l, d->status, 1);
	}
	text_put(l, ",\"generation\":");
	text_put_number(l, g ? g->snapshot.generation : 0, 1);
	put_word(l, ",\"hash\":", g ? g->snapshot.hash : "");
}

static void put_work(struct text *l, const struct decision *d)
{
	text_put(l, ",\"bytes_up\":");
	text_put_number(l, d->bytes_up, 1);
	text_put(l, ",\"bytes_down\":");
	text_put_number(l, d->bytes_down, 1);
	text_put(l, ",\"duration_ms\":");
	text_put_number(l, d->duration_us / 1000, 1);
	text_put(l, ".");
	text_put_number(l, d->duration_us % 1000, 3);
	text_put(l, "}\n");
}

size_t audit_line_format(const struct generation *g, const struct decision *d, const struct timespec *now,
			 char ret[static AUDIT_LINE_MAX])
{
	struct text l = { ret, AUDIT_LINE_MAX, 0, false };

	put_time(&l, now);
	put_word(&l, ",\"project\":", g ? g->project : "");
	put_word(&l, ",\"client\":", d->client);
	put_own(&l, ",\"event\":", d->event == DECISION_OPEN ? "open" : "end");
	put_own(&l, ",\"adapter\":", adapter_words[d->adapter]);
	if (d->method)
		put_string(&l, ",\"method\":", span_of(d->method), METHOD_SHOWN);
	if (d->detail)
		put_string(&l, ",\"detail\":", span_of(d->detail), DETAIL_SHOWN);
	put_destination(&l, d);
	put_verdict(&l, g, d);
	put_work(&l, d);
	assert(!l.cut);
	return l.n;
}
