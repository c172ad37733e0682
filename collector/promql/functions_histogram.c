/*
 * functions_histogram.c - quantiles and fractions of classic histograms.
 *
 * Series that differ in `le` alone are the buckets of one histogram.  Which series these are
 * does not depend on the step, so buckets are sorted once; at a step the present ones are
 * counted. Rules: Prometheus's promql/quantile.go (BucketQuantile, BucketFraction).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/promql/functions_impl.h"
#include "proto/base/error.h"

#define SMALL_DELTA 1e-12

struct bucket {
    double upper;
    double count; /* at the step */
    const struct column *column;
    size_t histogram;
};

/* As Go's ParseFloat reads it, which wants an exponent behind hexadecimal digits, and takes
 * neither a NaN with a sign or a payload nor what is too large to be a number. */
static bool parse_bound(struct bytes text, double *ret_bound)
{
    char copy[64];
    char *end;
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (strpbrk(copy, " \t\n\r\v\f(") != NULL ||
        (strpbrk(copy, "xX") != NULL && strpbrk(copy, "pP") == NULL))
        return false;
    *ret_bound = strtod(copy, &end);
    if (isinf(*ret_bound) ? strpbrk(copy, "iI") == NULL
                          : isnan(*ret_bound) && (copy[0] == '+' || copy[0] == '-'))
        return false;
    return *end == '\0';
}

static int order_of_buckets(const void *left, const void *right)
{
    const struct bucket *a = left;
    const struct bucket *b = right;
    if (a->histogram != b->histogram)
        return a->histogram < b->histogram ? -1 : 1;
    if (a->upper != b->upper && !isnan(a->upper) && !isnan(b->upper))
        return a->upper < b->upper ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

/* What the buckets of one histogram share: its name, too, so that metrics never mix. */
static int histogram_labels(struct evaluation *ev, const struct labels *labels,
                            const struct labels **ret_labels)
{
    labels_builder_reset(&ev->builder, labels);
    labels_builder_delete(&ev->builder, bytes_of("le"));
    return labels_builder_build(&ev->builder, ev->arena, ret_labels);
}

/* As with counts that fall, the name is told only while names are kept. */
static void annotate_bound(struct evaluation *ev, const struct node *argument,
                           struct bytes bound, struct bytes name)
{
    char named[300] = "";
    if (name.size > 0 && ev->options->delayed_name_removal)
        (void)snprintf(named, sizeof named, " for metric name \"%.*s\"",
                       name.size > 256 ? 256 : (int)name.size, (const char *)name.data);
    annotate(ev, argument, true,
             "bucket label \"le\" is missing or has a malformed value of \"%.*s\"%s",
             (int)bound.size, (const char *)bound.data, named);
}

/* All buckets, those of one histogram together, by upper bound. */
static int collect(struct evaluation *ev, const struct node *argument,
                   const struct value *vector, struct label_index *index,
                   struct bucket **ret_buckets, size_t *ret_count)
{
    struct bucket *buckets = arena_alloc(ev->arena, vector->count + 1, sizeof *buckets);
    size_t count = 0;
    int error = buckets == NULL ? ERR_NOMEM : label_index_init(ev, 16, index);

    for (size_t i = 0; error == 0 && i < vector->count; i++) {
        const struct column *column = &vector->columns[i];
        struct bytes bound = labels_get_text(column->labels, "le");
        struct bytes name = labels_get_text(column->labels, LABEL_NAME);
        const struct labels *labels;
        error = evaluation_tick(ev);
        if (error != 0)
            break;
        buckets[count].column = column;
        if (!parse_bound(bound, &buckets[count].upper)) {
            annotate_bound(ev, argument, bound, name);
            continue;
        }
        error = histogram_labels(ev, column->labels, &labels);
        if (error == 0)
            error = label_index_add(ev, index, labels, &buckets[count].histogram);
        count++;
    }
    if (error == 0 && count > 1)
        qsort(buckets, count, sizeof *buckets, order_of_buckets);
    *ret_buckets = buckets;
    *ret_count = count;
    return error;
}

/* The buckets with a value at the step, those of equal bounds joined. */
static size_t at_step(const struct bucket *all, size_t count, size_t step, struct bucket *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!column_has(all[i].column, step))
            continue;
        double value = all[i].column->values[step];
        if (kept > 0 && out[kept - 1].upper == all[i].upper) {
            out[kept - 1].count += value;
            continue;
        }
        out[kept] = all[i];
        out[kept++].count = value;
    }
    return kept;
}

static bool nearly_equal(double a, double b)
{
    double sum = fabs(a) + fabs(b);
    double difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < 2.2250738585072014e-308)
        return difference < SMALL_DELTA * 2.2250738585072014e-308;
    return difference / fmin(sum, 1.7976931348623157e308) < SMALL_DELTA;
}

