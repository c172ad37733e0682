/*
 * gzip.h - a compressed log file (RFC 1952), read as if it were not: from any offset of what
 * was in it.
 *
 * Reading on is cheap; reading from before what is in the window begins anew.  A call inflates
 * GZIP_STEP_BYTES at most, so that a file of gigabytes does not hold the loop up.  What cannot
 * be inflated, or does not have its checksum, is damaged: the bytes before it are read, then
 * the file ends.  Members that follow one another are one file; zeros behind them are passed
 * over.
 *
 * Thread: the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/log/identity.h"

#define GZIP_WINDOW_BYTES ((size_t)64 << 10)
#define GZIP_STEP_BYTES   ((uint64_t)8 << 20)

struct gzip;

/* Reads `fd`, which stays the caller's and is read by offset.  ERR_NOMEM. */
int gzip_new(int fd, struct gzip **ret_gzip);
void gzip_free(struct gzip *gzip); /* NULL is allowed */

/* As pread(): up to `room` bytes, at most GZIP_WINDOW_BYTES, that were at `offset`; fewer at
 * the end only.  ERR_AGAIN: not there yet, call again; ERR_IO; ERR_NOMEM. */
int gzip_read(struct gzip *gzip, uint64_t offset, uint8_t *to, size_t room, size_t *ret_size);

/* Where it ended, was that before its end? */
bool gzip_is_damaged(const struct gzip *gzip);

/* The first bytes of what was in the file, at most GZIP_WINDOW_BYTES.  As gzip_read(). */
int gzip_first(int fd, uint8_t *to, size_t room, size_t *ret_size);

/* Does what was in the file begin with the bytes of `expected`?  Nothing begins with none. */
bool gzip_fingerprint_holds(int fd, const struct fingerprint *expected);
