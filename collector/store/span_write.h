/*
 * span_write.h - writing a history file, once, from front to back.
 *
 *   span_writer_open()
 *   span_writer_add_series() ...     ascending labels, each with its samples
 *   span_writer_add_records() ...    the same of a roll-up
 *   span_writer_add_log() ...        ascending (stream, file, offset)
 *   span_writer_finish()             durable, under its final name
 *
 * Until it has finished, the file has a name that nobody opens ("....tmp").  One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "collector/store/records.h"
#include "collector/store/span_file.h"
#include "proto/base/diagnosis.h"

struct span_writer;

/* What is registered about a finished file. */
struct span_info {
    struct span_manifest manifest;
    uint64_t file_bytes;
    uint64_t file_hash; /* XXH3 of the whole file */
    bool is_sole;       /* of a roll-up: what it was made of has expired */
    bool is_partial;    /* of a roll-up: a coarser one of the day may have series that it has not */
};

#define SPAN_NAME_BYTES 128
/* "START-END.GENERATION.samples.mdb" */
void span_file_name(enum span_kind kind, int64_t start_ms, int64_t end_ms, uint64_t generation,
                    char name[SPAN_NAME_BYTES]);

int span_writer_open(const char *directory, enum span_kind kind, int64_t start_ms,
                     int64_t end_ms, uint64_t generation, struct span_writer **ret_writer,
                     struct diagnosis *why);
/* One series; times strictly ascending, at least one. */
int span_writer_add_series(struct span_writer *writer, const struct labels *labels,
                           const int64_t *times_ms, const double *values, size_t count);
/* One series of a roll-up; at least one record. */
int span_writer_add_records(struct span_writer *writer, const struct labels *labels,
                            const struct records *records);
/* Of a roll-up: what is registered as its manifest's `through`. */
void span_writer_set_through(struct span_writer *writer, uint64_t generation);
struct log_key {
    uint64_t stream_id, file_id, offset;
};
int span_writer_add_log(struct span_writer *writer, struct log_key key, int64_t min_ms,
                        int64_t max_ms, struct bytes block);
uint64_t span_writer_count(const struct span_writer *writer);
/* Frees the writer, whether it succeeds or not. */
int span_writer_finish(struct span_writer *writer, struct span_info *ret_info,
                       struct diagnosis *why);
/* Gives up and removes the file.  NULL is allowed. */
void span_writer_abandon(struct span_writer *writer);

/* XXH3 and size of a whole file. */
int span_file_hash(const char *path, uint64_t *ret_hash, uint64_t *ret_bytes);
