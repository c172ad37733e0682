/*
 * functions_trend.c - straight lines through samples.
 *
 * Windows lie alike in their samples as a rule, those of one series and those of its neighbours:
 * then what is summed up of their times is the same, and only the values are left.
 */
#include <math.h>
#include <string.h>

#include "collector/promql/functions_impl.h"
#include "collector/promql/lanes.h"
#include "collector/series/kahan.h"
#include "proto/base/cloned.h"

struct line {
    double slope, intercept; /* at the time given */
};

/* Two compensated sums of one window side by side, added as in lanes.h. */
typedef double pair __attribute__((vector_size(16)));
struct pair_sum {
    pair sum, compensation;
};

static inline struct pair_sum pair_add(struct pair_sum to, pair value)
{
    pair sum = to.sum + value;
    pair added = sum - to.sum;
    to.compensation += (to.sum - (sum - added)) + (value - added);
    to.sum = sum;
    return to;
}

/* Of a window: of seconds x and values y. */
struct sums {
    double x, xx, y, xy;
};

/* What depends on the times alone: of the window looked at last, and mostly of the next one. */
struct trend_times {
    size_t count, capacity; /* samples; 0: no window yet */
    int64_t *relative_ms;   /* to the zero of the line */
    double *seconds;        /* the same */
    struct pair_sum x_xx;
};

static bool lies_alike(const struct trend_times *times, const struct window *window,
                       int64_t zero_ms)
{
    uint64_t differing = 0;
    if (times->count != window->count)
        return false;
    for (size_t i = 0; i < window->count; i++)
        differing |= (uint64_t)(window->times_ms[i] - zero_ms) ^ (uint64_t)times->relative_ms[i];
    return differing == 0;
}

static bool hold_times(struct evaluation *ev, struct trend_times *times, size_t count)
{
    if (count <= times->capacity)
        return true;
    size_t capacity = 2 * times->capacity > count ? 2 * times->capacity : count;
    times->relative_ms = arena_alloc_raw(ev->arena, capacity, sizeof *times->relative_ms);
    times->seconds = arena_alloc_raw(ev->arena, capacity, sizeof *times->seconds);
    bool is_held = times->relative_ms != NULL && times->seconds != NULL;
    times->count = 0;
    times->capacity = is_held ? capacity : 0;
    return is_held;
}

/* NULL: out of memory. */
static const struct trend_times *times_of(struct window *window, int64_t zero_ms)
{
    struct evaluation *ev = window->ev;
    if (ev->trend == NULL)
        ev->trend = arena_alloc(ev->arena, 1, sizeof *ev->trend);
    struct trend_times *times = ev->trend;
    if (times == NULL || !hold_times(ev, times, window->count)) {
        window->failed = true;
        return NULL;
    }
    if (lies_alike(times, window, zero_ms))
        return times;
    struct pair_sum sums = {{0, 0}, {0, 0}};
    for (size_t i = 0; i < window->count; i++) {
        times->relative_ms[i] = window->times_ms[i] - zero_ms;
        double seconds = (double)times->relative_ms[i] / 1000.0;
        times->seconds[i] = seconds;
        sums = pair_add(sums, (pair){seconds, seconds * seconds});
    }
    times->x_xx = sums;
    times->count = window->count;
    return times;
}

/* Where something overflows: the rules of kahan_add(), one by one. */
static struct sums sums_by_rule(const struct window *window, const double *seconds)
{
    struct kahan x = {0, 0};
    struct kahan y = {0, 0};
    struct kahan xy = {0, 0};
    struct kahan xx = {0, 0};
    for (size_t i = 0; i < window->count; i++) {
        x = kahan_add(x, seconds[i]);
        y = kahan_add(y, window->values[i]);
        xy = kahan_add(xy, seconds[i] * window->values[i]);
        xx = kahan_add(xx, seconds[i] * seconds[i]);
    }
    return (struct sums){x.sum + x.compensation, xx.sum + xx.compensation,
                         y.sum + y.compensation, xy.sum + xy.compensation};
}

static bool sums_of(struct window *window, int64_t zero_ms, struct sums *ret_sums)
{
    const struct trend_times *times = times_of(window, zero_ms);
    if (times == NULL)
        return false;
    struct pair_sum sums = {{0, 0}, {0, 0}};
    for (size_t i = 0; i < window->count; i++) {
        double value = window->values[i];
        sums = pair_add(sums, (pair){value, times->seconds[i] * value});
    }
    pair x_xx = times->x_xx.sum + times->x_xx.compensation;
    pair y_xy = sums.sum + sums.compensation;
    *ret_sums = (struct sums){x_xx[0], x_xx[1], y_xy[0], y_xy[1]};
    if (!isfinite(x_xx[0]) || !isfinite(x_xx[1]) || !isfinite(y_xy[0]) || !isfinite(y_xy[1]))
        *ret_sums = sums_by_rule(window, times->seconds);
    return true;
}

static bool is_constant(const struct window *window)
{
    for (size_t i = 0; i < window->count; i++) /* a NaN is not even itself */
        if (window->values[i] != window->values[0])
            return false;
    return true;
}

