/*
 * engine.c - a query from its text to its result: parse, plan, open the store, evaluate, shape.
 *
 * Everything a query allocates comes from one arena, which at success belongs to the result.
 * However a query dies - too many samples, too much memory, too late, cancelled - it dies
 * alone, with an error that says which.
 */
#include "collector/promql/engine.h"

#include <stdlib.h>
#include <string.h>

#include "collector/promql/eval.h"
#include "collector/promql/parser.h"
#include "proto/base/error.h"

#define DEFAULT_MEMORY_BYTES ((size_t)1 << 30)
#define TIME_MS_MAX          (INT64_C(1) << 61)
#define TEXT_BYTES_MAX       ((size_t)1 << 20) /* scratch; no label or message needs more */

static int fail(struct promql_error *error, enum promql_failure failure, int code)
{
    error->failure = failure;
    return code;
}

void promql_expression_free(struct promql_expression *expression)
{
    if (expression == NULL)
        return;
    for (size_t i = 0; i < expression->matcher_count; i++)
        matcher_free(expression->matchers[i]);
    free(expression->matchers);
    arena_reset(&expression->arena);
    free(expression);
}

/* An expression that holds a copy of the text and nothing else yet. */
static int expression_new(const char *text, struct promql_expression **ret_expression,
                          struct promql_error *error)
{
    size_t size = strlen(text);
    *error = (struct promql_error){.failure = PROMQL_OK};
    if (size > QUERY_BYTES_MAX) {
        error->line = error->column = 1;
        return fail(error, PROMQL_BAD_DATA,
                    diagnose(&error->why, ERR_INVALID,
                             "the expression is longer than %zu bytes", QUERY_BYTES_MAX));
    }
    struct promql_expression *expression = calloc(1, sizeof *expression);
    if (expression != NULL)
        arena_init(&expression->arena, EXPRESSION_BYTES_MAX);
    char *copy = expression != NULL ? arena_alloc(&expression->arena, size + 1, 1) : NULL;
    if (copy == NULL) {
        promql_expression_free(expression);
        return fail(error, PROMQL_EXECUTION, diagnose(&error->why, ERR_NOMEM, "out of memory"));
    }
    memcpy(copy, text, size);
    expression->text = copy;
    *ret_expression = expression;
    return 0;
}

int promql_parse(const char *text, struct promql_expression **ret_expression,
                 struct promql_error *ret_error)
{
    struct promql_expression *expression = NULL;
    struct parser parser;

    int code = expression_new(text, &expression, ret_error);
    if (code != 0)
        return code;
    parser_init(&parser, expression, ret_error);
    if (parser_at(&parser, TOKEN_END))
        (void)parser_fail(&parser, 0, "no expression found in input");
    expression->root = parser.code == 0 ? parse_expression(&parser) : NULL;
    if (parser.code == 0 && !parser_at(&parser, TOKEN_END))
        (void)parser_unexpected(&parser, "", "");
    if (parser.code == 0 && check_height(&parser, expression->root, 1))
        (void)check_expression(&parser, expression->root);
    if (parser.code != 0) {
        promql_expression_free(expression);
        return parser.code;
    }
    *ret_expression = expression;
    return 0;
}

enum promql_type promql_expression_type(const struct promql_expression *expression)
{
    return expression->root->type;
}

static int each_selector(const struct node *node,
                         int (*each)(void *context, struct matcher *const *matchers,
                                     size_t count),
                         void *context)
{
    int stop = 0;
    if (node->kind == NODE_SELECTOR)
        return each(context, node->matchers, node->matcher_count);
    for (const struct node *child = node->first; stop == 0 && child != NULL;
         child = child->next)
        stop = each_selector(child, each, context);
    if (stop == 0 && node->second != NULL)
        stop = each_selector(node->second, each, context);
    return stop;
}

int promql_expression_selectors(const struct promql_expression *expression,
                                int (*each)(void *context, struct matcher *const *matchers,
                                            size_t count),
                                void *context)
{
    return each_selector(expression->root, each, context);
}

