/* Whether a program or a file is root's alone: whoever can change it, or a directory on the way to it, can do what is done with it. */
#ifndef STOCKADE_PROCESS_OWNER_H
#define STOCKADE_PROCESS_OWNER_H

#include "base/err.h"

/* real: the absolute path of a file, without symbolic links. what: "the runtime". -1: others than root can change it, or it is no file. */
int owner_check(const char *what, const char *real, struct err *err);

#endif
