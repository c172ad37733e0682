/*
 * scrape_series.h - the series of one target: what a page said, kept until it is known to be
 * whole.
 *
 *     scrape_series_begin(&series)
 *         scrape_series_take(&series, sample, ...)       for each sample of the page
 *     scrape_series_tell(&series, true, seconds, out)    the page was good: values, ends, and
 *                                                        new series
 *     scrape_series_tell(&series, false, seconds, out)   it was not: everything ends
 *
 * and for every look, good or bad, what Prometheus says about it: up, scrape_duration_seconds,
 * scrape_samples_scraped, scrape_samples_post_metric_relabeling, scrape_series_added.
 *
 * A page that turns out bad at its last line has changed nothing.  A series is known by the
 * hash of its name and labels (XXH3, 64 bits, a random seed); its texts are kept from the page
 * that brings it to the end of that page only.  So a page of known series allocates nothing,
 * and a series costs 48 bytes.
 *
 * Not thread-safe.
 */
#pragma once

#include "probe/emitter.h"
#include "probe/source/pattern.h"
#include "proto/base/buf.h"
#include "proto/exposition/exposition.h"

/* Texts of series met for the first time, a page: ERR_LIMIT. */
#define SCRAPE_FRESH_BYTES_MAX ((size_t)8 << 20)
/* Series that `keep` and `drop` leave out are remembered, too, up to so many in all. */
#define SCRAPE_DROPPED_MAX ((size_t)8192)
/* Different times of their own a page may have; samples past that get the page's time. */
#define SCRAPE_TIMES_MAX 64
#define SCRAPE_TOLD      5

struct scrape_entry;

struct scrape_rules {
    struct pattern *keep, *drop; /* metric names, NULL: no such rule */
    const struct label *labels;  /* of the target, ascending by name */
    size_t label_count;
    bool honor_labels;                          /* the page's label wins over the target's */
    bool honor_timestamps;                      /* the page's times are taken */
    size_t sample_limit;                        /* kept samples a page, 1.. */
    size_t label_limit;                         /* labels a series; 0: the wire's */
    size_t name_bytes_limit, value_bytes_limit; /* of labels; 0: the wire's */
};

struct scrape_series {
    const struct scrape_rules *rules; /* set before first use; outlives it */
    /* what the page has had so far */
    size_t scraped, kept, fresh_count;
    /* private */
    uint64_t seed;
    uint32_t round;
    struct scrape_entry *entries;
    size_t count, capacity;
    uint32_t *table; /* hash -> entry + 1, a power of two, at most half full */
    size_t table_size;
    struct buf fresh;                 /* entry, definition; for those new in this page */
    const struct scrape_entry **late; /* those with times of their own, sorted */
    series_handle *late_handles;
    double *late_values;
    size_t late_capacity;
    series_handle told[SCRAPE_TOLD]; /* of the look itself */
};

/* Before the first look: registers what is said of each. */
void scrape_series_start(struct scrape_series *series, struct emitter *out);

void scrape_series_begin(struct scrape_series *series);

/* One sample.  ERR_LIMIT with the limit's name in `why`, ERR_NOMEM: the page is of no use. */
int scrape_series_take(struct scrape_series *series, const struct exposition_sample *sample,
                       struct diagnosis *why);

/* The look is over, and took so long.  Unless it `is_up` every series ends and is forgotten; as
 * with Prometheus, one that had a time of its own gets no marker, which would lie behind what
 * it says next.  ERR_NOMEM: some of a good page is missing. */
int scrape_series_tell(struct scrape_series *series, bool is_up, double seconds,
                       struct emitter *out);

/* Frees the memory. */
void scrape_series_done(struct scrape_series *series);
