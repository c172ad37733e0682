/*
 * eval_selector.c - from the store's samples to columns and to ranges.
 *
 * A selector is fetched once for all steps; then one index walks forward through each series'
 * samples while the steps walk forward in time.
 */
#include <string.h>

#include "collector/promql/eval.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define PASSED_FEW 16 /* samples; where there are more the end is sought by halves */

/* What was fetched before for the same matchers and times, or NULL.  Samples are only ever
 * read, so two selectors may share them. */
static const struct fetched *find_fetched(const struct evaluation *ev, const struct node *node,
                                          const struct select_hints *hints)
{
    for (size_t i = 0; i < ev->fetched_count; i++) {
        const struct fetched *fetched = &ev->fetched[i];
        if (fetched->from_ms == hints->from_ms && fetched->until_ms == hints->until_ms && fetched->reach_ms == hints->reach_ms &&
            (fetched->newest_step_ms == hints->newest_step_ms || fetched->newest_step_ms == 0) &&
            (!fetched->no_labels || hints->no_labels) &&
            (!fetched->no_values || hints->no_values) &&
            matchers_equal(fetched->selector->matchers, fetched->selector->matcher_count,
                           node->matchers, node->matcher_count))
            return fetched;
    }
    return NULL;
}

/* Does the expression ask for a range of the same series, too?  Then one fetch serves both. */
static bool has_range_of(const struct node *tree, const struct node *selector)
{
    if (tree->kind == NODE_MATRIX)
        return matchers_equal(tree->first->matchers, tree->first->matcher_count,
                              selector->matchers, selector->matcher_count);
    for (const struct node *child = tree->first; child != NULL; child = node_after(tree, child))
        if (has_range_of(child, selector))
            return true;
    return false;
}

/* Does another part of the expression ask for the values of the same series?  One fetch serves both. */
static bool is_valued_elsewhere(const struct evaluation *ev, const struct node *tree,
                                const struct node *selector)
{
    if (tree->kind == NODE_SELECTOR)
        return !ev->plan->nodes[tree->id].unvalued &&
               matchers_equal(tree->matchers, tree->matcher_count, selector->matchers,
                              selector->matcher_count);
    if (tree->kind == NODE_MATRIX)
        return is_valued_elsewhere(ev, tree->first, selector);
    for (const struct node *child = tree->first; child != NULL; child = node_after(tree, child))
        if (is_valued_elsewhere(ev, child, selector))
            return true;
    return false;
}

/* How many selectors of the expression ask for the same series. */
static size_t count_alike(const struct node *tree, const struct node *selector)
{
    if (tree->kind == NODE_SELECTOR)
        return matchers_equal(tree->matchers, tree->matcher_count, selector->matchers,
                              selector->matcher_count);
    if (tree->kind == NODE_MATRIX)
        return count_alike(tree->first, selector);
    size_t count = 0;
    for (const struct node *child = tree->first; child != NULL; child = node_after(tree, child))
        count += count_alike(child, selector);
    return count;
}

/* What a selector selects. */
struct selected {
    struct unread *unread; /* NULL: it has been decoded, and is kept for others */
    struct series_samples *series;
    size_t count;
    uint64_t samples; /* about */
};

static int select_series(struct evaluation *ev, const struct node *node,
                         const struct select_hints *hints, bool at_once, struct selected *selected)
{
    const struct queryable_calls *calls = ev->store->calls;
    /* A profile tells what reading cost and what looking did. */
    if (at_once || calls->find == NULL || ev->costs != NULL ||
        count_alike(ev->expression->root, node) > 1)
        return calls->select(ev->querier, node->matchers, node->matcher_count, hints, ev->budget,
                             ev->arena, &selected->series, &selected->count, ev->why);
    return calls->find(ev->querier, node->matchers, node->matcher_count, hints, ev->budget,
                       ev->arena, &selected->unread, &selected->series, &selected->count, ev->why);
}

