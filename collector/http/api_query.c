/*
 * api_query.c - /api/v1/query, query_range, query_exemplars, format_query.
 *
 * Texts and limits are Prometheus's, letter by letter, because Grafana and people match on them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/http/points.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define POINTS_MAX 11000 /* steps; so 11,001 points pass, as in Prometheus */

/* What both kinds of query share. */
struct question {
    struct promql_expression *expression;
    struct promql_query query;
    size_t limit;
    mono_ns asked, started, prepared, evaluated;
};

/* One that is not positive means the default. */
static bool read_lookback(const struct http_request *request, struct http_response *response,
                          int64_t *ret_ms)
{
    struct diagnosis why = {0};
    const char *text = http_parameter(request, "lookback_delta");
    if (text != NULL && *text != '\0' && param_duration(text, ret_ms, &why) != 0) {
        reply_error(response, API_BAD_DATA, "error parsing lookback delta duration: %s",
                    why.text);
        return false;
    }
    if (*ret_ms < 0)
        *ret_ms = 0;
    return true;
}

/* timeout, limit, lookback_delta and the expression itself. */
static bool read_question(struct http_request *request, struct http_response *response,
                          struct question *question)
{
    if (!api_limit(request, response, &question->limit) ||
        !api_deadline(request, response, &question->query.deadline_mono_ns) ||
        !read_lookback(request, response, &question->query.lookback_ms))
        return false;
    question->asked = request->asked_mono_ns;
    question->started = clock_mono(&clock_system);
    question->query.cancelled = &request->cancelled;
    return api_expression(request, response, &question->expression);
}

/* ---- results --------------------------------------------------------------------------- */

static void write_vector(struct json_writer *json, const struct promql_result *result, size_t count)
{
    json_write_array(json);
    for (size_t i = 0; i < count; i++) {
        const struct series_samples *series = &result->series[i];
        must(series->count == 1);
        json_write_object(json);
        json_write_key(json, "metric");
        api_write_metric(json, series->labels);
        json_write_key(json, "value");
        points_write_one(json, series->times_ms[0], series->values[0]);
        json_write_end(json);
    }
    json_write_end(json);
}

/* A batch of series; `texts`: their points, where they are made already. */
static void write_batch(struct json_writer *json, const struct series_samples *series,
                        size_t count, const struct buf *texts)
{
    for (size_t i = 0; i < count; i++) {
        json_write_object(json);
        json_write_key(json, "metric");
        api_write_metric(json, series[i].labels);
        json_write_key(json, "values");
        if (texts != NULL)
            json_write_raw(json, buf_bytes(&texts[i]));
        else
            points_write(json, &series[i]);
        json_write_end(json);
    }
}

/* What a text counts in is what the answer counts in. */
static void take_text(struct buf *out, struct buf *text)
{
    out->failed = out->failed || text->failed;
    out->total_refused = out->total_refused || text->total_refused;
    buf_clear(text);
}

/* Stops where nobody waits for it any more. */
static void write_matrix(struct json_writer *json, const struct promql_result *result, size_t count,
                         struct crew *crew, const volatile bool *cancelled)
{
    struct buf texts[POINTS_BATCH] = {{0}};
    for (size_t i = 0; i < POINTS_BATCH; i++)
        texts[i].total = json->out->total;
    json_write_array(json);
    for (size_t first = 0; first < count && !__atomic_load_n(cancelled, __ATOMIC_RELAXED);
         first += POINTS_BATCH) {
        const struct series_samples *series = &result->series[first];
        const size_t batch = count - first < POINTS_BATCH ? count - first : POINTS_BATCH;
        const bool made = points_make(series, batch, crew, texts);
        write_batch(json, series, batch, made ? texts : NULL);
        for (size_t i = 0; made && i < batch; i++)
            take_text(json->out, &texts[i]);
    }
    json_write_end(json);
    for (size_t i = 0; i < POINTS_BATCH; i++)
        buf_done(&texts[i]);
}

