/* Diagnostics of the daemons (supervisor, gate), a line each to stderr, which the supervisor points at a file.
 * Decisions do not go here: they have the decision log (gate/audit). Library functions never log; entry functions do. */
#ifndef STOCKADE_BASE_LOG_H
#define STOCKADE_BASE_LOG_H

/* The word put before every line: "supervisor", "gate". Kept by pointer. */
void log_set_role(const char *role);
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
