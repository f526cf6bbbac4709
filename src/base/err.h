/* An error that can be shown to a person: a class, which decides the exit code, and a sentence. Functions that take one
 * have it as last parameter, return -1 or false, and leave their outputs untouched. Only layer 4 prints it, once. */
#ifndef STOCKADE_BASE_ERR_H
#define STOCKADE_BASE_ERR_H

#include <stdarg.h>

enum err_class {
	ERR_NONE = 0,
	ERR_FINDING = 1, /* the answer is no: denied, a probe failed */
	ERR_INPUT = 2,   /* what the user gave is wrong: arguments, manifest, list */
	ERR_FAULT = 3,   /* the machine or we failed */
};

struct err {
	enum err_class class; /* also the exit code */
	char text[1400];      /* may hold several lines; no newline at its end */
};

/* Each returns -1, so that `return err_set(err, ...)` reads well. */
int err_set(struct err *err, enum err_class class, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* ERR_FAULT, with ": strerror(errno)" at the end. */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " before what is there; keeps the class. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
