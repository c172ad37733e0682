/*
 * gather.h - what one select() has found so far: series, each with its pieces.
 *
 * Head first, history afterwards (what is flushed in between is then in a registered span), then
 * roll-ups. The
 * compressed bytes are copied out, so no lock is held while they are decoded.
 */
#pragma once

#include "collector/store/parts.h"
#include "collector/store/pieces.h"
#include "collector/store/records.h"
#include "collector/store/span_set.h"
#include "proto/base/arena.h"

/* What a roll-up has of a series. */
struct rolled_piece {
    int64_t start_ms, end_ms; /* its day */
    int64_t from_ms;          /* records that end before it are not wanted */
    int64_t width_ms;
    uint64_t rank; /* of the file */
    bool is_mark;  /* nothing that is wanted, but the next tier is not to be asked either */
    struct bytes entry; /* a copy; empty where no samples are wanted */
    struct rolled_piece *next;
};

struct found {
    const struct labels *labels; /* NULL where `series` has them */
    uint64_t hash;               /* theirs */
    const struct series *series; /* of the head, held, when no labels are asked for */
    struct piece *pieces;
    uint32_t count, capacity;
    struct holes holes; /* what has been deleted of it */
    uint32_t rolled_count; /* without marks */
    struct rolled_piece *rolled;
    struct found *next; /* in its hash bucket */
    struct bytes stored; /* its labels as history has them; empty until it was met there */
    struct found *after; /* the one that followed in the file where it was met last */
    uint64_t source;
    int64_t last_ms; /* newest sample of all time, if the head knows it; else INT64_MIN */
    int64_t absent_since_ms; /* its source is silent since then; 0: it is not */
};

struct gather {
    struct store *store;
    const struct select_hints *hints;
    struct query_budget *budget;
    struct arena *arena;  /* the caller's: labels live there */
    struct arena scratch; /* found, pieces and copies of chunks: what the caller's has left */
    struct found **items;
    size_t count, capacity;
    struct found **buckets; /* NULL until history is looked at */
    size_t bucket_count;
    struct arena_share tables; /* items, buckets and series of the head: in the caller's total */
    struct absent_source *absent;
    size_t absent_count;
    struct select_watch watch;    /* over the head and all files */
    struct deletes_view deletes; /* those that touch the interval */
    struct series **held; /* referenced: found knows their labels by them */
    size_t held_count;
    struct found *first, *last; /* that was met first in the last file, and last in this one */
    struct buf question; /* the matchers, as bytes */
    struct buf run_key;  /* the matchers and the files */
    bool joins;          /* all that the files have is gathered, to be joined */
    size_t joined_samples; /* that many of it are there */
    bool is_damaged;     /* some of what they should have was not read */
    bool wants_counts;           /* with hints.no_samples: pieces are described all the same */
};

int gather_init(struct gather *gather, struct store *store, const struct select_hints *hints,
                struct query_budget *budget, struct arena *arena);
void gather_done(struct gather *gather);

int gather_head(struct gather *gather, struct matcher *const *matchers, size_t count);
int gather_history(struct gather *gather, struct matcher *const *matchers, size_t count);

/* Opens a history file and calls `take` for each series in it that the matchers select.  One that is
 * damaged (ERR_CORRUPT) is named and passed by; so is a file that is, or whose index is: then
 * *ret_read (may be NULL) stays as it is, else it becomes true.  ERR_CANCELLED, ERR_TIMEOUT, ERR_LIMIT
 * (a pattern), or what `take` returned. */
typedef int gather_take(struct gather *gather, struct span *span, struct span_reader *reader,
                        uint32_t ordinal, void *context);
int gather_span(struct gather *gather, struct span *span, struct matcher *const *matchers,
                size_t count, gather_take *take, void *context, bool *ret_read);
/* Of a series without samples wanted: is there nothing left between these times of a piece? */
bool gather_is_deleted(const struct gather *gather, const struct found *found, uint64_t rank,
                       int64_t first_ms, int64_t last_ms);
/* gather_run.c, for gather_history(): all of what the files have, out of a run that is kept; *ret_taken:
 * there was one.  If not it sets gather->joins where one is wanted.  ERR_NOMEM, ERR_LIMIT. */
int gather_run_take(struct gather *gather, struct span *const *spans, size_t span_count,
                    struct matcher *const *matchers, size_t count, bool *ret_taken);
/* May so many more samples be gathered to be joined?  Not where they are too many to be kept, or take
 * the memory that the question needs itself: then who gathers gives it up, and what was gathered beside
 * the interval is dropped. */
bool gather_run_has_room(struct gather *gather, size_t samples);
void gather_run_give_up(struct gather *gather);
/* Joins what was gathered of them (the last one of this generation) and keeps it; where that is not
 * possible it gives up.  ERR_CANCELLED, ERR_TIMEOUT. */
int gather_run_make(struct gather *gather, uint64_t generation);
/* After gather_history(): samples that expire go from there into roll-ups. */
int gather_rollups(struct gather *gather, struct matcher *const *matchers, size_t count);

/* After all of them: in the order of labels, or without labels where none are asked for. */
int gather_order(struct gather *gather);

/* Records of one series, in the order of time; kept from series to series.  Zeroed at first. */
struct rolled_join {
    struct records records, day;
    int64_t *widths_ms; /* of records */
    size_t width_capacity;
};
/* Fills join->records from the roll-ups of `found`; samples in their time become records, or are
 * left out.  *ret_next: the first sample behind all records.  ERR_NOMEM, ERR_LIMIT. */
int rolled_join(struct rolled_join *join, struct gather *gather, const struct found *found,
                const int64_t *times_ms, const double *values, size_t count, size_t *ret_next);
void rolled_join_done(struct rolled_join *join);

/* The entry of a label set that lives in the caller's arena; made if new. */
int gather_obtain_owned(struct gather *gather, const struct labels *labels,
                        struct found **ret_found);
/* The same for a label set as it stands in a file (labels_write()).  ERR_CORRUPT, ERR_LIMIT. */
int gather_obtain_stored(struct gather *gather, struct bytes stored, struct found **ret_found);
int gather_add_piece(struct gather *gather, struct found *found, const struct piece *piece);
