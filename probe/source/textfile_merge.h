/*
 * textfile_merge.h - metrics that other programs left in files, put together.
 *
 *     # HELP backup_last_success_timestamp_seconds When the last backup ended well.
 *     # TYPE backup_last_success_timestamp_seconds gauge
 *     backup_last_success_timestamp_seconds{type="full"} 1700000000
 *
 * node_exporter's rules: a file counts whole or, with one bad line or a timestamp, not at all.
 * A metric may come from several files; if they disagree on its help text or type, the first
 * file's counts and the other's is left out.  A metric without help is given "Metric read from"
 * and its files.  Whatever is left out is counted and told.
 *
 * One rule is ours: of two samples with the same name and labels the first counts, where
 * node_exporter answers nothing at all.
 */
#pragma once

#include "probe/source/readings.h"
#include "proto/base/diagnosis.h"

#define TEXTFILE_BYTES_MOST   ((uint64_t)16 << 20) /* of one file */
#define TEXTFILE_SAMPLES_MOST ((size_t)10000)      /* of all files */

/* A metric, as the files have described it. */
struct textfile_family {
    uint64_t name_hash;
    uint64_t help_hash; /* 0: no file has said */
    enum metric_type type;
    bool is_left_out; /* of the file that is being read */
    struct buf read_from;
};

/* Zeroed is empty. */
struct textfile_merge {
    struct readings samples; /* help is "" where no file has one */
    struct readings times;   /* of modification, of the files that count */
    struct textfile_family *families;
    size_t family_count, family_capacity;
    struct readings file; /* the file that is being read */
    size_t left_out;      /* files and metrics */
    struct diagnosis why; /* of the first */
};

void textfile_merge_begin(struct textfile_merge *merge);

/* Adds a file, or counts it as left out.  False: it changed while it was read; read all again.
 */
bool textfile_merge_file(struct textfile_merge *merge, const char *path);

/* The help text of a sample that has none. */
const char *textfile_merge_help(struct textfile_merge *merge, const char *name);

void textfile_merge_done(struct textfile_merge *merge);
