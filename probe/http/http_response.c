/*
 * http_response.c - the states of an answer (http_response.h).
 *
 *     status line -> headers -> HEAD -> body by length | body to the end | chunks -> DONE
 *                       ^ 1xx |                   size line -> data -> CRLF -> ... 0 ->
 * trailers
 */
#include "probe/http/http_response.h"

#include <string.h>
#include <strings.h>

#include "proto/base/error.h"

enum state {
    STATE_STATUS,
    STATE_HEADER,
    STATE_BODY_LENGTH,
    STATE_BODY_TO_END,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_DATA,
    STATE_CHUNK_END,
    STATE_TRAILER,
    STATE_DONE,
};

void http_response_init(struct http_response *response)
{
    *response = (struct http_response){.state = STATE_STATUS};
}

/* Collects a line, without its CRLF or LF.  1: it is whole, 0: not yet.  ERR_LIMIT. */
static int take_line(struct http_response *response, struct bytes *piece)
{
    while (piece->size > 0) {
        char c = (char)*piece->data++;
        piece->size--;
        if (++response->head_bytes > HTTP_HEAD_BYTES_MAX)
            return ERR_LIMIT;
        if (c == '\n') {
            if (response->line_size > 0 && response->line[response->line_size - 1] == '\r')
                response->line_size--;
            response->line[response->line_size] = '\0';
            return 1;
        }
        if (response->line_size < HTTP_LINE_BYTES - 1)
            response->line[response->line_size++] = c;
        else
            response->is_long = true;
    }
    return 0;
}

static void next_line(struct http_response *response)
{
    response->line_size = 0;
    response->is_long = false;
}

/* "HTTP/1.1 200 OK" */
static int take_status(struct http_response *response)
{
    const char *line = response->line;
    if (response->line_size < 12 || strncmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ')
        return ERR_MALFORMED;
    int status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return ERR_MALFORMED;
        status = status * 10 + (line[i] - '0');
    }
    if (status < 100 || status > 599 || (line[12] != '\0' && line[12] != ' '))
        return ERR_MALFORMED;
    response->status = status;
    return 0;
}

static int take_length(struct http_response *response, const char *value)
{
    uint64_t length = 0;
    size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 18 || value[digits + strspn(value + digits, " \t")] != '\0')
        return ERR_MALFORMED;
    for (size_t i = 0; i < digits; i++)
        length = length * 10 + (uint64_t)(value[i] - '0');
    if (response->has_length && response->length != length)
        return ERR_MALFORMED; /* two lengths: whose answer is this? */
    response->has_length = true;
    response->length = length;
    return 0;
}

static int take_header(struct http_response *response)
{
    char *colon = memchr(response->line, ':', response->line_size);
    if (colon == NULL)
        return ERR_MALFORMED;
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t");
    char *end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    bool is_framing = strcasecmp(response->line, "Transfer-Encoding") == 0 ||
                      strcasecmp(response->line, "Content-Length") == 0;
    if (response->is_long)
        return is_framing ? ERR_MALFORMED : 0;
    if (strcasecmp(response->line, "Content-Length") == 0)
        return take_length(response, value);
    if (strcasecmp(response->line, "Transfer-Encoding") == 0) {
        response->is_chunked = strcasecmp(value, "chunked") == 0;
        return response->is_chunked ? 0 : ERR_MALFORMED;
    }
    if (strcasecmp(response->line, "Content-Encoding") == 0)
        response->is_encoded = strcasecmp(value, "identity") != 0 && value[0] != '\0';
    if (strcasecmp(response->line, "Content-Type") == 0 &&
        (size_t)(end - value) < sizeof response->content_type)
        memcpy(response->content_type, value, (size_t)(end - value) + 1);
    return 0;
}

/* The empty line after the headers. */
static int end_head(struct http_response *response)
{
    if (response->status < 200) {
        if (response->status == 101)
            return ERR_MALFORMED; /* nobody asked for another protocol */
        size_t head_bytes = response->head_bytes;
        http_response_init(response);
        response->head_bytes = head_bytes;
        return HTTP_MORE;
    }
    response->head_bytes = 0;
    response->left = response->length;
    response->state = response->status == 204 || response->status == 304 ? STATE_DONE
                      : response->is_chunked                             ? STATE_CHUNK_SIZE
                      : response->has_length                             ? STATE_BODY_LENGTH
                                                                         : STATE_BODY_TO_END;
    return HTTP_HEAD;
}

/* "1a2f" or "1a2f;name=value" */
static int take_chunk_size(struct http_response *response)
{
    uint64_t size = 0;
    size_t digits = strspn(response->line, "0123456789abcdefABCDEF");
    char after = response->line[digits];
    if (digits == 0 || digits > 15 || (after != '\0' && after != ';' && after != ' '))
        return ERR_MALFORMED;
    for (size_t i = 0; i < digits; i++) {
        char c = response->line[i];
        int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        size = size << 4 | (uint64_t)digit;
    }
    response->left = size;
    response->state = size == 0 ? STATE_TRAILER : STATE_CHUNK_DATA;
    response->head_bytes = 0;
    return HTTP_MORE;
}

/* A whole line, by the state it was met in. */
static int end_line(struct http_response *response)
{
    int error = 0;
    switch ((enum state)response->state) {
    case STATE_STATUS:
        error = take_status(response);
        response->state = STATE_HEADER;
        break;
    case STATE_HEADER:
        error = response->line_size == 0 ? end_head(response) : take_header(response);
        break;
    case STATE_CHUNK_SIZE:
        error = take_chunk_size(response);
        break;
    case STATE_CHUNK_END:
        error = response->line_size == 0 ? 0 : ERR_MALFORMED;
        response->state = STATE_CHUNK_SIZE;
        break;
    default: /* a trailer: nothing in it is for us */
        if (response->line_size == 0)
            response->state = STATE_DONE;
        break;
    }
    next_line(response);
    return error;
}

/* A stretch of the body. */
static int take_body(struct http_response *response, struct bytes *piece,
                     struct bytes *ret_body)
{
    size_t size = piece->size;
    if (response->state != STATE_BODY_TO_END && size > response->left)
        size = (size_t)response->left;
    *ret_body = (struct bytes){piece->data, size};
    piece->data += size;
    piece->size -= size;
    if (response->state != STATE_BODY_TO_END)
        response->left -= size;
    if (response->state == STATE_CHUNK_DATA && response->left == 0)
        response->state = STATE_CHUNK_END;
    return HTTP_BODY;
}

int http_response_next(struct http_response *response, struct bytes *piece,
                       struct bytes *ret_body)
{
    for (;;) {
        if (response->state == STATE_BODY_LENGTH && response->left == 0)
            response->state = STATE_DONE;
        if (response->state == STATE_DONE)
            return HTTP_DONE;
        if (piece->size == 0)
            return HTTP_MORE;
        if (response->state == STATE_BODY_LENGTH || response->state == STATE_BODY_TO_END ||
            response->state == STATE_CHUNK_DATA)
            return take_body(response, piece, ret_body);
        int whole = take_line(response, piece);
        if (whole <= 0)
            return whole;
        int event = end_line(response);
        if (event != HTTP_MORE)
            return event;
    }
}

int http_response_end(const struct http_response *response)
{
    return response->state == STATE_BODY_TO_END || response->state == STATE_DONE
               ? 0
               : ERR_MALFORMED;
}
