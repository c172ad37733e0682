/*
 * care_file.h - large files in slices, for work that goes on beside the commits.
 *
 * Verifying and backing up read and write gigabytes on the disk whose fsync every
 * acknowledgement waits for.  So a file is taken a slice of CARE_SLICE_BYTES at a time; what is
 * written is synced slice by slice, so that no commit's sync finds a heap of it before itself;
 * and a gentle worker rests after each slice for as long as the slice took: on a disk that is
 * busy it takes less.
 *
 * Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/base/bytes.h"
#include "proto/base/clock.h"
#include "proto/base/diagnosis.h"

#define CARE_SLICE_BYTES ((size_t)1 << 20)

struct care_pace {
    bool is_gentle;                 /* rests, and syncs slice by slice */
    const volatile bool *cancelled; /* NULL is allowed */
    /* How many bytes more are done; NULL is allowed. */
    void (*moved)(void *context, uint64_t bytes);
    void *context;
};

/* The flag of whoever waits; NULL: nobody can break it off. */
static inline bool care_is_cancelled(const volatile bool *cancelled)
{
    return cancelled != NULL && __atomic_load_n(cancelled, __ATOMIC_RELAXED);
}

/* Around each slice. */
mono_ns care_slice_begin(void);
/* ERR_CANCELLED. */
int care_slice_end(const struct care_pace *pace, mono_ns begun, uint64_t bytes);

/* XXH3 and size of a file, read from the disk.  ERR_NOTFOUND, ERR_IO, ERR_CANCELLED. */
int care_hash(const char *path, const struct care_pace *pace, uint64_t *ret_hash,
              uint64_t *ret_bytes, struct diagnosis *why);

/* A file being written from front to back, hashed on the way. */
struct care_writer;
/* A new file: ERR_EXISTS if there is one. */
int care_writer_open(const char *path, mode_t mode, const struct care_pace *pace,
                     struct care_writer **ret_writer, struct diagnosis *why);
/* ERR_FULL, ERR_IO, ERR_CANCELLED. */
int care_writer_put(struct care_writer *writer, struct bytes bytes);
/* Syncs and closes; after a failure too.  The first error. */
int care_writer_close(struct care_writer *writer, uint64_t *ret_hash, uint64_t *ret_bytes,
                      struct diagnosis *why);

int care_copy(const char *from, const char *to, mode_t mode, const struct care_pace *pace,
              uint64_t *ret_hash, uint64_t *ret_bytes, struct diagnosis *why);

/* A whole file as bytes; an empty one is NULL and 0.  ERR_NOTFOUND, ERR_IO. */
int care_map(const char *path, struct bytes *ret_bytes, struct diagnosis *why);
void care_unmap(struct bytes bytes);

/* Is the folder there, and what is in it?  -1: there is none; else the number of its entries,
 * at most 1. */
int care_folder_entries(const char *path);
/* fsync of a folder.  ERR_IO. */
int care_sync_folder(const char *path, struct diagnosis *why);