/* Prometheus writes a scalar's value without exponent. */
static void write_scalar(struct json_writer *json, const struct series_samples *one)
{
    char text[NUMBER_TEXT_BYTES];
    json_write_array(json);
    json_write_seconds(json, one->times_ms[0]);
    json_write_text(json, promql_number_plain(one->values[0], text));
    json_write_end(json);
}

static void write_string(struct json_writer *json, const struct promql_result *result)
{
    json_write_array(json);
    json_write_seconds(json, result->string_ms);
    json_write_string(json, result->string);
    json_write_end(json);
}

static void write_timings(struct json_writer *json, const struct question *question)
{
    double total = (double)(clock_mono(&clock_system) - question->asked) / 1e9;
    double evaluation = (double)(question->evaluated - question->prepared) / 1e9;
    const struct {
        const char *name;
        double seconds;
    } timings[] = {
        {"evalTotalTime", evaluation},
        {"resultSortTime", 0}, /* part of the evaluation here */
        {"queryPreparationTime", (double)(question->prepared - question->started) / 1e9},
        {"innerEvalTime", evaluation},
        {"execQueueTime", (double)(question->started - question->asked) / 1e9},
        {"execTotalTime", total},
    };
    json_write_key(json, "timings");
    json_write_object(json);
    for (size_t i = 0; i < sizeof timings / sizeof *timings; i++) {
        json_write_key(json, timings[i].name);
        json_write_number(json, timings[i].seconds);
    }
    json_write_end(json);
}

static void write_stats(struct json_writer *json, const struct app *app,
                        const struct question *question, const struct promql_result *result)
{
    const struct promql_query *query = &question->query;
    size_t steps = query->step_ms == 0
                       ? 1
                       : (size_t)((query->end_ms - query->start_ms) / query->step_ms) + 1;
    json_write_key(json, "stats");
    json_write_object(json);
    write_timings(json, question);
    json_write_key(json, "samples");
    json_write_object(json);
    if (result->looked_at_by_step != NULL) {
        json_write_key(json, "totalQueryableSamplesPerStep");
        json_write_array(json);
        for (size_t i = 0; i < steps; i++) {
            json_write_array(json);
            json_write_seconds(json, query->start_ms + (int64_t)i * query->step_ms);
            json_write_integer(json, (int64_t)result->looked_at_by_step[i]);
            json_write_end(json);
        }
        json_write_end(json);
    }
    json_write_key(json, "totalQueryableSamples");
    json_write_integer(json, (int64_t)result->looked_at);
    json_write_key(json, "peakSamples");
    json_write_integer(json, (int64_t)(app->promql.max_samples - result->spent.samples_left));
    json_write_end(json);
    json_write_end(json);
}

/* What each part of the plan cost; ours, for fengsuictl query --explain. */
static void write_profile(struct json_writer *json, const struct promql_result *result)
{
    json_write_key(json, "explain");
    json_write_array(json);
    for (size_t i = 0; i < result->profile_count; i++) {
        const struct promql_profile *part = &result->profile[i];
        json_write_object(json);
        json_write_text_member(json, "expression", part->text);
        json_write_integer_member(json, "depth", part->depth);
        json_write_integer_member(json, "steps", (int64_t)part->steps);
        json_write_integer_member(json, "series", (int64_t)part->series);
        json_write_integer_member(json, "samples", (int64_t)part->samples);
        json_write_integer_member(json, "chunks", (int64_t)part->chunks);
        json_write_key(json, "seconds");
        json_write_number(json, (double)part->nanoseconds / 1e9);
        json_write_key(json, "ownSeconds");
        json_write_number(json, (double)part->own_nanoseconds / 1e9);
        json_write_end(json);
    }
    json_write_end(json);
}

