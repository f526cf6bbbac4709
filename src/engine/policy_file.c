#include "engine/policy_file.h"

#include <fcntl.h>
#include <sha256.h>
#include <sys/mman.h>

#include "base/fd.h"

int policy_file_make(struct span block, char ret_hash[static 65], struct err *err)
{
	FD_CLOSE int fd = memfd_create("stockade-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_errno(err, "policy memfd");
	const int rc = fd_write_all(fd, block.p, block.n);

	if (rc < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_errno(err, "policy memfd");
	(void)SHA256Data((const uint8_t *)block.p, block.n, ret_hash);
	return fd_steal(&fd);
}