/* What was lifted, of one metric in one call: for its note. */
struct lifted {
    struct bytes name;
    double least, most; /* upper bounds of buckets that fell */
    double difference;  /* the largest */
    size_t samples;
    int64_t first_ms, last_ms;
    struct lifted *next;
};

/* Counts must not fall: what falls is lifted.  True if it fell by more than rounding explains.
 */
static bool make_monotonic(struct bucket *buckets, size_t count, struct lifted *lifted)
{
    bool forced = false;
    double previous = buckets[0].count;
    for (size_t i = 1; i < count; i++) {
        double current = buckets[i].count;
        if (nearly_equal(previous, current)) {
            buckets[i].count = previous;
        } else if (current < previous) {
            buckets[i].count = previous;
            forced = true;
            lifted->least = fmin(lifted->least, buckets[i].upper);
            lifted->most = fmax(lifted->most, buckets[i].upper);
            lifted->difference = fmax(lifted->difference, previous - current);
        } else {
            previous = current;
        }
    }
    return forced;
}

/* The first bucket that reaches the rank, or count; halved towards as Go's sort.Search does,
 * which tells where counts are NaN. */
static size_t bucket_at(double rank, const struct bucket *buckets, size_t count)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (buckets[middle].count >= rank)
            count = middle;
        else
            low = middle + 1;
    }
    return low;
}

static double bucket_quantile(double q, struct bucket *buckets, size_t count,
                              struct lifted *lifted, bool *ret_forced)
{
    if (isnan(q))
        return (double)NAN;
    if (q < 0)
        return -HUGE_VAL;
    if (q > 1)
        return HUGE_VAL;
    if (!isinf(buckets[count - 1].upper) || buckets[count - 1].upper < 0)
        return (double)NAN;
    *ret_forced = make_monotonic(buckets, count, lifted) || *ret_forced;
    double observations = buckets[count - 1].count;
    if (count < 2 || observations == 0)
        return (double)NAN;
    double rank = q * observations;
    size_t at = bucket_at(rank, buckets, count - 1);
    if (at == count - 1)
        return buckets[count - 2].upper;
    if (at == 0 && buckets[0].upper <= 0)
        return buckets[0].upper;
    double start = at > 0 ? buckets[at - 1].upper : 0;
    double before = at > 0 ? buckets[at - 1].count : 0;
    return start +
           (buckets[at].upper - start) * ((rank - before) / (buckets[at].count - before));
}

/* How many observations lie below `value`, straight lines between the bounds. */
static double count_below(double value, const struct bucket *buckets, size_t count)
{
    double before = 0;
    double lower = buckets[0].upper > 0 ? 0 : -HUGE_VAL;
    for (size_t i = 0; i < count; i++) {
        if (value <= lower)
            return before;
        if (value < buckets[i].upper) {
            if (isinf(lower))
                return buckets[i].count;
            if (isinf(buckets[i].upper))
                return before;
            return before +
                   (buckets[i].count - before) * (value - lower) / (buckets[i].upper - lower);
        }
        before = buckets[i].count;
        lower = buckets[i].upper;
    }
    return before;
}

static double bucket_fraction(double lower, double upper, struct bucket *buckets, size_t count)
{
    if (!isinf(buckets[count - 1].upper) || buckets[count - 1].upper < 0)
        return (double)NAN;
    double observations = buckets[count - 1].count;
    if (observations == 0 || isnan(lower) || isnan(upper))
        return (double)NAN;
    if (lower >= upper)
        return 0;
    return (count_below(upper, buckets, count) - count_below(lower, buckets, count)) /
           observations;
}

struct histogram_call {
    const struct node *buckets;   /* where a bad bound is noted, */
    const struct node *falling;   /* and where that counts fell */
    const double *first, *second; /* quantile; or lower and upper */
    struct lifted *lifted;        /* by metric name */
};

/* The note that counts of this histogram fell; the name is known only while it is kept. */
static struct lifted *lifted_of(struct evaluation *ev, struct histogram_call *how,
                                const struct labels *labels)
{
    struct bytes name = {NULL, 0};
    if (ev->options->delayed_name_removal)
        name = labels_get_text(labels, LABEL_NAME);
    for (struct lifted *lifted = how->lifted; lifted != NULL; lifted = lifted->next)
        if (bytes_equal(lifted->name, name))
            return lifted;
    struct lifted *lifted = arena_alloc(ev->arena, 1, sizeof *lifted);
    if (lifted == NULL)
        return NULL;
    *lifted = (struct lifted){.name = name,
                              .least = HUGE_VAL,
                              .most = -HUGE_VAL,
                              .first_ms = INT64_MAX,
                              .last_ms = INT64_MIN,
                              .next = how->lifted};
    how->lifted = lifted;
    return lifted;
}

