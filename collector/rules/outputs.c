/*
 * outputs.c - see outputs.h.
 */
#include "collector/rules/outputs.h"

#include <stdlib.h>

#include "proto/base/error.h"

#define BUCKETS 256u

struct output {
    struct series *series; /* one reference */
    uint64_t cycle;        /* when it was last written */
    struct output *next;
};

struct outputs {
    struct store *store;
    uint64_t cycle;
    struct output *buckets[BUCKETS]; /* by hash of the labels */
};

int outputs_new(struct store *store, struct outputs **ret_outputs)
{
    struct outputs *outputs = calloc(1, sizeof *outputs);
    if (outputs == NULL)
        return ERR_NOMEM;
    outputs->store = store;
    *ret_outputs = outputs;
    return 0;
}

void outputs_free(struct outputs *outputs)
{
    if (outputs == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (outputs->buckets[i] != NULL) {
            struct output *output = outputs->buckets[i];
            outputs->buckets[i] = output->next;
            store_series_release(outputs->store, output->series);
            free(output);
        }
    free(outputs);
}

void outputs_begin(struct outputs *outputs)
{
    outputs->cycle++;
}

static int append(struct output_samples *samples, struct series *series, int64_t ts_ms,
                  double value)
{
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity == 0 ? 64 : samples->capacity * 2;
        struct store_sample *longer = realloc(samples->items, capacity * sizeof *longer);
        if (longer == NULL)
            return ERR_NOMEM;
        samples->items = longer;
        samples->capacity = capacity;
    }
    samples->items[samples->count++] = (struct store_sample){series, ts_ms, value};
    return 0;
}

int outputs_add(struct outputs *outputs, const struct labels *labels, int64_t ts_ms,
                double value, struct output_samples *samples)
{
    static const struct metadata metadata = {.type = METRIC_GAUGE};
    struct output **bucket = &outputs->buckets[labels->hash % BUCKETS];
    struct labels_room room;
    struct output *output = *bucket;
    int error;

    while (output != NULL &&
           (store_series_hash(output->series) != labels->hash ||
            !labels_equal(store_series_labels(output->series, &room), labels)))
        output = output->next;
    if (output == NULL) {
        output = calloc(1, sizeof *output);
        if (output == NULL)
            return ERR_NOMEM;
        error = store_series_resolve(outputs->store, labels, &metadata, &output->series);
        if (error != 0) {
            free(output);
            return error;
        }
        output->next = *bucket;
        *bucket = output;
    }
    output->cycle = outputs->cycle;
    return append(samples, output->series, ts_ms, value);
}

int outputs_end(struct outputs *outputs, int64_t ts_ms, struct output_samples *samples)
{
    const uint64_t bits = STALE_NAN_BITS;
    double stale;
    memcpy(&stale, &bits, sizeof stale);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct output *at = outputs->buckets[i]; at != NULL; at = at->next) {
            int error = at->cycle == outputs->cycle
                            ? 0
                            : append(samples, at->series, ts_ms, stale);
            if (error != 0)
                return error;
        }
    return 0;
}

void outputs_committed(struct outputs *outputs)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct output **at = &outputs->buckets[i]; *at != NULL;) {
            struct output *output = *at;
            if (output->cycle == outputs->cycle) {
                at = &output->next;
                continue;
            }
            *at = output->next;
            store_series_release(outputs->store, output->series);
            free(output);
        }
}
