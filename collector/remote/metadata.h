/*
 * metadata.h - type, unit and help by metric name: a copy of the store's, taken now and then.
 *
 * One owner; no thread.
 */
#pragma once

#include "collector/store/store.h"
#include "proto/base/arena.h"

#define METADATA_COPY_BYTES_MAX ((size_t)256 << 20)

struct metadata_entry {
    struct bytes name;
    struct metadata metadata;
};

struct metadata_copy {
    struct arena arena;
    struct metadata_entry *entries; /* ascending by name */
    size_t count, capacity;
};

void metadata_copy_init(struct metadata_copy *copy);
void metadata_copy_done(struct metadata_copy *copy);
/* ERR_NOMEM: the copy is empty. */
int metadata_copy_take(struct metadata_copy *copy, struct store *store);
/* NULL: nobody has said anything about it. */
const struct metadata *metadata_copy_find(const struct metadata_copy *copy, struct bytes name);
/* The family of a series' name: what Prometheus calls a metric with its histogram's and summary's
 * suffixes cut off. */
struct bytes metadata_family(struct bytes name, enum metric_type type);
/* The number of a type in both messages of remote write. */
unsigned metadata_type_number(enum metric_type type);
