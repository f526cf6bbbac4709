/* Exit statuses of a program that could not be started, as shells have them. */
#ifndef STOCKADE_CMD_EXIT_STATUS_H
#define STOCKADE_CMD_EXIT_STATUS_H

#include "base/err.h"

enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* Tells the error; 126 or 127 when it is about the program itself, else the error's own status. */
int exit_status_of(const char *verb, const struct err *err);

#endif