static void measure(struct selected *selected)
{
    for (size_t i = 0; selected->unread == NULL && i < selected->count; i++)
        selected->samples += selected->series[i].count;
    if (selected->unread != NULL) {
        selected->count = selected->unread->count;
        selected->samples = selected->unread->samples;
    }
}

/* Samples from reach_ms before the first step's reference to ahead_ms after the last one's; or
 * only the newest for each reference. */
static int fetch(struct evaluation *ev, const struct node *node, const struct grid *grid,
                 int64_t reach_ms, int64_t ahead_ms, bool newest, bool at_once,
                 struct value *times, struct selected *ret_selected)
{
    const struct plan_node *planned = &ev->plan->nodes[node->id];
    *times = (struct value){.fixed = planned->fixed,
                            .fixed_ms = planned->fixed_ms,
                            .offset_ms = planned->offset_ms};
    struct select_hints hints = {
        .from_ms = value_reference(times, grid, 0) - reach_ms + 1,
        .until_ms = value_reference(times, grid, grid->count - 1) + ahead_ms,
        .reach_ms = reach_ms,
        .no_labels = planned->unlabelled,
    };
    if (newest && !has_range_of(ev->expression->root, node)) {
        hints.newest_at_ms = value_reference(times, grid, 0);
        hints.newest_step_ms = grid->step_ms > 0 ? grid->step_ms : 1;
        hints.newest_count = times->fixed ? 1 : grid->count;
    }
    hints.no_values = planned->unvalued && !is_valued_elsewhere(ev, ev->expression->root, node);
    int error = evaluation_tick(ev);
    if (error != 0)
        return error;
    *ret_selected = (struct selected){.count = 0};
    const struct fetched *before = find_fetched(ev, node, &hints);
    if (before != NULL) {
        ret_selected->series = before->series;
        ret_selected->count = before->count;
    } else {
        error = select_series(ev, node, &hints, at_once, ret_selected);
    }
    if (error != 0)
        return error;
    measure(ret_selected);
    if (before != NULL || ret_selected->unread != NULL)
        return 0;
    rolled_annotate(ev, node, ret_selected->series, ret_selected->count);
    if (ev->fetched_count < FETCHED_MAX)
        ev->fetched[ev->fetched_count++] =
            (struct fetched){node,     hints.from_ms,        hints.until_ms,
                             reach_ms, hints.newest_step_ms, ret_selected->series,
                             ret_selected->count, hints.no_labels, hints.no_values};
    return 0;
}

size_t times_pass(const int64_t *times_ms, size_t count, size_t at, int64_t until_ms,
                  size_t *passed)
{
    size_t next = at + *passed;
    if (next <= count && next > at && times_ms[next - 1] <= until_ms) {
        if (next == count || times_ms[next] > until_ms)
            return next;
    } else {
        next = at;
    }
    size_t end = count;
    if (end - next > PASSED_FEW && times_ms[next + PASSED_FEW] <= until_ms) {
        while (next < end) { /* by halves */
            const size_t middle = next + (end - next) / 2;
            if (times_ms[middle] <= until_ms)
                next = middle + 1;
            else
                end = middle;
        }
    } else {
        while (next < end && times_ms[next] <= until_ms)
            next++;
    }
    *passed = next - at;
    return next;
}

/* Walks through a series with the steps. */
struct walk {
    const struct series_samples *series;
    size_t next;   /* the first sample after the reference */
    size_t passed; /* on the way to it */
};

/* Is there a sample in (reference - lookback, reference]?  Then the newest lies before walk->next. */
static bool walk_to(const struct evaluation *ev, struct walk *walk, int64_t reference)
{
    const struct series_samples *series = walk->series;
    walk->next =
        times_pass(series->times_ms, series->count, walk->next, reference, &walk->passed);
    return walk->next > 0 &&
           series->times_ms[walk->next - 1] >
               reference - rolled_lookback(series->rolled, walk->next - 1, ev->lookback_ms) &&
           !is_stale_nan(series->values[walk->next - 1]);
}

