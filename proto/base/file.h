/*
 * file.h - small files, whole, without surprises; and the calls a fault test may break.
 *
 * Everything here retries EINTR and handles short reads and writes.  Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

/* The calls that make bytes durable.  Code that must survive a crash takes a pointer to one of
 * these, so that a test can fail, cut or kill at the n-th call.  Return values and errno are the
 * system's.  `context` is handed to each. */
struct file_io {
    ssize_t (*write_at)(void *context, int fd, const void *data, size_t size, off_t offset);
    int (*sync)(void *context, int fd);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    void *context;
};

extern const struct file_io file_io_system;

/* Reads a whole file of at most `limit` bytes; *ret_text is malloc'd, NUL-terminated, the
 * caller's to free; ret_size may be NULL.  ERR_NOTFOUND, ERR_LIMIT, ERR_REFUSED, ERR_IO,
 * ERR_NOMEM; `why` names path and reason. */
int file_read_whole(const char *path, size_t limit, char **ret_text, size_t *ret_size,
                    struct diagnosis *why);

/* Replaces (or makes) a file so that after a crash there is the old or the new content, never a
 * mixture: temporary file in the same folder, fsync, rename, fsync of the folder. */
int file_write_atomic(const struct file_io *io, const char *path, struct bytes content,
                      mode_t mode, struct diagnosis *why);

/* Makes a directory and its missing parents, mode 0750, durably. */
int file_make_directories(const char *path, struct diagnosis *why);

/* Writes all bytes at an offset; ERR_FULL for ENOSPC/EDQUOT, else ERR_IO. */
int file_write_all(const struct file_io *io, int fd, struct bytes content, off_t offset);

/* Reads a secret (key, token, password) that must be private: refuses (ERR_REFUSED) a file that
 * group or others can read.  Trailing white space is cut.  *ret_text is the caller's to free. */
int file_read_secret(const char *path, size_t limit, char **ret_text, struct diagnosis *why);

/* `path` itself if absolute, else joined to the folder of `base_file`.  malloc'd; NULL if out of
 * memory. */
char *file_relative_to(const char *base_file, const char *path);
