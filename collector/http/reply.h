/*
 * reply.h - the envelope of Prometheus's API around every answer.
 *
 *     {"status":"success","data":...,"warnings":[...],"infos":[...]}
 *     {"status":"error","errorType":"bad_data","error":"..."}
 *
 * Source: Prometheus web/api/v1/api.go (errors, codes, at most ten notes of a kind).
 * One owner; no thread.
 */
#pragma once

#include "collector/http/json_write.h"
#include "collector/http/server.h"
#include "collector/promql/engine.h"

enum api_error {
    API_BAD_DATA,    /* 400 */
    API_EXECUTION,   /* 422 */
    API_CANCELED,    /* 499 */
    API_TIMEOUT,     /* 503 */
    API_INTERNAL,    /* 500 */
    API_NOT_FOUND,   /* 404 */
    API_UNAVAILABLE, /* 503 */
    API_DISABLED,    /* 500, as "unavailable": switched off */
};

struct reply {
    struct http_response *response;
    struct json_writer json; /* where "data" is written: exactly one value */
};

void reply_start(struct reply *reply, struct http_response *response);
/* `notes` and `warning` may be NULL. */
void reply_finish(struct reply *reply, const struct promql_annotations *notes,
                  const char *warning);

/* Replaces whatever was begun. */
void reply_error(struct http_response *response, enum api_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* invalid parameter "NAME": WHY */
void reply_invalid(struct http_response *response, const char *parameter, const char *why);
/* By error code of ours: not found 404, invalid and malformed 400, full and again 503 ... */
void reply_code(struct http_response *response, int error, const struct diagnosis *why);

/* An answer whose data another part prints: 0 or an error from `error`. */
void reply_printed(struct reply *reply, int error, const struct diagnosis *why);
