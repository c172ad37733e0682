/*
 * eval.h - evaluation by columns: every part of an expression is worked out for all steps of
 * its grid before the next part begins.
 *
 *     grid      start, start+step, ... : `count` times
 *     column    one series over the grid: a value a step, and a bit a step that says whether
 *               there is one
 *     value     a scalar a step, or columns, or the samples a range function slides over
 *
 * Ownership  Everything lives in the query's arena until the query is done.
 * Names      With delayed name removal a column that lost its name keeps it, marked drop_name,
 *            until the result is made; without, names go at once.
 * Errors     ERR_NOMEM and ERR_LIMIT from the arena or the sample budget, ERR_TIMEOUT,
 *            ERR_CANCELLED, ERR_INVALID with ev->why filled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/promql/ast.h"
#include "collector/promql/plan.h"
#include "collector/series/queryable.h"

struct grid {
    int64_t start_ms, step_ms;
    size_t count;
};

static inline int64_t grid_time(const struct grid *grid, size_t step)
{
    return grid->start_ms + (int64_t)step * grid->step_ms;
}

struct column {
    const struct labels *labels;
    double *values;
    uint64_t *present; /* a bit a step */
    bool drop_name;
};

static inline bool column_has(const struct column *column, size_t step)
{
    return (column->present[step / 64] >> (step % 64) & 1) != 0;
}

static inline void column_set(struct column *column, size_t step, double value)
{
    column->values[step] = value;
    column->present[step / 64] |= UINT64_C(1) << (step % 64);
}

static inline void column_clear(struct column *column, size_t step)
{
    column->present[step / 64] &= ~(UINT64_C(1) << (step % 64));
}

/* Samples of one series a window slides over, ascending, without stale markers. */
struct range_series {
    const struct labels *labels;
    const int64_t *times_ms;
    const double *values;
    size_t count;
    bool drop_name;
    const struct rolled *rolled; /* as in struct series_samples, without those of markers */
    int64_t interval_ms;         /* as there */
};

/* How a range reaches beyond its ends (functions_extended.c). */
enum extension { EXTENSION_NONE, EXTENSION_ANCHORED, EXTENSION_SMOOTHED };

struct value {
    enum promql_type type;
    double *scalars;             /* SCALAR: one a step */
    struct column *columns;      /* VECTOR */
    struct range_series *ranges; /* MATRIX; NULL where the series are */
    struct unread *unread;       /* still to be read, by who looks at each once */
    size_t count;                /* columns, ranges or unread */
    int64_t range_ms;            /* MATRIX: windows are (reference - range, reference], */
    enum extension extension;    /* and what an extended one may look at, so far before */
    int64_t before_ms, after_ms; /* and after it */
    bool fixed;                  /* the reference is fixed_ms - offset_ms, */
    int64_t fixed_ms, offset_ms; /* else the step's time - offset_ms */
    struct bytes string;
};

/* How a window lay in its samples, and by how much what was seen in it is stretched. */
struct stretched {
    int64_t before_ms, sampled_ms; /* from its start to the first sample, from there to the last */
    size_t count;                  /* of samples; 0: no window yet */
    double sampled_s;              /* sampled_ms; and how far beyond it is stretched */
    double to_start_s, to_end_s;
    double factor; /* where zero is no bound */
};

struct trend_times;

/* What a range function sees: samples [0, count) of the window, and what it may keep between
 * the windows of one series. */
struct window {
    const int64_t *times_ms;
    const double *values;
    size_t count;
    int64_t from_ms, until_ms; /* (from, until]; an extended range has samples beyond it */
    enum extension extension;
    int64_t eval_ms;          /* the step's own time */
    const double *parameters; /* scalar arguments at this step */
    const double *parameter;  /* the first one at this step and the next, where windows lie alike */
    /* of the whole series, slid over */
    const double *all_values;
    size_t all_count, first; /* the window is all[first .. first+count) */
    uint32_t *resets;        /* [i]: counter resets up to sample i; made when first asked for */
    uint32_t *reset_places;  /* [n]: the sample of the n-th reset */
    bool never_falls;        /* looked at: there is no reset, and neither of the two */
    struct stretched stretched;    /* the last window */
    size_t extreme, extreme_until; /* of min and max: where it was, and what was looked at */
    const struct rolled *rolled;   /* of the whole series; NULL: it has no records */
    bool is_narrow;                /* the window is one record that is wider than it, */
    double share;                  /* and has this part of what adds up; else 1 */
    double *scratch;               /* room for all_count numbers, made when first asked for */
    struct evaluation *ev;
    bool failed; /* out of memory */
};