static void fill_column(const struct evaluation *ev, const struct grid *grid,
                        const struct value *times, const struct series_samples *series,
                        bool times_instead, struct column *column)
{
    struct walk walk = {.series = series};
    for (size_t step = 0; step < grid->count; step++)
        if (walk_to(ev, &walk, value_reference(times, grid, step)))
            column_set(column, step,
                       times_instead ? (double)series->times_ms[walk.next - 1] / 1000.0
                                     : series->values[walk.next - 1]);
}

/* The same where nobody asks for the values. */
static void fill_presence(const struct evaluation *ev, const struct grid *grid,
                          const struct value *times, const struct series_samples *series,
                          struct column *column)
{
    struct walk walk = {.series = series};
    for (size_t step = 0; step < grid->count; step++)
        if (walk_to(ev, &walk, value_reference(times, grid, step)))
            column->present[step / 64] |= UINT64_C(1) << (step % 64);
}

#define BLOCK 64 /* samples looked at at once, so that the loop over them becomes vectors */

static size_t count_stale(const double *values, size_t count)
{
    size_t stale = 0;
    size_t i = 0;
    for (; i + BLOCK <= count; i += BLOCK) {
        uint64_t bits[BLOCK];
        uint64_t hits = 0;
        memcpy(bits, values + i, sizeof bits);
        for (size_t k = 0; k < BLOCK; k++)
            hits += bits[k] == STALE_NAN_BITS;
        stale += hits;
    }
    for (; i < count; i++)
        stale += is_stale_nan(values[i]);
    return stale;
}

/* The samples without stale markers, in place where there are none. */
static int drop_stale(struct evaluation *ev, const struct series_samples *series,
                      struct range_series *range)
{
    size_t stale = series->no_markers ? 0 : count_stale(series->values, series->count);
    *range = (struct range_series){.labels = series->labels,
                                   .times_ms = series->times_ms,
                                   .values = series->values,
                                   .count = series->count - stale,
                                   .interval_ms = stale == 0 ? series->interval_ms : 0};
    int error = rolled_without_markers(ev, series, &range->rolled);
    if (error != 0 || stale == 0 || range->count == 0)
        return error;
    int64_t *times = arena_alloc(ev->arena, range->count, sizeof *times);
    double *values = arena_alloc(ev->arena, range->count, sizeof *values);
    if (times == NULL || values == NULL)
        return ERR_NOMEM;
    size_t kept = 0;
    for (size_t i = 0; i < series->count; i++)
        if (!is_stale_nan(series->values[i])) {
            times[kept] = series->times_ms[i];
            values[kept++] = series->values[i];
        }
    range->times_ms = times;
    range->values = values;
    return 0;
}

/* A smoothed selector: the line between the samples around each reference; where there is none
 * after it, the one before, and where there is none before it, nothing. */
static int fill_smoothed(struct evaluation *ev, const struct grid *grid,
                         const struct value *times, const struct series_samples *series,
                         struct column *column)
{
    struct range_series range;
    size_t next = 0; /* first sample at or after the reference */
    int error = drop_stale(ev, series, &range);
    for (size_t step = 0; error == 0 && step < grid->count; step++) {
        int64_t reference = value_reference(times, grid, step);
        while (next < range.count && range.times_ms[next] < reference)
            next++;
        bool before = next > 0 && range.times_ms[next - 1] > reference - ev->lookback_ms;
        bool after = next < range.count && range.times_ms[next] <= reference + ev->lookback_ms;
        if (after && range.times_ms[next] == reference) {
            column_set(column, step, range.values[next]);
        } else if (before && after) {
            int64_t from_ms = range.times_ms[next - 1];
            double from = range.values[next - 1];
            column_set(column, step,
                       from + (range.values[next] - from) * (double)(reference - from_ms) /
                                  (double)(range.times_ms[next] - from_ms));
        } else if (before) {
            column_set(column, step, range.values[next - 1]);
        }
    }
    return error;
}