/* A duration as it is written; false if it is an expression. */
static bool literal_ms(const struct node *duration, int64_t *ret_ms)
{
    if (duration != NULL && duration->kind != NODE_NUMBER)
        return false;
    *ret_ms = duration == NULL ? 0 : (int64_t)(duration->number * 1000);
    return true;
}

static int each_input(const struct node *node, const struct node *range,
                      int (*each)(void *context, const struct promql_input *input),
                      void *context)
{
    int stop = 0;
    if (node->kind == NODE_SELECTOR) {
        struct promql_input input = {.matchers = node->matchers,
                                     .matcher_count = node->matcher_count,
                                     .is_fixed = node->at_modifier != AT_NONE};
        if (!literal_ms(range, &input.range_ms) || !literal_ms(node->offset, &input.offset_ms))
            input.is_fixed = true;
        return each(context, &input);
    }
    range = node->kind == NODE_MATRIX ? node->range : NULL;
    for (const struct node *child = node->first; stop == 0 && child != NULL;
         child = child->next)
        stop = each_input(child, range, each, context);
    if (stop == 0 && node->second != NULL)
        stop = each_input(node->second, NULL, each, context);
    return stop;
}

int promql_expression_inputs(const struct promql_expression *expression,
                             int (*each)(void *context, const struct promql_input *input),
                             void *context)
{
    return each_input(expression->root, NULL, each, context);
}

int promql_parse_selector(const char *text, struct matcher ***ret_matchers, size_t *ret_count,
                          struct promql_error *ret_error)
{
    struct promql_expression *expression = NULL;
    struct parser parser;

    int code = expression_new(text, &expression, ret_error);
    if (code != 0)
        return code;
    parser_init(&parser, expression, ret_error);
    if (parser.code == 0 && !parser_at(&parser, TOKEN_WORD) &&
        !parser_at(&parser, TOKEN_LEFT_BRACE))
        (void)parser_unexpected(&parser, "", "");
    const struct node *node = parser.code == 0 ? parse_selector(&parser) : NULL;
    if (parser.code == 0 && !parser_at(&parser, TOKEN_END))
        (void)parser_unexpected(&parser, "", "");
    if (parser.code == 0)
        (void)check_expression(&parser, node);
    if (parser.code == 0) {
        *ret_matchers = expression->matchers; /* the expression gives them up */
        *ret_count = expression->matcher_count;
        expression->matchers = NULL;
        expression->matcher_count = 0;
    }
    promql_expression_free(expression);
    return parser.code;
}

void promql_matchers_free(struct matcher **matchers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        matcher_free(matchers[i]);
    free(matchers);
}

/* One sample, and the room for it. */
static int one_sample(struct arena *arena, const struct labels *labels, int64_t time_ms,
                      double value, struct series_samples *out)
{
    int64_t *time = arena_alloc(arena, 1, sizeof *time);
    double *copy = arena_alloc(arena, 1, sizeof *copy);
    if (time == NULL || copy == NULL)
        return ERR_NOMEM;
    *time = time_ms;
    *copy = value;
    *out = (struct series_samples){
        .labels = labels, .times_ms = time, .values = copy, .count = 1};
    return 0;
}

static int order_of_series(const void *left, const void *right)
{
    return labels_compare(((const struct series_samples *)left)->labels,
                          ((const struct series_samples *)right)->labels);
}

static void sort_series(struct promql_result *result)
{
    if (result->series_count > 1)
        qsort(result->series, result->series_count, sizeof *result->series, order_of_series);
}

