/*
 * api_remote_read.c - POST /api/v1/read: stored samples for another Prometheus.
 *
 * Body: snappy's block format around a ReadRequest (schema/remote_read.proto).  The first
 * answer type of the asker's list that we know is used:
 *
 *     SAMPLES              one message, snappy; at most as many samples as a query may load
 *     STREAMED_XOR_CHUNKS  frames, made while they are sent; any number of samples
 *
 * Parameter `timeout`, at most promql.timeout: by then the answer is made, or a stream of it
 * has begun; from then on each piece of a stream has promql.timeout.
 *
 * Series are sorted by labels, samples are those in the closed interval, markers included, as
 * Prometheus's own are.  Errors are plain text: 400 what cannot be read or is too much, 500
 * (Prometheus's) a matcher that is none, 503 when memory or time is short.
 */
#include <inttypes.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#include "collector/http/api_parts.h"
#include "collector/http/remote_answer.h"
#include "collector/http/remote_parse.h"
#include "collector/http/remote_query.h"
#include "proto/base/error.h"

#define STREAMED_TYPE "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"

struct reading {
    struct http_stream stream;
    struct queryable *store;
    volatile bool *cancelled;
    struct arena_total *memory; /* that everything counts in */
    int64_t deadline_mono_ns;
    int64_t piece_ms; /* that one of a stream may take */
    struct remote_request request;
    struct remote_scratch scratch;
    /* the query being answered, once it is begun */
    size_t query;
    struct sample_walk walk;
    bool is_walking;
    size_t at; /* in the walk's window */
};

static void reading_free(struct reading *reading)
{
    if (reading == NULL)
        return;
    if (reading->is_walking)
        sample_walk_done(&reading->walk);
    remote_scratch_done(&reading->scratch);
    remote_request_free(&reading->request);
    free(reading);
}

/* ---- streamed -------------------------------------------------------------------------- */

static int begin_query(struct reading *reading, struct diagnosis *why)
{
    const struct remote_query *query = &reading->request.queries[reading->query];
    sample_walk_init(&reading->walk, reading->store, reading->memory, reading->cancelled,
                     query->from_ms, query->until_ms);
    reading->walk.deadline_mono_ns = reading->deadline_mono_ns;
    reading->is_walking = true;
    reading->at = 0;
    if (query->until_ms < query->from_ms)
        return 0;
    return sample_walk_list(&reading->walk, &query->selector, 1, WALK_BY_LABELS, why);
}

/* The rest of the window as a frame, or the next window, or the next series. */
static int go_on(struct reading *reading, struct buf *out)
{
    struct sample_walk *walk = &reading->walk;
    if (reading->at < walk->samples) {
        struct remote_samples rest = {.labels = walk->series[walk->at],
                                      .times_ms = walk->times_ms + reading->at,
                                      .values = walk->values + reading->at,
                                      .count = walk->samples - reading->at};
        reading->at += remote_put_frame(out, &rest, reading->query, &reading->scratch);
        return 0;
    }
    reading->at = 0;
    if (!sample_walk_ended(walk))
        return sample_walk_read(walk);
    sample_walk_next(walk);
    return 0;
}

static int reading_next(struct http_stream *stream, struct buf *out)
{
    struct reading *reading = (struct reading *)(void *)stream;
    reading->deadline_mono_ns = api_piece_deadline(reading->piece_ms);
    reading->walk.deadline_mono_ns = reading->deadline_mono_ns;
    while (reading->query < reading->request.count && out->size < HTTP_PIECE_BYTES) {
        int error = 0;
        if (__atomic_load_n(reading->cancelled, __ATOMIC_RELAXED))
            return ERR_CANCELLED;
        if (!reading->is_walking) {
            error = begin_query(reading, NULL);
        } else if (reading->walk.at < reading->walk.count) {
            error = go_on(reading, out);
        } else {
            sample_walk_done(&reading->walk);
            reading->is_walking = false;
            reading->query++;
        }
        if (error != 0)
            return error;
    }
    return 0;
}

static void reading_close(struct http_stream *stream)
{
    reading_free((struct reading *)(void *)stream);
}

/* ---- at once --------------------------------------------------------------------------- */

/* Whatever was said before. */
static int say(struct diagnosis *why, int error, const char *text)
{
    *why = (struct diagnosis){0};
    return diagnose(why, error, "%s", text);
}

static int out_of_total(struct diagnosis *why)
{
    return say(why, ERR_NOMEM, "all queries together have no memory left; try again");
}

/* What a text that has failed means; 0: it has not. */
static int text_error(const struct buf *text, struct diagnosis *why)
{
    return buf_ok(text) ? 0 : text->total_refused ? out_of_total(why) : ERR_LIMIT;
}

/* Appends what was found. */
static int put_found(struct reading *reading, const struct series_samples *found, size_t count,
                     const struct query_budget *budget, struct buf *result, struct diagnosis *why)
{
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++) {
        struct remote_samples samples = {found[i].labels, found[i].times_ms, found[i].values,
                                         found[i].count};
        error = query_budget_look(budget);
        if (error == 0 && samples.count > 0)
            remote_put_series(result, &samples, &reading->scratch);
        if (error == 0)
            error = text_error(result, why);
    }
    return error;
}

