/*
 * api_remote_read.c - POST /api/v1/read: stored samples for another Prometheus.
 *
 * Body: snappy's block format around a ReadRequest (schema/remote_read.proto).  The first
 * answer type of the asker's list that we know is used:
 *
 *     SAMPLES              one message, snappy; at most as many samples as a query may load
 *     STREAMED_XOR_CHUNKS  frames, made while they are sent; any number of samples
 *
 * Series are sorted by labels, samples are those in the closed interval, markers included, as
 * Prometheus's own are.  Errors are plain text: 400 what cannot be read or is too much, 503
 * when memory is short.
 */
#include <inttypes.h>
#include <snappy-c.h>
#include <stdlib.h>

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
    struct arena_total *total; /* of all queries */
    size_t held_bytes;         /* what texts count in it */
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
    arena_total_release(reading->total, reading->held_bytes);
    remote_scratch_done(&reading->scratch);
    remote_request_free(&reading->request);
    free(reading);
}

/* ---- streamed -------------------------------------------------------------------------- */

static int begin_query(struct reading *reading, struct diagnosis *why)
{
    const struct remote_query *query = &reading->request.queries[reading->query];
    sample_walk_init(&reading->walk, reading->store, reading->total, reading->cancelled,
                     query->from_ms, query->until_ms);
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

/* Texts of an answer count in the total as they grow. */
static bool hold(struct reading *reading, size_t bytes)
{
    if (bytes <= reading->held_bytes)
        return true;
    if (!arena_total_hold(reading->total, bytes - reading->held_bytes))
        return false;
    reading->held_bytes = bytes;
    return true;
}

static int out_of_total(struct diagnosis *why)
{
    *why = (struct diagnosis){0};
    return diagnose(why, ERR_NOMEM, "all queries together have no memory left; try again");
}

/* Appends to `result`; `plain_bytes` are there before it. */
static int put_result(struct reading *reading, const struct remote_query *query,
                      struct query_budget *budget, const struct app *app, size_t plain_bytes,
                      struct buf *result, struct diagnosis *why)
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
    arena.total = app->promql.total;
    int error = calls->open(reading->store, query->from_ms, query->until_ms, &querier, why);
    if (error == 0)
        error = calls->select(querier, query->selector.matchers, query->selector.count, &hints,
                              budget, &arena, &found, &count, why);
    if (querier != NULL)
        calls->close(querier);
    for (size_t i = 0; i < count && error == 0; i++) {
        struct remote_samples samples = {found[i].labels, found[i].times_ms, found[i].values,
                                         found[i].count};
        if (samples.count > 0)
            remote_put_series(result, &samples, &reading->scratch);
        error = !buf_ok(result)                                ? ERR_LIMIT
                : !hold(reading, plain_bytes + result->capacity) ? out_of_total(why)
                                                               : 0;
    }
    if (error != 0 && arena.total_refused)
        error = out_of_total(why);
    arena_reset(&arena);
    return error;
}

static int put_all(struct reading *reading, const struct app *app, struct buf *plain,
                   struct diagnosis *why)
{
    struct query_budget budget = {.samples_left = app->promql.max_samples,
                                  .cancelled = reading->cancelled};
    struct buf result;
    int error = 0;
    buf_init(&result, app->promql.max_memory_bytes);
    for (size_t i = 0; i < reading->request.count && error == 0; i++) {
        buf_clear(&result);
        error = put_result(reading, &reading->request.queries[i], &budget, app, plain->capacity,
                           &result, why);
        remote_put_message(plain, buf_bytes(&result));
        if (error == 0 && !hold(reading, plain->capacity + result.capacity))
            error = out_of_total(why);
    }
    buf_done(&result);
    return error == 0 && !buf_ok(plain) ? ERR_LIMIT : error;
}

static int pack(struct bytes plain, struct buf *out)
{
    size_t size = snappy_max_compressed_length(plain.size);
    uint8_t *to = buf_reserve(out, size);
    if (to == NULL || snappy_compress(plain.size > 0 ? (const char *)plain.data : "",
                                      plain.size, (char *)to, &size) != SNAPPY_OK)
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
    if (error == 0)
        error = remote_request_parse(buf_bytes(&plain), request, why);
    buf_done(&plain);
    return error;
}

static void refuse(struct http_response *response, int error, const struct diagnosis *why)
{
    const char *text = why->text;
    if (*text == '\0')
        text = error == ERR_MALFORMED ? "no remote read request in snappy's block format"
                                      : error_text(error);
    response->status = error == ERR_NOMEM ? 503 : error == ERR_CANCELLED ? 499 : 400;
    response->content_type = "text/plain; charset=utf-8";
    buf_clear(&response->body);
    buf_printf(&response->body, "%s\n", text);
}

static int answer(struct reading *reading, const struct app *app,
                  struct http_response *response, struct diagnosis *why)
{
    if (reading->request.type == REMOTE_XOR_CHUNKS) {
        /* What the first query cannot have is told while there is still a status to tell it by.
         */
        int error = reading->request.count > 0 ? begin_query(reading, why) : 0;
        response->content_type = STREAMED_TYPE;
        return error;
    }
    struct buf plain;
    buf_init(&plain, app->promql.max_memory_bytes);
    int error = put_all(reading, app, &plain, why);
    if (error == ERR_LIMIT) { /* in Prometheus's words, not the query engine's */
        *why = (struct diagnosis){0};
        diagnose(why, error, "exceeded sample limit (%" PRIu64 ") or the memory of a query",
                 app->promql.max_samples);
    }
    if (error == 0 &&
        !hold(reading, plain.capacity + snappy_max_compressed_length(plain.size)))
        error = out_of_total(why);
    if (error == 0)
        error = pack(buf_bytes(&plain), &response->body);
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
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL) {
        refuse(response, ERR_NOMEM, &why);
        return;
    }
    reading->stream = (struct http_stream){reading_next, reading_close};
    reading->store = store_queryable(app->store);
    reading->total = app->promql.total;
    reading->cancelled = &request->cancelled;
    int error = read_request(request->body, &reading->request, &why);
    if (error == 0)
        error = answer(reading, app, response, &why);
    if (error != 0)
        refuse(response, error, &why);
    if (error == 0 && reading->request.type == REMOTE_XOR_CHUNKS)
        response->stream = &reading->stream;
    else
        reading_free(reading);
}
