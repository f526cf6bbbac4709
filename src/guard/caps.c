/* Capabilities: all gone, in every set, in an order in which each step can still be taken. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard/guard.h"

enum { CAPABILITY_MAX = 64 };

static int set_raw(const struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return (int)syscall(SYS_capset, &head, data);
}

static int get_raw(struct __user_cap_data_struct data[static _LINUX_CAPABILITY_U32S_3])
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return (int)syscall(SYS_capget, &head, data);
}

/* After a change of uid the permitted ones are there, but not in effect. */
static int raise_permitted(struct err *err)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (get_raw(data) < 0)
		return err_errno(err, "cannot read the capabilities");
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = data[i].permitted;
	return set_raw(data) < 0 ? err_errno(err, "cannot raise the capabilities that are to be dropped") : 0;
}

static int empty_bounding_set(struct err *err)
{
	for (int cap = 0; cap < CAPABILITY_MAX; cap++) {
		const int there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

		if (there < 0 && errno == EINVAL)
			return 0; /* past the last one that this kernel knows */
		if (there && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_errno(err, "cannot drop capability %d from the bounding set", cap);
	}
	return 0;
}

/* uid 0 gets nothing at exec, and none of this can be taken back. */
static int lock_securebits(struct err *err)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
				   SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == (int)bits)
		return 0;
	return prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 ? err_errno(err, "cannot lock the securebits") : 0;
}

int guard_check_capabilities(struct err *err)
{
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (get_raw(data) < 0)
		return err_errno(err, "cannot read the capabilities");
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		if (data[i].effective | data[i].permitted | data[i].inheritable)
			return err_set(err, ERR_FAULT, "capabilities are left after all were dropped");
	for (int cap = 0; cap < CAPABILITY_MAX; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			return err_set(err, ERR_FAULT, "capability %d is left after all were dropped", cap);
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return err_set(err, ERR_FAULT, "no_new_privs did not stay");
	return 0;
}

int guard_drop_capabilities(struct err *err)
{
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (raise_permitted(err) < 0 || empty_bounding_set(err) < 0 || lock_securebits(err) < 0)
		return -1;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_errno(err, "cannot clear the ambient capabilities");
	if (set_raw(none) < 0)
		return err_errno(err, "cannot drop the capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(err, "cannot set no_new_privs");
	return guard_check_capabilities(err);
}
