/*
 * answer_memory.c - what a request and its answer hold, until the answer is sent.
 *
 *     handler at work         made             being sent           sent, or the client is gone
 *     arenas and body ------> body only -----> body or stream ----> nothing
 *     many parameters -------------------------------------------->
 *     |<------ the request's own account, in the total of its kind ------->|
 *                             |<---- large ones: their share of it ------->|
 *
 * Slow routes count in the total of all queries, the others in one of the server's own: queries that
 * take all there is leave the duty routes theirs.  Large answers that wait for their clients have
 * half of the queries' at most: who reads slowly keeps nobody from asking something small.  A stream
 * has its share by what it holds when it begins.
 */
#include <string.h>

#include "collector/http/exchange.h"
#include "proto/base/must.h"

#define LARGE_BYTES ((size_t)64 << 10)
#define FEW_BYTES   ((size_t)2 << 10) /* of encoded parameters: they are no more than their connection */

void answer_memory_open(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (exchange->route->later != NULL)
        return; /* a line at most, which must not fail for others' sake */
    bool is_query = exchange->route->slow;
    bool is_bounded = is_query && server->query_memory != NULL;
    exchange->memory = (struct arena_total){
        .limit_bytes = is_bounded ? server->query_memory_bytes_max : SIZE_MAX,
        .parent = is_query ? server->query_memory : &server->state_memory};
    if (exchange->query.size + exchange->body.size > FEW_BYTES ||
        *exchange->request.content_encoding != '\0')
        exchange->arena.total = &exchange->memory;
    exchange->request.memory = &exchange->memory;
    exchange->response.body.total = &exchange->memory;
}

void answer_refuse(struct exchange *exchange, enum api_error error, const char *text)
{
    struct http_response *response = &exchange->response;
    if (response->stream != NULL)
        response->stream->close(response->stream);
    response->stream = NULL;
    exchange->is_compressed = false;
    memset(response->header_names, 0, sizeof response->header_names); /* of the body */
    reply_error(response, error, "%s", text);
    if (error == API_UNAVAILABLE)
        http_add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (!response->plain_errors)
        return;
    http_drop_body(response);
    response->content_type = "text/plain; charset=utf-8";
    buf_printf(&response->body, "%s\n", text);
}

void answer_memory_settle(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    const struct buf *body = &exchange->response.body;
    if (!buf_ok(body) && !exchange->route->slow)
        answer_refuse(exchange, API_UNAVAILABLE, "too many answers are being sent; try again");
    else if (!buf_ok(body) && body->total_refused)
        answer_refuse(exchange, API_EXECUTION,
                      "all queries together have no memory left; try again");
    else if (!buf_ok(body))
        answer_refuse(exchange, API_EXECUTION,
                      "the answer needs more memory than a query and its answer may hold");
    size_t held = exchange->memory.held_bytes;
    if (!exchange->route->slow || held <= LARGE_BYTES)
        return;
    if (arena_total_hold(&server->sending, held))
        exchange->sending_bytes = held;
    else
        answer_refuse(exchange, API_UNAVAILABLE,
                      "too many large answers are being sent; try again");
}

void answer_memory_close(struct exchange *exchange)
{
    buf_done(&exchange->response.body);
    arena_total_release(&exchange->server->sending, exchange->sending_bytes);
    must(exchange->memory.held_bytes == 0); /* or the total of all would never see it again */
}
