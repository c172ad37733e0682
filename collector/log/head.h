/*
 * head.h - log lines that are committed but not yet in a block.
 *
 *   commit done --> log_head_append()          lines of (stream, generation), by offset
 *   flush       --> log_head_cut() --> blocks into the history transaction --> commit
 *                     --> log_head_retire()     only now do the lines leave the head
 *                     or  log_head_uncut()      the commit failed: they stay
 *
 * A line is (stream, generation, offset).  Appending one that the head holds changes nothing,
 * so replaying the write-ahead log twice is harmless.  Lines may arrive in any order.
 *
 * A reader looks at the head FIRST and takes its snapshot of the blocks AFTERWARDS: a line that
 * leaves the head in between is then already in a committed block.  It may see a line in both
 * places; log_search removes such twins.
 *
 * Threads: append, cut, retire and uncut belong to the writer.  read and files may be called by
 * any thread; a lock is held for the copying of one file at most.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/wire/plain.h"

struct log_head;

int log_head_new(struct log_head **ret_head);
void log_head_free(struct log_head *head); /* NULL is allowed */

/* Copies the lines (ascending by offset).  *ret_taken (may be NULL): how many were new.
 * ERR_NOMEM: none was taken. */
int log_head_append(struct log_head *head, uint64_t stream_id, const struct log_chunk *chunk,
                    size_t *ret_taken);

/* Text and book-keeping held, in bytes; what a writer looks at to decide on a LOG_CUT_ALL. */
size_t log_head_bytes(const struct log_head *head);
size_t log_head_line_count(const struct log_head *head);
/* Some file has LOG_BLOCK_TEXT_DUE of text or more. */
bool log_head_is_due(const struct log_head *head);

enum log_cut_mode {
    LOG_CUT_DUE, /* full blocks only; what is left over of a file stays */
    LOG_CUT_ALL  /* everything */
};

/* One block's worth of lines, ready for log_block_encode(); valid during the call. */
typedef int log_head_block(void *context, uint64_t stream_id, const struct log_chunk *chunk);

/* Hands out blocks, file by file, offsets ascending, and remembers which lines they held.  A
 * non-zero return of `block` ends the cut and is returned; call log_head_uncut() then.  Lines
 * appended after a cut are not part of it.  A cut must be retired or undone before the next. */
int log_head_cut(struct log_head *head, enum log_cut_mode mode, log_head_block *block,
                 void *context);
/* The blocks of the last cut are committed: forget their lines. */
void log_head_retire(struct log_head *head);
/* They are not: keep their lines. */
void log_head_uncut(struct log_head *head);

struct log_head_file {
    uint64_t stream_id;
    uint64_t file_id;
    struct bytes path;
};

/* Which files have lines in the head (stream_id 0: of all streams); in `arena`. */
int log_head_files(struct log_head *head, uint64_t stream_id, struct arena *arena,
                   const struct log_head_file **ret_files, size_t *ret_count);

/* Copies the lines of one file with times in [from_ms, until_ms] into `arena`, ascending by
 * offset; none if the file has left the head.  ERR_NOMEM. */
int log_head_read(struct log_head *head, uint64_t stream_id, uint64_t file_id, int64_t from_ms,
                  int64_t until_ms, struct arena *arena, const struct log_line **ret_lines,
                  size_t *ret_count);
