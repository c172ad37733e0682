/*
 * notation.h - the words of rule tests: durations, numbers, series and their points.
 *
 *     metric{a="b"} 0+1x10 _ stale 5x3
 *
 *     1            one point            a+bxn, a-bxn   n + 1 points, each b more (less)
 *     _            none                 axn            n + 1 times the same
 *     _xn          n times none         stale, stalexn the series ends here
 *
 * Source: Prometheus, docs/configuration/unit_testing_rules.md; promql/promqltest speaks it
 * too. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/series/labels.h"

#define NOTATION_POINTS_MAX ((size_t)1000000) /* of one series */

struct point {
    bool present;
    double value;
};

struct series_line {
    const struct labels *labels; /* malloc'd */
    struct point *points;        /* malloc'd */
    size_t count, capacity;
    bool foreign; /* has points that are no floats: native histograms, start times */
};

/* "5m", "1h30m", "-10s", "15" (seconds), "1.5". */
bool notation_duration(const char *text, int64_t *ret_ms);
/* A float, hex too, Inf and NaN; the whole text. */
bool notation_number(const char *text, double *ret_value);
/* name{labels} alone; false if it is none.  *ret_labels is malloc'd. */
bool notation_labels(const char *text, const struct labels **ret_labels);
/* Appends the points of "0+1x10 _ stale"; false after a word that is none, or out of memory. */
bool notation_points(const char *text, struct series_line *line);
/* Both in one line: "name{labels} points"; false if it is none. */
bool notation_series(const char *line, struct series_line *ret_line);
void series_line_free(struct series_line *line);
