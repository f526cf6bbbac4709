/* A policy block as a file that nobody can change any more: a sealed memfd, and its SHA-256 in hex. */
#ifndef STOCKADE_ENGINE_POLICY_FILE_H
#define STOCKADE_ENGINE_POLICY_FILE_H

#include "base/err.h"
#include "base/span.h"

/* The fd, or -1. */
int policy_file_make(struct span block, char ret_hash[static 65], struct err *err);

#endif
