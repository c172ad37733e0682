/*
 * cardinality.h - what there is most of among the series that the head knows.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collector/store/store.h"
#include "proto/base/arena.h"
#include "proto/base/bytes.h"

struct store_cardinality_row {
    struct bytes name, value; /* value: of pairs; of metrics and labels empty */
    uint64_t count;
};

struct store_cardinality_list {
    struct store_cardinality_row *rows; /* largest first; equal ones by name and value */
    size_t count;
};

struct store_cardinality {
    uint64_t pairs;
    struct store_cardinality_list metrics;      /* series of a metric name */
    struct store_cardinality_list pair_series;  /* series of a label pair */
    struct store_cardinality_list label_values; /* different values of a label */
    struct store_cardinality_list label_bytes;  /* their texts, in bytes */
};

struct query_budget;

/* At most `limit` rows in each list, in the arena.  Reads counts that the head keeps: takes time
 * by the number of label pairs, not of series.  Of the budget who hangs up and the deadline count.
 * Any thread.  ERR_LIMIT past the arena, ERR_CANCELLED, ERR_TIMEOUT. */
int store_get_cardinality(struct store *store, size_t limit, const struct query_budget *budget,
                          struct arena *arena, struct store_cardinality *ret);
