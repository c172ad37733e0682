/*
 * functions_rate.c - how fast counters and gauges move.
 *
 * The extrapolation is Prometheus's (promql/functions.go extrapolatedRate): the increase seen
 * between the first and the last sample is stretched to the whole range, but at each end by no
 * more than half the average distance of samples when the end lies further than 1.1 of them
 * away, and for a counter at the start not beyond the point where it would have been zero.
 */
#include <math.h>
#include <string.h>

#include "collector/promql/functions_impl.h"

#define BLOCK 64 /* samples looked at at once, so that the loop over them becomes vectors */

/* Does a value lie below the one before it?  Of most counters none does. */
static bool falls(const double *values, size_t count)
{
    size_t i = 1;
    for (; i + BLOCK <= count; i += BLOCK) {
        uint64_t any = 0;
        for (size_t k = 0; k < BLOCK; k++)
            any |= (uint64_t)(values[i + k] < values[i + k - 1]);
        if (any != 0)
            return true;
    }
    for (; i < count; i++)
        if (values[i] < values[i - 1])
            return true;
    return false;
}

/* Notes where the counter was reset, once a series: how often up to each sample, and where the
 * n-th time was.  A window then adds up its resets without a look at the samples between. */
static bool find_resets(struct window *window)
{
    size_t count = 0;
    if (window->resets != NULL || window->never_falls)
        return true;
    window->never_falls = !falls(window->all_values, window->all_count);
    if (window->never_falls)
        return true;
    uint32_t *resets = arena_alloc(window->ev->arena, window->all_count, sizeof *resets);
    for (size_t i = 1; resets != NULL && i < window->all_count; i++) {
        count += window->all_values[i] < window->all_values[i - 1];
        resets[i] = (uint32_t)count;
    }
    uint32_t *places = arena_alloc(window->ev->arena, count + 1, sizeof *places);
    if (resets == NULL || places == NULL) {
        window->failed = true;
        return false;
    }
    for (size_t i = 1; i < window->all_count; i++)
        if (resets[i] != resets[i - 1])
            places[resets[i - 1]] = (uint32_t)i;
    window->resets = resets;
    window->reset_places = places;
    return true;
}

static size_t resets_in(const struct window *window)
{
    if (window->never_falls)
        return 0;
    return window->resets[window->first + window->count - 1] - window->resets[window->first];
}

static bool increase_seen(struct window *window, double *ret_increase)
{
    double increase = window->values[window->count - 1] - window->values[0];
    if (!find_resets(window))
        return false;
    if (!window->never_falls) {
        size_t from = window->resets[window->first];
        size_t until = from + resets_in(window);
        for (size_t n = from; n < until; n++)
            increase += window->all_values[window->reset_places[n] - 1];
    }
    *ret_increase = increase;
    return true;
}

/* How much further the increase is stretched than what was sampled; and, before that, the bound that
 * an increasing counter's zero sets, `to_zero` seconds before the first sample (INFINITY: none). */
static double stretch(const struct window *window, bool per_second, double to_zero)
{
    size_t last = window->count - 1;
    double to_start = (double)(window->times_ms[0] - window->from_ms) / 1000.0;
    double to_end = (double)(window->until_ms - window->times_ms[last]) / 1000.0;
    double sampled = (double)(window->times_ms[last] - window->times_ms[0]) / 1000.0;
    double average = sampled / (double)last;
    double threshold = average * EXTRAPOLATION_THRESHOLD;

    if (to_start >= threshold)
        to_start = average / 2;
    if (to_zero < to_start)
        to_start = to_zero;
    if (to_end >= threshold)
        to_end = average / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    if (per_second)
        factor /= (double)(window->until_ms - window->from_ms) / 1000.0;
    return factor;
}

/* Steps fall on the samples' rhythm as a rule: then one window lies like the one before. */
static double stretch_again(struct window *window, bool per_second)
{
    const struct stretched like = {
        .before_ms = window->times_ms[0] - window->from_ms,
        .sampled_ms = window->times_ms[window->count - 1] - window->times_ms[0],
        .count = window->count,
        .factor = window->stretched.factor,
    };
    if (like.before_ms != window->stretched.before_ms ||
        like.sampled_ms != window->stretched.sampled_ms ||
        like.count != window->stretched.count) {
        window->stretched = like;
        window->stretched.factor = stretch(window, per_second, (double)INFINITY);
    }
    return window->stretched.factor;
}

static bool extrapolate(struct window *window, bool counter, bool per_second, double *ret_value)
{
    if (window->extension != EXTENSION_NONE)
        return extended_increase(window, counter, per_second, ret_value);
    size_t last = window->count - 1;
    double increase = last > 0 ? window->values[last] - window->values[0] : 0;

    if (last == 0 || (counter && !increase_seen(window, &increase)))
        return false;
    if (increase == 0) { /* most of a host's counters, most of the time: no need to stretch it */
        *ret_value = increase;
        return true;
    }
    /* Where no less was counted before the first sample than since, and over no more time is it
     * stretched than was sampled, zero lies too far off to matter: a quotient of at least 1 is not
     * rounded below it. */
    int64_t before_ms = window->times_ms[0] - window->from_ms;
    int64_t sampled_ms = window->times_ms[last] - window->times_ms[0];
    bool has_zero = counter && increase > 0 && window->values[0] >= 0 &&
                    !(window->values[0] >= increase && sampled_ms >= before_ms);
    if (has_zero) {
        double sampled = (double)sampled_ms / 1000.0;
        *ret_value = increase *
                     stretch(window, per_second, sampled * (window->values[0] / increase));
    } else {
        *ret_value = increase * stretch_again(window, per_second);
    }
    return true;
}

WINDOW_FUNCTION(rate)
{
    return extrapolate(window, true, true, ret_value);
}

WINDOW_FUNCTION(increase)
{
    return extrapolate(window, true, false, ret_value);
}

WINDOW_FUNCTION(delta)
{
    return extrapolate(window, false, false, ret_value);
}

/* Between the last two samples. */
static bool instant(const struct window *window, bool rate, double *ret_value)
{
    if (window->count < 2)
        return false;
    size_t last = window->count - 1;
    double before = window->values[last - 1];
    double now = window->values[last];
    double seconds = (double)(window->times_ms[last] - window->times_ms[last - 1]) / 1000.0;
    double change = rate && now < before ? now : now - before;
    *ret_value = rate ? change / seconds : change;
    return true;
}

WINDOW_FUNCTION(irate)
{
    return instant(window, true, ret_value);
}

WINDOW_FUNCTION(idelta)
{
    return instant(window, false, ret_value);
}

WINDOW_FUNCTION(resets)
{
    extended_anchor(window);
    if (!find_resets(window))
        return false;
    *ret_value = (double)resets_in(window);
    return true;
}

/* Counted up to each sample like resets, in the same place: a call is one or the other. */
static bool count_changes(struct window *window)
{
    if (window->resets != NULL)
        return true;
    uint32_t *changes = arena_alloc(window->ev->arena, window->all_count, sizeof *changes);
    if (changes == NULL) {
        window->failed = true;
        return false;
    }
    for (size_t i = 1; i < window->all_count; i++) {
        double before = window->all_values[i - 1];
        double now = window->all_values[i];
        bool changed = now != before && !(isnan(now) && isnan(before));
        changes[i] = changes[i - 1] + changed;
    }
    window->resets = changes;
    return true;
}

WINDOW_FUNCTION(changes)
{
    extended_anchor(window);
    if (!count_changes(window))
        return false;
    *ret_value = (double)resets_in(window);
    return true;
}
