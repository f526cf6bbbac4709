/* User and group: changed for good, and read back. */
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "guard/guard.h"

/* Runtimes put the group itself into the list of further groups. */
static bool has_no_group_but(gid_t gid)
{
	gid_t list[2];
	const int count = getgroups(2, list);

	return count == 0 || (count == 1 && list[0] == gid);
}

static int check_ids(uid_t uid, gid_t gid, struct err *err)
{
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (getresuid(&r, &e, &s) < 0 || getresgid(&gr, &ge, &gs) < 0)
		return err_errno(err, "cannot read the user and group ids");
	if (r != uid || e != uid || s != uid || gr != gid || ge != gid || gs != gid || !has_no_group_but(gid))
		return err_set(err, ERR_FAULT, "the user and group ids are not %u:%u alone", (unsigned)uid, (unsigned)gid);
	return 0;
}

int guard_check_powerless(uid_t uid, gid_t gid, struct err *err)
{
	return check_ids(uid, gid, err) < 0 ? -1 : guard_check_capabilities(err);
}

int guard_set_ids(uid_t uid, gid_t gid, struct err *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_errno(err, "cannot keep capabilities over the change of user");
	if (setgroups(0, NULL) < 0)
		return err_errno(err, "cannot empty the list of groups");
	if (setresgid(gid, gid, gid) < 0)
		return err_errno(err, "cannot become group %u", (unsigned)gid);
	if (setresuid(uid, uid, uid) < 0)
		return err_errno(err, "cannot become user %u", (unsigned)uid);
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return err_errno(err, "cannot end keeping capabilities");
	return check_ids(uid, gid, err);
}
