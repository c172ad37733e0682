/*
 * functions_trend.c - straight lines through samples.
 */
#include <math.h>

#include "collector/promql/functions_impl.h"
#include "collector/series/kahan.h"

struct line {
    double slope, intercept; /* at the time given */
};

/* Least squares, with compensated sums; times relative to `zero_ms`.  A constant has slope 0.
 */
static struct line fit(const struct window *window, int64_t zero_ms)
{
    struct kahan x = {0, 0};
    struct kahan y = {0, 0};
    struct kahan xy = {0, 0};
    struct kahan xx = {0, 0};
    double n = (double)window->count;
    bool constant = true;

    for (size_t i = 0; i < window->count; i++) {
        double seconds = (double)(window->times_ms[i] - zero_ms) / 1000.0;
        double value = window->values[i];
        constant = constant && value == window->values[0];
        x = kahan_add(x, seconds);
        y = kahan_add(y, value);
        xy = kahan_add(xy, seconds * value);
        xx = kahan_add(xx, seconds * seconds);
    }
    if (constant)
        return (struct line){isinf(window->values[0]) ? (double)NAN : 0,
                             isinf(window->values[0]) ? (double)NAN : window->values[0]};
    double sum_x = x.sum + x.compensation;
    double sum_y = y.sum + y.compensation;
    double covariance = (xy.sum + xy.compensation) - sum_x * sum_y / n;
    double variance = (xx.sum + xx.compensation) - sum_x * sum_x / n;
    double slope = covariance / variance;
    return (struct line){slope, sum_y / n - slope * sum_x / n};
}

WINDOW_FUNCTION(deriv)
{
    if (window->count < 2)
        return false;
    *ret_value = fit(window, window->times_ms[0]).slope;
    return true;
}

WINDOW_FUNCTION(predict_linear)
{
    if (window->count < 2)
        return false;
    struct line line = fit(window, window->eval_ms);
    *ret_value = line.slope * window->parameters[0] + line.intercept;
    return true;
}

/* Holt's linear smoothing: parameters are the smoothing and the trend factor. */
WINDOW_FUNCTION(double_exponential_smoothing)
{
    double smoothing = window->parameters[0];
    double trending = window->parameters[1];
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
