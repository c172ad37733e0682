/*
 * ages.h - how long what is kept of a series: its samples, and its records in each tier.
 *
 * Rules (retention.per_series) name ages for those whom their matchers mean, shorter or longer
 * than those of the others.  Of several that mean a series the shortest holds, for samples and
 * for each tier apart; what none names is as with the others.
 *
 * A series of which something is rolled up keeps its samples until that is done: the keeper
 * takes them out of a day's files in the commit that registers their records (rollup.h), and
 * until then they are read.  A series of which nothing is has, where there are rules, a hole
 * that moves with the clock: readers, flush and merge treat what is older like something
 * deleted.
 *
 * Records go by the day, as roll-ups do: once all of a day is older than their age in a tier
 * they are not read there any more, and the file is written anew without them.
 *
 * Which of the ages the series of a file have is found in its postings, once: files do not
 * change, nor do the rules of an open store.  So a day with nothing due costs no look into its
 * files.
 *
 * Any thread, once ages_init() has returned; what is marked so, the keeper's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"
#include "proto/base/clock.h"

struct deletes_view;
struct deletion;
struct holes;
struct span;
struct store;
struct store_options;

#define AGES_MAX  64 /* rules, and different ages of one kind */
#define AGE_TIERS 2  /* as ROLLUP_TIERS */
#define AGE_NEVER 0  /* nothing is kept at all; for ever is STORE_FOREVER */

/* Of what: samples, or records of a tier (AGE_OF_TIER). */
enum { AGE_OF_SAMPLES, AGE_OF_TIER, AGE_KINDS = AGE_OF_TIER + AGE_TIERS };

/* What holds for a series, in ms. */
struct series_ages {
    int64_t of[AGE_KINDS];
};

struct age_rule {
    struct deletion *who; /* its matchers */
    bool names[AGE_KINDS];
    struct series_ages ages; /* those it names */
};

/* The different ages of one kind, ascending: an age is one of them, a set of ages a mask. */
struct age_list {
    int64_t items[AGES_MAX];
    size_t count;
};

struct ages {
    /* fixed */
    const struct clock *clock;
    struct age_rule *rules;
    size_t rule_count; /* 0: files go as a whole, and none of what is below costs anything */
    struct series_ages others;
    struct age_list lists[AGE_KINDS];
    int64_t hides_after_ms; /* no series has a hole for what is younger */
    bool makes_tiers;       /* where they outlive the samples */
    bool rolls_up;          /* there may be series of which something is rolled up */
    uint64_t hash;          /* of all of them; 0: there are no rules */
};

/* Copies the rules.  ERR_NOMEM; ERR_LIMIT: more than AGES_MAX - 1. */
int ages_init(struct ages *ages, const struct store_options *options,
              const struct clock *clock);
void ages_done(struct ages *ages);

void ages_of(const struct ages *ages, const struct labels *labels,
             struct series_ages *ret_ages);
/* Is a tier made of samples with these ages?  It must outlive them. */
bool ages_make(const struct ages *ages, const struct series_ages *series, size_t tier);
/* Is what ends at `end_ms` older than it is kept? */
bool age_is_over(int64_t age_ms, int64_t end_ms, int64_t now_ms);
/* Those of a kind that are over. */
uint64_t ages_over(const struct ages *ages, int kind, int64_t end_ms, int64_t now_ms);
/* All of a kind. */
uint64_t ages_all(const struct ages *ages, int kind);
/* The longest of a kind. */
int64_t ages_longest(const struct ages *ages, int kind);
/* Those that series of a file have, by the file's kind.  All bits, where its index cannot be
 * read or a pattern takes too long.  ERR_NOMEM, ERR_IO. */
int ages_in_file(struct store *store, struct span *span, uint64_t *ret_mask);

/* Is a series over in a tier, where its roll-up of a day ends at `end_ms`? */
bool ages_tier_is_over(const struct ages *ages, size_t tier, const struct labels *labels,
                       int64_t end_ms, int64_t now_ms);
/* Is any? */
bool ages_tier_has_any(const struct ages *ages, size_t tier, int64_t end_ms, int64_t now_ms);

/* Notes in a view what time it is if there may be holes in what is not before from_ms. */
void ages_view(const struct ages *ages, int64_t from_ms, struct deletes_view *view);
/* Adds the hole of a series, if it has one, to its holes, which have room for one. */
void ages_holes(const struct deletes_view *view, const struct labels *labels,
                struct holes *holes);

/* While the store is opened, before there is a writer: copies of a day (roll-ups that are not
 * sole) that were made under other rules are unregistered.  They may lack what is to be kept by
 * now. */
int ages_note(struct store *store);
/* Rewrites files, as far as rollup_run() does not, that hold what is over.  Keeper thread. */
int ages_apply(struct store *store);
