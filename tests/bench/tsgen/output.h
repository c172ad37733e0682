/*
 * output.h - samples as request bodies in one of four formats, dealt to frame files.
 *
 *     rw    Prometheus remote write 1.0, one sample a series
 *     rw2   the same as 2.0
 *     text  Prometheus exposition text with timestamps
 *     json  VictoriaMetrics' /api/v1/import: a line a series, several samples each
 */
#pragma once

#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"
#include "tests/bench/kit/frames.h"
#include "tests/bench/tsgen/series_set.h"

enum output_format { OUTPUT_RW, OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_RW2 };

struct output_shard {
    struct frames_writer file;
    struct buf body;
    uint32_t samples;
};

struct output {
    enum output_format format;
    uint32_t samples_a_request;
    struct output_shard *shards;
    size_t shard_count;
    struct buf packed, second; /* of a 2.0 body: as it is before snappy */
    uint64_t raw_bytes;
    bool failed; /* out of memory; told by output_finish() */
};

/* PREFIX.0 .. PREFIX.(shards - 1). */
int output_open(struct output *output, enum output_format format, const char *prefix,
                size_t shards, uint32_t samples_a_request, struct diagnosis *why);

/* The constant part of a series of one instance; the caller's to buf_done(). */
int output_labels(const struct output *output, const struct series *series,
                  const char *instance, struct buf *ret_labels);

/* One sample (rw, text), or `count` samples of one series (json; NAN are left out). */
void output_sample(struct output *output, size_t shard, const struct buf *labels, double value,
                   int64_t ts_ms);
void output_line(struct output *output, size_t shard, const struct buf *labels,
                 const double *values, const int64_t *ts_ms, size_t count);

/* Ends a request if it is full, or in any case. */
void output_flush_full(struct output *output, size_t shard, uint32_t step);
void output_flush(struct output *output, uint32_t step);

struct output_facts {
    const char *kind;
    size_t hosts, series_a_host, steps;
    int64_t start_ms, step_ms;
};

/* Closes the files and prints one line of JSON about them. */
int output_finish(struct output *output, const struct output_facts *facts,
                  struct diagnosis *why);
