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

/* Has the handler encoded the body itself? */
static bool is_encoded(const struct http_response *response)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && response->header_names[i] != NULL; i++) {
        if (strcasecmp(response->header_names[i], "Content-Encoding") == 0)
            return true;
    }
    return false;
}

void answer_compress(struct exchange *exchange)
{
    struct buf *body = &exchange->response.body;
    if (!exchange->accepts_gzip || exchange->is_compressed ||
        body->size < COMPRESS_LEAST_BYTES || !buf_ok(body) || is_encoded(&exchange->response))
        return;
    z_stream stream = {0};
    if (deflateInit2(&stream, COMPRESS_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    struct buf packed = {0};
    uLong bound = deflateBound(&stream, body->size);
    uint8_t *to = bound < UINT32_MAX && body->size < UINT32_MAX ? buf_reserve(&packed, bound)
                                                                : NULL;
    if (to != NULL) {
        stream.next_in = body->data;
        stream.avail_in = (uInt)body->size;
        stream.next_out = to;
        stream.avail_out = (uInt)bound;
        if (deflate(&stream, Z_FINISH) == Z_STREAM_END) {
            packed.size = bound - stream.avail_out;
            struct buf plain = *body;
            *body = packed;
            packed = plain;
            exchange->is_compressed = true;
        }
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

static struct MHD_Response *body_response(struct exchange *exchange)
{
    struct buf *body = &exchange->response.body;
    answer_compress(exchange);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->size, body->data,
        body->data != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response != NULL)
        buf_init(body, 0); /* libmicrohttpd frees the bytes */
    return response;
}

enum MHD_Result answer_send(struct exchange *exchange)
{
    struct http_response *answer = &exchange->response;
    if (!buf_ok(&answer->body)) {
        buf_done(&answer->body);
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
    return result;
}

enum MHD_Result answer_text(struct exchange *exchange, int status, const char *text)
{
    struct http_response *answer = &exchange->response;
    answer->status = status;
    answer->content_type = "text/plain; charset=utf-8";
    buf_clear(&answer->body);
    buf_printf(&answer->body, "%s\n", text);
    return answer_send(exchange);
}
