/*
 * request.h - what a transfer over libcurl needs beside it, and what it came to.
 *
 * Thread: whoever runs the transfer.
 */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/diagnosis.h"

#define CLIENT_FILES_MAX 3

/* A transfer's scratch: what libcurl points to while it runs.  Zeroed by the caller before
 * prepare, cleaned by client_request_done(). */
struct client_request {
    const char *id; /* the message's, stable over retries */
    struct bytes body;
    size_t body_sent;
    struct curl_slist *headers;
    struct curl_slist *recipients;
    struct curl_slist *connect_to;
    int files[CLIENT_FILES_MAX]; /* of certificates that stand in the configuration */
    size_t file_count;
    char *secret;
    char *text; /* URL or other text that must outlive the call */
    struct buf sent; /* what goes out, where that is not the body as it was stored */
    struct buf answer; /* the first bytes of it, for a diagnosis */
    struct bytes progress; /* what earlier tries achieved: the last one's `kept` */
    struct buf kept;       /* what this one achieved, for the next to go on from */
    struct buf note;       /* the caller's own, of this try */
    char *token;           /* of the service; NULL where it has none */
};
void client_request_done(struct client_request *request);

struct client_verdict {
    bool accepted;
    bool recoverable; /* try again soon; otherwise at the slowest pace */
    bool yields;  /* not accepted, but by most it tells: what comes later need not wait */
    bool renews;  /* not accepted, for the token was worn out: it is tried with a new one */
    bool awaits;  /* accepted, and a receipt will say what became of it */
    int64_t pause_ms; /* how long the service wants to hear nothing more; 0: no such wish */
    struct diagnosis why; /* of a failure; of an acceptance: what was not accepted of it */
    struct bytes progress; /* to be kept with the message; valid while it is told */
};