static void answer(struct http_request *request, struct http_response *response,
                   const struct question *question, const struct promql_result *result)
{
    static const char *const type_names[] = {
        [PROMQL_SCALAR] = "scalar", [PROMQL_VECTOR] = "vector", [PROMQL_MATRIX] = "matrix",
        [PROMQL_STRING] = "string"};
    bool is_range = question->query.step_ms > 0;
    enum promql_type type = is_range ? PROMQL_MATRIX : result->type;
    size_t count = result->series_count;
    bool is_cut = question->limit > 0 && count > question->limit &&
                  (type == PROMQL_VECTOR || type == PROMQL_MATRIX);
    if (is_cut)
        count = question->limit;
    struct reply reply;
    reply_start(&reply, response);
    struct json_writer *json = &reply.json;
    json_write_object(json);
    json_write_key(json, "resultType");
    json_write_text(json, type_names[type]);
    json_write_key(json, "result");
    if (type == PROMQL_VECTOR)
        write_vector(json, result, count);
    else if (type == PROMQL_MATRIX)
        write_matrix(json, result, count, app_of(request)->promql.crew, &request->cancelled);
    else if (type == PROMQL_STRING)
        write_string(json, result);
    else
        write_scalar(json, &result->series[0]);
    const char *stats = http_parameter(request, "stats");
    if (stats != NULL && *stats != '\0')
        write_stats(json, app_of(request), question, result);
    if (question->query.wants_profile)
        write_profile(json, result);
    json_write_end(json);
    reply_finish(&reply, &result->annotations,
                 is_cut ? "results truncated due to limit" : NULL);
}

static void run(struct http_request *request, struct http_response *response,
                struct question *question)
{
    const struct app *app = app_of(request);
    struct promql_result result;
    struct promql_error error = {0};
    const char *stats = http_parameter(request, "stats");
    question->query.wants_steps = stats != NULL && strcmp(stats, "all") == 0;
    const char *explain = http_parameter(request, "explain");
    question->query.wants_profile = explain != NULL && *explain != '\0';
    struct promql_options options = app->promql;
    options.total = api_memory(request);
    question->prepared = clock_mono(&clock_system);
    if (!api_is_in_time(response, question->query.deadline_mono_ns))
        return;
    if (promql_run_expression(&options, store_queryable(app->store), question->expression,
                              &question->query, &result, &error) != 0) {
        api_query_error(response, "query", &error);
        return;
    }
    question->evaluated = clock_mono(&clock_system);
    answer(request, response, question, &result);
    promql_result_done(&result);
    if (__atomic_load_n(&request->cancelled, __ATOMIC_RELAXED)) /* it need not be whole */
        reply_error(response, API_CANCELED, "query was canceled in query execution");
}

void api_query(struct http_request *request, struct http_response *response)
{
    struct question question = {0};
    int64_t ts_ms = 0;
    if (!api_time(request, response, "time", clock_unix_ms(&clock_system), &ts_ms))
        return;
    question.query.start_ms = ts_ms;
    question.query.end_ms = ts_ms;
    if (read_question(request, response, &question))
        run(request, response, &question);
    promql_expression_free(question.expression);
}

/* ---- ranges ---------------------------------------------------------------------------- */

static bool read_required_time(const struct http_request *request,
                               struct http_response *response, const char *name,
                               int64_t *ret_ms)
{
    const char *text = http_parameter(request, name);
    struct diagnosis why = {0};
    int64_t ms = 0;
    if (param_time(text != NULL ? text : "", &ms, &why) != 0) {
        reply_invalid(response, name, why.text);
        return false;
    }
    *ret_ms = ms < TIME_FIRST_MS ? TIME_FIRST_MS : ms > TIME_LAST_MS ? TIME_LAST_MS : ms;
    return true;
}

