/*
 * request_text.h - an HTTP request as text, to the struct that handlers read.
 *
 *     POST /api/v1/query?time=1700000000 \n
 *     Content-Type: application/x-www-form-urlencoded \n
 *     \n
 *     query=up
 *
 * What a connection would do on the way is done here likewise: the path is percent-decoded, the
 * form comes before the URL's parameters, Content-Encoding: gzip is undone.  Read are Authorization,
 * Content-Type, Content-Encoding, If-None-Match; and `Role`, which a connection never says: the
 * asker's (admin).
 *
 * One owner; no thread.
 */
#pragma once

#include "collector/http/form.h"
#include "collector/http/server.h"

struct request_text {
    struct http_request request; /* without context and server */
    const struct http_route *route; /* NULL: none takes it */
    bool is_known; /* without a route: the path has one for another method */
    const char *authorization; /* "" if absent */
    int status;    /* 0, or why no handler is to see it: 400, 413 */
    struct arena arena;
    struct form form;
    struct buf inflated;
};

/* False: no request at all, or a path with a NUL in it; there is nothing to free. */
bool request_text_read(struct bytes text, const struct http_route *routes, size_t count,
                       struct request_text *ret_text);
void request_text_done(struct request_text *text);