/* Columns as series: for a range query all their values, for an instant one the only. */
static int shape_columns(struct evaluation *ev, const struct grid *grid,
                         const struct value *value, struct promql_result *result)
{
    for (size_t i = 0; i < value->count; i++) {
        const struct column *column = &value->columns[i];
        size_t count = 0;
        for (size_t word = 0; word < (grid->count + 63) / 64; word++)
            count += (size_t)__builtin_popcountll(column->present[word]);
        if (count == 0)
            continue;
        int error = evaluation_charge(ev, count);
        int64_t *times = arena_alloc(ev->arena, count, sizeof *times);
        if (error != 0 || times == NULL)
            return error != 0 ? error : ERR_NOMEM;
        size_t kept = 0;
        for (size_t step = 0; step < grid->count; step++)
            if (column_has(column, step)) {
                times[kept] = grid_time(grid, step);
                column->values[kept++] = column->values[step]; /* never ahead of its source */
            }
        result->series[result->series_count++] =
            (struct series_samples){.labels = column->labels,
                                    .times_ms = times,
                                    .values = column->values,
                                    .count = count};
    }
    return 0;
}

/* A scalar over a range is a series without labels. */
static int shape_scalars(struct evaluation *ev, const struct grid *grid,
                         const struct value *value, struct promql_result *result)
{
    const struct labels *none;
    int error = labels_build(NULL, 0, ev->arena, &none);
    if (error != 0)
        return error;
    result->series_count = 1;
    if (ev->query->step_ms == 0)
        return one_sample(ev->arena, none, grid->start_ms, value->scalars[0], result->series);
    int64_t *times = arena_alloc(ev->arena, grid->count, sizeof *times);
    if (times == NULL)
        return ERR_NOMEM;
    for (size_t step = 0; step < grid->count; step++)
        times[step] = grid_time(grid, step);
    result->series[0] = (struct series_samples){
        .labels = none, .times_ms = times, .values = value->scalars, .count = grid->count};
    return 0;
}

/* The window of an instant query's range vector, sample by sample. */
static int shape_ranges(struct evaluation *ev, const struct grid *grid,
                        const struct value *value, struct promql_result *result)
{
    int64_t until_ms = value_reference(value, grid, 0);
    int64_t from_ms = until_ms - value->range_ms;
    for (size_t i = 0; i < value->count; i++) {
        struct range_series *range = &value->ranges[i];
        const struct labels *labels = range->labels;
        size_t first = 0;
        size_t next = range->count;
        int error = 0;
        while (first < next && range->times_ms[first] <= from_ms)
            first++;
        while (next > first && range->times_ms[next - 1] > until_ms)
            next--;
        if (value->extension != EXTENSION_NONE) { /* with made samples at both ends */
            error = extended_range(ev, value, until_ms, range);
            first = 0;
            next = range->count;
        }
        if (error != 0)
            return error;
        error = range->drop_name ? labels_without_name(ev, labels, &labels) : 0;
        if (error != 0)
            return error;
        evaluation_look(ev, grid, 0, next - first);
        if (first < next)
            result->series[result->series_count++] = (struct series_samples){
                .labels = labels,
                .times_ms = range->times_ms + first,
                .values = range->values + first,
                .count = next - first};
    }
    sort_series(result);
    for (size_t i = 1; i < result->series_count; i++)
        if (labels_equal(result->series[i - 1].labels, result->series[i].labels))
            return diagnose(ev->why, ERR_INVALID,
                            "vector cannot contain metrics with the same labelset");
    return 0;
}

static int shape(struct evaluation *ev, const struct grid *grid, struct value *value,
                 struct promql_result *result)
{
    int error = 0;
    bool range = ev->query->step_ms != 0;

    result->type = range ? PROMQL_MATRIX : value->type;
    if (value->type == PROMQL_STRING) {
        uint8_t *copy = arena_alloc(ev->arena, value->string.size + 1, 1);
        if (copy == NULL)
            return ERR_NOMEM;
        memcpy(copy, value->string.data, value->string.size);
        result->string = (struct bytes){copy, value->string.size};
        result->string_ms = grid->start_ms;
        return 0;
    }
    if (value->type == PROMQL_VECTOR)
        error = value_finish_names(ev, grid, value);
    result->series = arena_alloc(ev->arena, value->count + 1, sizeof *result->series);
    if (error == 0 && result->series == NULL)
        error = ERR_NOMEM;
    if (error != 0)
        return error;
    if (value->type == PROMQL_SCALAR)
        return shape_scalars(ev, grid, value, result);
    if (value->type == PROMQL_MATRIX)
        return shape_ranges(ev, grid, value, result);
    error = shape_columns(ev, grid, value, result);
    if (error == 0 && range)
        sort_series(result);
    return error;
}

