/*
 * remote_query.h - what a remote read request asks for.
 *
 * Schema: schema/remote_read.proto.  Sizes are bounded; unknown fields are skipped.
 * One owner; no thread.
 */
#pragma once

#include "collector/http/sample_walk.h"
#include "proto/base/bytes.h"
#include "proto/base/diagnosis.h"

#define REMOTE_READ_BYTES_MAX ((size_t)1 << 20) /* of a request, with snappy and without */
#define REMOTE_QUERIES_MAX    1000
#define REMOTE_MATCHERS_MAX   1000 /* of all queries together: each takes some KiB */

enum remote_answer_type { REMOTE_SAMPLES, REMOTE_XOR_CHUNKS };

struct remote_query {
    int64_t from_ms, until_ms; /* closed; what the hints name of it, if they name a range */
    struct selector selector;  /* no matcher: every series */
};

struct remote_request {
    struct remote_query *queries;
    size_t count;
    enum remote_answer_type type; /* the asker's first that we know; none named: samples */
};

/* Parses an uncompressed message.  ERR_MALFORMED; ERR_LIMIT; ERR_INVALID: a pattern or matcher
 * that is none; ERR_REFUSED: no answer type that we know; ERR_NOMEM. */
int remote_request_parse(struct bytes message, struct remote_request *ret_request,
                         struct diagnosis *why);
/* A zeroed one is fine. */
void remote_request_free(struct remote_request *request);
