/* The jail by libnftables: applied as one transaction, and read back against the same ruleset as a fresh, private namespace lists
 * it. What the kernel makes of a ruleset, and how nft prints that, is thus on both sides of the comparison. */
#include "jail/jail.h"

#include <fcntl.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "jail/listing.h"

#define DELETE "delete table "
enum { COMMAND_MAX = 128 };

static struct nft_ctx *open_nft(struct err *err)
{
	/* Bound to the namespace that the thread is in now. */
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

	if (nft && nft_ctx_buffer_output(nft) == 0 && nft_ctx_buffer_error(nft) == 0) {
		nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_NUMERIC_PROTO);
		return nft;
	}
	if (nft)
		nft_ctx_free(nft);
	(void)err_set(err, ERR_FAULT, "out of memory for libnftables");
	return NULL;
}

static int run(struct nft_ctx *nft, const char *commands, struct err *err)
{
	if (nft_run_cmd_from_buffer(nft, commands) == 0)
		return 0;
	const char *text = nft_ctx_get_error_buffer(nft);

	return err_set(err, ERR_FAULT, "nftables refused: %.*s", (int)strcspn(text, "\n"), text);
}

/* A ruleset starts by adding and deleting its table, so that it takes the place of an older one. Where there is none that is left
 * out: after a deletion the kernel has the caller wait until no packet can see the old rules, ten milliseconds. */
static const char *body_of(const char *ruleset)
{
	const char *p = ruleset;

	while (strncmp(p, "add table ", 10) == 0 || strncmp(p, "delete table ", 13) == 0)
		p += strcspn(p, "\n") + (p[strcspn(p, "\n")] == '\n');
	return p;
}

int jail_apply(const char *ruleset, struct err *err)
{
	struct nft_ctx *nft = open_nft(err);

	if (!nft)
		return -1;
	int rc = run(nft, "list tables", err);

	if (rc == 0)
		rc = run(nft, *nft_ctx_get_output_buffer(nft) ? ruleset : body_of(ruleset), err);

	nft_ctx_free(nft);
	return rc;
}

/* What is in force in the thread's namespace, after `before` (a ruleset, or NULL) was applied; to be freed. NULL: err. */
static char *listing(const char *before, struct err *err)
{
	struct nft_ctx *nft = open_nft(err);
	char *text = NULL;

	if (!nft)
		return NULL;
	if ((!before || run(nft, before, err) == 0) && run(nft, "list ruleset", err) == 0) {
		text = strdup(nft_ctx_get_output_buffer(nft));
		if (!text)
			(void)err_set(err, ERR_FAULT, "out of memory for the listing of the jail");
	}
	nft_ctx_free(nft);
	return text;
}

/* The same for a namespace of its own, where nothing else is. */
static char *reference(const char *ruleset, struct err *err)
{
	FD_CLOSE int here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (here < 0 || unshare(CLONE_NEWNET) < 0) {
		(void)err_errno(err, "cannot make a network namespace to compare with");
		return NULL;
	}
	char *text = listing(body_of(ruleset), err);

	/* The caller believes to be in the pod's namespace. Whatever it would do next, it would do to another. */
	if (setns(here, CLONE_NEWNET) < 0)
		abort();
	return text;
}

/* As listing, of the tables that the ruleset begins by deleting. */
static char *listing_of_own(const char *ruleset, struct err *err)
{
	struct nft_ctx *nft = open_nft(err);
	char command[COMMAND_MAX], *text = NULL;
	int rc = nft ? 0 : -1;

	for (const char *p = strstr(ruleset, DELETE); rc == 0 && p; p = strstr(p, DELETE)) {
		p += sizeof DELETE - 1;
		(void)snprintf(command, sizeof command, "list table %.*s", (int)strcspn(p, "\n"), p);
		if (run(nft, command, err) < 0)
			rc = err_set(err, ERR_FINDING, "the jail is not there: no %s", command + sizeof "list");
	}
	if (rc == 0 && !(text = strdup(nft_ctx_get_output_buffer(nft))))
		(void)err_set(err, ERR_FAULT, "out of memory for the listing of the jail");
	if (nft)
		nft_ctx_free(nft);
	return text;
}

static int check(const char *ruleset, bool among, struct err *err)
{
	char *wanted = reference(ruleset, err);
	char *found = !wanted ? NULL : among ? listing_of_own(ruleset, err) : listing(NULL, err);
	const int rc = found ? listing_compare(wanted, found, err) : -1;

	free(wanted);
	free(found);
	return rc;
}

int jail_check(const char *ruleset, struct err *err)
{
	return check(ruleset, false, err);
}

int jail_check_among(const char *ruleset, struct err *err)
{
	return check(ruleset, true, err);
}
