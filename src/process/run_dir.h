/* A project's run directory on disk: made for root alone, locked by the one supervisor that lives, removed whole. */
#ifndef STOCKADE_PROCESS_RUN_DIR_H
#define STOCKADE_PROCESS_RUN_DIR_H

#include "base/err.h"

/* Makes it with its parents, and opens it. */
int run_dir_make(const char *path, struct err *err);
/* The lock, held until the process ends or the fd is closed. -1 with ERR_FINDING: another process has it. */
int run_dir_lock(int dir, const char *path, struct err *err);
/* With all that is in it. What is gone already is no error. */
int run_dir_remove(const char *path, struct err *err);

#endif
