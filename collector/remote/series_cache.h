/*
 * series_cache.h - from the store's series to the labels a receiver gets.
 *
 * Relabelling and the look-up of labels cost far more than a sample, and a series comes every few
 * seconds: what became of it is kept, as labels_write() has it, until there is too much of it;
 * then all is forgotten and made anew.
 *
 * One owner; no thread.
 */
#pragma once

#include "collector/remote/relabel.h"
#include "collector/store/store.h"

#define SERIES_CACHE_BYTES_MAX ((size_t)64 << 20)

struct series_cache {
    struct store *store;
    const struct relabel *relabel;
    struct relabel_scratch scratch;
    struct buf text;
    struct arena arena;
    struct series_cached *slots; /* open addressing, at most 3/4 full */
    size_t count, capacity;
};

struct series_cached {
    uint64_t id;        /* 0: free */
    struct bytes labels; /* data NULL: the series is not to be sent */
    bool is_unknown;    /* for the store has its labels no more */
};

void series_cache_init(struct series_cache *cache, struct store *store,
                       const struct relabel *relabel);
void series_cache_done(struct series_cache *cache);
/* Between windows, because it may forget what earlier calls gave. */
void series_cache_trim(struct series_cache *cache);
/* Texts are valid until the next trim.  ERR_NOMEM, ERR_IO. */
int series_cache_find(struct series_cache *cache, uint64_t id, struct series_cached *ret_series);