static bool read_grid(struct http_request *request, struct http_response *response,
                      struct promql_query *query)
{
    if (!read_required_time(request, response, "start", &query->start_ms) ||
        !read_required_time(request, response, "end", &query->end_ms))
        return false;
    if (query->end_ms < query->start_ms) {
        reply_invalid(response, "end", "end timestamp must not be before start time");
        return false;
    }
    const char *step = http_parameter(request, "step");
    struct diagnosis why = {0};
    if (param_duration(step != NULL ? step : "", &query->step_ms, &why) != 0) {
        reply_invalid(response, "step",
                      step != NULL && *step != '\0'
                          ? why.text
                          : "cannot parse \"\" to a valid duration");
        return false;
    }
    bool is_tiny = query->step_ms == 0 && strtod(step, NULL) > 0; /* below a millisecond */
    if (query->step_ms <= 0 && !is_tiny) {
        reply_invalid(response, "step",
                      "zero or negative query resolution step widths are not accepted. Try a "
                      "positive integer");
        return false;
    }
    if (is_tiny || (query->end_ms - query->start_ms) / query->step_ms > POINTS_MAX) {
        reply_error(response, API_BAD_DATA,
                    "exceeded maximum resolution of 11,000 points per timeseries. Try "
                    "decreasing the query resolution (?step=XX)");
        return false;
    }
    return true;
}

static bool is_fit_for_range(struct http_response *response,
                             const struct promql_expression *expression)
{
    enum promql_type type = promql_expression_type(expression);
    if (type == PROMQL_SCALAR || type == PROMQL_VECTOR)
        return true;
    char text[120];
    snprintf(text, sizeof text,
             "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
             type == PROMQL_MATRIX ? "range vector" : "string");
    reply_invalid(response, "query", text);
    return false;
}

void api_query_range(struct http_request *request, struct http_response *response)
{
    struct question question = {0};
    if (read_grid(request, response, &question.query) &&
        read_question(request, response, &question) &&
        is_fit_for_range(response, question.expression))
        run(request, response, &question);
    promql_expression_free(question.expression);
}

/* ---- the rest -------------------------------------------------------------------------- */

static int stop_at_selector(void *context, struct matcher *const *matchers, size_t count)
{
    (void)context;
    (void)matchers;
    (void)count;
    return 1;
}

/* There are no exemplars; Grafana asks at start with times in odd units, and must get an answer. */
void api_query_exemplars(struct http_request *request, struct http_response *response)
{
    int64_t start_ms = 0;
    int64_t end_ms = 0;
    if (!api_time(request, response, "start", TIME_FIRST_MS, &start_ms) ||
        !api_time(request, response, "end", TIME_LAST_MS, &end_ms))
        return;
    if (end_ms < start_ms) {
        reply_error(response, API_BAD_DATA,
                    "end timestamp must not be before start timestamp");
        return;
    }
    struct promql_expression *expression = NULL;
    struct promql_error error = {0};
    const char *text = http_parameter(request, "query");
    if (promql_parse(text != NULL ? text : "", &expression, &error) != 0) {
        reply_error(response, API_BAD_DATA, "%u:%u: parse error: %s", error.line, error.column,
                    error.why.text);
        return;
    }
    bool has_selector = promql_expression_selectors(expression, stop_at_selector, NULL) != 0;
    promql_expression_free(expression);
    if (!has_selector) { /* Prometheus has nothing to say then, not even that there is nothing
                          */
        response->status = 204;
        return;
    }
    struct reply reply;
    reply_start(&reply, response);
    json_write_array(&reply.json);
    json_write_end(&reply.json);
    reply_finish(&reply, NULL, NULL);
}

void api_format_query(struct http_request *request, struct http_response *response)
{
    struct promql_expression *expression = NULL;
    if (!api_expression(request, response, &expression))
        return;
    struct buf text = {.total = response->body.total};
    promql_expression_lay_out(expression, &text);
    struct reply reply;
    reply_start(&reply, response);
    json_write_string(&reply.json, buf_bytes(&text));
    take_text(reply.json.out, &text);
    reply_finish(&reply, NULL, NULL);
    buf_done(&text);
    promql_expression_free(expression);
}
