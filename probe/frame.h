/*
 * frame.h - files that only grow, by frames that prove themselves.
 *
 *   offset size  file, integers little-endian
 *      0     8   "FSPOOL1\n"
 *      8     8   seed, random
 *     16     n   frames, one behind the other
 *
 *   offset size  frame
 *      0     4   payload size, 1..FRAME_PAYLOAD_BYTES_MAX
 *      4     1   kind, the user's
 *      5     3   zero
 *      8     8   XXH3-64 of the payload, seeded with the file's seed, mixed with the frame's
 *                offset, size and kind
 *     16     n   payload
 *
 * The first frame that fails its check ends the file: what follows was never completely
 * written, or lies on a damaged page.  The seed keeps bytes that a host's log lines may contain
 * from being taken for a frame, and a frame from being valid anywhere else.
 *
 * A frame is one write.  There is no sync: kill -9 loses nothing that was written, and a power
 * cut ends the epoch anyway (spool.h).
 */
#pragma once

#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/bytes.h"
#include "proto/base/file.h"
#include "proto/wire/plain.h"

#define FRAME_FILE_HEADER_BYTES 16
#define FRAME_HEADER_BYTES      16
#define FRAME_PAYLOAD_BYTES_MAX (BATCH_PLAIN_BYTES_MAX + ((size_t)2 << 20))

struct frame_file {
    int fd; /* -1: closed */
    uint64_t seed;
    uint64_t size; /* end of the last good frame: where the next goes */
};

struct frame {
    uint8_t kind;
    struct bytes payload; /* in the caller's buf */
    uint64_t next;        /* offset of the frame behind it */
};

/* Makes a new file, replacing a leftover.  ERR_FULL, ERR_IO. */
int frame_file_create(const struct file_io *io, const char *path, struct frame_file *ret_file);

/* Opens for reading and appending; `size` is 16 until frames are read.  ERR_NOTFOUND,
 * ERR_CORRUPT: no such header, ERR_IO. */
int frame_file_open(const char *path, struct frame_file *ret_file);
void frame_file_close(struct frame_file *file);

/* Builds a frame in `out`: begin, put the payload, append.  Appending writes at file->size and
 * moves it; a failed write is cut off again, so that the file ends in a good frame.  ERR_NOMEM,
 * ERR_LIMIT, ERR_FULL, ERR_IO. */
void frame_begin(struct buf *out, uint8_t kind);
int frame_append(const struct file_io *io, struct frame_file *file, struct buf *out);

/* Reads the frame at `offset` into `into`.  ERR_NOTFOUND: the file ends there; ERR_CORRUPT:
 * what is there is no frame; ERR_IO, ERR_NOMEM. */
int frame_read(const struct frame_file *file, uint64_t offset, struct buf *into,
               struct frame *ret_frame);
