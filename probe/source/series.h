/*
 * series.h - registering series with few labels in one line.
 */
#pragma once

#include "probe/emitter.h"

/* A series without labels. */
static inline series_handle series_plain(struct emitter *out, const struct metric *metric)
{
    return emitter_series(out, metric, NULL, 0);
}

/* A series with one label. */
static inline series_handle series_one(struct emitter *out, const struct metric *metric,
                                       const char *name, struct bytes value)
{
    struct label label = {bytes_of(name), value};
    return emitter_series(out, metric, &label, 1);
}

/* A series with two labels, names ascending. */
static inline series_handle series_two(struct emitter *out, const struct metric *metric,
                                       const char *name_a, struct bytes value_a,
                                       const char *name_b, struct bytes value_b)
{
    struct label labels[2] = {{bytes_of(name_a), value_a}, {bytes_of(name_b), value_b}};
    return emitter_series(out, metric, labels, 2);
}

/* Ends `count` series; those never registered are passed over. */
static inline void series_end(struct emitter *out, const series_handle *handles, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (handles[i] != SERIES_NONE)
            emitter_end(out, handles[i]);
}

/* Marks `count` handles as not registered. */
static inline void series_clear(series_handle *handles, size_t count)
{
    for (size_t i = 0; i < count; i++)
        handles[i] = SERIES_NONE;
}
