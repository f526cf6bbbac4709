/* The tables behind policy/reason.h. */
#include "policy/reason.h"

#include <stddef.h>

static const char *const words[] = {
#define X(constant, word, text) [REASON_##constant] = (word),
	REASONS(X)
#undef X
};
static const char *const texts[] = {
#define X(constant, word, text) [REASON_##constant] = (text),
	REASONS(X)
#undef X
};
_Static_assert(sizeof words / sizeof *words == REASON_COUNT, "a word for each reason");
_Static_assert(sizeof texts / sizeof *texts == REASON_COUNT, "a sentence for each reason");

const char *reason_word(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? words[r] : "unknown-reason";
}

const char *reason_text(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? texts[r] : "the reason is not known";
}
