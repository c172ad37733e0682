/*
 * diagnosis.h - what went wrong, where, and what to do next, for a person.
 *
 * An error code tells the program what to do; a diagnosis tells the reader.  It is one line:
 *
 *     rules/host.yml:14: unknown function "raet" (did you mean "rate"?)
 *
 * A diagnosis is a value on the caller's stack.  The function that fails fills it; nobody else
 * writes it, so the first, most precise message survives.  Passing NULL is allowed everywhere.
 */
#pragma once

#include <stddef.h>

#define DIAGNOSIS_BYTES 512

struct diagnosis {
    char text[DIAGNOSIS_BYTES]; /* empty, or one line without a newline */
};

/* Writes the message (printf format) unless there is one already, and returns `error`, so that
 * a failure is one statement:  return diagnose(why, ERR_INVALID, "%s: ...", path);  Text that
 * does not fit is cut at a UTF-8 boundary and ends in "...". */
int diagnose(struct diagnosis *why, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The nearest of `count` names to `wrong` by edit distance, or NULL if none is within a third
 * of its length (at least 2).  Returns one of `names`. */
const char *nearest_name(const char *wrong, const char *const *names, size_t count);
