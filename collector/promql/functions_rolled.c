/*
 * functions_rolled.c - functions of a window that has records of a roll-up in it.
 *
 * A record belongs to the windows its last sample lies in.  So where windows begin and end at
 * ends of buckets, the records in one speak of the very samples that were in it, and what can
 * be said exactly is; elsewhere a bucket counts whole, in one window of those that follow each
 * other.  A window narrower than the buckets has the last one that had ended by its end, and
 * its share of what adds up.  A sample as it was written is a record of itself.
 */
#include <math.h>

#include "collector/promql/functions_impl.h"
#include "collector/series/kahan.h"

/* One element of a window. */
struct element {
    double first, last;
    int64_t first_ms;
    double columns[ROLLED_COLUMNS]; /* but ROLLED_FIRST */
};

static struct element element_at(const struct window *window, size_t i)
{
    const struct rolled *rolled = window->rolled;
    size_t at = window->first + i;
    double value = window->values[i];
    struct element element = {value, value, window->times_ms[i], {0}};
    if (at < rolled->count) {
        element.first = rolled->columns[ROLLED_FIRST][at];
        element.first_ms = rolled->firsts_ms[at];
        for (size_t c = 0; c < ROLLED_COLUMNS; c++)
            element.columns[c] = rolled->columns[c][at];
        return element;
    }
    element.columns[ROLLED_SAMPLES] = 1;
    element.columns[ROLLED_SUM] = value;
    element.columns[ROLLED_MIN] = value;
    element.columns[ROLLED_MAX] = value;
    return element;
}

/* The width of the bucket of an element; 0: a sample. */
static int64_t width_at(const struct window *window, size_t i)
{
    size_t at = window->first + i;
    return at < window->rolled->count ? window->rolled->widths_ms[at] : 0;
}

bool rolled_narrow(const struct range_series *series, size_t first, size_t next,
                   int64_t until_ms, int64_t range_ms, size_t *ret_first, double *ret_share)
{
    *ret_first = first;
    *ret_share = 1;
    if (next == 0 || next > series->rolled->count)
        return false;
    int64_t width_ms = series->rolled->widths_ms[next - 1];
    /* A window that begins and ends with buckets is empty if it is empty. */
    bool is_empty = first == next && range_ms < 2 * width_ms && until_ms % width_ms != 0;
    bool is_narrow = range_ms < width_ms || is_empty;
    if (!is_narrow || series->times_ms[next - 1] <= until_ms - 2 * width_ms)
        return false;
    *ret_first = next - 1;
    *ret_share = (double)range_ms / (double)width_ms;
    return true;
}

/* A column added up over the window. */
static double total(const struct window *window, enum rolled_column column)
{
    struct kahan sum = {0, 0};
    for (size_t i = 0; i < window->count; i++)
        sum = kahan_add(sum, element_at(window, i).columns[column]);
    return isinf(sum.sum) ? sum.sum : sum.sum + sum.compensation;
}

ROLLED_FUNCTION(sum_over_time)
{
    *ret_value = total(window, ROLLED_SUM) * window->share;
    return true;
}

ROLLED_FUNCTION(count_over_time)
{
    *ret_value = total(window, ROLLED_SAMPLES) * window->share;
    return true;
}

ROLLED_FUNCTION(avg_over_time)
{
    *ret_value = total(window, ROLLED_SUM) / total(window, ROLLED_SAMPLES);
    return true;
}

static double extreme(const struct window *window, enum rolled_column column)
{
    double held = element_at(window, 0).columns[column];
    for (size_t i = 1; i < window->count; i++) {
        double value = element_at(window, i).columns[column];
        if (isnan(held) || (column == ROLLED_MAX ? value > held : value < held))
            held = value;
    }
    return held;
}

ROLLED_FUNCTION(min_over_time)
{
    *ret_value = extreme(window, ROLLED_MIN);
    return true;
}

ROLLED_FUNCTION(max_over_time)
{
    *ret_value = extreme(window, ROLLED_MAX);
    return true;
}