/* Columns of all series of a selector. */
struct selector_loop {
    const struct node *node;
    const struct grid *grid;
    const struct value *times;
    const struct selected *selected;
    bool times_instead;
    double *zeros;          /* the values of all where nobody asks for them; else NULL */
    struct column *columns; /* one a series; `values` stays NULL where there is nothing */
};

static int init_column(struct evaluation *mine, const struct selector_loop *loop,
                       struct column *ret_column)
{
    if (loop->zeros == NULL)
        return column_init(mine, loop->grid, ret_column);
    const size_t words = (loop->grid->count + 63) / 64;
    uint64_t *present = arena_alloc(mine->arena, words, sizeof *present);
    *ret_column = (struct column){.values = loop->zeros, .present = present};
    return present == NULL ? ERR_NOMEM : evaluation_tick_steps(mine, loop->grid->count);
}

static int selector_one(struct evaluation *mine, void *context, size_t index)
{
    const struct selector_loop *loop = context;
    struct series_samples series;
    struct column column;
    int error = 0;
    if (loop->selected->unread == NULL)
        series = loop->selected->series[index];
    else
        error = read_series(mine, loop->selected->unread, index, &series);
    if (error != 0 || series.count == 0)
        return error;
    error = init_column(mine, loop, &column);
    if (error != 0)
        return error;
    column.labels = series.labels;
    if (loop->zeros != NULL)
        fill_presence(mine, loop->grid, loop->times, &series, &column);
    else if (loop->node->smoothed)
        error = fill_smoothed(mine, loop->grid, loop->times, &series, &column);
    else
        fill_column(mine, loop->grid, loop->times, &series, loop->times_instead, &column);
    evaluation_look_column(mine, loop->grid, &column);
    if (column_any(&column, loop->grid))
        loop->columns[index] = column;
    return error;
}

int evaluate_selector(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      bool times_instead, struct value *ret_value)
{
    struct selected selected;
    struct value times;

    int error = fetch(ev, node, grid, ev->lookback_ms, node->smoothed ? ev->lookback_ms : 0,
                      !node->smoothed, false, &times, &selected);
    if (error != 0)
        return error;
    error = value_columns(ev, selected.count, ret_value);
    struct selector_loop loop = {.node = node,
                                 .grid = grid,
                                 .times = &times,
                                 .selected = &selected,
                                 .times_instead = times_instead,
                                 .columns = ret_value->columns};
    if (error == 0 && ev->plan->nodes[node->id].unvalued && !times_instead) {
        loop.zeros = arena_alloc(ev->arena, grid->count, sizeof *loop.zeros);
        error = loop.zeros == NULL ? ERR_NOMEM : 0;
    }
    const size_t count = error == 0 ? selected.count : 0;
    int looped = evaluate_unread(ev, selected.unread, count,
                                 selected.samples + count * grid->count, selector_one, &loop);
    error = error == 0 ? looped : error;
    for (size_t i = 0; error == 0 && i < count; i++)
        if (ret_value->columns[i].values != NULL)
            ret_value->columns[ret_value->count++] = ret_value->columns[i];
    return error;
}

