/*
 * functions_extended.c - ranges that reach beyond their ends: `anchored` and `smoothed`.
 *
 * An anchored range begins with the last sample at or before its start; a smoothed one begins
 * and ends with values on the straight lines between the samples around its ends.  So rates
 * need no extrapolation.  The rules, corner cases included, are Prometheus's
 * (promql/functions.go extendedRate, promql/engine.go extendFloats).
 */
#include <string.h>

#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

/* The first of values [0, count) at or after `ms` (after: later than it), or count. */
static size_t first_at(const int64_t *times_ms, size_t count, int64_t ms, bool after)
{
    size_t from = 0;
    while (from < count) {
        size_t middle = from + (count - from) / 2;
        if (times_ms[middle] > ms || (!after && times_ms[middle] == ms))
            count = middle;
        else
            from = middle + 1;
    }
    return from;
}

/* On the line between samples n and n + 1; a counter that was reset between starts at zero. */
static double between(const int64_t *times_ms, const double *values, size_t n, int64_t ms,
                      bool counter)
{
    double left = counter && values[n + 1] < values[n] ? 0 : values[n];
    return left + (values[n + 1] - left) * (double)(ms - times_ms[n]) /
                      (double)(times_ms[n + 1] - times_ms[n]);
}

/* The samples a range means, and the values at its ends. */
struct ends {
    size_t first, last; /* of the samples; last may be before first */
    double left, right;
};

static bool find_ends(const struct window *window, bool smoothed, bool counter,
                      struct ends *ret_ends)
{
    const int64_t *times = window->times_ms;
    const double *values = window->values;
    size_t last = window->count - 1;
    size_t first = first_at(times, last, window->from_ms, true);

    first -= first > 0;
    if (smoothed)
        last = first_at(times, last, window->until_ms, false);
    if (times[last] <= window->from_ms || (smoothed && times[first] > window->until_ms))
        return false;
    *ret_ends = (struct ends){first, last, values[first], values[last]};
    if (smoothed && times[first] < window->from_ms)
        ret_ends->left = between(times, values, first, window->from_ms, counter);
    if (smoothed && last > 0 && times[last] > window->until_ms)
        ret_ends->right = between(times, values, last - 1, window->until_ms, counter);
    return true;
}

bool extended_increase(const struct window *window, bool counter, bool per_second,
                       double *ret_value)
{
    struct ends ends;
    if (!find_ends(window, window->extension == EXTENSION_SMOOTHED, counter, &ends))
        return false;
    double increase = ends.right - ends.left;
    if (counter) {
        /* Only samples strictly inside: the ends have seen to the resets around them. */
        double before = ends.left;
        size_t from = ends.first + (window->times_ms[ends.first] <= window->from_ms);
        size_t until = ends.last + (window->times_ms[ends.last] < window->until_ms);
        for (size_t i = from; i < until; i++) {
            increase += window->values[i] < before ? before : 0;
            before = window->values[i];
        }
        increase += ends.right < before ? before : 0;
    }
    *ret_value = per_second ? increase / ((double)(window->until_ms - window->from_ms) / 1000.0)
                            : increase;
    return true;
}

bool extended_anchor(struct window *window)
{
    if (window->extension != EXTENSION_ANCHORED)
        return true;
    if (window->times_ms[window->count - 1] <= window->from_ms)
        return false;
    size_t first = first_at(window->times_ms, window->count - 1, window->from_ms, true);
    if (first < 2)
        return true;
    window->first += first - 1;
    window->count -= first - 1;
    window->times_ms += first - 1;
    window->values += first - 1;
    return true;
}

int extended_range(struct evaluation *ev, const struct value *matrix, int64_t until_ms,
                   struct range_series *series)
{
    int64_t from_ms = until_ms - matrix->range_ms;
    size_t first = first_at(series->times_ms, series->count, from_ms - matrix->before_ms, true);
    size_t until = first_at(series->times_ms, series->count, until_ms + matrix->after_ms, true);
    struct window window = {.times_ms = series->times_ms + first,
                            .values = series->values + first,
                            .count = until - first,
                            .from_ms = from_ms,
                            .until_ms = until_ms};
    struct ends ends;

    series->count = 0;
    if (first >= until ||
        !find_ends(&window, matrix->extension == EXTENSION_SMOOTHED, false, &ends))
        return 0;
    size_t from = ends.first + (window.times_ms[ends.first] <= from_ms);
    size_t next = ends.last + (window.times_ms[ends.last] < until_ms);
    size_t inside = next > from ? next - from : 0;
    int64_t *times = arena_alloc(ev->arena, inside + 2, sizeof *times);
    double *values = arena_alloc(ev->arena, inside + 2, sizeof *values);
    if (times == NULL || values == NULL)
        return ERR_NOMEM;
    times[0] = from_ms;
    values[0] = ends.left;
    if (inside > 0) {
        memcpy(times + 1, window.times_ms + from, inside * sizeof *times);
        memcpy(values + 1, window.values + from, inside * sizeof *values);
    }
    times[inside + 1] = until_ms;
    values[inside + 1] = ends.right;
    *series = (struct range_series){.labels = series->labels,
                                    .times_ms = times,
                                    .values = values,
                                    .count = inside + 2,
                                    .drop_name = series->drop_name};
    return 0;
}

int extended_check(struct evaluation *ev, const struct node *call)
{
    for (const struct node *argument = call->first; argument != NULL;
         argument = argument->next) {
        const struct node *range = node_unwrap(argument);
        if (range->kind != NODE_MATRIX)
            continue;
        if (range->first->anchored && (call->function->flags & FUNCTION_ANCHORED) == 0)
            return diagnose(
                ev->why, ERR_INVALID,
                "anchored modifier can only be used with: changes, delta, increase, "
                "rate, resets - not with %s",
                call->function->name);
        if (range->first->smoothed && (call->function->flags & FUNCTION_SMOOTHED) == 0)
            return diagnose(ev->why, ERR_INVALID,
                            "smoothed modifier can only be used with: delta, increase, rate - "
                            "not with %s",
                            call->function->name);
    }
    return 0;
}