static int keep_notes(struct evaluation *ev, struct promql_result *result)
{
    struct annotations *notes = arena_alloc(ev->arena, 1, sizeof *notes);
    if (notes == NULL)
        return ERR_NOMEM;
    *notes = ev->notes;
    result->annotations = (struct promql_annotations){notes->warnings, notes->warning_count,
                                                      notes->infos, notes->info_count};
    return 0;
}

/* Says which end the query met, where nobody nearer did. */
static int explain(const struct promql_options *options, struct promql_error *error, int code)
{
    switch (code) {
    case ERR_CANCELLED:
        error->why.text[0] = '\0';
        return fail(error, PROMQL_CANCELLED,
                    diagnose(&error->why, code, "query was canceled in query execution"));
    case ERR_TIMEOUT:
        error->why.text[0] = '\0';
        return fail(error, PROMQL_TIMEOUT,
                    diagnose(&error->why, code, "query timed out in query execution"));
    case ERR_LIMIT:
        return fail(
            error, PROMQL_EXECUTION,
            diagnose(&error->why, code,
                     "query processing would load too many samples into memory in query "
                     "execution"));
    case ERR_NOMEM:
        return fail(error, PROMQL_EXECUTION,
                    diagnose(&error->why, code,
                             "query needs more than the %zu bytes of memory it may use",
                             options->max_memory_bytes));
    case ERR_INVALID:
        return fail(error, PROMQL_EXECUTION,
                    diagnose(&error->why, code, "the query cannot be evaluated"));
    case ERR_MALFORMED:
        return fail(error, PROMQL_EXECUTION,
                    diagnose(&error->why, code,
                             "the query would make a label that is not "
                             "valid UTF-8"));
    default:
        return fail(error, PROMQL_INTERNAL,
                    diagnose(&error->why, code, "%s", error_text(code)));
    }
}

static int check_query(const struct promql_expression *expression,
                       const struct promql_query *query, struct promql_error *error)
{
    enum promql_type type = expression->root->type;
    if (query->start_ms < -TIME_MS_MAX || query->start_ms > TIME_MS_MAX ||
        query->end_ms < -TIME_MS_MAX || query->end_ms > TIME_MS_MAX ||
        query->end_ms < query->start_ms || query->step_ms < 0)
        return fail(error, PROMQL_BAD_DATA,
                    diagnose(&error->why, ERR_INVALID, "the query's times are out of range"));
    if (query->step_ms != 0 && type != PROMQL_SCALAR && type != PROMQL_VECTOR)
        return fail(
            error, PROMQL_BAD_DATA,
            diagnose(&error->why, ERR_INVALID,
                     "invalid expression type \"%s\" for range query, must be Scalar or "
                     "instant Vector",
                     promql_type_text(type)));
    return 0;
}

static int run_planned(struct evaluation *ev, struct promql_result *result)
{
    const struct promql_query *query = ev->query;
    struct grid grid = {query->start_ms, query->step_ms, 1};
    struct value value = {0};

    if (query->step_ms != 0)
        grid.count = (size_t)((query->end_ms - query->start_ms) / query->step_ms) + 1;
    ev->grid = grid;
    if (query->wants_steps) {
        ev->looked_at_by_step = arena_alloc(ev->arena, grid.count, sizeof(uint64_t));
        if (ev->looked_at_by_step == NULL)
            return ERR_NOMEM;
    }
    if (query->wants_profile) {
        ev->costs = arena_alloc(ev->arena, ev->expression->node_count + 1, sizeof *ev->costs);
        if (ev->costs == NULL)
            return ERR_NOMEM;
    }
    int code = ev->store->calls->open(ev->store, ev->plan->from_ms, ev->plan->until_ms,
                                      &ev->querier, ev->why);
    if (code != 0)
        return code;
    code = evaluate(ev, ev->expression->root, &grid, &value);
    if (code == 0)
        code = shape(ev, &grid, &value, result);
    if (code == 0)
        code = keep_notes(ev, result);
    if (code == 0 && ev->costs != NULL)
        code = profile_make(ev, result);
    ev->store->calls->close(ev->querier);
    return code;
}