static void time_text(int64_t time_ms, char text[40])
{
    time_t seconds = (time_t)(time_ms / 1000 - (time_ms % 1000 < 0));
    struct tm utc;
    size_t size =
        gmtime_r(&seconds, &utc) != NULL ? strftime(text, 40, "%Y-%m-%dT%H:%M:%SZ", &utc) : 0;
    if (size == 0)
        (void)snprintf(text, 40, "%lld", (long long)time_ms);
}

static void annotate_lifted(struct evaluation *ev, const struct histogram_call *how)
{
    for (const struct lifted *lifted = how->lifted; lifted != NULL; lifted = lifted->next) {
        char least[NUMBER_TEXT_BYTES];
        char most[NUMBER_TEXT_BYTES];
        char first[40];
        char last[40];
        char named[300] = "";
        if (lifted->samples == 0)
            continue;
        if (lifted->name.size > 0)
            (void)snprintf(named, sizeof named, " for metric name \"%.*s\"",
                           lifted->name.size > 256 ? 256 : (int)lifted->name.size,
                           (const char *)lifted->name.data);
        time_text(lifted->first_ms, first);
        time_text(lifted->last_ms, last);
        annotate(ev, how->falling, false,
                 "input to histogram_quantile needed to be fixed for monotonicity (see "
                 "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                 "#histogram_quantile)%s, from buckets %s to %s, with a max diff of %.2g, over "
                 "%zu samples from %s to %s",
                 named, promql_number_general(lifted->least, least),
                 promql_number_general(lifted->most, most), lifted->difference, lifted->samples,
                 first, last);
    }
}

static int one_histogram(struct evaluation *ev, struct histogram_call *how,
                         const struct grid *grid, const struct bucket *all, size_t count,
                         struct bucket *scratch, struct column *out)
{
    struct lifted *lifted = lifted_of(ev, how, all[0].column->labels);
    if (lifted == NULL)
        return ERR_NOMEM;
    for (size_t step = 0; step < grid->count; step++) {
        bool forced = false;
        size_t present = at_step(all, count, step, scratch);
        if (present == 0)
            continue;
        double result =
            how->second != NULL
                ? bucket_fraction(how->first[step], how->second[step], scratch, present)
                : bucket_quantile(how->first[step], scratch, present, lifted, &forced);
        column_set(out, step, result);
        if (forced) {
            int64_t now_ms = grid_time(grid, step);
            lifted->samples++;
            lifted->first_ms = now_ms < lifted->first_ms ? now_ms : lifted->first_ms;
            lifted->last_ms = now_ms > lifted->last_ms ? now_ms : lifted->last_ms;
        }
    }
    return evaluation_tick(ev);
}

static int all_histograms(struct evaluation *ev, struct histogram_call *how,
                          const struct grid *grid, const struct value *vector,
                          struct value *ret_value)
{
    struct label_index index;
    struct bucket *buckets = NULL;
    size_t count = 0;
    struct bucket *scratch = arena_alloc(ev->arena, vector->count + 1, sizeof *scratch);
    int error = scratch == NULL ? ERR_NOMEM
                                : collect(ev, how->buckets, vector, &index, &buckets, &count);

    if (error == 0)
        error = value_columns(ev, index.count, ret_value);
    for (size_t from = 0, until; error == 0 && from < count; from = until) {
        struct column *out = &ret_value->columns[ret_value->count];
        until = from;
        while (until < count && buckets[until].histogram == buckets[from].histogram)
            until++;
        error = column_init(ev, grid, out);
        if (error != 0)
            break;
        out->labels = index.keys[buckets[from].histogram];
        error = one_histogram(ev, how, grid, buckets + from, until - from, scratch, out);
        if (error == 0)
            error = column_drop_name(ev, out);
        ret_value->count += column_any(out, grid);
    }
    return error;
}

static void annotate_quantile(struct evaluation *ev, const struct node *argument,
                              const struct grid *grid, const double *quantiles)
{
    char text[NUMBER_TEXT_BYTES];
    for (size_t step = 0; step < grid->count; step++)
        if (!(quantiles[step] >= 0 && quantiles[step] <= 1))
            annotate(ev, argument, true, "quantile value should be between 0 and 1, got %s",
                     promql_number_general(quantiles[step], text));
}

