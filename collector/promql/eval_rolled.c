/*
 * eval_rolled.c - records of roll-ups among the samples that a selector fetched.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "collector/promql/eval.h"
#include "proto/base/error.h"
#include "proto/base/units.h"

#define WIDTHS_MAX 4

struct told {
    int64_t width_ms, from_ms, until_ms;
};

int64_t rolled_lookback(const struct rolled *rolled, size_t i, int64_t lookback_ms)
{
    int64_t twice_ms = rolled != NULL && i < rolled->count ? 2 * rolled->widths_ms[i] : 0;
    return twice_ms > lookback_ms ? twice_ms : lookback_ms;
}

static void note(struct told told[WIDTHS_MAX], int64_t width_ms, int64_t from_ms,
                 int64_t until_ms)
{
    size_t i = 0;
    while (i < WIDTHS_MAX - 1 && told[i].width_ms != 0 && told[i].width_ms != width_ms)
        i++;
    if (told[i].width_ms == 0)
        told[i] = (struct told){width_ms, from_ms, until_ms};
    told[i].from_ms = from_ms < told[i].from_ms ? from_ms : told[i].from_ms;
    told[i].until_ms = until_ms > told[i].until_ms ? until_ms : told[i].until_ms;
}

static void print_time(int64_t ms, char text[32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        (void)snprintf(text, 32, "%lld", (long long)ms);
}

void rolled_annotate(struct evaluation *ev, const struct node *node,
                     const struct series_samples *series, size_t count)
{
    struct told told[WIDTHS_MAX] = {{0}};
    char width[DURATION_TEXT_BYTES];
    char from[32];
    char until[32];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; series[i].rolled != NULL && j < series[i].rolled->count; j++)
            if (series[i].rolled->widths_ms[j] > 0)
                note(told, series[i].rolled->widths_ms[j], series[i].rolled->firsts_ms[j],
                     series[i].times_ms[j]);
    for (size_t i = 0; i < WIDTHS_MAX && told[i].width_ms != 0; i++) {
        print_time(told[i].from_ms, from);
        print_time(told[i].until_ms, until);
        annotate(ev, node, false,
                 "the roll-up of %s is used from %s to %s, where samples have expired",
                 duration_format(told[i].width_ms, width), from, until);
    }
}

int rolled_without_markers(struct evaluation *ev, const struct series_samples *series,
                           const struct rolled **ret_rolled)
{
    const struct rolled *from = series->rolled;
    *ret_rolled = from;
    size_t kept = 0;
    for (size_t i = 0; from != NULL && i < from->count; i++)
        kept += !is_stale_nan(series->values[i]);
    if (from == NULL || kept == from->count)
        return 0;
    /* The columns one behind the other. */
    struct rolled *rolled = arena_alloc(ev->arena, 1, sizeof *rolled);
    int64_t *times = arena_alloc(ev->arena, 2 * kept + 1, sizeof *times);
    double *columns = arena_alloc(ev->arena, ROLLED_COLUMNS * kept + 1, sizeof *columns);
    if (rolled == NULL || times == NULL || columns == NULL)
        return ERR_NOMEM;
    *rolled = (struct rolled){.widths_ms = times, .firsts_ms = times + kept};
    for (size_t c = 0; c < ROLLED_COLUMNS; c++)
        rolled->columns[c] = columns + c * kept;
    for (size_t i = 0; i < from->count; i++) {
        if (is_stale_nan(series->values[i]))
            continue;
        times[rolled->count] = from->widths_ms[i];
        times[kept + rolled->count] = from->firsts_ms[i];
        for (size_t c = 0; c < ROLLED_COLUMNS; c++)
            columns[c * kept + rolled->count] = from->columns[c][i];
        rolled->count++;
    }
    *ret_rolled = rolled;
    return 0;
}
