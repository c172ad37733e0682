/*
 * stream.c - bodies that are made while they are sent.
 *
 *     query pool            loop, in libmicrohttpd
 *     next() -> piece ----> read_piece() copies it out; used up: suspend, back to the pool
 *
 * One piece is in memory at a time, and a client that reads slowly holds no thread.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "collector/http/exchange.h"
#include "proto/base/error.h"
#include "proto/base/log.h"

#define BLOCK_BYTES    ((size_t)32 << 10)
#define COMPRESS_LEVEL 1
#define DEFLATE_STEP   ((size_t)64 << 10)
#define PACKER_BYTES   ((size_t)272 << 10) /* of zlib: (1 << 17) + (1 << 17), and some KiB */

struct streamed_body {
    struct http_stream *source;
    struct arena_total *memory;
    struct buf plain; /* what next() has made, if it is to be compressed */
    struct buf piece; /* what goes out */
    size_t sent;      /* of it */
    z_stream packer;
    bool has_packer;
    bool is_at_end;
    int error;
};

/* ---- pool thread ----------------------------------------------------------------------- */

/* Compresses all of `plain` behind what is in `piece`. */
static int pack(struct streamed_body *state)
{
    z_stream *packer = &state->packer;
    packer->next_in = state->plain.data;
    packer->avail_in = (uInt)state->plain.size;
    int flush = state->is_at_end ? Z_FINISH : Z_NO_FLUSH;
    for (;;) {
        uint8_t *to = buf_reserve(&state->piece, DEFLATE_STEP);
        if (to == NULL)
            return ERR_NOMEM;
        packer->next_out = to;
        packer->avail_out = (uInt)DEFLATE_STEP;
        int code = deflate(packer, flush);
        state->piece.size += DEFLATE_STEP - packer->avail_out;
        if (code == Z_STREAM_ERROR)
            return ERR_INVALID;
        if (packer->avail_out > 0)
            return 0;
    }
}

/* The next piece with anything in it, or the end. */
static int make_piece(struct streamed_body *state)
{
    struct buf *made = state->has_packer ? &state->plain : &state->piece;
    buf_clear(&state->piece);
    state->sent = 0;
    while (state->piece.size == 0 && !state->is_at_end) {
        buf_clear(made);
        int error = state->source->next(state->source, made);
        if (error != 0)
            return error;
        if (!buf_ok(made))
            return ERR_NOMEM;
        state->is_at_end = made->size == 0;
        error = state->has_packer ? pack(state) : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

static int make_next(struct exchange *exchange)
{
    bool is_cancelled = __atomic_load_n(&exchange->request.cancelled, __ATOMIC_RELAXED);
    return is_cancelled ? ERR_CANCELLED : make_piece(exchange->stream);
}

/* There is no first piece, and still a status to tell it by. */
static void refuse(struct exchange *exchange, int error)
{
    stream_end(exchange);
    if (error == ERR_TIMEOUT)
        answer_refuse(exchange, API_TIMEOUT, "query timed out in query execution");
    else if (error == ERR_CANCELLED)
        answer_refuse(exchange, API_CANCELED, "query was canceled in query execution");
    else if (error == ERR_NOMEM || error == ERR_LIMIT)
        answer_refuse(exchange, API_UNAVAILABLE, "there is no memory left for the answer; try again");
    else
        answer_refuse(exchange, API_INTERNAL, error_text(error));
}

void stream_begin(struct exchange *exchange)
{
    struct streamed_body *state = calloc(1, sizeof *state);
    if (state == NULL) {
        refuse(exchange, ERR_NOMEM);
        return;
    }
    exchange->stream = state;
    state->source = exchange->response.stream;
    state->plain.total = &exchange->memory;
    state->piece.total = &exchange->memory;
    state->memory = &exchange->memory;
    if (exchange->accepts_gzip && arena_total_hold(state->memory, PACKER_BYTES)) {
        state->has_packer = deflateInit2(&state->packer, COMPRESS_LEVEL, Z_DEFLATED, GZIP_WINDOW,
                                         8, Z_DEFAULT_STRATEGY) == Z_OK;
        if (!state->has_packer)
            arena_total_release(state->memory, PACKER_BYTES);
    }
    exchange->is_compressed = state->has_packer;
    int error = make_next(exchange);
    if (error != 0)
        refuse(exchange, error);
}

static void run_next(struct pool_job *job)
{
    struct exchange *exchange = exchange_of_job(job);
    struct streamed_body *state = exchange->stream;
    state->error = make_next(exchange);
    if (state->error != 0 && state->error != ERR_CANCELLED)
        log_warn("http", "an answer is broken off path=%s: %s", exchange->request.path,
                 error_text(state->error));
    exchange_done(exchange);
}

/* ---- loop ------------------------------------------------------------------------------ */

/* libmicrohttpd has room for `size` bytes. */
static ssize_t read_piece(void *context, uint64_t position, char *to, size_t size)
{
    struct exchange *exchange = context;
    struct streamed_body *state = exchange->stream;
    size_t left = state->piece.size - state->sent;
    (void)position;
    if (state->error != 0 || exchange->server->closing)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (left > 0) {
        size_t taken = left < size ? left : size;
        memcpy(to, state->piece.data + state->sent, taken);
        state->sent += taken;
        pace_handed(exchange, taken);
        return (ssize_t)taken;
    }
    if (state->is_at_end)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (exchange_hand_over(exchange, exchange->server->queries, run_next, EXCHANGE_STREAMING) !=
        0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    pace_end(exchange);
    return 0; /* suspended */
}

struct MHD_Response *stream_response(struct exchange *exchange)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_piece,
                                             exchange, NULL);
}

void stream_end(struct exchange *exchange)
{
    struct streamed_body *state = exchange->stream;
    if (exchange->response.stream != NULL)
        exchange->response.stream->close(exchange->response.stream);
    exchange->response.stream = NULL;
    exchange->stream = NULL;
    if (state == NULL)
        return;
    if (state->has_packer) {
        deflateEnd(&state->packer);
        arena_total_release(state->memory, PACKER_BYTES);
    }
    buf_done(&state->plain);
    buf_done(&state->piece);
    free(state);
}
