/* Open files: none but those named. */
#include <assert.h>
#include <linux/close_range.h>
#include <unistd.h>

#include "guard/guard.h"

int guard_close_fds_except(const int *keep, size_t count, struct err *err)
{
	unsigned from = 0;

	for (size_t i = 0; i < count; i++) {
		assert(keep[i] >= 0 && (unsigned)keep[i] >= from);
		if ((unsigned)keep[i] > from && close_range(from, (unsigned)keep[i] - 1, 0) < 0)
			return err_errno(err, "cannot close the files of the parent");
		from = (unsigned)keep[i] + 1;
	}
	return close_range(from, ~0U, 0) < 0 ? err_errno(err, "cannot close the files of the parent") : 0;
}