static int diagnose_total(const struct promql_options *options, struct promql_error *error)
{
    const struct arena_total *all = options->total;
    while (all->parent != NULL)
        all = all->parent;
    error->why.text[0] = '\0';
    return diagnose(&error->why, ERR_NOMEM,
                    "all queries together need more than the %zu bytes of memory they may use; try "
                    "again when others have ended",
                    all->limit_bytes);
}

static int run_expression(const struct promql_options *options, struct queryable *store,
                          const struct promql_expression *expression,
                          const struct promql_query *query, struct promql_result *ret_result,
                          struct promql_error *ret_error)
{
    struct promql_result result = {.type = PROMQL_VECTOR};
    struct query_budget budget = {.crew = options->crew,
                                  .samples_left = options->max_samples,
                                  .cancelled = query->cancelled,
                                  .deadline_mono_ns = query->deadline_mono_ns};
    struct plan plan;

    int code = check_query(expression, query, ret_error);
    if (code != 0)
        return code;
    arena_init(&result.arena, options->max_memory_bytes != 0 ? options->max_memory_bytes
                                                             : DEFAULT_MEMORY_BYTES);
    result.arena.total = options->total;
    struct evaluation *ev = calloc(1, sizeof *ev);
    if (ev == NULL)
        return explain(options, ret_error, ERR_NOMEM);
    ev->options = options;
    ev->query = query;
    ev->expression = expression;
    ev->plan = &plan;
    ev->store = store;
    ev->lookback_ms = query->lookback_ms != 0 ? query->lookback_ms : options->lookback_ms;
    ev->budget = &budget;
    ev->arena = &result.arena;
    buf_init(&ev->text, TEXT_BYTES_MAX);
    ev->why = &ret_error->why;
    code = plan_make(expression, options, query, ev->lookback_ms, ev->arena, &plan, ev->why);
    bool planned = code == 0;
    if (planned)
        code = run_planned(ev, &result);
    result.looked_at = ev->looked_at;
    result.looked_at_by_step = ev->looked_at_by_step;
    labels_builder_done(&ev->builder);
    buf_done(&ev->text);
    free(ev);
    if (code != 0) {
        if (result.arena.total_refused && options->total != NULL)
            code = diagnose_total(options, ret_error);
        arena_reset(&result.arena);
        code = explain(options, ret_error, code);
        if (!planned && code == ERR_INVALID)
            ret_error->failure = PROMQL_BAD_DATA;
        return code;
    }
    result.spent = budget;
    *ret_result = result;
    return 0;
}

int promql_run_expression(const struct promql_options *options, struct queryable *store,
                          const struct promql_expression *expression,
                          const struct promql_query *query, struct promql_result *ret_result,
                          struct promql_error *ret_error)
{
    const size_t bytes = expression->arena.held_bytes;
    *ret_error = (struct promql_error){.failure = PROMQL_OK};
    if (options->total != NULL && !arena_total_hold(options->total, bytes))
        return explain(options, ret_error, diagnose_total(options, ret_error));
    int code = run_expression(options, store, expression, query, ret_result, ret_error);
    if (options->total != NULL)
        arena_total_release(options->total, bytes);
    return code;
}

int promql_run(const struct promql_options *options, struct queryable *store,
               const struct promql_query *query, struct promql_result *ret_result,
               struct promql_error *ret_error)
{
    struct promql_expression *expression = NULL;
    int code = promql_parse(query->text, &expression, ret_error);
    if (code != 0)
        return code;
    code = promql_run_expression(options, store, expression, query, ret_result, ret_error);
    promql_expression_free(expression);
    return code;
}

void promql_result_done(struct promql_result *result)
{
    arena_reset(&result->arena);
    *result = (struct promql_result){.type = PROMQL_VECTOR};
}