int evaluate_matrix(struct evaluation *ev, const struct node *node, const struct grid *grid,
                    bool at_once, struct value *ret_value)
{
    struct selected selected;
    int64_t range_ms = ev->plan->nodes[node->id].range_ms;
    enum extension extension = node->first->anchored   ? EXTENSION_ANCHORED
                               : node->first->smoothed ? EXTENSION_SMOOTHED
                                                       : EXTENSION_NONE;
    int64_t before_ms = extension != EXTENSION_NONE ? ev->lookback_ms : 0;
    int64_t after_ms = extension == EXTENSION_SMOOTHED ? ev->lookback_ms : 0;

    int error = fetch(ev, node->first, grid, range_ms + before_ms, after_ms, false, at_once,
                      ret_value, &selected);
    if (error != 0)
        return error;
    ret_value->type = PROMQL_MATRIX;
    ret_value->extension = extension;
    ret_value->before_ms = before_ms;
    ret_value->after_ms = after_ms;
    ret_value->range_ms = range_ms;
    ret_value->unread = selected.unread;
    if (selected.unread != NULL) {
        ret_value->count = selected.count;
        return 0;
    }
    ret_value->ranges = arena_alloc(ev->arena, selected.count + 1, sizeof *ret_value->ranges);
    if (ret_value->ranges == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < selected.count; i++) {
        error = drop_stale(ev, &selected.series[i], &ret_value->ranges[ret_value->count]);
        ret_value->count += ret_value->ranges[ret_value->count].count > 0;
    }
    return error;
}

int matrix_range(struct evaluation *mine, const struct value *matrix, size_t i,
                 struct range_series *ret_range)
{
    struct series_samples series;
    if (matrix->unread == NULL) {
        *ret_range = matrix->ranges[i];
        return 0;
    }
    int error = read_series(mine, matrix->unread, i, &series);
    return error != 0 ? error : drop_stale(mine, &series, ret_range);
}

/* The samples of one column of the inner expression. */
static int range_of_column(struct evaluation *ev, const struct grid *inner,
                           const struct column *column, struct range_series *range)
{
    size_t count = 0;
    for (size_t word = 0; word < (inner->count + 63) / 64; word++)
        count += (size_t)__builtin_popcountll(column->present[word]);
    int error = evaluation_charge(ev, count);
    if (error != 0)
        return error;
    int64_t *times = arena_alloc(ev->arena, count + 1, sizeof *times);
    double *values = arena_alloc(ev->arena, count + 1, sizeof *values);
    if (times == NULL || values == NULL)
        return ERR_NOMEM;
    size_t kept = 0;
    for (size_t step = 0; step < inner->count; step++)
        if (column_has(column, step)) {
            times[kept] = grid_time(inner, step);
            values[kept++] = column->values[step];
        }
    must(kept == count);
    *range = (struct range_series){.labels = column->labels,
                                   .times_ms = times,
                                   .values = values,
                                   .count = count,
                                   .drop_name = column->drop_name};
    return 0;
}

/* The inner grid of a subquery: multiples of its step in (first reference - range, last]. */
static struct grid inner_grid(const struct value *times, const struct grid *grid,
                              int64_t range_ms, int64_t step_ms)
{
    int64_t after = value_reference(times, grid, 0) - range_ms;
    int64_t last = value_reference(times, grid, grid->count - 1);
    int64_t start = after / step_ms * step_ms;
    if (start <= after)
        start += step_ms;
    return (struct grid){start, step_ms,
                         last < start ? 0 : (size_t)((last - start) / step_ms) + 1};
}

int evaluate_subquery(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      struct value *ret_value)
{
    const struct plan_node *planned = &ev->plan->nodes[node->id];
    struct value inner = {0};

    *ret_value = (struct value){.type = PROMQL_MATRIX,
                                .range_ms = planned->range_ms,
                                .fixed = planned->fixed,
                                .fixed_ms = planned->fixed_ms,
                                .offset_ms = planned->offset_ms};
    struct grid times = inner_grid(ret_value, grid, planned->range_ms, planned->step_ms);
    if (times.count == 0)
        return 0;
    int error = evaluate(ev, node->first, &times, &inner);
    if (error != 0)
        return error;
    ret_value->ranges = arena_alloc(ev->arena, inner.count + 1, sizeof *ret_value->ranges);
    if (ret_value->ranges == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; error == 0 && i < inner.count; i++) {
        error = range_of_column(ev, &times, &inner.columns[i],
                                &ret_value->ranges[ret_value->count]);
        ret_value->count += ret_value->ranges[ret_value->count].count > 0;
    }
    return error;
}
