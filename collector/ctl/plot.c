/* plot.c - see plot.h. */
#include "collector/ctl/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LABEL_CELLS 10
#define CELLS_MAX   ((size_t)400)

static const char *const colour_codes[PLOT_SERIES_MAX] = {"32", "36", "33", "35", "34", "31"};

struct canvas {
    size_t width, height;  /* cells */
    uint8_t *dots;         /* braille bits, by cell */
    uint8_t *owner;        /* series + 1 that drew last */
    int64_t from_ms, until_ms;
    double low, high;
};

/* Braille's bit for dot (x, y) of a cell: Unicode U+2800 + bits. */
static const uint8_t dot_bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

static void put_dot(struct canvas *canvas, long x, long y, size_t series)
{
    if (x < 0 || y < 0 || x >= (long)canvas->width * 2 || y >= (long)canvas->height * 4)
        return;
    size_t at = (size_t)(y / 4) * canvas->width + (size_t)(x / 2);
    canvas->dots[at] |= dot_bits[y % 4][x % 2];
    canvas->owner[at] = (uint8_t)(series + 1);
}

static void put_line(struct canvas *canvas, long x0, long y0, long x1, long y1, size_t series)
{
    long steps = labs(x1 - x0) > labs(y1 - y0) ? labs(x1 - x0) : labs(y1 - y0);
    for (long i = 0; i <= steps; i++) {
        double part = steps == 0 ? 0 : (double)i / (double)steps;
        put_dot(canvas, x0 + lround(part * (double)(x1 - x0)),
                y0 + lround(part * (double)(y1 - y0)), series);
    }
}

static long column_of(const struct canvas *canvas, int64_t ts_ms)
{
    double span = (double)(canvas->until_ms - canvas->from_ms);
    double part = span > 0 ? (double)(ts_ms - canvas->from_ms) / span : 0;
    return lround(part * (double)(canvas->width * 2 - 1));
}

static long line_of(const struct canvas *canvas, double value)
{
    double part = (value - canvas->low) / (canvas->high - canvas->low);
    return lround((1 - part) * (double)(canvas->height * 4 - 1));
}

static void find_bounds(struct canvas *canvas, const struct plot_series *series, size_t count)
{
    canvas->low = INFINITY;
    canvas->high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < series[i].count; k++) {
            double value = series[i].values[k];
            if (!isfinite(value))
                continue;
            canvas->low = fmin(canvas->low, value);
            canvas->high = fmax(canvas->high, value);
        }
    }
    if (canvas->low > canvas->high) {
        canvas->low = 0;
        canvas->high = 1;
    }
    if (canvas->high - canvas->low <= 0) {
        double margin = canvas->low != 0 ? fabs(canvas->low) / 10 : 1;
        canvas->low -= margin;
        canvas->high += margin;
    }
}

/* Points further apart than three times the usual distance are not joined: a hole is a fact. */
static void draw(struct canvas *canvas, const struct plot_series *series, size_t number)
{
    int64_t gap_ms = 0;
    for (size_t k = 1; k < series->count; k++) {
        int64_t distance = series->times_ms[k] - series->times_ms[k - 1];
        if (gap_ms == 0 || distance < gap_ms)
            gap_ms = distance;
    }
    for (size_t k = 0; k < series->count; k++) {
        if (!isfinite(series->values[k]))
            continue;
        long x = column_of(canvas, series->times_ms[k]);
        long y = line_of(canvas, series->values[k]);
        bool is_joined = k > 0 && isfinite(series->values[k - 1]) &&
                         series->times_ms[k] - series->times_ms[k - 1] <= 3 * gap_ms;
        if (is_joined)
            put_line(canvas, column_of(canvas, series->times_ms[k - 1]),
                     line_of(canvas, series->values[k - 1]), x, y, number);
        else
            put_dot(canvas, x, y, number);
    }
}

static void print_cell(uint8_t bits, uint8_t owner, bool colours)
{
    unsigned rune = 0x2800u + bits;
    char text[4] = {(char)(0xe0 | rune >> 12), (char)(0x80 | (rune >> 6 & 0x3f)),
                    (char)(0x80 | (rune & 0x3f)), '\0'};
    if (bits == 0)
        printf(" ");
    else if (colours)
        printf("\033[%sm%s\033[0m", colour_codes[(owner - 1) % PLOT_SERIES_MAX], text);
    else
        printf("%s", text);
}

static void print_canvas(const struct canvas *canvas, bool colours)
{
    for (size_t row = 0; row < canvas->height; row++) {
        bool has_label = row == 0 || row + 1 == canvas->height || row == canvas->height / 2;
        double part = (double)row / (double)(canvas->height - 1);
        if (has_label)
            printf("%*.5g ┤", LABEL_CELLS,
                   canvas->high - part * (canvas->high - canvas->low));
        else
            printf("%*s │", LABEL_CELLS, "");
        for (size_t i = 0; i < canvas->width; i++) {
            size_t at = row * canvas->width + i;
            print_cell(canvas->dots[at], canvas->owner[at], colours);
        }
        printf("\n");
    }
}

static void print_axis(const struct canvas *canvas)
{
    char from[32];
    char until[32];
    time_t from_s = (time_t)(canvas->from_ms / 1000);
    time_t until_s = (time_t)(canvas->until_ms / 1000);
    const char *format = until_s - from_s > 86400 ? "%m-%d %H:%M" : "%H:%M:%S";
    struct tm tm;
    localtime_r(&from_s, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    strftime(from, sizeof from, format, &tm);
    localtime_r(&until_s, &tm);
    strftime(until, sizeof until, format, &tm);
#pragma GCC diagnostic pop
    printf("%*s └", LABEL_CELLS, "");
    for (size_t i = 0; i < canvas->width; i++)
        printf("─");
    printf("\n%*s%s%*s\n", LABEL_CELLS + 2, "", from,
           (int)canvas->width - (int)strlen(from), until);
}

void plot_print(const struct plot_series *series, size_t count, int64_t from_ms,
                int64_t until_ms, size_t width, size_t height, bool colours)
{
    struct canvas canvas = {.width = width < LABEL_CELLS + 30 ? 20 : width - LABEL_CELLS - 4,
                            .height = height < 4 ? 4 : height,
                            .from_ms = from_ms,
                            .until_ms = until_ms};
    if (canvas.width > CELLS_MAX)
        canvas.width = CELLS_MAX;
    canvas.dots = calloc(canvas.width, canvas.height);
    canvas.owner = calloc(canvas.width, canvas.height);
    if (canvas.dots != NULL && canvas.owner != NULL) {
        find_bounds(&canvas, series, count);
        for (size_t i = 0; i < count; i++)
            draw(&canvas, &series[i], i);
        print_canvas(&canvas, colours);
        print_axis(&canvas);
        for (size_t i = 0; i < count; i++)
            printf(colours ? "  \033[%sm⣿\033[0m %s\n" : "  %.0s%s\n",
                   colour_codes[i % PLOT_SERIES_MAX], series[i].name);
    }
    free(canvas.dots);
    free(canvas.owner);
}