static struct line constant_line(double value)
{
    return isinf(value) ? (struct line){(double)NAN, (double)NAN} : (struct line){0, value};
}

static struct line line_through(const struct sums *sums, size_t count)
{
    double n = (double)count;
    double covariance = sums->xy - sums->x * sums->y / n;
    double variance = sums->xx - sums->x * sums->x / n;
    double slope = covariance / variance;
    return (struct line){slope, sums->y / n - slope * sums->x / n};
}

/* Least squares, with compensated sums; times relative to `zero_ms`.  A constant has slope 0.
 * False: out of memory. */
static bool fit(struct window *window, int64_t zero_ms, struct line *ret_line)
{
    struct sums sums;
    if (is_constant(window)) {
        *ret_line = constant_line(window->values[0]);
        return true;
    }
    if (!sums_of(window, zero_ms, &sums))
        return false;
    *ret_line = line_through(&sums, window->count);
    return true;
}

/* Sums of windows side by side, each in the order of its own samples: the bits that sums_of() finds.
 * One alone waits for each addition before the next. */
CLONED static void sum_lanes(const struct trend_times *times, const double *values, size_t stride,
                             double y[LANES], double xy[LANES])
{
    struct lanes_sum ys = {{0}, {0}};
    struct lanes_sum xys = {{0}, {0}};
    for (size_t i = 0; i < times->count; i++) {
        lanes value;
        lanes_load(&value, values + i, stride);
        const lanes product = value * times->seconds[i];
        lanes_add(&ys, &value);
        lanes_add(&xys, &product);
    }
    ys.sum += ys.compensation;
    xys.sum += xys.compensation;
    memcpy(y, &ys.sum, sizeof ys.sum);
    memcpy(xy, &xys.sum, sizeof xys.sum);
}

/* Lines of windows that lie alike, some at a time; how many, until something overflows. */
static size_t fit_alike(struct window *window, int64_t zero_ms, size_t stride, size_t windows,
                        struct line lines[LANES])
{
    const struct trend_times *times =
        windows < LANES || window->count < 2 ? NULL : times_of(window, zero_ms);
    double y[LANES];
    double xy[LANES];
    if (times == NULL)
        return 0;
    const pair x_xx = times->x_xx.sum + times->x_xx.compensation;
    struct sums sums = {.x = x_xx[0], .xx = x_xx[1]};
    if (!isfinite(sums.x) || !isfinite(sums.xx))
        return 0;
    sum_lanes(times, window->values, stride, y, xy);
    for (size_t i = 0; i < LANES; i++) {
        const struct window one = {.count = window->count, .values = window->values + i * stride};
        sums.y = y[i];
        sums.xy = xy[i];
        if (is_constant(&one))
            lines[i] = constant_line(one.values[0]);
        else if (isfinite(sums.y) && isfinite(sums.xy))
            lines[i] = line_through(&sums, window->count);
        else
            return 0;
    }
    return LANES;
}

WINDOW_FUNCTION(deriv)
{
    struct line line;
    if (window->count < 2 || !fit(window, window->times_ms[0], &line))
        return false;
    *ret_value = line.slope;
    return true;
}

WINDOW_FUNCTION(predict_linear)
{
    struct line line;
    if (window->count < 2 || !fit(window, window->eval_ms, &line))
        return false;
    *ret_value = line.slope * window->parameters[0] + line.intercept;
    return true;
}

ALIKE_FUNCTION(deriv)
{
    struct line lines[LANES];
    size_t done = 0;
    struct window at = *window;
    while (fit_alike(&at, at.times_ms[0], stride, windows - done, lines) > 0) {
        for (size_t i = 0; i < LANES; i++)
            values[done++] = lines[i].slope;
        at.values += LANES * stride;
    }
    window->failed = at.failed;
    return done;
}

ALIKE_FUNCTION(predict_linear)
{
    struct line lines[LANES];
    size_t done = 0;
    struct window at = *window;
    while (fit_alike(&at, at.eval_ms, stride, windows - done, lines) > 0) {
        for (size_t i = 0; i < LANES; i++, done++)
            values[done] = lines[i].slope * window->parameter[done] + lines[i].intercept;
        at.values += LANES * stride;
    }
    window->failed = at.failed;
    return done;
}

/* Holt's linear smoothing: parameters are the smoothing and the trend factor. */
WINDOW_FUNCTION(double_exponential_smoothing)
{
    double smoothing = window->parameters[0];
    double trending = window->parameters[1];
    *ret_value = (double)NAN; /* of factors the call is refused for, once a window saw them */
    if (smoothing <= 0 || smoothing >= 1 || trending <= 0 || trending >= 1)
        return true;
    if (window->count < 2)
        return false;
    double level = window->values[0];
    double trend = window->values[1] - window->values[0];
    double before = 0;
    for (size_t i = 1; i < window->count; i++) {
        if (i > 1)
            trend = trending * (level - before) + (1 - trending) * trend;
        double scaled = smoothing * window->values[i];
        before = level;
        level = scaled + (1 - smoothing) * (level + trend);
    }
    *ret_value = level;
    return true;
}
