/*
 * rollup_parts.h - what the making of roll-ups is made of.  For rollup_make.c and
 * rollup_commit.c.
 */
#pragma once

#include "collector/store/ages.h"
#include "collector/store/deletes.h"
#include "collector/store/records.h"
#include "collector/store/rollup_make.h"
#include "collector/store/series_walk.h"

enum making_kind {
    MAKING_COPY,    /* of all samples and soles */
    MAKING_PART,    /* soles of what is over, and a file of the other samples */
    MAKING_REWRITE, /* one roll-up anew: it is the only sole there is */
    MAKING_COUNT,   /* nothing is written: what is not in the roll-ups is counted */
};

struct making {
    struct rollup_day *day;
    enum making_kind kind;
    int64_t now_ms;
    struct series_walk walk;
    struct pieces_scratch scratch;
    struct deletes_view deletes;
    struct arena arena; /* holes of the series at hand */
    /* where roll-ups are read of which something is kept: inputs of the walk */
    size_t base_inputs[ROLLUP_TIERS][ROLLUP_SOLES + 1];
    size_t base_input_count[ROLLUP_TIERS];
    /* the series at hand */
    struct holes holes;
    struct series_ages ages;
    struct bytes bases[ROLLUP_TIERS]; /* its entries; no data: a tier has none */
    size_t base_input[ROLLUP_TIERS];  /* and where they are from */
    bool has_base;                    /* in some tier */
    bool goes;                        /* its samples do */
    bool is_counted;                  /* what is left out of it */
    struct records base, late, whole;
    /* of all series */
    uint64_t missing;
    bool lacks[ROLLUP_TIERS]; /* series that the next tier has */
    struct span_writer *writers[ROLLUP_TIERS];
    struct span_info infos[ROLLUP_TIERS];
    bool is_written[ROLLUP_TIERS];      /* finished, not registered */
    bool is_empty[ROLLUP_TIERS];        /* was to be written, and nothing is left */
    struct span_writer *samples_writer; /* MAKING_PART: those that stay */
    struct span_info samples_info;
    bool are_samples_written;
};

/* Registers what is written, in one commit, and puts it into memory.  What could not be
 * registered is removed. */
int making_register(struct making *making);
/* Removes what is written and will not be registered. */
void making_discard(struct making *making);