ROLLED_FUNCTION(first_over_time)
{
    *ret_value = element_at(window, 0).first;
    return true;
}

ROLLED_FUNCTION(ts_of_first_over_time)
{
    *ret_value = (double)element_at(window, 0).first_ms / 1000.0;
    return true;
}

/* What happened inside the records, and between them. */
ROLLED_FUNCTION(resets)
{
    double count = total(window, ROLLED_RESETS);
    for (size_t i = 1; i < window->count; i++)
        count += element_at(window, i).first < window->values[i - 1];
    *ret_value = count * window->share;
    return true;
}

ROLLED_FUNCTION(changes)
{
    double count = total(window, ROLLED_CHANGES);
    for (size_t i = 1; i < window->count; i++) {
        double before = window->values[i - 1];
        double now = element_at(window, i).first;
        count += now != before && !(isnan(now) && isnan(before));
    }
    *ret_value = count * window->share;
    return true;
}

/* What a counter lost in the window by its resets. */
static double fallen(const struct window *window)
{
    double lost = 0;
    for (size_t i = 0; i < window->count; i++) {
        struct element element = element_at(window, i);
        if (i > 0 && element.first < window->values[i - 1])
            lost += window->values[i - 1];
        lost += element.columns[ROLLED_FALLEN];
    }
    return lost;
}

/* The times between which an increase is told, and by how much the last sample may lie before
 * the second beyond what is usual, because the bucket at the end is not over. */
struct frame {
    int64_t from_ms, until_ms, slack_ms;
};

static struct frame frame_of(const struct window *window)
{
    int64_t width_ms = width_at(window, window->count - 1);
    struct frame frame = {window->from_ms, window->until_ms, 0};
    if (window->is_narrow) { /* its one bucket */
        int64_t last_ms = window->times_ms[0];
        int64_t past_ms = last_ms % width_ms;
        frame.until_ms = last_ms - past_ms + (past_ms > 0 ? width_ms : 0);
        frame.from_ms = frame.until_ms - width_ms;
    } else if (width_ms > 0 && window->until_ms % width_ms != 0) {
        frame.slack_ms = width_ms;
    }
    return frame;
}

/* As extrapolate() of functions_rate.c, of which this is the same with records. */
static bool extrapolate_rolled(struct window *window, bool counter, bool per_second,
                               double *ret_value)
{
    struct element start = element_at(window, 0);
    size_t last = window->count - 1;
    double samples = total(window, ROLLED_SAMPLES);
    double increase = window->values[last] - start.first;
    struct frame frame = frame_of(window);

    if (samples < 2)
        return false;
    if (counter)
        increase += fallen(window);
    double to_start = (double)(start.first_ms - frame.from_ms) / 1000.0;
    double to_end = (double)(frame.until_ms - window->times_ms[last]) / 1000.0;
    double sampled = (double)(window->times_ms[last] - start.first_ms) / 1000.0;
    double average = sampled / (samples - 1);
    double threshold = average * EXTRAPOLATION_THRESHOLD;

    if (to_start >= threshold)
        to_start = average / 2;
    if (counter && increase > 0 && start.first >= 0) {
        double to_zero = sampled * (start.first / increase);
        if (to_zero < to_start)
            to_start = to_zero;
    }
    if (to_end >= threshold + (double)frame.slack_ms / 1000.0)
        to_end = average / 2;
    double factor = (sampled + to_start + to_end) / sampled;
    if (per_second)
        factor /= (double)(frame.until_ms - frame.from_ms) / 1000.0;
    else
        factor *= window->share;
    *ret_value = increase * factor;
    return true;
}

ROLLED_FUNCTION(rate)
{
    return extrapolate_rolled(window, true, true, ret_value);
}

ROLLED_FUNCTION(increase)
{
    return extrapolate_rolled(window, true, false, ret_value);
}

ROLLED_FUNCTION(delta)
{
    return extrapolate_rolled(window, false, false, ret_value);
}
