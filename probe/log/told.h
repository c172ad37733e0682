/*
 * told.h - a series and the value it had when it was last told, for series that are told when
 * they move and not at every look.
 */
#pragma once

#include "probe/source/series.h"

struct told {
    series_handle handle; /* SERIES_NONE: not registered */
    double value;         /* -1: never told */
};

static inline struct told told_never(series_handle handle)
{
    return (struct told){.handle = handle, .value = -1};
}

/* Emits a value that moved; `all`: any.  Exact, because the values are whole numbers. */
static inline void told_emit(struct told *told, double value, bool all, struct emitter *out)
{
    if (!all && value <= told->value && value >= told->value)
        return;
    emit(out, told->handle, value);
    told->value = value;
}

static inline void told_end(const struct told *told, size_t count, struct emitter *out)
{
    for (size_t i = 0; i < count; i++)
        series_end(out, &told[i].handle, 1);
}
