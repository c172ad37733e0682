/*
 * memory_store.h - a queryable over arrays, for tests of the query engine.
 *
 * Samples are put in in any order; a later one at the same time stands.  Not thread-safe.
 */
#pragma once

#include "collector/series/queryable.h"

struct memory_series {
    const struct labels *labels;
    int64_t *times_ms;
    double *values;
    size_t count, capacity;
};

struct memory_store {
    struct queryable queryable; /* first: a queryable is cast back to its store */
    struct memory_series *series;
    size_t count, capacity;
};

void memory_store_init(struct memory_store *store);
void memory_store_clear(struct memory_store *store);

/* The number of the series with these labels, made if it is new.  The store copies them. */
int memory_store_series(struct memory_store *store, const struct label *pairs,
                        size_t pair_count, size_t *ret_number);
int memory_store_put(struct memory_store *store, size_t number, int64_t time_ms, double value);
