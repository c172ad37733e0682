/*
 * siblings.h - where a rotated file went: the names beside its own that begin with it.
 *
 *     app.log  app.log.1  app.log-20260214  app.log.2.gz
 *
 * Compressed files are passed by: what was in them was read before they were compressed.  Only
 * where the probe was away meanwhile they are asked for, those of gzip, by what was in them and
 * by the time of its last change, which gzip keeps.
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

/* The compressed file of this identity; as sibling_open(). */
int sibling_open_gzip(const char *path, const struct identity *identity, int *ret_fd);

/* The compressed file that holds what a file of this fingerprint held, last changed at
 * `modified_ns` or later: of several the one changed first.  ERR_NOTFOUND. */
int sibling_find_gzip(const char *path, const struct fingerprint *fingerprint,
                      int64_t modified_ns, struct sibling *ret_file);

#define SIBLINGS_MAX ((size_t)32)

/* Files that were `path` once, between two others: siblings whose names look rotated (the name,
 * then . - _ or ~, then a digit, or .old .bak .prev) and that are younger than `after` and
 * older than `before` (NULL: no such bound), for which `is_known` is false; oldest first, at
 * most SIBLINGS_MAX.  Returns how many. */
size_t siblings_between(const char *path, const struct file_facts *after,
                        const struct file_facts *before, sibling_known *is_known, void *context,
                        struct sibling found[SIBLINGS_MAX]);

/* The same for compressed files, by the time of their last change alone: not before `after_ns`
 * and not after `before_ns` (0: no such bound).  One whose uncompressed form lies beside it is
 * not whole yet, and is left out. */
size_t siblings_gzip_between(const char *path, int64_t after_ns, int64_t before_ns,
                             struct sibling found[SIBLINGS_MAX]);
