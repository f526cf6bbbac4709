/* What whoever does not run said last, for the person who waits for it: "see the log" is no help where the log has gone. */
#ifndef STOCKADE_ENGINE_LAST_WORDS_H
#define STOCKADE_ENGINE_LAST_WORDS_H

#include "engine/house.h"

enum { LAST_WORDS = 400 };

/* The last line of a gate that does not serve: from its container's log, which Podman forgets with the pod, or from supervisor.log. "": none. */
void last_words_of_gate(const struct house *h, char ret[static LAST_WORDS]);
/* "WHAT; ..." with these, or where else to look. */
void last_words_late(const struct house *h, const char *what, struct err *ret);
/* The end of supervisor.log, as lines to the client: it goes with a project that came to nothing. */
void last_words_show(struct house *h, uint64_t client);

#endif
