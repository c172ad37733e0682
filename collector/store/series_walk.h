/*
 * series_walk.h - the series of several history files together, in the order of their labels.
 *
 *   series_walk_open()
 *   series_walk_next()       the next label set; those files that have it are stood at it
 *   series_walk_pieces()     its chunks of samples in some of the files
 *   series_walk_entry()      or its entry in one of them, as it is
 *   series_walk_close()
 *
 * A strict walk ends at the first damage, a tolerant one names it and passes it by: a file that
 * cannot be opened is as if empty, a series that cannot be read is not there.
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>

#include "collector/store/pieces.h"
#include "collector/store/span_set.h"
#include "proto/base/arena.h"

struct walk_input {
    struct span_reader *reader;  /* NULL: could not be opened */
    struct arena arena;          /* the labels at hand */
    const struct labels *labels; /* NULL: at its end */
    uint32_t next, count;
    uint64_t generation;
    bool has; /* the series at hand */
};

struct series_walk {
    struct walk_input *inputs;
    size_t count;
    bool is_tolerant;
    struct piece *pieces; /* of the series at hand */
    size_t piece_count, piece_capacity;
    uint64_t generation; /* of the input whose chunks are being taken */
};

/* The spans stay the caller's, and referenced until the walk is closed.  ERR_CORRUPT (strict
 * walks), ERR_NOMEM; closed by the caller either way. */
int series_walk_open(struct series_walk *walk, struct span *const *spans, size_t count,
                     bool is_tolerant);
void series_walk_close(struct series_walk *walk);
/* *ret_labels NULL: the end.  They are valid until the next call. */
int series_walk_next(struct series_walk *walk, const struct labels **ret_labels);
/* Into walk->pieces, the pieces of inputs [first, first + count); their bytes live until the
 * next call.  They hold samples. */
int series_walk_pieces(struct series_walk *walk, size_t first, size_t count);
/* An empty entry if the input does not have the series. */
int series_walk_entry(struct series_walk *walk, size_t input, struct bytes *ret_entry);