WHOLE_FUNCTION(histogram_quantile)
{
    struct value quantile = {0};
    struct value vector = {0};

    int error = evaluate(ev, call->first, grid, &quantile);
    if (error == 0)
        error = evaluate(ev, call->first->next, grid, &vector);
    if (error == 0)
        annotate_quantile(ev, call->first, grid, quantile.scalars);
    struct histogram_call how = {
        .buckets = call->first->next, .falling = call->first->next, .first = quantile.scalars};
    if (error == 0)
        error = all_histograms(ev, &how, grid, &vector, ret_value);
    annotate_lifted(ev, &how);
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}

/* As OpenMetrics writes the quantile of a summary: never without a point or an exponent. */
static void quantile_text(double quantile, char text[NUMBER_TEXT_BYTES])
{
    (void)promql_number_general(quantile, text);
    if (isfinite(quantile) && strpbrk(text, ".e") == NULL)
        (void)strcat(text, ".0");
}

/* A column by each quantile asked for: one, unless the quantile changes with the step. */
static int label_quantiles(struct evaluation *ev, struct bytes label, const struct grid *grid,
                           const double *quantiles, struct column *column,
                           struct value *ret_value)
{
    char text[NUMBER_TEXT_BYTES];
    int error = 0;
    for (size_t from = 0; error == 0 && from < grid->count; from++) {
        struct value *out = ret_value;
        struct column *made = &out->columns[out->count];
        if (!column_has(column, from))
            continue;
        error = column_init(ev, grid, made);
        for (size_t step = from; error == 0 && step < grid->count; step++)
            if (column_has(column, step) &&
                memcmp(&quantiles[step], &quantiles[from], sizeof *quantiles) == 0) {
                column_set(made, step, column->values[step]);
                column_clear(column, step);
            }
        quantile_text(quantiles[from], text);
        labels_builder_reset(&ev->builder, column->labels);
        labels_builder_set(&ev->builder, label, bytes_of(text));
        made->drop_name = column->drop_name;
        if (error == 0)
            error = labels_builder_build(&ev->builder, ev->arena, &made->labels);
        out->count += error == 0;
    }
    return error;
}

/* How many different quantiles a column may be split by. */
static size_t distinct_runs(const struct grid *grid, const double *quantiles)
{
    size_t runs = 1;
    for (size_t step = 1; step < grid->count; step++)
        runs += memcmp(&quantiles[step], &quantiles[step - 1], sizeof *quantiles) != 0;
    return runs;
}

WHOLE_FUNCTION(histogram_quantiles)
{
    const struct node *name = call->first->next;
    struct bytes label = node_unwrap(name)->string;
    struct value vector = {0};
    struct value all = {.type = PROMQL_VECTOR};
    struct histogram_call how = {.buckets = call->first, .falling = name};

    if (label.size == 0 || !utf8_is_valid(label))
        return diagnose(ev->why, ERR_INVALID,
                        "invalid label name in histogram_quantiles(): %.*s", (int)label.size,
                        (const char *)label.data);
    int error = evaluate(ev, call->first, grid, &vector);
    for (const struct node *argument = name->next; error == 0 && argument != NULL;
         argument = argument->next) {
        struct value quantile = {0};
        struct value part = {0};
        struct value grown = {0};
        error = evaluate(ev, argument, grid, &quantile);
        if (error != 0)
            break;
        annotate_quantile(ev, argument, grid, quantile.scalars);
        how.first = quantile.scalars;
        error = all_histograms(ev, &how, grid, &vector, &part);
        if (error == 0)
            error = value_columns(
                ev, all.count + part.count * distinct_runs(grid, quantile.scalars), &grown);
        if (error == 0 && all.count > 0)
            memcpy(grown.columns, all.columns, all.count * sizeof *all.columns);
        grown.count = all.count;
        for (size_t i = 0; error == 0 && i < part.count; i++)
            error =
                label_quantiles(ev, label, grid, quantile.scalars, &part.columns[i], &grown);
        all = grown;
    }
    annotate_lifted(ev, &how);
    *ret_value = all;
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}

WHOLE_FUNCTION(histogram_fraction)
{
    struct value lower = {0};
    struct value upper = {0};
    struct value vector = {0};
    int error = evaluate(ev, call->first, grid, &lower);
    if (error == 0)
        error = evaluate(ev, call->first->next, grid, &upper);
    if (error == 0)
        error = evaluate(ev, call->first->next->next, grid, &vector);
    struct histogram_call how = {.buckets = call->first->next->next,
                                 .falling = call->first->next->next,
                                 .first = lower.scalars,
                                 .second = upper.scalars};
    if (error == 0)
        error = all_histograms(ev, &how, grid, &vector, ret_value);
    return error == 0 ? value_merge(ev, grid, ret_value) : error;
}
