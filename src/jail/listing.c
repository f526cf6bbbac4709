/* Two listings side by side. nft prints what the kernel has in the kernel's order, so that two rulesets that do the same thing in
 * the same way are the same text. */
#include "jail/listing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/span.h"

enum { QUOTE_MAX = 200, CHAIN_MAX = 80 };

static bool starts_with(struct span s, const char *with)
{
	const size_t n = strlen(with);

	return s.n >= n && memcmp(s.p, with, n) == 0;
}

/* The next line without its indentation; empty lines are passed over. false at the end. */
static bool next_line(const char **p, struct span *ret)
{
	*p += strspn(*p, " \t\n");
	const size_t n = strcspn(*p, "\n");

	*ret = (struct span) { *p, n };
	*p += n;
	return n > 0;
}

static int quoted(struct span s)
{
	return (int)(s.n < QUOTE_MAX ? s.n : QUOTE_MAX);
}

static bool has_line(const char *listing, struct span line)
{
	struct span l;

	while (next_line(&listing, &l))
		if (span_eq(l, line))
			return true;
	return false;
}

static int refuse_foreign_tables(const char *wanted, const char *found, struct err *err)
{
	struct span line;

	while (next_line(&found, &line)) {
		if (!starts_with(line, "table ") || has_line(wanted, line))
			continue;
		line.n -= line.p[line.n - 1] == '{' ? 2 : 0;
		return err_set(err, ERR_FINDING, "the jail was tampered with: '%.*s' is none of ours", quoted(line), line.p);
	}
	return 0;
}

static int differ(const char *where, struct span wanted, struct span found, struct err *err)
{
	if (starts_with(wanted, "table "))
		return err_set(err, ERR_FINDING, "the jail is not there: no %.*s", quoted(wanted) - 2, wanted.p);
	return err_set(err, ERR_FINDING, "the jail is not as it was put up: %s: '%.*s' should be '%.*s'", where, quoted(found),
		       found.p, quoted(wanted), wanted.p);
}

int listing_compare(const char *wanted, const char *found, struct err *err)
{
	char where[CHAIN_MAX] = "outside of every chain";
	struct span w, f;

	if (refuse_foreign_tables(wanted, found, err) < 0)
		return -1;
	for (;;) {
		const bool more_wanted = next_line(&wanted, &w), more_found = next_line(&found, &f);

		if (!more_wanted && !more_found)
			return 0;
		if (!span_eq(w, f))
			return differ(where, w, f, err);
		if (starts_with(w, "chain "))
			(void)snprintf(where, sizeof where, "%.*s", (int)w.n - 2, w.p);
	}
}
