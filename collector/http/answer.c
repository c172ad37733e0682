/* answer.c - from a struct http_response to libmicrohttpd's, and gzip both ways. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "collector/http/exchange.h"
#include "proto/base/error.h"
#include "proto/base/must.h"

#define COMPRESS_LEAST_BYTES 1024
#define COMPRESS_LEVEL       2 /* JSON shrinks 10x already; more costs more than it saves */
#define COMPRESS_IN_BYTES    ((size_t)1 << 20) /* before it is looked whether anybody waits */
#define COMPRESS_OUT_BYTES   ((size_t)64 << 10)
/* Larger bodies go out in blocks, so that it is seen how fast they are taken. */
#define WHOLE_BYTES_MAX ((size_t)256 << 10)
#define BLOCK_BYTES     ((size_t)64 << 10)

/* Has the handler encoded the body itself? */
static bool is_encoded(const struct http_response *response)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && response->header_names[i] != NULL; i++) {
        if (strcasecmp(response->header_names[i], "Content-Encoding") == 0)
            return true;
    }
    return false;
}

/* False: nobody waits any more, or there is no memory for it. */
static bool pack(const struct exchange *exchange, z_stream *stream, struct buf *packed)
{
    const struct buf *body = &exchange->response.body;
    size_t room = COMPRESS_OUT_BYTES;
    if (body->size < room)
        room = deflateBound(stream, body->size);
    int code = Z_OK;
    for (size_t at = 0; at < body->size;) {
        size_t size = body->size - at < COMPRESS_IN_BYTES ? body->size - at : COMPRESS_IN_BYTES;
        if (__atomic_load_n(&exchange->request.cancelled, __ATOMIC_RELAXED))
            return false;
        stream->next_in = body->data + at;
        stream->avail_in = (uInt)size;
        at += size;
        do {
            stream->next_out = buf_reserve(packed, room);
            if (stream->next_out == NULL)
                return false;
            stream->avail_out = (uInt)room;
            code = deflate(stream, at == body->size ? Z_FINISH : Z_NO_FLUSH);
            packed->size += room - stream->avail_out;
        } while (stream->avail_out == 0 && code != Z_STREAM_END);
    }
    return code == Z_STREAM_END;
}

void answer_compress(struct exchange *exchange)
{
    struct buf *body = &exchange->response.body;
    if (exchange->was_compressed)
        return;
    exchange->was_compressed = true;
    if (!exchange->accepts_gzip || body->size < COMPRESS_LEAST_BYTES || !buf_ok(body) ||
        is_encoded(&exchange->response))
        return;
    z_stream stream = {0};
    if (deflateInit2(&stream, COMPRESS_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    struct buf packed = {.total = body->total};
    if (pack(exchange, &stream, &packed)) {
        struct buf plain = *body;
        *body = packed;
        packed = plain;
        exchange->is_compressed = true;
    }
    deflateEnd(&stream);
    buf_done(&packed);
}

int answer_inflate(struct bytes compressed, size_t limit, struct buf *out)
{
    z_stream stream = {0};
    if (compressed.size > UINT32_MAX)
        return ERR_LIMIT;
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return ERR_NOMEM;
    stream.next_in = (Bytef *)(uintptr_t)compressed.data;
    stream.avail_in = (uInt)compressed.size;
    int code = Z_OK;
    int error = 0;
    while (code == Z_OK && error == 0) {
        enum { STEP = 64 << 10 };
        uint8_t *to = buf_reserve(out, STEP);
        if (to == NULL) {
            error = ERR_NOMEM;
            break;
        }
        stream.next_out = to;
        stream.avail_out = STEP;
        code = inflate(&stream, Z_NO_FLUSH);
        out->size += STEP - stream.avail_out;
        if (out->size > limit)
            error = ERR_LIMIT;
    }
    inflateEnd(&stream);
    if (error == 0 && code != Z_STREAM_END)
        error = ERR_MALFORMED;
    return error;
}

static void add_cors(struct MHD_Response *response)
{
    MHD_add_response_header(response, "Access-Control-Allow-Origin", "*");
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    MHD_add_response_header(response, "Access-Control-Allow-Headers",
                            "Accept, Authorization, Content-Type, Origin");
    MHD_add_response_header(response, "Access-Control-Expose-Headers", "Date");
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Origin");
}

static void add_headers(const struct exchange *exchange, struct MHD_Response *response)
{
    const struct http_response *answer = &exchange->response;
    if (answer->content_type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    if (exchange->is_compressed) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    }
    for (size_t i = 0; i < HTTP_HEADERS_MAX && answer->header_names[i] != NULL; i++)
        MHD_add_response_header(response, answer->header_names[i], answer->header_values[i]);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    /* As Prometheus: other sites' pages may read the query API, never change anything. */
    if (*exchange->origin != '\0' && strncmp(exchange->request.path, "/api/v1/", 8) == 0 &&
        answer->status != MHD_HTTP_NOT_FOUND && answer->status != MHD_HTTP_METHOD_NOT_ALLOWED)
        add_cors(response);
}

static ssize_t read_block(void *context, uint64_t position, char *to, size_t size)
{
    struct exchange *exchange = context;
    const struct buf *body = &exchange->response.body;
    size_t left = body->size - (size_t)position;
    size_t taken = left < size ? left : size;
    memcpy(to, body->data + position, taken);
    pace_handed(exchange, taken);
    return (ssize_t)taken;
}

static struct MHD_Response *body_response(struct exchange *exchange)
{
    const struct buf *body = &exchange->response.body;
    answer_compress(exchange);
    if (body->size > WHOLE_BYTES_MAX)
        return MHD_create_response_from_callback(body->size, BLOCK_BYTES, read_block, exchange,
                                                 NULL);
    pace_unseen(exchange, body->size);
    return MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result answer_send(struct exchange *exchange)
{
    struct http_response *answer = &exchange->response;
    if (!buf_ok(&answer->body)) {
        http_drop_body(answer);
        answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
        answer->content_type = "text/plain; charset=utf-8";
        buf_put_text(&answer->body, "out of memory\n");
    }
    struct MHD_Response *response =
        exchange->stream != NULL ? stream_response(exchange) : body_response(exchange);
    if (response == NULL)
        return MHD_NO;
    add_headers(exchange, response);
    exchange->state = EXCHANGE_ANSWERED;
    int class = answer->status / 100;
    if (class < COUNTED_CLASSES)
        exchange->server->answered[class]++;
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    pace_begin(exchange);
    return result;
}

enum MHD_Result answer_text(struct exchange *exchange, int status, const char *text)
{
    struct http_response *answer = &exchange->response;
    answer->status = status;
    answer->content_type = "text/plain; charset=utf-8";
    http_drop_body(answer);
    buf_printf(&answer->body, "%s\n", text);
    return answer_send(exchange);
}
