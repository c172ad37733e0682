/*
 * siblings.h - where a rotated file went: the names beside its own that begin with it.
 *
 *     app.log  app.log.1  app.log-20260214  app.log.2.gz
 *
 * Compressed files are passed by; what was in them before cannot be told apart from bytes that
 * were read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "probe/log/identity.h"

/* Does a name end as compressed files do (.gz .bz2 .xz .zst .lz4 .zip .Z)? */
bool sibling_is_compressed(const char *path);

/* Is `path` the name `original` with what rotation adds to it? */
bool sibling_is_rotated(const char *original, const char *path);

/* A regular file, open; the facts are the descriptor's, so no rename can mix them up. */
struct sibling {
    int fd;
    struct file_facts facts;
};

/* ERR_NOTFOUND (also: not a regular file), ERR_REFUSED, ERR_IO.  The descriptor is the caller's
 * to close. */
int sibling_open_path(const char *path, struct sibling *ret_file);

/* Opens the file of this identity: at `path` itself, or at a sibling's name.  *ret_fd is the
 * caller's to close; *ret_renamed: not at its own name.  ERR_NOTFOUND, ERR_REFUSED, ERR_IO. */
int sibling_open(const char *path, const struct identity *identity, int *ret_fd,
                 bool *ret_renamed);

/* Is this file, open as `fd`, one that is tailed already? */
typedef bool sibling_known(void *context, const struct identity *identity, int fd);

#define SIBLINGS_MAX ((size_t)32)

/* Files that were `path` once, between two others: siblings whose names look rotated (the name,
 * then . - _ or ~, then a digit, or .old .bak .prev) and that are younger than `after` and
 * older than `before` (NULL: no such bound), for which `is_known` is false; oldest first, at
 * most SIBLINGS_MAX.  Returns how many. */
size_t siblings_between(const char *path, const struct file_facts *after,
                        const struct file_facts *before, sibling_known *is_known, void *context,
                        struct sibling found[SIBLINGS_MAX]);
