/*
 * script.h - the words of PromQL test scripts: durations, numbers, series and their points.
 *
 *     load 10s
 *       metric{a="b"} 0+1x10 _ stale 5x3
 *     eval instant at 30s metric
 *       metric{a="b"} 3
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"

#define SCRIPT_POINTS_MAX 20000

struct point {
    bool present;
    double value;
};

struct series_line {
    const struct labels *labels; /* malloc'd */
    struct point *points;        /* malloc'd */
    size_t count;
    bool foreign; /* has points that are no floats: native histograms, start times */
};

/* "5m", "1h30m", "-10s", "15" (seconds), "1.5". */
bool script_duration(const char *text, int64_t *ret_ms);
/* A float, hex too, Inf and NaN; the whole text. */
bool script_number(const char *text, double *ret_value);
/* A line "name{labels} points"; false if it is none. */
bool script_series(const char *line, struct series_line *ret_line);
void series_line_free(struct series_line *line);
