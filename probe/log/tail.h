/*
 * tail.h - one generation of a log file: from its creation, or its truncation, to its end.
 *
 * A tail keeps its file open, so that neither renaming nor deleting takes it away, and knows
 * how far it has been read.  Its position is a note (emitter.h): written in the same batch as
 * the lines up to it, so that after a crash a line is read again only if its batch was lost
 * too.
 *
 * A file that was compressed before its end was read is read on from what it was compressed to
 * (gzip.h): a tail of that file, whose offsets are those of the file before.
 *
 * The generation's id is what the collector knows it by.  It is made from device, inode, birth,
 * the number of truncations and the first line, so that a probe that lost its notes gives the
 * same lines the same names again, and the collector can tell that it has them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/log/decode.h"
#include "probe/log/gzip.h"
#include "probe/log/identity.h"
#include "proto/base/buf.h"
#include "proto/base/bytes.h"

/* What must survive a restart. */
struct tail_position {
    struct identity identity;
    uint64_t id;          /* 0: not known yet, nothing was read */
    uint64_t order;       /* generations of one path are read by ascending order */
    uint64_t offset;      /* the first byte not yet read */
    uint32_t truncations; /* of this inode */
    bool skipping;        /* offset is inside an overlong line */
    bool is_rotated;      /* a younger file has its name */
    bool is_finished;     /* rotated, read to its end and closed */
    bool is_gzip;         /* the identity is of the compressed file */
    struct fingerprint fingerprint;
    int64_t modified_ns; /* last change when last looked at */
};

struct tail {
    int fd; /* -1: finished, or could not be opened yet */
    struct tail_position position;
    struct gzip *gzip;          /* of a compressed file that was begun to be read */
    enum log_encoding encoding; /* settled by the file's first bytes */
    uint64_t size;              /* when last looked at */
    int64_t grown_ms;           /* when growth was last seen */
    struct fingerprint before;  /* of what was here before the last truncation */
    bool is_changed;            /* the position is not noted yet */
    bool is_waiting;            /* what is not read is no whole event: read when it grows, */
    bool has_waited;            /* or once when it has stood still for a while */
};

enum tail_change { TAIL_SAME, TAIL_GREW, TAIL_TRUNCATED };

/* Takes over `fd`, a regular file with these facts, as a new generation at offset 0. */
void tail_begin(struct tail *tail, int fd, const struct file_facts *facts,
                enum log_encoding encoding, int64_t now_ms);

/* Takes over `fd` where an earlier run of the probe left it. */
void tail_resume(struct tail *tail, int fd, const struct tail_position *position,
                 enum log_encoding encoding, int64_t now_ms);

/* What the bytes are, by the configured encoding and the file's first bytes. */
void tail_settle_encoding(struct tail *tail, enum log_encoding encoding);

/* Closes the file; the position stays. */
void tail_close(struct tail *tail);

/* Looks at the file: TAIL_TRUNCATED if it is shorter than what was read or begins otherwise;
 * the tail is then a new generation at offset 0.  ERR_IO. */
int tail_look(struct tail *tail, enum log_encoding encoding, int64_t now_ms,
              enum tail_change *ret_change);

/* Reads from the position; *ret_size 0 at the end.  ERR_IO; of a compressed file ERR_AGAIN (not
 * there yet, call again), ERR_NOMEM. */
int tail_read(struct tail *tail, uint8_t *to, size_t room, size_t *ret_size);

/* Settles the id; needs the first line (or all there will be) to be in the file. */
int tail_identify(struct tail *tail, int64_t now_ms);

/* Bytes not yet read. */
static inline uint64_t tail_lag(const struct tail *tail)
{
    return tail->size > tail->position.offset ? tail->size - tail->position.offset : 0;
}

/* ---- notes ------------------------------------------------------------------------------ */

#define TAIL_KEY_BYTES 48 /* "log/" device "-" inode, with NUL */

/* The key of a tail's note.  While a file exists no other has its device and inode. */
struct bytes tail_note_key(const struct identity *identity, char key[TAIL_KEY_BYTES]);

/* Appends the note's value: position and path. */
void tail_note_write(const struct tail_position *position, struct bytes path, struct buf *out);

/* Reads one; *ret_path points into `value`.  ERR_MALFORMED (also for a version of the future).
 */
int tail_note_read(struct bytes value, struct tail_position *ret_position,
                   struct bytes *ret_path);
