/*
 * plot.h - curves in a terminal, drawn with braille dots (2 x 4 in each cell).
 *
 *      0.83 ┤⠀⠀⢀⡠⠊⠉⠢⡀
 *           │⠀⠔⠁⠀⠀⠀⠀⠈⠒⠤
 *      0.12 ┤⠊
 *           └────────────
 *            14:00    15:00
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLOT_SERIES_MAX 6 /* colours that can be told apart */

struct plot_series {
    const char *name;
    const int64_t *times_ms;
    const double *values; /* NaN and infinities leave a hole */
    size_t count;
};

/* Prints curves over [from_ms, until_ms] in `width` x `height` cells, with a legend. */
void plot_print(const struct plot_series *series, size_t count, int64_t from_ms,
                int64_t until_ms, size_t width, size_t height, bool colours);