#define ANNOTATIONS_MAX 64

struct annotations {
    const char *warnings[ANNOTATIONS_MAX];
    const char *infos[ANNOTATIONS_MAX];
    size_t warning_count, info_count;
};

/* What a selector fetched, kept for the next one that asks for the same. */
struct fetched {
    const struct node *selector;
    int64_t from_ms, until_ms, reach_ms;
    int64_t newest_step_ms; /* 0: all samples are there */
    struct series_samples *series;
    size_t count;
    bool no_labels, no_values; /* of the hints it was fetched with */
};

#define FETCHED_MAX 32

/* What a node has cost so far, its operands included. */
struct node_cost {
    uint64_t runs, steps, series, samples, chunks;
    int64_t nanoseconds;
};

struct evaluation {
    const struct promql_options *options;
    const struct promql_query *query;
    const struct promql_expression *expression;
    const struct plan *plan;
    struct queryable *store;
    struct querier *querier;
    int64_t lookback_ms;
    struct query_budget *budget;
    struct arena *arena;
    struct annotations notes;
    struct fetched fetched[FETCHED_MAX];
    size_t fetched_count;
    struct labels_builder builder;          /* scratch */
    struct buf text;                        /* scratch */
    struct trend_times *trend;              /* scratch of lines; made when first asked for */
    void *steps;                            /* scratch a step; made when first asked for */
    size_t steps_bytes;
    struct unread_place *place;             /* where series are read; made when first asked for */
    int unreadable;                         /* what reading them failed with */
    size_t ticks_left;                      /* until the next look at the clock */
    struct grid grid;                       /* of the whole query */
    uint64_t looked_at, *looked_at_by_step; /* as in the result; NULL if not asked for */
    struct node_cost *costs;                /* by node id; NULL if not asked for */
    struct diagnosis *why;
};

int evaluate(struct evaluation *ev, const struct node *node, const struct grid *grid,
             struct value *ret_value);

/* Is there still time, and somebody who wants the answer?  Cheap; called in every long loop. */
int evaluation_tick(struct evaluation *ev);
/* The same before work on so many steps at once. */
int evaluation_tick_steps(struct evaluation *ev, size_t steps);
/* Counts samples that the evaluator itself makes. */
int evaluation_charge(struct evaluation *ev, size_t samples);
/* Counts samples an expression looked at; those behind a subquery do not count, as in
 * Prometheus: its windows do. */
void evaluation_look(struct evaluation *ev, const struct grid *grid, size_t step,
                     size_t samples);
/* The same for every step at which the column has a value. */
void evaluation_look_column(struct evaluation *ev, const struct grid *grid,
                            const struct column *column);
