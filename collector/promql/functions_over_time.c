/*
 * functions_over_time.c - what the samples of a window amount to.
 */
#include <math.h>
#include <string.h>

#include "collector/promql/aggregate.h"
#include "collector/promql/functions_impl.h"
#include "collector/promql/lanes.h"
#include "collector/series/kahan.h"
#include "proto/base/cloned.h"

WINDOW_FUNCTION(count_over_time)
{
    *ret_value = (double)window->count;
    return true;
}

WINDOW_FUNCTION(present_over_time)
{
    (void)window;
    *ret_value = 1;
    return true;
}

WINDOW_FUNCTION(first_over_time)
{
    *ret_value = window->values[0];
    return true;
}

WINDOW_FUNCTION(last_over_time)
{
    *ret_value = window->values[window->count - 1];
    return true;
}

WINDOW_FUNCTION(ts_of_first_over_time)
{
    *ret_value = (double)window->times_ms[0] / 1000.0;
    return true;
}

WINDOW_FUNCTION(ts_of_last_over_time)
{
    *ret_value = (double)window->times_ms[window->count - 1] / 1000.0;
    return true;
}

WINDOW_FUNCTION(sum_over_time)
{
    struct kahan sum = {0, 0};
    for (size_t i = 0; i < window->count; i++)
        sum = kahan_add(sum, window->values[i]);
    *ret_value = isinf(sum.sum) ? sum.sum : sum.sum + sum.compensation;
    return true;
}

/* The sum while it fits, the incremental mean once it overflows. */
WINDOW_FUNCTION(avg_over_time)
{
    struct kahan sum = {0, 0};
    struct kahan mean = {0, 0};
    bool incremental = false;
    double count = 0;

    for (size_t i = 0; i < window->count; i++) {
        double value = window->values[i];
        count = (double)(i + 1);
        if (!incremental) {
            struct kahan next = kahan_add(sum, value);
            if (i == 0 || !isinf(next.sum)) {
                sum = next;
                continue;
            }
            incremental = true;
            mean = (struct kahan){sum.sum / (count - 1), sum.compensation / (count - 1)};
        }
        double share = (count - 1) / count;
        mean = kahan_add((struct kahan){share * mean.sum, share * mean.compensation},
                         value / count);
    }
    *ret_value =
        incremental ? mean.sum + mean.compensation : sum.sum / count + sum.compensation / count;
    return true;
}

CLONED static void sum_lanes(const double *values, size_t count, size_t stride,
                             double sum[LANES], double compensation[LANES])
{
    struct lanes_sum sums = {{0}, {0}};
    for (size_t i = 0; i < count; i++) {
        lanes value;
        lanes_load(&value, values + i, stride);
        lanes_add(&sums, &value);
    }
    memcpy(sum, &sums.sum, sizeof sums.sum);
    memcpy(compensation, &sums.compensation, sizeof sums.compensation);
}

/* Windows that lie alike, some at a time, until a sum is not finite. */
static size_t sum_alike(const struct window *window, size_t stride, size_t windows,
                        bool is_average, double *values)
{
    const double count = (double)window->count;
    double sum[LANES];
    double compensation[LANES];
    size_t done = 0;
    for (; windows - done >= LANES; done += LANES) {
        sum_lanes(window->values + done * stride, window->count, stride, sum, compensation);
        for (size_t i = 0; i < LANES; i++) {
            values[done + i] = is_average ? sum[i] / count + compensation[i] / count
                                          : sum[i] + compensation[i];
            if (!isfinite(values[done + i]) || !isfinite(sum[i]))
                return done;
        }
    }
    return done;
}

ALIKE_FUNCTION(sum_over_time)
{
    return sum_alike(window, stride, windows, false, values);
}

ALIKE_FUNCTION(avg_over_time)
{
    return sum_alike(window, stride, windows, true, values);
}

/* Where the extreme of the window is.  What was found for the window before is still it, unless
 * it fell out at the front: then all is looked at again, else only what came in at the end.  Of
 * equal values the last counts if `latest`, else the first. */
static size_t find_extreme(struct window *window, bool largest, bool latest)
{
    size_t end = window->first + window->count;
    size_t best = window->extreme;
    size_t from = window->extreme_until;

    if (best == SIZE_MAX || best < window->first) {
        best = window->first;
        from = window->first + 1;
    }
    for (size_t i = from; i < end; i++) {
        double value = window->all_values[i];
        double held = window->all_values[best];
        bool better = largest ? value > held : value < held;
        if (better || isnan(held) || (latest && value == held))
            best = i;
    }
    window->extreme = best;
    window->extreme_until = end;
    return best;
}

WINDOW_FUNCTION(max_over_time)
{
    *ret_value = window->all_values[find_extreme(window, true, false)];
    return true;
}

WINDOW_FUNCTION(min_over_time)
{
    *ret_value = window->all_values[find_extreme(window, false, false)];
    return true;
}

WINDOW_FUNCTION(ts_of_max_over_time)
{
    size_t at = find_extreme(window, true, true);
    *ret_value = (double)window->times_ms[at - window->first] / 1000.0;
    return true;
}

WINDOW_FUNCTION(ts_of_min_over_time)
{
    size_t at = find_extreme(window, false, true);
    *ret_value = (double)window->times_ms[at - window->first] / 1000.0;
    return true;
}

/* Welford, with compensated sums. */
static double variance(const struct window *window)
{
    struct kahan mean = {0, 0};
    struct kahan squares = {0, 0};
    double count = 0;
    for (size_t i = 0; i < window->count; i++) {
        double value = window->values[i];
        count++;
        double delta = value - (mean.sum + mean.compensation);
        mean = kahan_add(mean, delta / count);
        squares = kahan_add(squares, delta * (value - (mean.sum + mean.compensation)));
    }
    return (squares.sum + squares.compensation) / count;
}

WINDOW_FUNCTION(stdvar_over_time)
{
    *ret_value = variance(window);
    return true;
}

WINDOW_FUNCTION(stddev_over_time)
{
    *ret_value = sqrt(variance(window));
    return true;
}

/* A copy of the window's values that may be reordered; NULL if out of memory. */
static double *copy_values(struct window *window)
{
    if (window->scratch == NULL)
        window->scratch = arena_alloc(window->ev->arena, window->all_count, sizeof(double));
    if (window->scratch == NULL)
        window->failed = true;
    else
        memcpy(window->scratch, window->values, window->count * sizeof(double));
    return window->scratch;
}

WINDOW_FUNCTION(quantile_over_time)
{
    double *values = copy_values(window);
    if (values == NULL)
        return false;
    *ret_value = quantile_of(window->parameters[0], values, window->count);
    return true;
}

WINDOW_FUNCTION(mad_over_time)
{
    double *values = copy_values(window);
    if (values == NULL)
        return false;
    double median = quantile_of(0.5, values, window->count);
    if (isnan(values[0])) { /* sorted now, NaN first: one is enough */
        *ret_value = (double)NAN;
        return true;
    }
    for (size_t i = 0; i < window->count; i++)
        values[i] = fabs(values[i] - median);
    *ret_value = quantile_of(0.5, values, window->count);
    return true;
}
