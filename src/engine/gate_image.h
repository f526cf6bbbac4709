/* The image of the gate's container: this program and the libraries it is linked with, nothing else; made here, of this machine's own files, and
 * only when there is none of the very same bytes. No registry is asked. */
#ifndef STOCKADE_ENGINE_GATE_IMAGE_H
#define STOCKADE_ENGINE_GATE_IMAGE_H

#include "base/err.h"
#include "process/program.h"

enum { GATE_IMAGE_NAME = 96 };

struct gate_image {
	char name[GATE_IMAGE_NAME]; /* localhost/stockade-gate:HASH */
	bool built;                 /* just now; then: */
	unsigned long long bytes;
	unsigned ms;
};

/* like: with the environment and mounts for podman. dir: where it may write. Older images of that name that nobody uses are removed. */
int gate_image_ensure(const struct program *like, const char *dir, struct gate_image *ret, struct err *err);

#endif
