/* Rulesets as nft prints them, without counters and handles. Pure. */
#ifndef STOCKADE_JAIL_LISTING_H
#define STOCKADE_JAIL_LISTING_H

#include "base/err.h"

/* 0 when both are the same, line by line; else -1 with the first difference: a foreign table, a chain or rule that is missing,
 * changed or too many, and in which chain. */
int listing_compare(const char *wanted, const char *found, struct err *err);

#endif
