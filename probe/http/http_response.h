/*
 * http_response.h - an HTTP/1.x answer as it arrives, piece by piece (RFC 9112).
 *
 *     http_response_init(&response);
 *     while (more bytes) {
 *         struct bytes piece = ...;
 *         while ((got = http_response_next(&response, &piece, &body)) > HTTP_MORE)
 *             if (got == HTTP_HEAD) status and headers are known
 *             else if (got == HTTP_BODY) use(body)
 *             else the answer is complete
 *     }
 *     error = http_response_end(&response);       the connection was closed
 *
 * The body is told without its framing: by Content-Length, chunked, or up to the end of the
 * connection.  Interim answers (1xx) are passed over.  Allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/bytes.h"

/* Of a status line, a header that counts, or a chunk's size; longer headers are passed over. */
#define HTTP_LINE_BYTES 512
/* Of status line and headers together, and of trailers: ERR_LIMIT. */
#define HTTP_HEAD_BYTES_MAX ((size_t)64 << 10)

enum http_event {
    HTTP_MORE, /* the piece is used up */
    HTTP_HEAD, /* status and headers are known */
    HTTP_BODY, /* some of the body */
    HTTP_DONE, /* all of it */
};

struct http_response {
    int status;             /* 100..599 */
    char content_type[128]; /* "" if not said, or longer */
    bool is_encoded;        /* a Content-Encoding other than identity */
    /* private */
    unsigned state;
    bool is_chunked, has_length, is_long;
    uint64_t length, left;
    size_t head_bytes;
    size_t line_size;
    char line[HTTP_LINE_BYTES];
};

void http_response_init(struct http_response *response);

/* Reads on to the next event, moving *piece past what it took; *ret_body points into the piece.
 * ERR_MALFORMED, ERR_LIMIT: the answer is of no use. */
int http_response_next(struct http_response *response, struct bytes *piece,
                       struct bytes *ret_body);

/* May the answer end here?  ERR_MALFORMED: it was cut off. */
int http_response_end(const struct http_response *response);
