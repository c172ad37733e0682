/*
 * series_set.h - series by the text that stands before their value in a scrape.
 *
 *     node_cpu_seconds_total{cpu="0",mode="idle"}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/base/diagnosis.h"
#include "proto/wire/envelope.h"

struct series {
    struct bytes key; /* as scraped */
    struct bytes name;
    struct label *labels;
    size_t label_count;
    bool is_counter;
    int decimals;   /* -1: no short decimal */
    int64_t unit;   /* common divisor, where decimals == 0 */
    int distinct;   /* different values seen, at most SERIES_DISTINCT_MAX */
    double *values; /* one a scrape, NAN where it was not there; NULL outside a recording */
};

#define SERIES_DISTINCT_MAX 16
#define SERIES_DECIMALS_MAX 9

struct series_set {
    struct arena arena;
    struct series *items;
    size_t count, capacity;
    uint32_t *slots; /* open addressing: index + 1 */
};

/* ERR_NOMEM. */
int series_set_init(struct series_set *set);
void series_set_done(struct series_set *set);

/* The index of the series with this key, added if it is new.  ERR_MALFORMED, ERR_LIMIT,
 * ERR_NOMEM. */
int series_set_find(struct series_set *set, struct bytes key, size_t *ret_index);

/* A value in whole units of its series, and back: what a profile stores steps in. */
double series_to_units(const struct series *series, double value);
double series_from_units(const struct series *series, double units);
