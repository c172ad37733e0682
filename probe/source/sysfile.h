/*
 * sysfile.h - folders of sysfs, and their small files: one value each.
 *
 *     static void on_chip(void *context, int parent, const char *name) { ... }
 *     error = directory_walk(folder->fd, on_chip, &walk);
 *
 * What sysfs describes comes and goes, so that folders are read anew at every look, by the
 * system call itself (readdir allocates).  Files are read in one piece.  A driver may take its
 * time over one (a sensor behind a slow bus) or answer with an error (no value now): sources of
 * such files are `blocking` and take a failed read for a value that is not known.
 */
#pragma once

#include "probe/source/readings.h"
#include "probe/source/scan.h"
#include "probe/source/source.h"

#define SYSFILE_BYTES 512 /* of a file; the rest is cut off */

/* Opens a folder below `parent` (AT_FDCWD for an absolute path).  ERR_NOTFOUND, ERR_REFUSED,
 * ERR_IO. */
int directory_open(int parent, const char *path, int *ret_fd);

/* Calls `each` with the folder and the name of every entry but those that begin with a dot, in
 * the folder's order.  The same errors. */
int directory_walk(int fd, void (*each)(void *context, int fd, const char *name),
                   void *context);

/* Reads folder/path, blanks and newlines at both ends cut off.  False: there is none, it is
 * empty, or cannot be read now. */
bool sysfile_text(int fd, const char *path, char room[SYSFILE_BYTES], struct span *ret_text);

/* A whole number.  False also when there is something else. */
bool sysfile_number(int fd, const char *path, double *ret_value);

/* Text of a file as a label's value, fit to be read (scan.h, text_clean); it lies in `room`. */
static inline struct bytes sysfile_label(struct span text, char room[SYSFILE_BYTES])
{
    size_t size = text_clean(span_bytes(text), room, SYSFILE_BYTES);
    return (struct bytes){(const uint8_t *)room, size};
}

/* The state of a source that is one folder of sysfs, and what all of them do alike. */
struct sysfs_source {
    int fd; /* of the folder; 0: not open */
    struct readings list;
};

/* start(): opens sysfs/path.  ERR_NOTFOUND: not on this host. */
int sysfs_source_open(struct sysfs_source *source, const struct source_env *env,
                      const char *path);

/* gather(): an empty list, then `each` for every entry of the folder.  `each` gets the source
 * as its context and adds what it reads to the list. */
int sysfs_source_walk(struct sysfs_source *source,
                      void (*each)(void *source, int fd, const char *name));

/* collect() and stop() of a source whose state is a struct sysfs_source. */
int sysfs_source_collect(void *state, const struct source_env *env, struct emitter *out);
void sysfs_source_stop(void *state);