/* Adds a note once: the text (printf format) and the place of the node. */
void annotate(struct evaluation *ev, const struct node *node, bool warning, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

/* An empty column for the grid's steps. */
int column_init(struct evaluation *ev, const struct grid *grid, struct column *ret_column);
/* Does any step hold a value? */
bool column_any(const struct column *column, const struct grid *grid);
/* Room for `count` columns (of which none counts yet). */
int value_columns(struct evaluation *ev, size_t count, struct value *ret_value);
/* Is it __name__, or (an experiment of Prometheus's) __type__ or __unit__, which say what a metric
 * is and fall off with its name? */
bool label_goes_with_name(const struct evaluation *ev, struct bytes name);
/* Takes these out of the evaluation's builder. */
void builder_drop_name(struct evaluation *ev);
/* The labels without them now, or the mark to drop it later. */
int column_drop_name(struct evaluation *ev, struct column *column);
/* Joins columns of equal labels; two values at one step are the error "vector cannot contain
 * metrics with the same labelset". */
int value_merge(struct evaluation *ev, const struct grid *grid, struct value *value);
/* The same error where any labels are equal, even of columns that share no step: where whole
 * series were looked at, Prometheus does not join them. */
int value_distinct(struct evaluation *ev, const struct value *value);
/* Drops names marked to be dropped, and merges. */
int value_finish_names(struct evaluation *ev, const struct grid *grid, struct value *value);
/* Lays a value of one step out over all steps of the grid. */
int value_broadcast(struct evaluation *ev, const struct grid *grid, struct value *value);
int labels_without_name(struct evaluation *ev, const struct labels *labels,
                        const struct labels **ret_labels);

/* parallel.c: one(mine, context, i) for all i below `count`, several at a time if the crew helps;
 * `mine` takes the place of `ev`.  Each i is another's business alone: it writes what belongs to
 * it, and annotates nothing.  `cost`: about how many samples and steps are looked at. */
int evaluate_shared(struct evaluation *ev, size_t count, uint64_t cost,
                    int (*one)(struct evaluation *mine, void *context, size_t index),
                    void *context);
/* The same for all that is unread (NULL: nothing is), which is over then, whatever comes of it. */
int evaluate_unread(struct evaluation *ev, struct unread *unread, size_t count, uint64_t cost,
                    int (*one)(struct evaluation *mine, void *context, size_t index),
                    void *context);
/* In such a loop: reads the i-th series (queryable.h). */
int read_series(struct evaluation *mine, struct unread *unread, size_t i,
                struct series_samples *ret_series);

/* profile.c: evaluate() with its cost noted; the costs as a list in the order of the plan. */
int evaluate_measured(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      struct value *ret_value);
int profile_make(struct evaluation *ev, struct promql_result *result);
/* eval.c: evaluate() itself. */
int evaluate_plain(struct evaluation *ev, const struct node *node, const struct grid *grid,
                   struct value *ret_value);

/* eval_selector.c */
/* The first of the ascending times from `at` on that lies behind `until_ms`.  Mostly as many are
 * passed as the time before, *passed, or few. */
size_t times_pass(const int64_t *times_ms, size_t count, size_t at, int64_t until_ms,
                  size_t *passed);
int evaluate_selector(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      bool times_instead, struct value *ret_value);
/* Ranges are left unread where they may be unless they are wanted `at_once`. */
int evaluate_matrix(struct evaluation *ev, const struct node *node, const struct grid *grid,
                    bool at_once, struct value *ret_value);
/* The i-th range of a matrix, unread or not; without samples if it has none.  It is valid until the
 * next one is read by the same evaluation. */
int matrix_range(struct evaluation *mine, const struct value *matrix, size_t i,
                 struct range_series *ret_range);
int evaluate_subquery(struct evaluation *ev, const struct node *node, const struct grid *grid,
                      struct value *ret_value);
/* eval_rolled.c: how far back the i-th sample or record may lie from a time it is taken for; */
int64_t rolled_lookback(const struct rolled *rolled, size_t i, int64_t lookback_ms);
/* tells in an info whose records stand in for samples, and when; */
void rolled_annotate(struct evaluation *ev, const struct node *node,
                     const struct series_samples *series, size_t count);
/* the records that are left when markers are dropped. */
int rolled_without_markers(struct evaluation *ev, const struct series_samples *series,
                           const struct rolled **ret_rolled);
/* functions_extended.c: the samples of an extended range that ends at until_ms, those at its
 * ends made; none if there are none. */
int extended_range(struct evaluation *ev, const struct value *matrix, int64_t until_ms,
                   struct range_series *series);
/* The reference time of a matrix value at a step. */
static inline int64_t value_reference(const struct value *value, const struct grid *grid,
                                      size_t step)
{
    return (value->fixed ? value->fixed_ms : grid_time(grid, step)) - value->offset_ms;
}

/* eval_binary.c: between two vectors, in eval_match.c, or with scalars. */
int evaluate_binary(struct evaluation *ev, const struct node *node, const struct grid *grid,
                    struct value *ret_value);
int match_vectors(struct evaluation *ev, const struct node *node, const struct grid *grid,
                  const struct value *left, const struct value *right, struct value *ret_value);
int match_sets(struct evaluation *ev, const struct node *node, const struct grid *grid,
               const struct value *left, const struct value *right, struct value *ret_value);
/* Applies an operator; *ret_keep is false if a comparison filters the value out. */
double operate(enum operator_kind operation, double left, double right, bool *ret_keep);

/* A table from label sets to numbers 0.., in the order they were first added. */
struct label_index {
    const struct labels **keys;
    size_t count, capacity;
    size_t *slots; /* number + 1, or 0; a power of two of them */
    size_t slot_count;
};
int label_index_init(struct evaluation *ev, size_t expected, struct label_index *ret_index);
/* The number of the set; a new one if it was not there. */
int label_index_add(struct evaluation *ev, struct label_index *index,
                    const struct labels *labels, size_t *ret_number);
/* The number, or SIZE_MAX. */
size_t label_index_find(const struct label_index *index, const struct labels *labels);