/* Appends to `result`. */
static int put_result(struct reading *reading, const struct remote_query *query,
                      struct query_budget *budget, const struct app *app, struct buf *result,
                      struct diagnosis *why)
{
    struct select_hints hints = {.from_ms = query->from_ms, .until_ms = query->until_ms};
    const struct queryable_calls *calls = reading->store->calls;
    struct querier *querier = NULL;
    struct series_samples *found = NULL;
    size_t count = 0;
    struct arena arena;
    if (query->until_ms < query->from_ms)
        return 0;
    arena_init(&arena, app->promql.max_memory_bytes);
    arena.total = reading->memory;
    int error = calls->open(reading->store, query->from_ms, query->until_ms, &querier, why);
    if (error == 0)
        error = calls->select(querier, query->selector.matchers, query->selector.count, &hints,
                              budget, &arena, &found, &count, why);
    if (querier != NULL)
        calls->close(querier);
    if (error == 0)
        error = put_found(reading, found, count, budget, result, why);
    if (error == ERR_LIMIT && arena.total_refused)
        error = out_of_total(why);
    arena_reset(&arena);
    return error;
}

static int put_all(struct reading *reading, const struct app *app, struct buf *plain,
                   struct diagnosis *why)
{
    struct query_budget budget = {.samples_left = app->promql.max_samples,
                                  .cancelled = reading->cancelled,
                                  .deadline_mono_ns = reading->deadline_mono_ns};
    struct buf result = {.total = reading->memory};
    int error = 0;
    for (size_t i = 0; i < reading->request.count && error == 0; i++) {
        buf_clear(&result);
        error = put_result(reading, &reading->request.queries[i], &budget, app, &result, why);
        if (error == 0)
            remote_put_message(plain, buf_bytes(&result));
        if (error == 0)
            error = text_error(plain, why);
    }
    buf_done(&result);
    return error;
}

static int pack(struct bytes plain, struct buf *out, struct diagnosis *why)
{
    size_t size = snappy_max_compressed_length(plain.size);
    uint8_t *to = buf_reserve(out, size);
    if (to == NULL)
        return text_error(out, why);
    if (snappy_compress(plain.size > 0 ? (const char *)plain.data : "", plain.size, (char *)to,
                        &size) != SNAPPY_OK)
        return ERR_NOMEM;
    out->size += size;
    return 0;
}

/* ---- the request ----------------------------------------------------------------------- */

static int read_request(struct bytes body, struct remote_request *request,
                        struct diagnosis *why)
{
    struct buf plain;
    buf_init(&plain, 0);
    int error = remote_unpack(body, REMOTE_READ_BYTES_MAX, &plain);
    if (error == ERR_MALFORMED)
        (void)diagnose(why, error, "snappy: corrupt input");
    if (error == 0)
        error = remote_request_parse(buf_bytes(&plain), request, why);
    buf_done(&plain);
    return error;
}

static void refuse(struct http_response *response, int error, const struct diagnosis *why)
{
    const char *text = why->text;
    if (*text == '\0')
        text = error == ERR_MALFORMED ? "no remote read request" : error_text(error);
    response->status = error == ERR_NOMEM || error == ERR_TIMEOUT ? 503
                       : error == ERR_CANCELLED                   ? 499
                       : error == ERR_INVALID                     ? 500
                                                                  : 400;
    response->content_type = "text/plain; charset=utf-8";
    http_drop_body(response);
    buf_printf(&response->body, "%s\n", text);
}

static int answer(struct reading *reading, const struct app *app,
                  struct http_response *response, struct diagnosis *why)
{
    if (reading->request.type == REMOTE_XOR_CHUNKS) {
        /* What the first query cannot have is told while there is still a status to tell it by.
         */
        int error = reading->request.count > 0 ? begin_query(reading, why) : 0;
        if (error == ERR_LIMIT && reading->walk.names.total_refused)
            error = out_of_total(why);
        response->content_type = STREAMED_TYPE;
        return error;
    }
    struct buf plain = {.total = reading->memory};
    int error = put_all(reading, app, &plain, why);
    if (error == 0)
        error = pack(buf_bytes(&plain), &response->body, why);
    bool is_pattern = strstr(why->text, "takes too long") != NULL;
    if (error == ERR_LIMIT && !is_pattern) { /* in Prometheus's words, not the query engine's */
        *why = (struct diagnosis){0};
        diagnose(why, error, "exceeded sample limit (%" PRIu64 ") or the memory of a query",
                 app->promql.max_samples);
    }
    buf_done(&plain);
    response->content_type = "application/x-protobuf";
    if (error == 0)
        http_add_header(response, "Content-Encoding", "snappy");
    return error;
}

void api_remote_read(struct http_request *request, struct http_response *response)
{
    const struct app *app = app_of(request);
    struct diagnosis why = {0};
    int64_t deadline_mono_ns = 0;
    response->plain_errors = true;
    if (!api_deadline(request, response, &deadline_mono_ns))
        return;
    if ((int64_t)clock_mono(&clock_system) >= deadline_mono_ns) {
        refuse(response, say(&why, ERR_TIMEOUT, "query timed out in query queue"), &why);
        return;
    }
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        refuse(response, ERR_NOMEM, &why);
        return;
    }
    reading->stream = (struct http_stream){reading_next, reading_close};
    reading->store = store_queryable(app->store);
    reading->memory = api_memory(request);
    reading->cancelled = &request->cancelled;
    reading->deadline_mono_ns = deadline_mono_ns;
    reading->piece_ms = app->query_timeout_ms;
    struct buf *const scratch[] = {&reading->scratch.whole, &reading->scratch.part,
                                   &reading->scratch.chunk};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++)
        scratch[i]->total = reading->memory;
    int error = read_request(request->body, &reading->request, &why);
    if (error == 0)
        error = answer(reading, app, response, &why);
    if (error == ERR_TIMEOUT)
        (void)say(&why, error, "query timed out in query execution");
    if (error == ERR_CANCELLED)
        (void)say(&why, error, "query was canceled in query execution");
    if (error != 0)
        refuse(response, error, &why);
    if (error == 0 && reading->request.type == REMOTE_XOR_CHUNKS)
        response->stream = &reading->stream;
    else
        reading_free(reading);
}
