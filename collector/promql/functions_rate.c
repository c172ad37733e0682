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
#include "proto/base/cloned.h"

#define BLOCK 64 /* samples looked at at once, so that the loop over them becomes vectors */

/* Does a value lie below the one before it?  Of most counters none does. */
CLONED static bool falls(const double *values, size_t count)
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

/* To what it is stretched over what was sampled, and by the second if that is asked for. */
static double factor_of(const struct window *window, bool per_second, double to_start_s)
{
    const struct stretched *lies = &window->stretched;
    double factor = (lies->sampled_s + to_start_s + lies->to_end_s) / lies->sampled_s;
    if (per_second)
        factor /= (double)(window->until_ms - window->from_ms) / 1000.0;
    return factor;
}

/* How the window lies in its samples.  Steps fall on their rhythm as a rule: then it lies like the one
 * before, and nothing has to be divided. */
static void look_how_it_lies(struct window *window, bool per_second)
{
    struct stretched *lies = &window->stretched;
    size_t last = window->count - 1;
    int64_t before_ms = window->times_ms[0] - window->from_ms;
    int64_t sampled_ms = window->times_ms[last] - window->times_ms[0];
    if (before_ms == lies->before_ms && sampled_ms == lies->sampled_ms &&
        window->count == lies->count)
        return;
    double to_start = (double)before_ms / 1000.0;
    double to_end = (double)(window->until_ms - window->times_ms[last]) / 1000.0;
    double sampled = (double)sampled_ms / 1000.0;
    double average = sampled / (double)last;
    double threshold = average * EXTRAPOLATION_THRESHOLD;
    *lies = (struct stretched){
        .before_ms = before_ms,
        .sampled_ms = sampled_ms,
        .count = window->count,
        .sampled_s = sampled,
        .to_start_s = to_start >= threshold ? average / 2 : to_start,
        .to_end_s = to_end >= threshold ? average / 2 : to_end,
    };
    lies->factor = factor_of(window, per_second, lies->to_start_s);
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
    look_how_it_lies(window, per_second);
    const struct stretched *lies = &window->stretched;
    double factor = lies->factor;
    /* Where no less was counted before the first sample than since, and over no more time is it
     * stretched than was sampled, zero lies too far off to matter: a quotient of at least 1 is not
     * rounded below it. */
    if (counter && increase > 0 && window->values[0] >= 0 &&
        !(window->values[0] >= increase && lies->sampled_ms >= lies->before_ms)) {
        double to_zero_s = lies->sampled_s * (window->values[0] / increase);
        if (to_zero_s < lies->to_start_s)
            factor = factor_of(window, per_second, to_zero_s);
    }
    *ret_value = increase * factor;
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

/* All of them together, where no counter is reset and none is near zero: then nothing but the
 * increase differs from one to the next, and a loop over them becomes vectors.  (None is stretched
 * over more time to its start than was sampled: that is an interval at most.) */
static size_t extrapolate_alike(struct window *window, bool counter, bool per_second,
                                size_t stride, size_t windows, double *restrict values)
{
    const size_t last = window->count - 1;
    if (last == 0 || (counter && (!find_resets(window) || !window->never_falls)))
        return 0;
    look_how_it_lies(window, per_second);
    const double factor = window->stretched.factor;
    const double *from = window->values;
    const double *to = window->values + last;
    size_t done = 0;
    while (done < windows) {
        const size_t count = windows - done < BLOCK ? windows - done : BLOCK;
        uint64_t near_zero = 0;
        for (size_t i = 0; i < count; i++) {
            const double before = from[i * stride];
            const double increase = to[i * stride] - before;
            near_zero |= (uint64_t)((before < increase) & (before >= 0));
            values[done + i] = increase * factor;
        }
        if (counter && near_zero != 0)
            break;
        done += count;
        from += count * stride;
        to += count * stride;
    }
    return done;
}

ALIKE_FUNCTION(rate)
{
    return extrapolate_alike(window, true, true, stride, windows, values);
}

ALIKE_FUNCTION(increase)
{
    return extrapolate_alike(window, true, false, stride, windows, values);
}

ALIKE_FUNCTION(delta)
{
    return extrapolate_alike(window, false, false, stride, windows, values);
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
    if (!extended_anchor(window) || !find_resets(window))
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
    if (!extended_anchor(window) || !count_changes(window))
        return false;
    *ret_value = (double)resets_in(window);
    return true;
}
