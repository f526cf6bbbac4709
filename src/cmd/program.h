/* Exit statuses of a program that could not be started, as shells have them. */
#ifndef STOCKADE_CMD_PROGRAM_H
#define STOCKADE_CMD_PROGRAM_H

#include "base/err.h"

enum { PROGRAM_NOT_EXECUTABLE = 126, PROGRAM_NOT_FOUND = 127 };

/* Tells the error; 126 or 127 when it is about the program itself, else the error's own status. */
int program_status(const char *verb, const struct err *err);

#endif
